"""The policy that a plan asks for is enough for what the build calls, and allows nothing beside it."""

import fnmatch
import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from wizard import cloud
from wizard.cloud.errors import EBS_OPERATIONS, S3_PERMISSIONS, SSM_OPERATIONS
from wizard.plan.actions import BUILD_TAG
from wizard.plan.build import Occasion, build_id, plan
from wizard.plan.policy import policy
from wizard.recipe import Recipe, from_answers
from wizard.run.builds import create
from wizard.targets.regions import regions

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

BESIDE = {"ssm:GetParameters", "ssm:AddTagsToResource"}
"""What PutParameter needs beside its own: AWS checks the image in the caller's name, and tags what it makes."""

PUBLISH = {
    "regions": ["eu-west-1", "ap-southeast-2"],
    "share_with": ["everyone", "999988887777"],
    "deprecate_after_days": 90,
    "protect": True,
    "ssm_parameter": "/images/web",
}


def called() -> set[str]:
    """The operations that wizard/cloud names when it calls AWS, as permissions; tagging comes with creating."""
    names = set()
    for path in Path(cloud.__file__).parent.glob("*.py"):
        pattern = r'(?:aws_errors|as_failure|patiently)\((?:error, |ask, )?"([A-Z]\w+)"'
        names |= set(re.findall(pattern, path.read_text()))
    names -= NOT_IN_A_BUILD | NEEDS_NO_PERMISSION | {"Connect"}
    return {permission(name) for name in names} | {"ec2:CreateTags"} | BESIDE


def permission(operation: str) -> str:
    service = "ebs" if operation in EBS_OPERATIONS else "ssm" if operation in SSM_OPERATIONS else "ec2"
    return S3_PERMISSIONS.get(operation, f"{service}:{operation}")


def made(
    region: str = "us-east-1", publish: Mapping[str, Any] | None = None, *, launches: bool = False, **target: Any
) -> dict[str, Any]:
    after = {**({"publish": publish} if publish else {}), **({"launch": {}} if launches else {})}
    recipe = from_answers({"name": "an image", "target": {"region": region, "arch": "x86_64", **target}, **after})
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
    of_s3 = {name for name in called() if name.startswith("s3:")}
    assert actions(made(publish=PUBLISH, launches=True)) == called() - of_s3
    assert not actions(made(publish=PUBLISH)) & OF_LAUNCH
    of_snapshots = {"ec2:DeleteSnapshot"}
    in_ec2 = {name for name in actions(made()) if name.startswith("ec2:")} - of_snapshots
    assert actions(made_for_s3()) == of_s3 | {"s3:PutObjectAcl", "s3:DeleteObject"} | in_ec2
    documents = (made(publish=PUBLISH, launches=True), made_for_s3())
    assert all(statement["Effect"] == "Allow" for document in documents for statement in document["Statement"])


def test_an_instance_is_run_with_the_build_s_tag_alone_and_only_such_a_one_is_ended() -> None:
    (run,) = [one for one in made(launches=True)["Statement"] if one["Sid"] == "RunInstances"]
    assert run["Condition"] == {"StringLike": {f"aws:RequestTag/{BUILD_TAG}": "an-image-1*"}}
    assert run["Resource"] == ["arn:aws:ec2:us-east-1:*:instance/*", "arn:aws:ec2:us-east-1:*:volume/*"]
    (tag,) = [one for one in made(launches=True)["Statement"] if one["Sid"] == "TagInstance"]
    assert tag["Condition"] == {"StringEquals": {"ec2:CreateAction": "RunInstances"}}


def test_a_build_without_publish_asks_for_nothing_of_it() -> None:
    assert not any(name.startswith("ssm:") for name in actions(made()))
    assert not actions(made()) & {"ec2:CopyImage", "ec2:ModifyImageAttribute", "ec2:EnableImageDeprecation"}


