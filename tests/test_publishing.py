"""What is done with a registered AMI: once, as asked, compared with what AWS says of it, and taken back again."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from practice_images import Made, client, described, image, lose_answer, recorded, snapshot

from wizard.cloud import copying, parameters, protection, sharing
from wizard.cloud.practice.process import practice_cloud
from wizard.cloud.waiting import Cancelled
from wizard.explain import Failure
from wizard.plan.actions import (
    BUILD_TAG,
    IMAGE_TAG,
    NO_IMAGE,
    CheckPublishing,
    CopyImage,
    DeprecateImage,
    ProtectImage,
    PutParameter,
    ShareImage,
    fill,
)
from wizard.plan.publish.steps import copy_parameters
from wizard.recipe import from_answers
from wizard.run.journal import Journal

NUMBERS = count(1)
ORGANIZATION = "arn:aws:organizations::123456789012:organization/o-abcdefghij"
UNIT = "arn:aws:organizations::123456789012:ou/o-abcdefghij/ou-abcd-12345678"


@pytest.fixture(scope="module")
def endpoint(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with practice_cloud(tmp_path_factory.mktemp("cloud")) as url:
        yield url


@pytest.fixture(autouse=True)
def _clients(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in ("publishing", "removal"):
        monkeypatch.setattr(f"wizard.cloud.{module}.client", client)


@pytest.fixture(scope="module")
def shared(endpoint: str) -> str:
    """A snapshot that no build has made."""
    return snapshot(endpoint, "us-east-1")


@pytest.fixture
def made(endpoint: str, tmp_path: Path, shared: str) -> Made:
    return Made(endpoint, tmp_path, shared)


@pytest.fixture
def apart(endpoint: str, tmp_path: Path) -> Made:
    """In a region in which a test may change the account's settings."""
    return Made(endpoint, tmp_path, home=f"us-apart-{next(NUMBERS)}")


# Copies


def test_a_copy_is_asked_for_with_a_token_and_tagged_from_its_creation(made: Made) -> None:
    said = recorded(made.ec2)
    copy = made.copy()

    (request,) = [params for name, params in said if name == "CopyImage"]
    assert request == {**made.parameters, "ClientToken": request["ClientToken"]}
    assert (request["SourceRegion"], request["SourceImageId"], request["Name"]) == (
        made.home,
        made.image,
        made.ami,
    )
    assert len(request["ClientToken"]) == 36
    tags = {
        spec["ResourceType"]: {tag["Key"]: tag["Value"] for tag in spec["Tags"]}
        for spec in request["TagSpecifications"]
    }
    assert tags["image"] == {"Name": made.ami, BUILD_TAG: made.build, IMAGE_TAG: "image-1"}
    assert tags["snapshot"] == {"Name": made.ami, BUILD_TAG: made.build}
    assert (copy["State"], copy["SourceImageId"], copy["SourceImageRegion"]) == ("available", made.image, made.home)
    assert (copy["BootMode"], copy["EnaSupport"]) == ("uefi", True)
    assert made.snapshots(made.there) == copying.snapshots_of(copy)


def test_the_journal_knows_of_the_copy_before_aws_does(made: Made) -> None:
    known: list[str] = []

    def look(**_: Any) -> None:
        known.append((made.journal.last("CopyImage", "asked") or {})["request"]["Name"])

    made.ec2.meta.events.register_first("before-call.ec2.CopyImage", look)
    made.copy()
    assert known == [made.ami]


def test_a_lost_answer_makes_no_second_copy(made: Made) -> None:
    lose_answer(made.ec2, "CopyImage")
    with pytest.raises(Failure) as caught:
        made.copy()
    assert caught.value.code == "no-network-to-aws"

    copy = made.copy()

    assert made.images(made.there) == [copy["ImageId"]]
    assert len(made.snapshots(made.there)) == 1


