"""`ami-wizard bundle`: an image file becomes a bundle in S3, once, however often it is asked for."""

import json
import os
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from unbundle import KeyPair, key_pair

from wizard import folders
from wizard.cli.builds import builds
from wizard.cli.bundle import bundle
from wizard.cli.clean import clean
from wizard.cloud.practice.process import practice_cloud
from wizard.cloud.session import client
from wizard.explain import Failure
from wizard.run import uploads
from wizard.run.builds import resources

REGION = "eu-west-3"
BUCKET = f"practice-{REGION}"


@pytest.fixture(scope="module")
def pem(tmp_path_factory: pytest.TempPathFactory) -> KeyPair:
    return key_pair(tmp_path_factory.mktemp("keys"), "user")


@pytest.fixture
def image(tmp_path: Path) -> Path:
    path = tmp_path / "disk.img"
    path.write_bytes(os.urandom(1 << 20))
    os.truncate(path, 64 << 20)
    return path


@pytest.fixture
def ec2(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """In a region that can run no S3-backed paravirtual AMI, EC2's key is not known."""
    return key_pair(tmp_path_factory.mktemp("ec2"), "ec2").certificate


def run(image: Path, pem: KeyPair, ec2: Path | None, *more: str, place: str = f"{BUCKET}/web") -> Result:
    keys = ["--certificate", str(pem.certificate), "--private-key", str(pem.private_key)]
    given = ["--ec2-certificate", str(ec2)] if ec2 else []
    arguments = [str(image), place, *keys, *given, "--practice", "--region", REGION, *more]
    return CliRunner().invoke(bundle, arguments, standalone_mode=False)


def names() -> list[str]:
    with practice_cloud(folders.practice()) as endpoint:
        found: dict[str, Any] = client("s3", REGION, endpoint).list_object_versions(Bucket=BUCKET)
    return [item["Key"] for item in found.get("Versions", ())]


def test_standard_output_holds_the_place_alone_and_a_second_run_gives_the_same(
    image: Path, pem: KeyPair, ec2: Path
) -> None:
    first, second = run(image, pem, ec2), run(image, pem, ec2)
    assert first.return_value == second.return_value == 0
    assert first.stdout == second.stdout
    place = first.stdout.strip().removeprefix(f"{BUCKET}/")
    assert names() == [place, place.replace(".manifest.xml", ".part.00")]


def test_a_changed_image_gets_a_bundle_of_its_own(image: Path, pem: KeyPair, ec2: Path) -> None:
    first = json.loads(run(image, pem, ec2, "--json").stdout)
    with image.open("r+b") as file:
        file.write(b"changed")
    second = json.loads(run(image, pem, ec2, "--json").stdout)
    assert first.keys() == {"image_location", "region", "image", "cost", "upload"}
    assert first["image_location"] != second["image_location"]
    assert len(names()) == 4


def test_a_name_of_ones_own_takes_no_bundle_from_its_ami(image: Path, pem: KeyPair, ec2: Path) -> None:
    assert run(image, pem, ec2, "--name", "mine").return_value == 0
    before = names()
    with image.open("r+b") as file:
        file.write(b"changed")
    failure = run(image, pem, ec2, "--name", "mine").exception
    assert isinstance(failure, Failure)
    assert failure.code == "name-taken-in-bucket"
    assert names() == before


def test_where_ec2_s_key_is_not_known_it_is_asked_for_and_never_guessed(image: Path, pem: KeyPair) -> None:
    failure = run(image, pem, None).exception
    assert isinstance(failure, Failure)
    assert failure.code == "no-ec2-certificate"
    assert names() == []


@pytest.mark.parametrize("place", ["only-a-bucket", "My_Bucket/web", "bucket//web", "bucket/../web"])
def test_a_place_that_is_none_is_wrong_usage(place: str, image: Path, pem: KeyPair) -> None:
    assert "is not BUCKET/FOLDER" in str(run(image, pem, None, place=place).exception)


def test_it_is_listed_and_goes_away_whole(image: Path, pem: KeyPair, ec2: Path) -> None:
    made = json.loads(run(image, pem, ec2, "--json").stdout)
    assert [one["id"] for one in resources(uploads.all_uploads()[0])] == [made["image_location"]]
    assert CliRunner().invoke(clean, [made["upload"], "--cloud", "--yes"], standalone_mode=False).return_value == 0
    assert names() == []
    assert uploads.all_uploads() == []


def test_it_is_listed_and_goes_with_all_its_objects(image: Path, pem: KeyPair, ec2: Path) -> None:
    place = run(image, pem, ec2).stdout.strip()
    (row,) = json.loads(CliRunner().invoke(builds, ["--json"]).stdout)["uploads"]
    assert [(one["kind"], one["id"]) for one in row["resources"]] == [("bundle", place)]

    done = CliRunner().invoke(clean, [row["id"], "--cloud", "--yes"], standalone_mode=False)

    assert done.return_value == 0
    assert names() == []
    assert json.loads(CliRunner().invoke(builds, ["--json"]).stdout)["uploads"] == []
