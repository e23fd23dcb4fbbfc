"""A snapshot by way of a volume: written once, gone on with after any end, and nothing left over."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError, ConnectionClosedError

from wizard import folders
from wizard.cloud.errors import aws_code
from wizard.cloud.practice.process import practice_cloud
from wizard.cloud.practice.volumes import THIS_MACHINE, far_root
from wizard.cloud.read_back import read_back
from wizard.cloud.session import ONCE, client
from wizard.cloud.volume import actions, snapshots, upload, volumes
from wizard.cloud.volume.session import Session, conversation
from wizard.cloud.volume.volumes import discard
from wizard.cloud.waiting import Cancelled
from wizard.explain import Failure, explain
from wizard.plan.actions import (
    BUILD_TAG,
    CheckFarEnd,
    FarEnd,
    SnapshotByVolume,
    SnapshotVolume,
    UseSnapshot,
    VolumeAction,
)
from wizard.run.journal import Journal

BLOCK = 524288
GIB = 1 << 30
NUMBERS = count(1)

WRITE_AND_DIE = """
import os, signal, sys
from pathlib import Path
from test_volume import action
from wizard.cloud.volume.actions import perform
from wizard.run.journal import Journal

url, region, work, blocks = sys.argv[1:]
def progress(done, total, parts):
    if done >= int(blocks) * 524288:
        os.kill(os.getpid(), signal.SIGKILL)

perform(url, action(region), Path(work), Journal(Path(work) / "snapshot-1.jsonl"), progress, lambda: False)
"""


def action(region: str, **changed: Any) -> SnapshotByVolume:
    tags = {"Name": "a test", BUILD_TAG: "build-1"}
    made = SnapshotByVolume(region, "disk.img", "snapshot-id", "ami-wizard: a test", tags, FarEnd(THIS_MACHINE))
    return replace(made, **changed)


@dataclass
class Cloud:
    """A region of the practice cloud, an image, and all that was asked of AWS."""

    url: str
    region: str
    work: Path
    ec2: Any
    once: Any
    asked: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    parts: Mapping[str, int] = field(default_factory=dict)
    seen: list[tuple[int, int]] = field(default_factory=list)

    @property
    def journal(self) -> Journal:
        return Journal(self.work / "snapshot-1.jsonl")

    @property
    def image(self) -> Path:
        return self.work / "disk.img"

    def run(self, what: VolumeAction | None = None, *, cancelled: Callable[[], bool] = lambda: False) -> dict[str, Any]:
        def progress(done: int, total: int, parts: Mapping[str, int]) -> None:
            self.seen.append((done, total))
            self.parts = parts
            self.on_progress()

        return actions.perform(self.url, what or action(self.region), self.work, self.journal, progress, cancelled)

    def on_progress(self) -> None:
        """Something that happens in the middle."""

    def operations(self) -> list[str]:
        """What was asked, looking left out."""
        return [name for name, _ in self.asked if not name.startswith("Describe")]

    def volumes(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.ec2.describe_volumes()["Volumes"]
        return found

    def snapshots(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.ec2.describe_snapshots(OwnerIds=["self"])["Snapshots"]
        return found

    def disk(self) -> Path:
        """The file that is the attached volume's disk."""
        (path,) = (far_root(folders.practice() / self.region, THIS_MACHINE) / "dev").iterdir()
        return path.resolve()

    def lose_answer(self, operation: str, *, before: bool = False) -> None:
        """The next call of this operation takes effect, or does not, and its answer is lost, whoever asks."""
        left = [1]

        def lose(**_: Any) -> None:
            if left:
                left.clear()
                raise ConnectionClosedError(endpoint_url=self.url)

        for one in (self.ec2, self.once):
            one.meta.events.register_first(f"{'before' if before else 'after'}-call.ec2.{operation}", lose)


@pytest.fixture(scope="module")
def shared_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("shared")


@pytest.fixture(scope="module")
def url(shared_home: Path) -> Iterator[str]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AMI_WIZARD_HOME", str(shared_home))
        folder = folders.practice()
    with practice_cloud(folder) as endpoint:
        yield endpoint


