"""`ami-wizard clean --cloud` takes a bundle away with its AMI, also without its journal, and nothing of others."""

from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from unbundle import KeyPair, key_pair

from wizard.cli.clean import clean
from wizard.cloud import session
from wizard.recipe import from_answers
from wizard.run import builds
from wizard.run.builds import Build

REGION = "us-east-1"
BUCKET = f"practice-{REGION}"


@pytest.fixture(scope="module")
def pem(tmp_path_factory: pytest.TempPathFactory) -> KeyPair:
    return key_pair(tmp_path_factory.mktemp("keys"), "user")


def build(pem: KeyPair) -> Build:
    target = {"region": REGION, "arch": "x86_64", "virtualization": "paravirtual", "storage": "s3"}
    files = {"certificate": str(pem.certificate), "private_key": str(pem.private_key)}
    answers = {"name": "a bundle", "target": target, "bundle": {"bucket": BUCKET, "prefix": "images", **files}}
    return builds.create(from_answers(answers), practice=True)


def run(*arguments: str) -> Result:
    return CliRunner().invoke(clean, arguments, standalone_mode=False)


def put(s3: Any, *keys: str) -> None:
    for key in keys:
        s3.put_object(Bucket=BUCKET, Key=key, Body=b"x", ACL="aws-exec-read")


def there(s3: Any) -> list[str]:
    return [item["Key"] for item in s3.list_object_versions(Bucket=BUCKET).get("Versions", ())]


def test_what_the_build_s_name_alone_tells_goes_too_and_nothing_of_others(pem: KeyPair) -> None:
    made = build(pem)
    base, others = f"images/{made.facts().tag}", ["images/other.part.00", "images/other.manifest.xml"]
    with made.cloud() as endpoint:
        s3 = session.client("s3", REGION, endpoint)
        put(s3, f"{base}.part.00", f"{base}.part.01", f"{base}.manifest.xml", *others)

        result = run(made.id, "--cloud", "--yes")

        assert f"bundle {BUCKET}/{base}.manifest.xml in {REGION}" in result.stderr, "shown before it goes"
        assert there(s3) == sorted(others)
        again = build(pem)
        assert "bundle " not in run(again.id, "--cloud", "--yes").stderr


def test_a_bundle_that_was_begun_elsewhere_is_known_by_its_journal(pem: KeyPair) -> None:
    made = build(pem)
    journal = made.journal("bundle", "0" * 64)
    journal.asked("PutObject", region=REGION, bucket=BUCKET, base="elsewhere/x-1", image={}, sealed={})
    assert [one["id"] for one in builds.resources(made)] == [f"{BUCKET}/elsewhere/x-1.manifest.xml"]
    with made.cloud() as endpoint:
        s3 = session.client("s3", REGION, endpoint)
        put(s3, "elsewhere/x-1.part.00")

        assert run(made.id, "--cloud", "--yes").return_value == 0

        assert there(s3) == []


def test_a_bundle_of_which_nothing_was_put_yet_is_not_shown(pem: KeyPair, tmp_path: Path) -> None:
    made = build(pem)
    journal = made.journal("bundle", "0" * 64)
    journal.asked("PutObject", region=REGION, bucket="nobody-has-it", base="x/y", image={}, sealed={})
    result = run(made.id, "--cloud", "--yes")
    assert result.return_value == 0
    assert "bundle nobody-has-it" not in result.stderr
