"""The policy that a plan asks for is enough for what the build calls, and allows nothing beside it."""

import fnmatch
import re
from pathlib import Path
from typing import Any

import pytest

from wizard import cloud
from wizard.cloud.errors import EBS_OPERATIONS, S3_PERMISSIONS
from wizard.plan.build import Occasion, plan
from wizard.plan.policy import policy
from wizard.plan.steps import BUILD_TAG
from wizard.recipe import Recipe, from_answers

NOT_IN_A_BUILD = {"ListSnapshotBlocks", "GetSnapshotBlock"}
"""Reading back, which only the practice cloud's launch does."""

OF_LAUNCH = {
    "ec2:DescribeInstanceStatus",
    "ec2:DescribeInstances",
    "ec2:GetConsoleOutput",
    "ec2:RunInstances",
    "ec2:TerminateInstances",
}
"""What only a recipe with the table [launch] needs."""

NEEDS_NO_PERMISSION = {"GetCallerIdentity"}


def called() -> set[str]:
    """The operations that wizard/cloud names when it calls AWS, as permissions; tagging comes with creating."""
    names = set()
    for path in Path(cloud.__file__).parent.glob("*.py"):
        pattern = r'(?:aws_errors|as_failure|patiently)\((?:error, |ask, )?"([A-Z]\w+)"'
        names |= set(re.findall(pattern, path.read_text()))
    names -= NOT_IN_A_BUILD | NEEDS_NO_PERMISSION | {"Connect"}
    return {permission(name) for name in names} | {"ec2:CreateTags"}


def permission(operation: str) -> str:
    service = "ebs" if operation in EBS_OPERATIONS else "ec2"
    return S3_PERMISSIONS.get(operation, f"{service}:{operation}")


def made(region: str = "us-east-1", *, launches: bool = False, **target: Any) -> dict[str, Any]:
    answers = {"name": "an image", "target": {"region": region, "arch": "x86_64", **target}}
    recipe = from_answers({**answers, **({"launch": {}} if launches else {})})
    return policy(plan(recipe, Occasion("an-image-1", "2026-11-24")))


def made_for_s3(region: str = "us-east-1") -> dict[str, Any]:
    """For an S3-backed AMI.  Its key files need not be there: a policy has nothing of them."""
    target = {"region": region, "arch": "x86_64", "virtualization": "paravirtual", "storage": "s3"}
    files = {"certificate": "/cert.pem", "private_key": "/key.pem"}
    answers = {"name": "an image", "target": target, "bundle": {"bucket": "mine", **files}}
    return policy(plan(Recipe.model_validate(answers), Occasion("an-image-1", "2026-11-24")))


def actions(document: dict[str, Any]) -> set[str]:
    listed = [statement["Action"] for statement in document["Statement"]]
    return {action for found in listed for action in ([found] if isinstance(found, str) else found)}


def test_it_names_what_the_build_calls_and_nothing_else() -> None:
    of_s3, of_ebs = ({name for name in called() if name.startswith(service)} for service in ("s3:", ("ebs:", "ec2:")))
    assert actions(made(launches=True)) == of_ebs
    assert actions(made()) == of_ebs - OF_LAUNCH
    in_ec2 = {name for name in of_ebs - OF_LAUNCH if name.startswith("ec2:") and "Snapshot" not in name}
    assert actions(made_for_s3()) == of_s3 | {"s3:PutObjectAcl"} | in_ec2
    documents = (made(), made(launches=True), made_for_s3())
    assert all(one["Effect"] == "Allow" for document in documents for one in document["Statement"])


def test_an_instance_is_run_with_the_build_s_tag_alone_and_only_such_a_one_is_ended() -> None:
    (run,) = [one for one in made(launches=True)["Statement"] if one["Sid"] == "RunInstances"]
    assert run["Condition"] == {"StringEquals": {f"aws:RequestTag/{BUILD_TAG}": "an-image-1"}}
    assert run["Resource"] == ["arn:aws:ec2:us-east-1:*:instance/*", "arn:aws:ec2:us-east-1:*:volume/*"]
    (tag,) = [one for one in made(launches=True)["Statement"] if one["Sid"] == "TagInstance"]
    assert tag["Condition"] == {"StringEquals": {"ec2:CreateAction": "RunInstances"}}


def test_in_a_bucket_only_the_build_s_own_objects_may_be_written_listed_and_deleted() -> None:
    statements = {one["Sid"]: one for one in made_for_s3("us-gov-west-1")["Statement"]}
    ours = "arn:aws-us-gov:s3:::mine/an-image/an-image-1*"
    assert statements["WriteBundle"]["Resource"] == statements["DeleteBundle"]["Resource"] == ours
    assert statements["WriteBundle"]["Condition"] == {"StringEquals": {"s3:x-amz-acl": "aws-exec-read"}}
    assert statements["ListBundle"]["Condition"] == {"StringLike": {"s3:prefix": "an-image/an-image-1*"}}
    assert statements["RegisterImage"]["Resource"] == "arn:aws-us-gov:ec2:us-gov-west-1::image/*"


def test_what_changes_or_removes_is_allowed_for_the_build_s_own_alone() -> None:
    for statement in made(launches=True)["Statement"]:
        names = [statement["Action"]] if isinstance(statement["Action"], str) else statement["Action"]
        if any(
            fnmatch.fnmatch(name, pattern)
            for name in names
            for pattern in ("*:De[lr]e*", "*:Put*", "*:Complete*", "*:Term*")
        ):
            assert statement["Condition"] == {"StringEquals": {f"aws:ResourceTag/{BUILD_TAG}": "an-image-1"}}


@pytest.mark.parametrize(
    ("region", "partition"), [("eu-west-1", "aws"), ("cn-north-1", "aws-cn"), ("us-gov-west-1", "aws-us-gov")]
)
def test_it_is_for_the_region_s_partition(region: str, partition: str) -> None:
    resources = [statement["Resource"] for statement in made(region)["Statement"] if statement["Resource"] != "*"]
    flat = [one for found in resources for one in ([found] if isinstance(found, str) else found)]
    assert {one.split(":")[1] for one in flat} == {partition}
    assert {one.split(":")[3] for one in flat} == {region}


def test_the_key_is_named_where_there_is_one() -> None:
    key = "arn:aws:kms:us-east-1:123456789012:key/0f3a"
    (own,) = [one for one in made(encrypted=True, kms_key=key)["Statement"] if one["Sid"] == "Encrypt"]
    assert own["Resource"] == key
    (default,) = [one for one in made(encrypted=True)["Statement"] if one["Sid"] == "Encrypt"]
    assert "kms:ViaService" in default["Condition"]["StringLike"]
    assert not any(name.startswith("kms:") for name in actions(made()))


def test_every_statement_has_a_name_of_its_own() -> None:
    for document in (made(launches=True), made_for_s3()):
        assert_names_differ([statement["Sid"] for statement in document["Statement"]])


def assert_names_differ(names: list[str]) -> None:
    assert len(names) == len(set(names))
    assert all(name.isalnum() for name in names)
