"""The recipe of an S3-backed AMI: what it needs, what is wrong with it, and what is planned from it."""

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from unbundle import KeyPair, key_pair

from wizard.plan.actions import CheckAccount, CheckBucket, RegisterImage, UploadBundle
from wizard.plan.build import Occasion, identity, plan
from wizard.plan.script import script
from wizard.recipe import dumps, from_answers, problems_of

S3 = {"virtualization": "paravirtual", "storage": "s3"}


@pytest.fixture(scope="module")
def pem(tmp_path_factory: pytest.TempPathFactory) -> KeyPair:
    return key_pair(tmp_path_factory.mktemp("keys"), "user")


def answers(**tables: Any) -> dict[str, Any]:
    target = {"region": "us-east-1", "arch": "x86_64", **tables.pop("target", {})}
    return {"name": "first-ami", "target": target, **tables}


def problems(given: Mapping[str, Any]) -> list[str]:
    return [str(problem) for problem in problems_of(given)]


def for_s3(pem: KeyPair, **bundle: Any) -> dict[str, Any]:
    files = {"certificate": str(pem.certificate), "private_key": str(pem.private_key)}
    return answers(target=S3, bundle={"bucket": "my-images", **files, **bundle})


def test_an_s3_backed_ami_is_a_file_system_without_a_table_in_a_folder_named_as_the_ami(pem: KeyPair) -> None:
    recipe = from_answers({**for_s3(pem), "name": "my image/2026"})
    made = plan(recipe, Occasion("tag", "2026-11-24"))
    (upload,) = made.step("bundle").actions
    (register,) = made.step("register").actions
    assert isinstance(upload, UploadBundle)
    assert isinstance(register, RegisterImage)
    assert upload.location == "my-images/my-image-2026/tag.manifest.xml"
    assert upload.devices == {"ami": "sda1", "root": "/dev/sda1"}
    assert register.parameters["ImageLocation"] == upload.location
    assert register.parameters.keys().isdisjoint({"RootDeviceName", "BlockDeviceMappings"})
    assert register.parameters["KernelId"] == upload.aki
    assert [type(action) for action in made.step("account").actions] == [CheckAccount, CheckBucket]


def test_where_a_bundle_is_put_makes_no_other_image(pem: KeyPair) -> None:
    one, other = (from_answers(for_s3(pem, prefix=prefix)) for prefix in ("a", "b/c"))
    assert identity(one) == identity(other)
    assert [plan(recipe, Occasion("tag", "day")).keys()["image"] for recipe in (one, other)] == [
        plan(one, Occasion("tag", "day")).keys()["image"]
    ] * 2


def test_a_bundle_is_not_made_again_because_its_keys_were_moved(pem: KeyPair, tmp_path: Path) -> None:
    moved = KeyPair(tmp_path / "cert.pem", tmp_path / "key.pem")
    moved.certificate.write_bytes(pem.certificate.read_bytes())
    moved.private_key.write_bytes(pem.private_key.read_bytes())
    one, other = (plan(from_answers(for_s3(keys)), Occasion("tag", "day")).keys() for keys in (pem, moved))
    assert one["bundle"] == other["bundle"]


def test_paths_of_keys_are_taken_from_the_recipe_s_folder(pem: KeyPair) -> None:
    given = for_s3(pem, certificate=pem.certificate.name, private_key=pem.private_key.name)
    recipe = from_answers(given, pem.certificate.parent)
    assert recipe.bundle is not None
    assert (recipe.bundle.certificate, recipe.bundle.private_key) == (str(pem.certificate), str(pem.private_key))
    assert from_answers(tomllib.loads(dumps(recipe))) == recipe


@pytest.mark.parametrize(
    ("bundle", "place"),
    [
        ({"bucket": None}, "bundle.bucket"),
        ({"certificate": None}, "bundle.certificate"),
        ({"private_key": None}, "bundle.private_key"),
        ({"private_key": "/nothing.pem"}, "bundle.private_key"),
        ({"certificate": "/nothing.pem"}, "bundle.certificate"),
        ({"ec2_certificate": "/nothing.pem"}, "bundle.ec2_certificate"),
        ({"bucket": "My_Bucket"}, "bundle.bucket"),
        ({"prefix": "/from/the/top"}, "bundle.prefix"),
        ({"prefix": "../up"}, "bundle.prefix"),
        ({"buckett": "x"}, "bundle.buckett"),
    ],
    ids=str,
)
def test_what_is_wrong_with_a_bundle_is_told_by_its_place(bundle: dict[str, Any], place: str, pem: KeyPair) -> None:
    given = for_s3(pem, **bundle)
    given["bundle"] = {key: value for key, value in given["bundle"].items() if value is not None}
    assert [text.partition(": ")[0] for text in problems(given)] == [place]


def test_without_a_bundle_all_that_it_needs_is_told_with_the_way_to_make_it() -> None:
    said = problems(answers(target=S3))
    assert [text.partition(": ")[0] for text in said] == ["bundle.bucket", "bundle.certificate", "bundle.private_key"]
    assert "openssl req -x509" in said[1]


def test_an_ebs_backed_ami_has_no_bundle_and_an_s3_backed_one_no_encrypted_snapshot(pem: KeyPair) -> None:
    assert problems({**for_s3(pem), "target": answers()["target"]})[0].startswith("bundle: is given")
    given = for_s3(pem)
    given["target"] = {**given["target"], "encrypted": True}
    assert [text.partition(": ")[0] for text in problems(given)] == ["target.encrypted"]


def test_a_recipe_without_a_bundle_is_written_as_ever() -> None:
    assert "bundle" not in dumps(from_answers(answers()))


def test_the_script_takes_the_key_of_a_bundle_on_no_command_line(pem: KeyPair) -> None:
    text = script(plan(from_answers(for_s3(pem)), Occasion("tag", "2026-11-24")))
    assert "ami-wizard bundle image/disk.img my-images/first-ami" in text
    assert "openssl enc" not in text
    assert "<snapshot>" not in text
    assert "with public tools and, for the bundle, ami-wizard" in text