def test_where_the_tags_are_not_seen_yet_the_token_finds_the_copy(made: Made) -> None:
    lose_answer(made.ec2, "CopyImage")
    with pytest.raises(Failure):
        made.copy()
    said = recorded(made.ec2)

    def hide(parsed: dict[str, Any], **_: Any) -> None:
        made.ec2.meta.events.unregister("after-call.ec2.DescribeImages", hide)
        parsed["Images"] = []

    made.ec2.meta.events.register("after-call.ec2.DescribeImages", hide)
    copy = made.copy()

    assert [params["ClientToken"] for name, params in said if name == "CopyImage"] == [
        (made.journal.last("CopyImage", "asked") or {})["request"]["ClientToken"]
    ]
    assert made.images(made.there) == [copy["ImageId"]]


def test_without_its_journal_the_copy_is_found_by_its_tags(made: Made) -> None:
    copy = made.copy()
    made.journal.path.unlink()
    said = recorded(made.ec2)
    assert made.copy()["ImageId"] == copy["ImageId"]
    assert "CopyImage" not in [name for name, _ in said]


def test_a_copy_that_was_stopped_is_waited_for_and_not_made_again(made: Made) -> None:
    with pytest.raises(Cancelled):
        copying.copy(made.ec2, made.source, made.journal, made.parameters, lambda: True)
    assert made.copy()["ImageId"] == made.images(made.there)[0]
    assert len(made.images(made.there)) == 1


def test_a_copy_that_failed_is_said_and_made_again(made: Made) -> None:
    wrong = {**made.parameters, "Encrypted": True, "KmsKeyId": f"arn:aws:kms:{made.home}:123456789012:key/1"}
    with pytest.raises(Failure) as caught:
        copying.copy(made.ec2, made.source, made.journal, wrong)
    assert caught.value.code == "copy-failed"
    assert "is not in" in caught.value.evidence[0]

    right = {**wrong, "KmsKeyId": f"arn:aws:kms:{made.there}:123456789012:key/1"}
    copy = copying.copy(made.ec2, made.source, made.journal, right)

    assert made.images(made.there) == [copy["ImageId"]]
    assert copy["BlockDeviceMappings"][0]["Ebs"]["Encrypted"] is True


def test_a_copy_that_is_not_like_its_source_is_not_called_done(made: Made) -> None:
    def change(parsed: dict[str, Any], **_: Any) -> None:
        for one in parsed.get("Images", ()):
            one["BootMode"] = "legacy-bios"

    made.ec2.meta.events.register("after-call.ec2.DescribeImages", change)
    source = made.source
    with pytest.raises(Failure) as caught:
        copying.copy(made.ec2, source, made.journal, made.parameters)
    assert caught.value.code == "image-differs"
    assert caught.value.evidence == ("BootMode: it should be uefi, and is legacy-bios",)


def test_a_paravirtual_copy_names_the_kernel_of_its_own_region(endpoint: str, tmp_path: Path) -> None:
    """aki-919dcaf8 and aki-52a34525 are both PV-GRUB hd0 1.04 for x86_64."""
    made = snapshot(endpoint, "us-east-1")
    aki = "aki-919dcaf8"
    fields = {"VirtualizationType": "paravirtual", "KernelId": aki, "RootDeviceName": "/dev/sda"}
    image_id = image(endpoint, "us-east-1", "classic", made, **fields)
    source = described(endpoint, "us-east-1", image_id)
    copies = client("ec2", "eu-west-1", endpoint)
    answers = {"name": "classic", "target": {"region": "us-east-1", "arch": "x86_64"}}
    asked = fill(copy_parameters(from_answers(answers), "eu-west-1", "b", "i"), {"<image>": image_id})

    copy = copying.copy(copies, source, Journal(tmp_path / "journal"), asked)

    assert copy["KernelId"] == "aki-52a34525"
    wrong = copying.differences(source, {**copy, "KernelId": "aki-75665e01"}, "eu-west-1")
    assert wrong == ["KernelId: it should be aki-52a34525, and is aki-75665e01"]
    without = {key: value for key, value in copy.items() if key != "KernelId"}
    assert copying.differences(source, without, "eu-west-1") != []


def test_a_copy_says_what_it_costs(made: Made) -> None:
    action = CopyImage(made.there, "image-id", "copy-id", {**made.parameters, "SourceImageId": "<image>"}, made.build)
    said = made.perform(action)
    assert said["image"] == (made.folder / "copy-id").read_text().strip()
    assert "once for the way there" in said["cost"]