@pytest.fixture
def cloud(url: str, shared_home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Cloud:
    """Each in a region of its own: regions know nothing of each other."""
    monkeypatch.setenv("AMI_WIZARD_HOME", str(shared_home))
    region = f"eu-volume-{next(NUMBERS)}"
    made = Cloud(url, region, tmp_path, client("ec2", region, url), client("ec2", region, url, ONCE))

    def note(params: dict[str, Any], model: Any, **_: Any) -> None:
        made.asked.append((model.name, dict(params)))

    for one in (made.ec2, made.once):
        one.meta.events.register("provide-client-params.ec2", note)
    monkeypatch.setattr(actions, "client", lambda _, __, ___, limits=None: made.once if limits else made.ec2)
    sparse_image(made.image)
    return made


DATA = 41 * BLOCK
"""Bytes of the test's image that are not zeros, in whole blocks."""


def sparse_image(path: Path) -> None:
    """Data at the beginning, zeros that take room, data at the end, and holes."""
    with path.open("wb") as file:
        file.truncate(200 * BLOCK + 4321)
        file.write(os.urandom(39 * BLOCK))
        file.seek(100 * BLOCK)
        file.write(bytes(20 * BLOCK))
        file.seek(199 * BLOCK - 5)
        file.write(os.urandom(10))


def assert_holds(cloud: Cloud, snapshot_id: str) -> None:
    copy = cloud.work / "copy"
    read_back(client("ebs", cloud.region, cloud.url), snapshot_id, copy)
    assert copy.stat().st_size == GIB
    with copy.open("rb") as one, cloud.image.open("rb") as other:
        assert one.read(cloud.image.stat().st_size) == other.read()
        assert one.read(64 * BLOCK) == bytes(64 * BLOCK)


# Looked at


def look(cloud: Cloud, instance: str = THIS_MACHINE) -> CheckFarEnd:
    tags = [{"ResourceType": "volume", "Tags": [{"Key": BUILD_TAG, "Value": "build-1"}]}]
    return CheckFarEnd(cloud.region, FarEnd(instance), {"VolumeType": "gp3", "TagSpecifications": tags})


def test_the_instance_and_the_permission_are_looked_at_without_making_anything(cloud: Cloud) -> None:
    said = cloud.run(look(cloud))

    assert said["instance"] == f"{THIS_MACHINE} in {cloud.region}a"
    zone = {"AvailabilityZone": f"{cloud.region}a", "Size": 1, "DryRun": True}
    assert cloud.asked == [
        ("DescribeInstances", {"InstanceIds": [THIS_MACHINE]}),
        ("CreateVolume", {**look(cloud).creates, **zone}),
    ]
    assert cloud.volumes() == []


def test_who_may_not_make_volumes_or_names_no_instance_knows_it_before_the_work(cloud: Cloud) -> None:
    assert refusal(lambda: cloud.run(look(cloud, "i-0123456789abcdef0"))).code == "no-such-instance"
    refuse(cloud.ec2, "CreateVolume", "UnauthorizedOperation", times=1)
    failure = refusal(lambda: cloud.run(look(cloud)))
    assert (failure.code, failure.facts["permission"]) == ("access-denied", "ec2:CreateVolume")


# Written


def test_the_snapshot_holds_exactly_the_image_and_nothing_else_is_left(cloud: Cloud) -> None:
    said = cloud.run()

    assert_holds(cloud, said["snapshot"])
    assert (cloud.work / "snapshot-id").read_text() == f"{said['snapshot']}\n"
    assert cloud.volumes() == []
    assert said["checked"].startswith(f"{DATA} bytes of data, read back from the disk itself, agree")
    assert said["instance"].startswith("this machine itself")
    assert "once for the volume of 1 GiB" in said["cost"]


def test_aws_is_asked_for_exactly_this(cloud: Cloud) -> None:
    said = cloud.run(action(cloud.region, encryption={"Encrypted": True, "KmsKeyId": "arn:aws:kms:eu:1:key/0f"}))

    tags = [{"Key": "Name", "Value": "a test"}, {"Key": BUILD_TAG, "Value": "build-1"}]
    asked = dict(cloud.asked)
    volume_id, token = asked["AttachVolume"]["VolumeId"], asked["CreateVolume"]["ClientToken"]
    made_by = asked["CreateSnapshot"]["TagSpecifications"][0]["Tags"][-1]
    assert cloud.operations() == [
        *("CreateVolume", "AttachVolume", "DetachVolume", "CreateSnapshot", "DeleteVolume"),
    ]
    assert asked["CreateVolume"] == {
        "AvailabilityZone": f"{cloud.region}a",
        "Size": 1,
        "VolumeType": "gp3",
        "Encrypted": True,
        "KmsKeyId": "arn:aws:kms:eu:1:key/0f",
        "TagSpecifications": [{"ResourceType": "volume", "Tags": tags}],
        "ClientToken": token,
    }
    assert asked["AttachVolume"] == {"Device": "/dev/sdf", "InstanceId": THIS_MACHINE, "VolumeId": volume_id}
    assert asked["DetachVolume"] == {"InstanceId": THIS_MACHINE, "VolumeId": volume_id}
    assert asked["CreateSnapshot"] == {
        "VolumeId": volume_id,
        "Description": "ami-wizard: a test",
        "TagSpecifications": [{"ResourceType": "snapshot", "Tags": [*tags, made_by]}],
    }
    assert asked["DeleteVolume"] == {"VolumeId": volume_id}
    assert asked["DescribeInstances"] == {"InstanceIds": [THIS_MACHINE]}
    (snapshot,) = cloud.snapshots()
    assert (snapshot["SnapshotId"], snapshot["Encrypted"]) == (said["snapshot"], True)
    names = [name for name, _ in cloud.asked]
    waited = names[names.index("CreateSnapshot") + 1 : names.index("DeleteVolume")]
    assert waited.count("DescribeSnapshots") >= 3, "three answers that agree"


def test_only_data_is_sent_and_progress_tells_it_apart(cloud: Cloud) -> None:
    cloud.run()

    size = cloud.image.stat().st_size
    sent = {"sent": DATA, "there": 0, "zeros": 20 * BLOCK, "retried": 0, "throttled": 0}
    assert cloud.parts == {**sent, "holes": size - DATA - 20 * BLOCK, "checked": DATA}
    halves = len(cloud.seen) // 2
    for part in (cloud.seen[:halves], cloud.seen[halves:]):
        assert part == sorted(part), "sent first, then read back"
        assert part[-1] == (DATA, DATA)


def test_a_finished_one_asks_for_nothing_when_it_is_run_again(cloud: Cloud) -> None:
    first = cloud.run()
    cloud.asked.clear()
    assert cloud.run() == first
    assert cloud.operations() == []


def test_a_byte_that_was_changed_at_the_far_end_is_found_and_mended(cloud: Cloud) -> None:
    flipped: list[int] = []

    def flip() -> None:
        if cloud.seen[-1] == (DATA, DATA) and not flipped:
            flipped.append(1)
            flip_byte(cloud.disk())

    cloud.on_progress = flip  # type: ignore[method-assign]
    said = cloud.run()

    assert flipped
    assert_holds(cloud, said["snapshot"])
    assert cloud.parts["sent"] == DATA + 32 * BLOCK, "the one range that differed went twice"
    assert cloud.parts["retried"] == 1


def test_a_disk_that_changes_again_and_again_makes_no_snapshot(cloud: Cloud) -> None:
    cloud.on_progress = lambda: flip_byte(cloud.disk()) if "checked" not in cloud.parts else None  # type: ignore[method-assign]
    failure = refusal(cloud.run)

    assert failure.code == "volume-differs"
    assert failure.evidence == (f"{32 * BLOCK} bytes from byte 0 on",)
    assert cloud.snapshots() == []


def flip_byte(path: Path) -> None:
    with path.open("r+b") as file:
        file.seek(7 * BLOCK + 99)
        byte = file.read(1)
        file.seek(-1, os.SEEK_CUR)
        file.write(bytes([byte[0] ^ 1]))


# Gone on with


def test_one_that_was_killed_in_the_middle_sends_the_rest_alone(cloud: Cloud) -> None:
    arguments = [cloud.url, cloud.region, str(cloud.work), "32"]
    killed = subprocess.run([sys.executable, "-c", WRITE_AND_DIE, *arguments], cwd=Path(__file__).parent)
    assert killed.returncode == -signal.SIGKILL

    said = cloud.run()

    assert cloud.parts["sent"] <= DATA - 32 * BLOCK
    assert cloud.parts["there"] >= 32 * BLOCK
    assert "CreateVolume" not in cloud.operations()
    assert "AttachVolume" not in cloud.operations()
    assert_holds(cloud, said["snapshot"])
    assert cloud.volumes() == []


def test_a_cancelled_one_goes_on_later(cloud: Cloud) -> None:
    with pytest.raises(Cancelled):
        cloud.run(cancelled=lambda: len(cloud.seen) >= 1)
    said = cloud.run()
    assert cloud.parts["there"] >= 32 * BLOCK
    assert_holds(cloud, said["snapshot"])


def test_a_disk_that_is_not_known_by_its_id_is_attached_anew_so_that_it_is_seen_to_come(
    cloud: Cloud, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(Cancelled):
        cloud.run(cancelled=lambda: len(cloud.seen) >= 1)
    cloud.asked.clear()
    ask = Session.ask

    def as_on_xen(session: Session, line: str) -> str:
        return "absent" if line.startswith("find") and line.endswith(" -") else ask(session, line)

    monkeypatch.setattr(Session, "ask", as_on_xen)
    said = cloud.run()

    assert cloud.operations()[:2] == ["DetachVolume", "AttachVolume"]
    assert cloud.parts["there"] >= 32 * BLOCK, "nothing is lost by that"
    assert_holds(cloud, said["snapshot"])


class Power(Exception):
    """It went off."""


@pytest.mark.slow
def test_an_end_at_any_record_of_the_journal_makes_one_snapshot(cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> None:
    """Once just before each kind of record is written, so that nobody knows what AWS did, and once just behind."""
    append = Journal._append
    ends: set[tuple[str, str, str]] = set()

    def fails(journal: Journal, kind: str, operation: str, facts: dict[str, Any]) -> None:
        if (kind, operation, "before") not in ends:
            ends.add((kind, operation, "before"))
            raise Power
        append(journal, kind, operation, facts)  # type: ignore[arg-type]
        if (kind, operation, "behind") not in ends:
            ends.add((kind, operation, "behind"))
            raise Power

    monkeypatch.setattr(Journal, "_append", fails)
    monkeypatch.setattr(snapshots, "LONGEST_UNSEEN", 0.5)
    said: dict[str, Any] = {}
    while not said:
        with suppress(Power):
            said = cloud.run()

    assert {operation for _, operation, _ in ends} == {
        *("Connect", "CreateVolume", "AttachVolume", "WriteVolume", "DetachVolume", "CreateSnapshot", "DeleteVolume")
    }
    assert [one["SnapshotId"] for one in cloud.snapshots()] == [said["snapshot"]]
    assert cloud.volumes() == []
    assert cloud.journal.last("DeleteVolume"), "nobody is told of a volume that is gone"
    assert_holds(cloud, said["snapshot"])


@pytest.mark.parametrize("operation", ["CreateVolume", "CreateSnapshot"])
def test_an_answer_that_got_lost_makes_nothing_twice(cloud: Cloud, operation: str) -> None:
    cloud.lose_answer(operation)
    if operation != "CreateSnapshot":
        assert refusal(cloud.run).code == "no-network-to-aws"

    said = cloud.run()

    assert [one["SnapshotId"] for one in cloud.snapshots()] == [said["snapshot"]]
    assert cloud.volumes() == []
    assert_holds(cloud, said["snapshot"])


def test_a_snapshot_that_was_never_made_is_asked_for_again(cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(snapshots, "LONGEST_UNSEEN", 0.0)
    cloud.lose_answer("CreateSnapshot", before=True)
    said = cloud.run()
    assert cloud.operations().count("CreateSnapshot") == 2
    assert [one["SnapshotId"] for one in cloud.snapshots()] == [said["snapshot"]]


def test_a_snapshot_that_is_refused_as_one_too_many_is_asked_for_a_little_later(
    cloud: Cloud, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(snapshots, "PAUSE", 0.1)
    refuse(cloud.once, "CreateSnapshot", "RequestLimitExceeded", times=2)
    assert_holds(cloud, cloud.run()["snapshot"])
    assert len(cloud.snapshots()) == 1


def test_a_connection_that_breaks_is_made_anew_and_goes_on(cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(upload, "PAUSE", 0.1)
    begun: list[Any] = []

    def noted(*arguments: Any) -> Any:
        context = conversation(*arguments)
        begun.append(context)
        return context

    def cut() -> None:
        if len(cloud.seen) == 1:
            begun[-1].gen.gi_frame.f_locals["process"].kill()

    monkeypatch.setattr("wizard.cloud.volume.actions.conversation", noted)
    cloud.on_progress = cut  # type: ignore[method-assign]
    said = cloud.run()

    assert len(begun) == 2
    assert cloud.operations().count("AttachVolume") == 1
    assert cloud.parts["sent"] + cloud.parts["there"] >= DATA
    assert_holds(cloud, said["snapshot"])


def test_a_snapshot_that_failed_is_replaced_from_the_same_volume(cloud: Cloud) -> None:
    changed = say_of_snapshots(cloud, "error")
    assert refusal(cloud.run).code == "snapshot-failed"
    (failed,) = cloud.snapshots()
    changed.clear()
    say_of_snapshots(cloud, "error", only=failed["SnapshotId"])

    said = cloud.run()

    assert said["snapshot"] != failed["SnapshotId"]
    assert [one["SnapshotId"] for one in cloud.snapshots()] == [said["snapshot"]]
    assert cloud.operations().count("CreateVolume") == 1


def test_an_image_that_was_made_anew_gets_a_new_volume(cloud: Cloud) -> None:
    with pytest.raises(Cancelled):
        cloud.run(cancelled=lambda: len(cloud.seen) >= 1)
    (old,) = cloud.volumes()
    sparse_image(cloud.image)

    said = cloud.run()

    assert_holds(cloud, said["snapshot"])
    assert cloud.operations().count("CreateVolume") == 2
    assert cloud.volumes() == []
    assert dict(cloud.asked)["CreateSnapshot"]["VolumeId"] != old["VolumeId"]


def test_what_earlier_answers_left_goes(cloud: Cloud) -> None:
    with pytest.raises(Cancelled):
        cloud.run(cancelled=lambda: len(cloud.seen) >= 1)
    (old,) = cloud.volumes()
    cloud.journal.path.rename(cloud.work / "snapshot-0.jsonl")

    cloud.run()

    assert cloud.volumes() == []
    assert ("DeleteVolume", {"VolumeId": old["VolumeId"]}) in cloud.asked


# Refused


def test_an_instance_that_is_not_there_is_said_before_a_volume_is_made(cloud: Cloud) -> None:
    failure = refusal(lambda: cloud.run(action(cloud.region, far_end=FarEnd("i-0123456789abcdef0"))))
    assert failure.code == "no-such-instance"
    assert cloud.volumes() == []


def test_an_instance_that_is_stopped_is_said(cloud: Cloud) -> None:
    change(cloud, "DescribeInstances", lambda said: instance_in(said).update(State={"Name": "stopped", "Code": 80}))
    failure = refusal(cloud.run)
    assert (failure.code, failure.facts["state"]) == ("instance-not-running", "stopped")


@pytest.mark.parametrize(
    ("operation", "aws", "code"),
    [
        ("CreateVolume", "VolumeLimitExceeded", "volume-limit"),
        ("AttachVolume", "AttachmentLimitExceeded", "volume-limit"),
        ("AttachVolume", "InvalidVolume.ZoneMismatch", "volume-in-other-zone"),
        ("CreateVolume", "UnauthorizedOperation", "access-denied"),
    ],
)
def test_what_aws_refuses_is_explained(cloud: Cloud, operation: str, aws: str, code: str) -> None:
    refuse(cloud.ec2, operation, aws, times=20)
    assert refusal(cloud.run).code == code


def test_an_instance_that_moved_to_another_zone_gets_a_volume_there(cloud: Cloud) -> None:
    first = change(
        cloud,
        "DescribeInstances",
        lambda said: instance_in(said).update(Placement={"AvailabilityZone": f"{cloud.region}b"}),
    )
    assert refusal(cloud.run).code == "volume-in-other-zone"
    first.clear()
    assert_holds(cloud, cloud.run()["snapshot"])
    assert cloud.volumes() == []


def test_a_device_name_that_is_taken_is_passed_over(cloud: Cloud) -> None:
    for device in ("/dev/sdf", "/dev/sdg"):
        made = cloud.ec2.create_volume(AvailabilityZone=f"{cloud.region}a", Size=1)["VolumeId"]
        cloud.ec2.get_waiter("volume_available").wait(VolumeIds=[made], WaiterConfig={"Delay": 1})
        cloud.ec2.attach_volume(VolumeId=made, InstanceId=THIS_MACHINE, Device=device)
    # AWS knows of names that DescribeInstances does not show.
    change(cloud, "DescribeInstances", lambda said: hide(instance_in(said)["BlockDeviceMappings"], "/dev/sdg"))
    cloud.asked.clear()

    cloud.run()

    assert [params["Device"] for name, params in cloud.asked if name == "AttachVolume"] == ["/dev/sdg", "/dev/sdh"]
    assert len(cloud.volumes()) == 2, "the other volumes are left alone"


def test_a_volume_that_somebody_attached_elsewhere_is_left_alone(cloud: Cloud) -> None:
    with pytest.raises(Cancelled):
        cloud.run(cancelled=lambda: len(cloud.seen) >= 1)
    change(cloud, "DescribeVolumes", lambda said: said["Volumes"][0]["Attachments"][0].update(InstanceId="i-2"))
    cloud.asked.clear()

    assert refusal(cloud.run).code == "volume-attached-elsewhere"
    assert cloud.operations() == []


def test_a_volume_that_stays_attaching_or_detaching_is_said(cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(volumes, "LONGEST_ATTACHING", 0.5)
    stuck = change(cloud, "DescribeVolumes", lambda said: [one.update(State="attaching") for one in attachments(said)])
    assert refusal(cloud.run).code == "volume-attach-stuck"
    stuck.clear()
    monkeypatch.setattr(volumes, "LONGEST_DETACHING", 0.0)
    assert refusal(cloud.run).code == "volume-detach-stuck"
    cloud.ec2.get_waiter("volume_available").wait(Filters=[], WaiterConfig={"Delay": 1})
    assert_holds(cloud, cloud.run()["snapshot"])
    assert cloud.parts["sent"] == DATA, "it was not sent again"


def test_a_disk_that_does_not_appear_is_said(cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(upload, "LONGEST_UNTIL_SEEN", 0.5)
    monkeypatch.setattr("wizard.cloud.practice.volumes.far_root", lambda *_: cloud.work / "another machine")
    (cloud.work / "another machine/sys/block/xvda").mkdir(parents=True)
    failure = refusal(cloud.run)
    assert (failure.code, failure.facts["device"]) == ("volume-device-missing", "/dev/sdf")


# From what exists


def test_a_volume_that_the_user_wrote_becomes_a_snapshot_and_stays(cloud: Cloud) -> None:
    volume_id = cloud.ec2.create_volume(AvailabilityZone=f"{cloud.region}a", Size=1)["VolumeId"]
    what = SnapshotVolume(cloud.region, volume_id, "snapshot-id", "of mine", {BUILD_TAG: "build-1"})

    said = cloud.run(what)

    assert cloud.run(what) == said
    (snapshot,) = cloud.snapshots()
    assert (snapshot["SnapshotId"], snapshot["VolumeId"]) == (said["snapshot"], volume_id)
    assert snapshot["Description"] == "of mine"
    assert {"Key": BUILD_TAG, "Value": "build-1"} in snapshot["Tags"]
    assert [one["VolumeId"] for one in cloud.volumes()] == [volume_id]


def test_a_volume_that_is_not_there_is_said(cloud: Cloud) -> None:
    what = SnapshotVolume(cloud.region, "vol-0123456789abcdef0", "snapshot-id", "", {})
    assert refusal(lambda: cloud.run(what)).code == "no-such-volume"


def test_a_snapshot_that_exists_is_taken_as_it_is(cloud: Cloud) -> None:
    volume_id = cloud.ec2.create_volume(AvailabilityZone=f"{cloud.region}a", Size=1)["VolumeId"]
    snapshot_id = cloud.ec2.create_snapshot(VolumeId=volume_id)["SnapshotId"]
    cloud.asked.clear()
    assert cloud.run(UseSnapshot(cloud.region, snapshot_id, "snapshot-id")) == {"snapshot": snapshot_id}
    assert cloud.operations() == []
    assert (
        refusal(lambda: cloud.run(UseSnapshot(cloud.region, "snap-0123456789abcdef0", "x"))).code == "no-such-snapshot"
    )


# The practice cloud's volumes


def test_the_practice_cloud_refuses_what_aws_refuses(cloud: Cloud) -> None:
    ec2, zone = cloud.ec2, {"AvailabilityZone": f"{cloud.region}a", "Size": 1}
    one, other = (ec2.create_volume(**zone)["VolumeId"] for _ in range(2))
    elsewhere = ec2.create_volume(AvailabilityZone=f"{cloud.region}b", Size=1)["VolumeId"]
    ec2.create_volume(**zone, ClientToken="a token")
    ec2.get_waiter("volume_available").wait(WaiterConfig={"Delay": 1})
    place = {"InstanceId": THIS_MACHINE, "Device": "/dev/sdf"}
    ec2.attach_volume(VolumeId=one, **place)

    refusals: tuple[tuple[str, Callable[[], object]], ...] = (
        ("InvalidZone.NotFound", lambda: ec2.create_volume(AvailabilityZone="us-east-1a", Size=1)),
        ("InvalidParameterValue", lambda: ec2.create_volume(**{**zone, "Size": 20000})),
        ("InvalidParameterDependency", lambda: ec2.create_volume(**zone, KmsKeyId="a key")),
        ("IdempotentParameterMismatch", lambda: ec2.create_volume(**{**zone, "Size": 2}, ClientToken="a token")),
        ("InvalidVolume.NotFound", lambda: ec2.describe_volumes(VolumeIds=["vol-0123456789abcdef0"])),
        ("VolumeInUse", lambda: ec2.attach_volume(VolumeId=one, **place)),
        ("InvalidParameterValue", lambda: ec2.attach_volume(VolumeId=other, **place)),
        ("InvalidVolume.ZoneMismatch", lambda: ec2.attach_volume(VolumeId=elsewhere, **place)),
        ("UnsupportedOperation", lambda: ec2.attach_volume(VolumeId=other, InstanceId="i-2", Device="/dev/sdg")),
        ("VolumeInUse", lambda: ec2.delete_volume(VolumeId=one)),
        ("IncorrectState", lambda: ec2.detach_volume(VolumeId=other)),
        ("InvalidVolume.NotFound", lambda: ec2.create_snapshot(VolumeId="vol-0123456789abcdef0")),
    )
    for code, call in refusals:
        with pytest.raises(ClientError) as caught:
            call()
        assert aws_code(caught.value) == code


def test_the_practice_cloud_gives_the_same_volume_for_the_same_token(cloud: Cloud) -> None:
    asked = {"AvailabilityZone": f"{cloud.region}a", "Size": 1, "ClientToken": "a token"}
    first, second = (cloud.ec2.create_volume(**asked)["VolumeId"] for _ in range(2))
    assert first == second


# Removed


def test_everything_of_ours_can_be_removed_at_any_moment_and_nothing_else(cloud: Cloud) -> None:
    theirs = cloud.ec2.create_volume(AvailabilityZone=f"{cloud.region}a", Size=1)["VolumeId"]
    with pytest.raises(Cancelled):
        cloud.run(cancelled=lambda: len(cloud.seen) >= 1)

    assert len(discard(cloud.ec2, cloud.journal)) == 1
    assert discard(cloud.ec2, cloud.journal) == []
    assert [one["VolumeId"] for one in cloud.volumes()] == [theirs]
    assert not any("Force" in params for _, params in cloud.asked)


# Helpers


def refusal(work: Callable[[], object]) -> Failure:
    with pytest.raises(Failure) as caught:
        work()
    assert "not known" not in str(explain(caught.value).as_dict())
    return caught.value


def refuse(ec2: Any, operation: str, code: str, times: int) -> None:
    left = list(range(times))

    def no(**_: Any) -> None:
        if left:
            left.pop()
            raise ClientError({"Error": {"Code": code, "Message": "a test"}}, operation)

    ec2.meta.events.register_first(f"before-call.ec2.{operation}", no)


def change(cloud: Cloud, operation: str, how: Callable[[dict[str, Any]], object]) -> list[bool]:
    """Answers are changed as long as the list that is given back is not cleared."""
    on = [True]

    def later(parsed: dict[str, Any], **_: Any) -> None:
        if on and "Error" not in parsed:
            how(parsed)

    cloud.ec2.meta.events.register(f"after-call.ec2.{operation}", later)
    return on


def say_of_snapshots(cloud: Cloud, state: str, only: str = "") -> list[bool]:
    def how(said: dict[str, Any]) -> None:
        for one in said["Snapshots"]:
            if only in ("", one["SnapshotId"]):
                one["State"] = state

    return change(cloud, "DescribeSnapshots", how)


def hide(devices: list[dict[str, Any]], name: str) -> None:
    devices[:] = [one for one in devices if one["DeviceName"] != name]


def instance_in(said: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = said["Reservations"][0]["Instances"][0]
    return found


def attachments(said: dict[str, Any]) -> list[dict[str, Any]]:
    return [one for volume in said["Volumes"] for one in volume.get("Attachments", ())]
