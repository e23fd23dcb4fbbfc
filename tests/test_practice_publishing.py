"""The practice cloud refuses what AWS refuses of copies, launch permissions, dates, protection and parameters."""

import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError
from practice_images import DATA, client, described, image, snapshot

from wizard.cloud.practice import ec2, offers, publishing, ssm, state
from wizard.cloud.practice.model import operation
from wizard.cloud.practice.process import practice_cloud
from wizard.cloud.read_back import read_back
from wizard.cloud.waiting import until
from wizard.explain import Failure

HOME, THERE = "us-east-1", "eu-west-1"
NUMBERS = count(1)
LATE = Failure("copy-failed")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cloud")


@pytest.fixture(scope="module")
def endpoint(folder: Path) -> Iterator[str]:
    with practice_cloud(folder) as url:
        yield url


@pytest.fixture(scope="module")
def source(endpoint: str) -> str:
    return image(endpoint, HOME, "source", snapshot(endpoint, HOME))


@pytest.fixture
def mine(endpoint: str, source: str) -> str:
    """An image of the test's own."""
    (mapping,) = described(endpoint, HOME, source)["BlockDeviceMappings"]
    return image(endpoint, HOME, f"mine {next(NUMBERS)}", mapping["Ebs"]["SnapshotId"])


@pytest.fixture
def home(endpoint: str) -> Any:
    return client("ec2", HOME, endpoint)


@pytest.fixture
def there(endpoint: str) -> Any:
    return client("ec2", THERE, endpoint)


def refused(ask: Callable[[], object]) -> str:
    with pytest.raises(ClientError) as caught:
        ask()
    return str(caught.value.response["Error"]["Code"])


def test_every_operation_is_one_of_aws_s() -> None:
    for name in publishing.OPERATIONS:
        assert operation("ec2", name).name == name
    for name in ssm.OPERATIONS:
        assert operation("ssm", name).name == name
    assert not publishing.OPERATIONS.keys() & ec2.OPERATIONS.keys()


# Copies


def test_a_copy_holds_the_same_bytes(endpoint: str, source: str, folder: Path, there: Any, tmp_path: Path) -> None:
    copy = there.copy_image(Name="a copy", SourceImageId=source, SourceRegion=HOME)["ImageId"]
    found = until(lambda: ready(endpoint, copy), 10, LATE)
    (mapping,) = found["BlockDeviceMappings"]
    read_back(client("ebs", THERE, endpoint), mapping["Ebs"]["SnapshotId"], tmp_path / "back")
    assert (tmp_path / "back").read_bytes()[: len(DATA)] == DATA
    (ours,) = described(endpoint, HOME, source)["BlockDeviceMappings"]
    places = [(HOME, ours), (THERE, mapping)]
    one, other = (folder / region / "snapshots" / held["Ebs"]["SnapshotId"] / "blocks" for region, held in places)
    assert one.samefile(other), "the bytes lie on this machine once"


def ready(endpoint: str, image_id: str) -> dict[str, Any] | None:
    found = described(endpoint, THERE, image_id)
    return found if found["State"] == "available" else None


def test_a_copy_outlives_its_source_and_the_other_way_round(endpoint: str, home: Any, there: Any) -> None:
    made = snapshot(endpoint, HOME)
    first = image(endpoint, HOME, "outlived", made)
    copy = there.copy_image(Name="outlived", SourceImageId=first, SourceRegion=HOME)["ImageId"]
    home.deregister_image(ImageId=first)
    home.delete_snapshot(SnapshotId=made)
    until(lambda: ready(endpoint, copy), 10, LATE)
    there.deregister_image(ImageId=copy, DeleteAssociatedSnapshots=True)


def test_the_same_token_gives_the_same_copy_or_a_refusal(source: str, there: Any) -> None:
    asked = {"Name": "by token", "SourceImageId": source, "SourceRegion": HOME, "ClientToken": "a-token"}
    assert there.copy_image(**asked)["ImageId"] == there.copy_image(**asked)["ImageId"]
    assert refused(lambda: there.copy_image(**{**asked, "Name": "other"})) == "IdempotentParameterMismatch"


def test_a_copy_is_pending_while_its_snapshot_is(endpoint: str, source: str, folder: Path, there: Any) -> None:
    copy = there.copy_image(Name="still pending", SourceImageId=source, SourceRegion=HOME)["ImageId"]
    (mapping,) = described(endpoint, THERE, copy)["BlockDeviceMappings"]
    made = state.find_snapshot(folder / THERE, mapping["Ebs"]["SnapshotId"])
    assert made is not None
    state.save_snapshot(folder / THERE, replace(made, sealed=time.time() + 60))
    assert described(endpoint, THERE, copy)["State"] == "pending"
    asked = {"Name": "of a pending one", "SourceImageId": copy, "SourceRegion": THERE}
    assert refused(lambda: client("ec2", "eu-west-3", endpoint).copy_image(**asked)) == "InvalidAMIID.Unavailable"
    state.save_snapshot(folder / THERE, made)
    assert until(lambda: ready(endpoint, copy), 10, LATE)