# Who may launch it


def test_it_is_shared_with_accounts_organizations_units_and_everyone(made: Made) -> None:
    everyone = ("999988887777", ORGANIZATION, UNIT, "everyone")
    ec2 = client("ec2", made.home, made.endpoint)
    said = recorded(ec2)
    sharing.share(ec2, made.journal, made.image, everyone)

    (request,) = [params for name, params in said if name == "ModifyImageAttribute"]
    add = [
        {"UserId": "999988887777"},
        {"OrganizationArn": ORGANIZATION},
        {"OrganizationalUnitArn": UNIT},
        {"Group": "all"},
    ]
    assert request == {"ImageId": made.image, "LaunchPermission": {"Add": add}}
    assert sharing.launch_permissions(ec2, made.image) == add
    assert described(made.endpoint, made.home, made.image)["Public"] is True


def test_only_who_is_missing_is_added_and_nobody_is_taken_away(made: Made) -> None:
    ec2 = client("ec2", made.home, made.endpoint)
    ec2.modify_image_attribute(ImageId=made.image, LaunchPermission={"Add": [{"UserId": "111122223333"}]})
    sharing.share(ec2, made.journal, made.image, ["999988887777"])
    said = recorded(ec2)
    sharing.share(ec2, made.journal, made.image, ["999988887777"])
    assert [name for name, _ in said] == ["DescribeImageAttribute"]
    assert len(sharing.launch_permissions(ec2, made.image)) == 2


def test_where_public_images_are_blocked_it_is_said_before_the_long_work(apart: Made) -> None:
    ec2 = client("ec2", apart.home, apart.endpoint)
    ec2.enable_image_block_public_access(ImageBlockPublicAccessState="block-new-sharing")
    for action in (
        CheckPublishing(apart.home, apart.build, "image-1", {}, ("everyone",), public=True),
        ShareImage(apart.home, "image-id", ("everyone",), apart.build),
    ):
        with pytest.raises(Failure) as caught:
            apart.perform(action)
        assert caught.value.code == "public-sharing-blocked"
        assert "ManagedBy is account" in caught.value.evidence[0]
    assert "ModifyImageAttribute" not in [record["operation"] for record in apart.journal.records()]
    apart.perform(CheckPublishing(apart.home, apart.build, "image-1", {}, ("999988887777",)))


def test_where_every_snapshot_is_encrypted_it_is_said_before_the_long_work(apart: Made) -> None:
    ec2 = client("ec2", apart.home, apart.endpoint)
    apart.perform(CheckPublishing(apart.home, apart.build, "image-1", {}, ("999988887777",)))
    ec2.enable_ebs_encryption_by_default()
    with pytest.raises(Failure) as caught:
        apart.perform(CheckPublishing(apart.home, apart.build, "image-1", {}, ("everyone",), public=True))
    assert caught.value.code == "encrypted-by-default"


def test_a_copy_that_will_be_refused_is_known_before_the_long_work(made: Made) -> None:
    check = CheckPublishing(made.there, made.build, "image-1", made.parameters)
    made.perform(check)
    image(made.endpoint, made.there, made.ami, snapshot(made.endpoint, made.there))
    with pytest.raises(Failure) as caught:
        made.perform(check)
    assert caught.value.code == "duplicate-ami-name"


def test_the_dry_run_of_a_copy_asks_for_a_permission_and_makes_nothing(
    made: Made, monkeypatch: pytest.MonkeyPatch
) -> None:
    said = recorded(made.ec2)
    monkeypatch.setattr("wizard.cloud.publishing.client", lambda *_: made.ec2)
    asked = {**made.parameters, "SourceImageId": "<image>"}
    made.perform(CheckPublishing(made.there, made.build, "image-1", asked))
    (request,) = [params for name, params in said if name == "CopyImage"]
    assert (request["DryRun"], request["SourceImageId"]) == (True, NO_IMAGE)
    assert made.images(made.there) == []


# Dates, protection


