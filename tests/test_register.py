"""An image is registered once, is what was asked for, and goes with all that belongs to it."""

import base64
import hashlib
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from botocore.exceptions import ConnectionClosedError

from wizard.cloud import images
from wizard.cloud.actions import perform
from wizard.cloud.images import differences, find_by_name, register, remove
from wizard.cloud.practice.process import practice_cloud
from wizard.cloud.session import block_putter, client
from wizard.cloud.snapshot import upload
from wizard.cloud.waiting import Cancelled
from wizard.explain import Failure
from wizard.plan.actions import BUILD_TAG, IMAGE_TAG, NO_SNAPSHOT, CheckAccount, RegisterImage
from wizard.run.journal import Journal

REGION = "eu-west-1"
BLOCK = 524288


def test_a_registered_image_carries_the_tag_of_its_build(ec2: Any, journal: Journal, snapshot: str) -> None:
    image_id = register(ec2, journal, hvm("tagged", snapshot), "build-1")

    image = find_by_name(ec2, "tagged")
    assert image is not None
    assert image["ImageId"] == image_id
    assert {"Key": BUILD_TAG, "Value": "build-1"} in image["Tags"]


def test_tags_that_were_asked_for_are_kept(ec2: Any, journal: Journal, snapshot: str) -> None:
    wanted = [{"ResourceType": "image", "Tags": [{"Key": "team", "Value": "red"}]}]
    register(ec2, journal, {**hvm("two tags", snapshot), "TagSpecifications": wanted}, "build-1")
    assert {"Key": "team", "Value": "red"} in (find_by_name(ec2, "two tags") or {})["Tags"]


def test_a_lost_answer_makes_no_second_image(ec2: Any, journal: Journal, snapshot: str) -> None:
    lose_answer(ec2, "RegisterImage")
    with pytest.raises(Failure) as caught:
        register(ec2, journal, hvm("lost", snapshot), "build-2")
    assert caught.value.code == "no-network-to-aws"

    image_id = register(ec2, journal, hvm("lost", snapshot), "build-2")

    found = ec2.describe_images(Owners=["self"], Filters=[{"Name": f"tag:{BUILD_TAG}", "Values": ["build-2"]}])
    assert [image["ImageId"] for image in found["Images"]] == [image_id]
    assert (journal.last("RegisterImage") or {})["image_id"] == image_id


def test_an_image_that_botocores_own_retry_finds_in_its_way_is_ours(
    ec2: Any, url: str, journal: Journal, snapshot: str
) -> None:
    register_before(ec2, url, hvm("retried", snapshot), "build-3")
    image_id = register(ec2, journal, hvm("retried", snapshot), "build-3")
    assert image_id == (find_by_name(ec2, "retried") or {})["ImageId"]


def test_our_own_image_is_waited_for_when_aws_does_not_show_it_yet(
    ec2: Any, url: str, journal: Journal, snapshot: str
) -> None:
    register_before(ec2, url, hvm("hidden", snapshot), "build-9")
    change_images(ec2, lambda images: images.clear(), times=4)

    image_id = register(ec2, journal, hvm("hidden", snapshot), "build-9")

    assert image_id == (find_by_name(ec2, "hidden") or {})["ImageId"]


def test_our_own_image_is_waited_for_when_its_tags_lag_behind(ec2: Any, journal: Journal, snapshot: str) -> None:
    lose_answer(ec2, "RegisterImage")
    with pytest.raises(Failure):
        register(ec2, journal, hvm("untagged", snapshot), "build-10")
    change_images(ec2, lambda images: [image.pop("Tags", None) for image in images], times=4)

    image_id = register(ec2, journal, hvm("untagged", snapshot), "build-10")

    assert image_id == (find_by_name(ec2, "untagged") or {})["ImageId"]


def test_an_image_of_another_build_that_comes_in_between_is_not_waited_for(
    ec2: Any, url: str, journal: Journal, snapshot: str
) -> None:
    register_before(ec2, url, hvm("overtaken", snapshot), "another build")
    looks = change_images(ec2, lambda _: None)

    with pytest.raises(Failure) as caught:
        register(ec2, journal, hvm("overtaken", snapshot), "build-11")

    assert caught.value.code == "duplicate-ami-name"
    assert len(looks) == 2, "one look before RegisterImage, one after"