def test_what_cannot_be_copied_is_refused(source: str, there: Any) -> None:
    def said(**changed: Any) -> str:
        asked = {"Name": f"copy {next(NUMBERS)}", "SourceImageId": source, "SourceRegion": HOME, **changed}
        return refused(lambda: there.copy_image(**asked))

    assert said(SourceImageId="ami-0123456789abcdef0") == "InvalidAMIID.NotFound"
    assert said(SourceRegion="eu-west-2") == "InvalidAMIID.NotFound"
    assert said(Name="a*b") == "InvalidAMIName.Malformed"


def test_a_paravirtual_image_goes_only_where_its_kernel_is(endpoint: str, there: Any) -> None:
    fields = {"VirtualizationType": "paravirtual", "KernelId": "aki-919dcaf8", "RootDeviceName": "/dev/sda"}
    classic = image(endpoint, HOME, "classic", snapshot(endpoint, HOME), **fields)
    asked = {"Name": "classic", "SourceImageId": classic, "SourceRegion": HOME}
    assert described(endpoint, THERE, there.copy_image(**asked)["ImageId"])["KernelId"] == "aki-52a34525"
    elsewhere = client("ec2", "eu-central-2", endpoint)
    assert refused(lambda: elsewhere.copy_image(**asked)) == "InvalidRequest"


# Launch permissions


def test_permissions_are_added_and_removed(mine: str, home: Any) -> None:
    def permissions() -> list[dict[str, str]]:
        said = home.describe_image_attribute(ImageId=mine, Attribute="launchPermission")
        return list(said["LaunchPermissions"])

    first, second = {"UserId": "111122223333"}, {"Group": "all"}
    home.modify_image_attribute(ImageId=mine, LaunchPermission={"Add": [first, second]})
    home.modify_image_attribute(ImageId=mine, LaunchPermission={"Add": [first]})
    assert permissions() == [first, second]
    home.modify_image_attribute(ImageId=mine, LaunchPermission={"Remove": [second]})
    assert permissions() == [first]


def test_nobody_makes_an_image_public_where_that_is_blocked(endpoint: str) -> None:
    region = client("ec2", "ap-south-1", endpoint)
    mine = image(endpoint, "ap-south-1", "blocked", snapshot(endpoint, "ap-south-1"))
    region.enable_image_block_public_access(ImageBlockPublicAccessState="block-new-sharing")

    def publish() -> object:
        return region.modify_image_attribute(ImageId=mine, LaunchPermission={"Add": [{"Group": "all"}]})

    state = region.get_image_block_public_access_state()
    assert (state["ImageBlockPublicAccessState"], state["ManagedBy"]) == ("block-new-sharing", "account")
    assert refused(publish) == "OperationNotPermitted"
    region.disable_image_block_public_access()
    publish()


@pytest.mark.parametrize(
    ("key", "shared_with_accounts"),
    [({}, False), ({"KmsKeyArn": "arn:aws:kms:us-east-1:123456789012:key/1"}, True)],
    ids=["AWS's key", "a key of one's own"],
)
def test_what_is_encrypted_is_shared_by_a_key_of_one_s_own_and_never_public(
    key: dict[str, str], shared_with_accounts: bool, endpoint: str, home: Any
) -> None:
    made = image(endpoint, HOME, f"encrypted {next(NUMBERS)}", snapshot(endpoint, HOME, Encrypted=True, **key))

    def share(who: dict[str, str]) -> object:
        return home.modify_image_attribute(ImageId=made, LaunchPermission={"Add": [who]})

    assert refused(lambda: share({"Group": "all"})) == "InvalidParameter"
    if shared_with_accounts:
        share({"UserId": "111122223333"})
    else:
        assert refused(lambda: share({"UserId": "111122223333"})) == "InvalidParameter"


def test_an_account_that_cannot_be_is_refused(mine: str, home: Any) -> None:
    asked = {"ImageId": mine, "LaunchPermission": {"Add": [{"UserId": "12"}]}}
    assert refused(lambda: home.modify_image_attribute(**asked)) == "InvalidAMIAttributeItemValue"


# Dates and protection


@pytest.mark.parametrize(
    ("days", "public", "goes"), [(-1, False, False), (3640, False, True), (3700, False, False), (740, True, False)]
)
def test_a_date_lies_ahead_and_not_too_far(days: int, public: bool, goes: bool, mine: str, home: Any) -> None:
    if public:
        home.modify_image_attribute(ImageId=mine, LaunchPermission={"Add": [{"Group": "all"}]})
    asked = {"ImageId": mine, "DeprecateAt": datetime.now(UTC) + timedelta(days=days)}
    if goes:
        home.enable_image_deprecation(**asked)
    else:
        assert refused(lambda: home.enable_image_deprecation(**asked)) == "InvalidParameterValue"