def test_it_is_deprecated_so_many_days_after_its_creation_to_the_minute(made: Made) -> None:
    said = made.perform(DeprecateImage(made.home, "image-id", 90, made.build))
    found = described(made.endpoint, made.home, made.image)
    at = datetime.fromisoformat(found["CreationDate"]) + timedelta(days=90)
    assert datetime.fromisoformat(found["DeprecationTime"]) == at.replace(second=0, microsecond=0)
    assert f"{at.astimezone(UTC):%Y-%m-%d}" in said[made.home]


@pytest.mark.parametrize(("cooldown", "state"), [(False, "enabled-without-cooldown"), (True, "enabled-with-cooldown")])
def test_it_is_protected(cooldown: bool, state: str, made: Made) -> None:
    made.perform(ProtectImage(made.home, "image-id", cooldown, made.build))
    assert described(made.endpoint, made.home, made.image)["DeregistrationProtection"] == state


@pytest.mark.parametrize(
    "action",
    [
        ShareImage("us-east-1", "image-id", ("999988887777",), "b"),
        DeprecateImage("us-east-1", "image-id", 30, "b"),
        ProtectImage("us-east-1", "image-id", False, "b"),
        PutParameter("us-east-1", "image-id", "/images/twice", {}),
    ],
    ids=lambda action: type(action).__name__,
)
def test_what_is_done_already_is_not_asked_for_again(action: Any, made: Made) -> None:
    made.perform(action)
    asked = len(made.journal.records())
    made.perform(action)
    assert len(made.journal.records()) == asked


# Parameters


def test_a_new_parameter_holds_the_image_with_its_type_and_tags(made: Made) -> None:
    said = recorded(made.ssm)
    parameters.put(made.ssm, made.journal, made.name, made.image, {"Name": made.ami, BUILD_TAG: made.build})
    (request,) = [params for name, params in said if name == "PutParameter"]
    assert request == {
        "Name": made.name,
        "Value": made.image,
        "Type": "String",
        "DataType": "aws:ec2:image",
        "Tags": [{"Key": "Name", "Value": made.ami}, {"Key": BUILD_TAG, "Value": made.build}],
    }
    there = parameters.find(made.ssm, made.name)
    assert there is not None
    assert (there["Value"], there["DataType"]) == (made.image, "aws:ec2:image")
    assert parameters.tagged(made.ssm, made.build) == [made.name]


def test_a_parameter_with_an_older_image_is_moved_on_without_new_tags(made: Made) -> None:
    older = image(made.endpoint, made.home, f"older {made.build}", made.snapshot)
    parameters.put(made.ssm, made.journal, made.name, older, {BUILD_TAG: "somebody"})
    said = recorded(made.ssm)
    parameters.put(made.ssm, made.journal, made.name, made.image, {BUILD_TAG: made.build})
    (request,) = [params for name, params in said if name == "PutParameter"]
    assert request["Overwrite"] is True
    assert "Tags" not in request
    assert parameters.tagged(made.ssm, made.build) == []


def test_a_parameter_of_somebody_else_is_left_alone_and_said_before(made: Made) -> None:
    made.ssm.put_parameter(Name=made.name, Value="something", Type="String")
    for action in (
        CheckPublishing(made.home, made.build, "image-1", parameter=made.name),
        PutParameter(made.home, "image-id", made.name, {}),
    ):
        with pytest.raises(Failure) as caught:
            made.perform(action)
        assert caught.value.code == "parameter-in-use"
    assert (parameters.find(made.ssm, made.name) or {})["Value"] == "something"


def test_an_id_that_aws_drops_without_a_word_is_not_called_written(made: Made, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parameters, "LONGEST_CHECK", 0.3)
    with pytest.raises(Failure) as caught:
        parameters.put(made.ssm, made.journal, made.name, "ami-0123456789abcdef0", {})
    assert caught.value.code == "parameter-not-taken"


def test_the_state_words_are_those_of_describe_images() -> None:
    assert protection.wanted(cooldown=True) == "enabled-with-cooldown"
    assert protection.wanted(cooldown=False) == "enabled-without-cooldown"