def test_copies_are_made_and_removed_in_their_own_regions_alone() -> None:
    statements = {one["Sid"]: one for one in made(publish={"regions": ["eu-west-1"]})["Statement"]}
    home, there = "arn:aws:ec2:us-east-1::", "arn:aws:ec2:eu-west-1::"
    kinds = ("image/*", "snapshot/*")
    assert statements["CopyImage"]["Resource"] == [f"{place}{kind}" for place in (home, there) for kind in kinds]
    assert statements["TagCopies"]["Resource"] == [f"{there}{kind}" for kind in kinds]
    assert statements["DeregisterImage"]["Resource"] == [f"{home}image/*", f"{there}image/*"]
    assert statements["RegisterImage"]["Resource"] == [f"{home}{kind}" for kind in kinds]
    regions = statements["DescribeImages"]["Condition"]["StringEquals"]["aws:RequestedRegion"]
    assert regions == ["us-east-1", "eu-west-1"]


def test_a_parameter_is_allowed_by_its_name() -> None:
    (one,) = [one for one in made(publish={"ssm_parameter": "/images/web"})["Statement"] if one["Sid"] == "Parameter"]
    assert one["Resource"] == "arn:aws:ssm:us-east-1:*:parameter/images/web"


def test_a_policy_for_some_regions_fits_into_iam() -> None:
    """A managed policy has at most 6,144 characters, white space not counted (IAM User Guide, "IAM quotas")."""
    there = [region.name for region in regions() if region.partition == "aws" and region.name != "us-east-1"][:8]
    text = json.dumps(made(publish={**PUBLISH, "regions": there}), separators=(",", ":"))
    assert len(text) < 6144


def test_in_a_bucket_only_the_build_s_own_objects_may_be_written_listed_and_deleted() -> None:
    statements = {one["Sid"]: one for one in made_for_s3("us-gov-west-1")["Statement"]}
    ours = "arn:aws-us-gov:s3:::mine/an-image/an-image-1*"
    assert statements["WriteBundle"]["Resource"] == statements["DeleteBundle"]["Resource"] == ours
    assert statements["WriteBundle"]["Condition"] == {"StringEquals": {"s3:x-amz-acl": "aws-exec-read"}}
    assert statements["ListBundle"]["Condition"] == {"StringLike": {"s3:prefix": "an-image/an-image-1*"}}
    assert statements["RegisterImage"]["Resource"] == "arn:aws-us-gov:ec2:us-gov-west-1::image/*"


def test_what_changes_or_removes_is_allowed_for_the_build_s_own_alone() -> None:
    for statement in made(publish=PUBLISH, launches=True)["Statement"]:
        if statement["Sid"] == "Parameter":
            continue
        names = [statement["Action"]] if isinstance(statement["Action"], str) else statement["Action"]
        if any(
            fnmatch.fnmatch(name, pattern)
            for name in names
            for pattern in ("*:De[lr]e*", "*:Put*", "*:Complete*", "*:Term*")
        ):
            assert statement["Condition"] == {"StringLike": {f"aws:ResourceTag/{BUILD_TAG}": "an-image-1*"}}


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
    for document in (made(publish=PUBLISH, launches=True), made_for_s3()):
        assert_names_differ([statement["Sid"] for statement in document["Statement"]])


def assert_names_differ(names: list[str]) -> None:
    assert len(names) == len(set(names))
    assert all(name.isalnum() for name in names)


def test_the_tag_of_a_build_is_let_in_by_the_policy_of_its_recipe(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The policy is asked for before the build begins, which then draws the end of its tag."""
    monkeypatch.setenv("AMI_WIZARD_HOME", str(tmp_path))
    recipe = from_answers({"name": "an image", "target": {"region": "us-east-1", "arch": "x86_64"}})
    known_before = Occasion(build_id(recipe, practice=False), "2026-01-01")
    tag = create(recipe, practice=False).tag
    for statement in policy(plan(recipe, known_before))["Statement"]:
        for key, pattern in statement.get("Condition", {}).get("StringLike", {}).items():
            if key.endswith(BUILD_TAG):
                assert fnmatch.fnmatchcase(tag, pattern)


def test_a_key_that_is_named_by_its_alias_is_found_by_it() -> None:
    """An alias as the resource would let in the alias alone."""
    alias = "arn:aws:kms:us-east-1:123456789012:alias/images"
    (one,) = [one for one in made(encrypted=True, kms_key=alias)["Statement"] if one["Sid"] == "Encrypt"]
    assert one["Resource"] == "arn:aws:kms:us-east-1:123456789012:key/*"
    assert one["Condition"] == {"ForAnyValue:StringEquals": {"kms:ResourceAliases": "alias/images"}}