def test_a_name_that_stays_taken_by_nobody_to_be_seen_is_a_duplicate(
    ec2: Any, url: str, journal: Journal, snapshot: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    register_before(ec2, url, hvm("unseen", snapshot), "build-12")
    change_images(ec2, lambda images: images.clear())
    monkeypatch.setattr(images, "LONGEST_UNSEEN", 0.2)

    with pytest.raises(Failure) as caught:
        register(ec2, journal, hvm("unseen", snapshot), "build-12")

    assert caught.value.code == "duplicate-ami-name"


def test_nobody_has_to_wait_for_an_image_that_stays_pending(
    ec2: Any, url: str, journal: Journal, snapshot: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    change_images(ec2, lambda images: [image.update(State="pending") for image in images])
    monkeypatch.setattr("wizard.cloud.actions.client", lambda *_: ec2)
    monkeypatch.setattr(images, "LONGEST_PENDING", 3.0)
    (tmp_path / "snapshot-id").write_text(snapshot)
    action = RegisterImage(REGION, "snapshot-id", "image-id", hvm("pending", "<snapshot>"), "build-13")

    with pytest.raises(Cancelled):
        perform(url, action, tmp_path, journal, lambda *_: None, lambda: True)

    assert find_by_name(ec2, "pending") is not None, "it was not even asked for"


def test_a_name_that_nobody_has_is_free(url: str, journal: Journal, tmp_path: Path) -> None:
    assert account(url, journal, tmp_path, "nobody has it")["name"] == "nobody has it is free"


def test_a_build_that_finds_its_own_image_goes_on(
    ec2: Any, url: str, journal: Journal, snapshot: str, tmp_path: Path
) -> None:
    register(ec2, journal, of_image("made before", snapshot, "image-1"), "build-14")
    said = account(url, journal, tmp_path, "made before", "build-14", "image-1")
    assert said["name"] == "made before is this build's own"


def test_an_image_of_the_same_build_with_other_answers_is_said_before_the_work(
    ec2: Any, url: str, journal: Journal, snapshot: str, tmp_path: Path
) -> None:
    image_id = register(ec2, journal, of_image("changed", snapshot, "image-1"), "build-15")

    with pytest.raises(Failure) as caught:
        account(url, journal, tmp_path, "changed", "build-15", "image-2")

    assert caught.value.code == "already-made"
    assert caught.value.facts == {"name": "changed", "region": REGION, "image_id": image_id, "build": "build-15"}


def test_somebody_elses_image_of_the_same_name_is_said_before_the_work(
    ec2: Any, url: str, journal: Journal, snapshot: str, tmp_path: Path
) -> None:
    ec2.register_image(**of_image("theirs", snapshot, "image-1"))
    with pytest.raises(Failure) as caught:
        account(url, journal, tmp_path, "theirs", "build-16", "image-1")
    assert caught.value.code == "duplicate-ami-name"


def test_somebody_elses_image_of_the_same_name_is_left_alone(ec2: Any, journal: Journal, snapshot: str) -> None:
    theirs = ec2.register_image(**hvm("taken", snapshot))["ImageId"]
    with pytest.raises(Failure) as caught:
        register(ec2, journal, hvm("taken", snapshot), "build-4")

    assert caught.value.code == "duplicate-ami-name"
    assert caught.value.facts["image_id"] == theirs
    assert remove(ec2, journal) == []
    assert find_by_name(ec2, "taken") is not None


def test_the_journal_knows_of_the_image_before_aws_does(ec2: Any, journal: Journal, snapshot: str) -> None:
    known: list[str] = []

    def look(**_: Any) -> None:
        known.append((journal.last("RegisterImage", "asked") or {})["request"]["Name"])

    ec2.meta.events.register_first("before-call.ec2.RegisterImage", look)
    register(ec2, journal, hvm("written down", snapshot), "build-5")
    assert known == ["written down"]


def test_an_image_that_is_not_what_was_asked_for_is_not_called_done(ec2: Any, journal: Journal, snapshot: str) -> None:
    def forget(parsed: dict[str, Any], **_: Any) -> None:
        for image in parsed["Images"]:
            del image["EnaSupport"]
            image["BootMode"] = "legacy-bios"

    ec2.meta.events.register("after-call.ec2.DescribeImages", forget)
    with pytest.raises(Failure) as caught:
        register(ec2, journal, hvm("differs", snapshot), "build-6")

    assert caught.value.code == "image-differs"
    assert caught.value.evidence == (
        "BootMode: asked for uefi, got legacy-bios",
        "EnaSupport: asked for True, got None",
    )


def test_another_kernel_or_snapshot_is_a_difference() -> None:
    asked = {"KernelId": "aki-1", "BlockDeviceMappings": [{"DeviceName": "/dev/sda", "Ebs": {"SnapshotId": "snap-1"}}]}
    there = {"KernelId": "aki-2", "BlockDeviceMappings": [{"DeviceName": "/dev/sda", "Ebs": {"SnapshotId": "snap-2"}}]}

    assert differences(asked, asked) == []
    assert differences(asked, there) == [
        "KernelId: asked for aki-1, got aki-2",
        "/dev/sda SnapshotId: asked for snap-1, got snap-2",
    ]
    assert len(differences(asked, {})) == 2


def test_clean_up_removes_images_and_snapshots_and_may_be_repeated(
    ec2: Any, ebs: Any, journal: Journal, tmp_path: Path
) -> None:
    snapshot_id = uploaded(ec2, ebs, journal, tmp_path, "build-7")
    image_id = register(ec2, journal, hvm("to be removed", snapshot_id), "build-7")

    assert remove(ec2, journal) == [image_id, snapshot_id]
    assert find_by_name(ec2, "to be removed") is None
    assert remove(ec2, journal) == []


def test_clean_up_finds_what_was_made_without_an_answer(ec2: Any, ebs: Any, journal: Journal, tmp_path: Path) -> None:
    lose_answer(ebs, "StartSnapshot")
    with pytest.raises(Failure):
        uploaded(ec2, ebs, journal, tmp_path, "build-8")
    other = Journal(tmp_path / "other")
    snapshot_id = uploaded(ec2, ebs, other, tmp_path, "another build")
    lose_answer(ec2, "RegisterImage")
    with pytest.raises(Failure):
        register(ec2, journal, hvm("unheard of", snapshot_id), "build-8")

    removed = remove(ec2, journal)

    assert [item.split("-")[0] for item in removed] == ["ami", "snap"]
    assert find_by_name(ec2, "unheard of") is None
    assert snapshot_id not in removed, "a snapshot of another build was removed"


# Helpers


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with practice_cloud(tmp_path_factory.mktemp("cloud")) as url:
        yield url


@pytest.fixture
def ec2(url: str) -> Any:
    return client("ec2", REGION, url)


@pytest.fixture
def ebs(url: str) -> Any:
    return client("ebs", REGION, url)


@pytest.fixture
def journal(tmp_path: Path) -> Journal:
    return Journal(tmp_path / "journal")


@pytest.fixture(scope="module")
def snapshot(url: str) -> str:
    """A completed snapshot that no journal names."""
    ebs, ec2 = client("ebs", REGION, url), client("ec2", REGION, url)
    snapshot_id = str(ebs.start_snapshot(VolumeSize=1)["SnapshotId"])
    ebs.put_snapshot_block(
        SnapshotId=snapshot_id,
        BlockIndex=0,
        BlockData=bytes(BLOCK),
        DataLength=BLOCK,
        Checksum=base64.b64encode(hashlib.sha256(bytes(BLOCK)).digest()).decode(),
        ChecksumAlgorithm="SHA256",
    )
    ebs.complete_snapshot(SnapshotId=snapshot_id, ChangedBlocksCount=1)
    while ec2.describe_snapshots(SnapshotIds=[snapshot_id])["Snapshots"][0]["State"] != "completed":
        time.sleep(0.1)
    return snapshot_id


def uploaded(ec2: Any, ebs: Any, journal: Journal, folder: Path, build: str) -> str:
    image = folder / "image"
    image.write_bytes(b"boot me" * 1000)
    return upload(
        image,
        put=block_putter(ec2.meta.region_name, ec2.meta.endpoint_url),
        ebs=ebs,
        ec2=ec2,
        journal=journal,
        ledger=folder / f"{build}.ledger",
        description="a test",
        tags={BUILD_TAG: build},
        volume_gib=1,
        progress=lambda *_: None,
    )


def lose_answer(maker: Any, operation: str) -> None:
    """The next call reaches the cloud, but its answer does not come back."""
    event = f"after-call.*.{operation}"

    def lose(**_: Any) -> None:
        maker.meta.events.unregister(event, lose)
        raise ConnectionClosedError(endpoint_url="https://aws")

    maker.meta.events.register(event, lose)


def register_before(ec2: Any, url: str, parameters: dict[str, Any], build: str) -> None:
    """The next RegisterImage finds that the name was given to an image of this build a moment ago."""

    def before(**_: Any) -> None:
        tags = [{"ResourceType": "image", "Tags": [{"Key": BUILD_TAG, "Value": build}]}]
        client("ec2", REGION, url).register_image(**parameters, TagSpecifications=tags)

    ec2.meta.events.register_first("before-call.ec2.RegisterImage", before)


def change_images(ec2: Any, change: Callable[[list[dict[str, Any]]], object], times: int = 1_000_000) -> list[None]:
    """What the next answers to DescribeImages show is changed; gives a list that grows by one with each answer."""
    looks: list[None] = []

    def after(parsed: dict[str, Any], **_: Any) -> None:
        looks.append(None)
        if len(looks) <= times:
            change(parsed.get("Images", []))

    ec2.meta.events.register("after-call.ec2.DescribeImages", after)
    return looks


def account(
    url: str, journal: Journal, folder: Path, name: str, build: str = "a build", image: str = "an image"
) -> dict[str, Any]:
    """What a build says of the account before its long work."""
    return perform(url, CheckAccount(REGION, name, build, image), folder, journal, lambda *_: None, lambda: False)


def test_a_missing_permission_to_register_is_known_before_the_long_work(ec2: Any) -> None:
    asked: list[dict[str, Any]] = []

    def refuse(params: dict[str, Any], **_: Any) -> Any:
        asked.append(params["body"])
        said = {"Error": {"Code": "UnauthorizedOperation", "Message": "You are not authorized."}}
        return SimpleNamespace(status_code=403), said

    ec2.meta.events.register_first("before-call.ec2.RegisterImage", refuse)
    with pytest.raises(Failure) as caught:
        images.check_permission(ec2, hvm("dry", "<snapshot>"))
    assert caught.value.code == "access-denied"
    assert (asked[0]["DryRun"], asked[0]["BlockDeviceMapping.1.Ebs.SnapshotId"]) == ("true", NO_SNAPSHOT)


def test_a_dry_run_makes_nothing(ec2: Any) -> None:
    before = len(ec2.describe_images(Owners=["self"])["Images"])
    images.check_permission(ec2, hvm("dry", "<snapshot>"))
    assert len(ec2.describe_images(Owners=["self"])["Images"]) == before


def of_image(name: str, snapshot_id: str, image: str) -> dict[str, Any]:
    tags = [{"ResourceType": "image", "Tags": [{"Key": IMAGE_TAG, "Value": image}]}]
    return {**hvm(name, snapshot_id), "TagSpecifications": tags}


def hvm(name: str, snapshot_id: str) -> dict[str, Any]:
    return {
        "Name": name,
        "Architecture": "x86_64",
        "VirtualizationType": "hvm",
        "BootMode": "uefi",
        "EnaSupport": True,
        "RootDeviceName": "/dev/xvda",
        "BlockDeviceMappings": [{"DeviceName": "/dev/xvda", "Ebs": {"SnapshotId": snapshot_id, "VolumeSize": 2}}],
    }