def test_seconds_are_rounded_to_the_minute_and_the_date_can_be_taken_away(endpoint: str, mine: str, home: Any) -> None:
    home.enable_image_deprecation(ImageId=mine, DeprecateAt=datetime(2030, 1, 1, 12, 0, 31, tzinfo=UTC))
    assert described(endpoint, HOME, mine)["DeprecationTime"] == "2030-01-01T12:01:00.000Z"
    home.disable_image_deprecation(ImageId=mine)
    assert "DeprecationTime" not in described(endpoint, HOME, mine)


def test_what_is_protected_stays_until_the_protection_is_lifted(endpoint: str, mine: str, home: Any) -> None:
    assert described(endpoint, HOME, mine)["DeregistrationProtection"] == "disabled"
    home.enable_image_deregistration_protection(ImageId=mine)
    assert refused(lambda: home.deregister_image(ImageId=mine)) == "OperationNotPermitted"
    home.disable_image_deregistration_protection(ImageId=mine)
    home.deregister_image(ImageId=mine)


def test_a_cooldown_holds_on_for_a_day(
    endpoint: str, folder: Path, mine: str, home: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    home.enable_image_deregistration_protection(ImageId=mine, WithCooldown=True)
    home.disable_image_deregistration_protection(ImageId=mine)
    assert described(endpoint, HOME, mine)["DeregistrationProtection"].startswith("disabled after ")
    assert refused(lambda: home.deregister_image(ImageId=mine)) == "OperationNotPermitted"
    lifted = offers.find(folder / HOME, mine)["lifted"]
    offers.change(folder / HOME, mine, lifted=lifted - offers.COOLDOWN)
    home.deregister_image(ImageId=mine)


def test_protected_again_within_the_day_it_is_protected(endpoint: str, mine: str, home: Any) -> None:
    home.enable_image_deregistration_protection(ImageId=mine, WithCooldown=True)
    home.disable_image_deregistration_protection(ImageId=mine)
    home.enable_image_deregistration_protection(ImageId=mine)
    assert described(endpoint, HOME, mine)["DeregistrationProtection"] == "enabled-without-cooldown"


# Parameters


@pytest.fixture
def store(endpoint: str) -> Any:
    return client("ssm", HOME, endpoint)


def test_an_image_s_id_is_taken_a_moment_after_the_answer(mine: str, store: Any) -> None:
    store.put_parameter(Name="/one", Value=mine, Type="String", DataType="aws:ec2:image")
    assert refused(lambda: store.get_parameter(Name="/one")) == "ParameterNotFound"
    found = until(lambda: value(store, "/one"), 10, LATE)
    assert found == mine


def test_an_id_that_nobody_has_is_answered_the_same_and_dropped(mine: str, store: Any) -> None:
    store.put_parameter(Name="/two", Value=mine, Type="String", DataType="aws:ec2:image")
    until(lambda: value(store, "/two"), 10, LATE)
    said = store.put_parameter(
        Name="/two", Value="ami-0123456789abcdef0", Type="String", DataType="aws:ec2:image", Overwrite=True
    )
    assert said["Version"] == 2
    assert value(store, "/two") == mine


def test_what_the_store_does_not_take(store: Any) -> None:
    def said(**asked: Any) -> str:
        return refused(lambda: store.put_parameter(**{"Name": "/three", "Value": "x", "Type": "String", **asked}))

    assert said(Name="aws-images") == "ValidationException"
    assert said(Name="three/levels") == "ValidationException"
    assert said(Overwrite=True, Tags=[{"Key": "a", "Value": "b"}]) == "ValidationException"
    store.put_parameter(Name="/three", Value="x", Type="String")
    assert said() == "ParameterAlreadyExists"
    store.delete_parameter(Name="/three")
    assert refused(lambda: store.delete_parameter(Name="/three")) == "ParameterNotFound"


def test_parameters_outlive_the_server(tmp_path: Path) -> None:
    for _ in range(2):
        with practice_cloud(tmp_path) as endpoint:
            store = client("ssm", HOME, endpoint)
            store.put_parameter(Name="/kept", Value="x", Type="String", Overwrite=True)
    with practice_cloud(tmp_path) as endpoint:
        assert client("ssm", HOME, endpoint).get_parameter(Name="/kept")["Parameter"]["Version"] == 2


def value(store: Any, name: str) -> str | None:
    try:
        return str(store.get_parameter(Name=name)["Parameter"]["Value"])
    except ClientError:
        return None
