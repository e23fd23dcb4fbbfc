"""An upload sends what is needed, can be ended anywhere, and goes on where it stood."""

import os
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError, ConnectionClosedError

from wizard.cloud import actions, sending, snapshot
from wizard.cloud.blocks import data_blocks, read_block
from wizard.cloud.practice.process import practice_cloud
from wizard.cloud.read_back import read_back
from wizard.cloud.session import block_putter, client
from wizard.cloud.waiting import Cancelled
from wizard.explain import Failure
from wizard.plan.actions import UploadSnapshot
from wizard.plan.cost import estimate
from wizard.run.journal import Journal

NUMBERS = count(1)
BLOCK = 524288
GIB = 1 << 30

UPLOAD_AND_DIE = """
import os, signal, sys
from pathlib import Path
from wizard.cloud.session import block_putter, client
from wizard.cloud.snapshot import upload
from wizard.run.journal import Journal

image, journal, ledger, url, region, blocks = sys.argv[1:]
def progress(done, total, parts):
    if done >= int(blocks) * 524288:
        os.kill(os.getpid(), signal.SIGKILL)

upload(Path(image), put=block_putter(region, url), ebs=client("ebs", region, url), ec2=client("ec2", region, url),
       progress=progress, journal=Journal(Path(journal)), ledger=Path(ledger), description="a test",
       tags={"build": "1"}, volume_gib=1)
"""


@pytest.mark.slow
def test_the_snapshot_holds_exactly_the_image(cloud: "Cloud", tmp_path: Path) -> None:
    image = tmp_path / "image"
    with image.open("wb") as file:
        for offset, length in ((0, 3 * BLOCK), (10 * BLOCK - 100, 200), (500 * BLOCK + 7, 5 * BLOCK)):
            file.seek(offset)
            file.write(os.urandom(length))
        file.truncate(600 * BLOCK + 4321)
        file.seek(600 * BLOCK + 4000)
        file.write(b"the end, in a block that is not full")

    assert_holds(cloud, cloud.upload(image), image)


def test_holes_and_zeros_are_not_sent(cloud: "Cloud", tmp_path: Path) -> None:
    image = sparse_image(tmp_path, blocks=3)
    with image.open("r+b") as file:
        file.seek(100 * BLOCK)
        file.write(bytes(20 * BLOCK))

    cloud.upload(image)

    assert cloud.puts() == 3


def test_progress_tells_apart_what_became_of_the_blocks(cloud: "Cloud", tmp_path: Path) -> None:
    image = sparse_image(tmp_path, blocks=3)
    with image.open("r+b") as file:
        file.seek(100 * BLOCK)
        file.write(bytes(20 * BLOCK))
    cloud.refuse_puts("RequestThrottledException", 400, times=1)
    cloud.refuse_puts("InternalServerException", 500, times=1)

    cloud.upload(image)

    sent = {"sent": 3 * BLOCK, "zeros": 20 * BLOCK, "holes": 177 * BLOCK, "there": 0}
    assert cloud.parts == {**sent, "retried": 1, "throttled": 1}


@pytest.mark.slow
def test_a_changed_image_goes_up_as_a_difference(cloud: "Cloud", tmp_path: Path) -> None:
    image = sparse_image(tmp_path, blocks=12)
    first = cloud.upload(image)
    with image.open("r+b") as file:
        file.write(b"changed")
        file.seek(4 * BLOCK)
        file.write(bytes(2 * BLOCK))
        file.seek(90 * BLOCK)
        file.write(b"new")
    old = cloud.turn_over(tmp_path)

    second = cloud.upload(image, parents=[old])

    assert second != first
    assert cloud.puts() == 12 + 1 + 2 + 1, "the changed block, two that are zeros now, and the new one"
    assert cloud.parts["there"] == 9 * BLOCK
    assert_holds(cloud, second, image)
    cloud.ec2.delete_snapshot(SnapshotId=first)
    assert_holds(cloud, second, image)


@pytest.mark.slow
def test_a_difference_to_a_difference_holds_the_image_too(cloud: "Cloud", tmp_path: Path) -> None:
    image = sparse_image(tmp_path, blocks=5)
    old: list[tuple[Journal, Path]] = []
    for number in range(3):
        with image.open("r+b") as file:
            file.seek(number * BLOCK)
            # Zeros in one that the parent holds, and data again in the next.
            file.write(bytes(BLOCK) if number == 1 else os.urandom(BLOCK))
        last = cloud.upload(image, parents=old)
        old.append(cloud.turn_over(tmp_path / str(number)))

    assert_holds(cloud, last, image)
    assert cloud.puts() == 5 + 1 + 1


@pytest.mark.slow
def test_a_difference_that_was_cancelled_goes_on(cloud: "Cloud", tmp_path: Path) -> None:
    image = sparse_image(tmp_path, blocks=10)
    cloud.upload(image)
    image.write_bytes(os.urandom(200 * BLOCK))
    old = cloud.turn_over(tmp_path)
    cloud.progress.clear()
    with pytest.raises(Cancelled):
        cloud.upload(image, parents=[old], cancelled=lambda: len(cloud.progress) >= 20)

    last = cloud.upload(image, parents=[old])

    assert cloud.puts() == 10 + 200
    assert_holds(cloud, last, image)


def test_a_parent_that_is_gone_or_of_another_size_is_no_parent(cloud: "Cloud", tmp_path: Path) -> None:
    image = sparse_image(tmp_path, blocks=3)
    first = cloud.upload(image)
    cloud.ec2.delete_snapshot(SnapshotId=first)
    old = cloud.turn_over(tmp_path)

    assert_holds(cloud, cloud.upload(image, parents=[old]), image)
    assert cloud.puts() == 3 + 3


def test_an_encrypted_snapshot_is_asked_for_with_its_key(cloud: "Cloud", tmp_path: Path) -> None:
    key = f"arn:aws:kms:{cloud.region}:123456789012:key/0f0f"
    made = cloud.upload(sparse_image(tmp_path, blocks=1), encryption={"Encrypted": True, "KmsKeyArn": key})
    (said,) = cloud.ec2.describe_snapshots(SnapshotIds=[made])["Snapshots"]
    assert (said["Encrypted"], said["KmsKeyId"]) == (True, key)


def test_an_image_of_zeros_alone_is_still_an_image(cloud: "Cloud", tmp_path: Path) -> None:
    image = tmp_path / "image"
    image.write_bytes(bytes(BLOCK + 1))

    assert_holds(cloud, cloud.upload(image), image)


def test_progress_ends_at_the_total(cloud: "Cloud", tmp_path: Path) -> None:
    cloud.upload(sparse_image(tmp_path, blocks=5))
    assert cloud.progress[-1] == (5 * BLOCK, 5 * BLOCK)
    assert [done for done, _ in cloud.progress] == sorted(done for done, _ in cloud.progress)


@pytest.mark.slow
def test_an_upload_that_was_killed_goes_on_in_the_same_snapshot(cloud: "Cloud", tmp_path: Path) -> None:
    image = sparse_image(tmp_path, blocks=200)
    arguments = [str(path) for path in (image, cloud.journal.path, cloud.ledger, cloud.url, cloud.region)]
    killed = subprocess.run([sys.executable, "-c", UPLOAD_AND_DIE, *arguments, "120"])
    assert killed.returncode == -signal.SIGKILL

    snapshot_id = cloud.upload(image)

    assert cloud.snapshots() == [snapshot_id]
    assert cloud.puts() <= 200 - 120, "blocks that were written down were sent again"
    assert_holds(cloud, snapshot_id, image)


@pytest.mark.slow
def test_a_cancelled_upload_goes_on_later(cloud: "Cloud", tmp_path: Path) -> None:
    image = sparse_image(tmp_path, blocks=200)
    with pytest.raises(Cancelled):
        cloud.upload(image, cancelled=lambda: len(cloud.progress) >= 20)
    first = cloud.puts()
    assert first < 200

    snapshot_id = cloud.upload(image)

    assert cloud.snapshots() == [snapshot_id]
    assert cloud.puts() == 200, "a block was sent twice"


def test_a_finished_upload_sends_nothing_when_it_is_asked_again(cloud: "Cloud", tmp_path: Path) -> None:
    image = sparse_image(tmp_path, blocks=3)
    first = cloud.upload(image)
    assert cloud.upload(image) == first
    assert cloud.puts() == 3
    assert cloud.count("CompleteSnapshot") == 1


@pytest.mark.parametrize("operation", ["StartSnapshot", "CompleteSnapshot"])
def test_an_answer_that_got_lost_makes_no_second_snapshot(cloud: "Cloud", tmp_path: Path, operation: str) -> None:
    image = sparse_image(tmp_path, blocks=3)
    cloud.lose_answer(operation)
    with pytest.raises(Failure) as caught:
        cloud.upload(image)
    assert caught.value.code == "no-network-to-aws"

    snapshot_id = cloud.upload(image)

    assert cloud.snapshots() == [snapshot_id]
    assert cloud.state(snapshot_id) == "completed"


def test_a_complete_that_succeeded_unheard_is_not_taken_for_a_failure(cloud: "Cloud", tmp_path: Path) -> None:
    def complete_before(params: dict[str, Any], **_: Any) -> None:
        other = client("ebs", cloud.region, cloud.url)
        other.complete_snapshot(SnapshotId=cloud.snapshots()[0], ChangedBlocksCount=3)

    cloud.ebs.meta.events.register_first("before-call.ebs.CompleteSnapshot", complete_before)
    assert cloud.state(cloud.upload(sparse_image(tmp_path, blocks=3))) == "completed"


def test_a_seal_whose_answer_was_lost_is_given_time_to_show(
    cloud: "Cloud", tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    image = sparse_image(tmp_path, blocks=3)
    cloud.lose_answer("CompleteSnapshot")
    with pytest.raises(Failure):
        cloud.upload(image)
    cloud.say_pending(times=6)
    monkeypatch.setattr(snapshot, "SEALED_UNHEARD", 0.0)

    assert cloud.state(cloud.upload(image)) == "completed"


def test_a_completed_snapshot_is_kept_when_the_same_image_is_made_again(cloud: "Cloud", tmp_path: Path) -> None:
    image = sparse_image(tmp_path, blocks=3)
    first = cloud.upload(image)
    os.utime(image, (0, 0))

    assert cloud.upload(image) == first
    assert cloud.puts() == 3
    assert cloud.snapshots() == [first]


@pytest.mark.slow
def test_a_completed_snapshot_is_not_taken_for_an_image_of_another_size(cloud: "Cloud", tmp_path: Path) -> None:
    image = sparse_image(tmp_path, blocks=3)
    first = cloud.upload(image)
    os.truncate(image, 100 * BLOCK)
    assert cloud.upload(image) != first


@pytest.mark.slow
def test_a_build_with_other_answers_leaves_no_half_snapshot_behind(cloud: "Cloud", tmp_path: Path) -> None:
    image = sparse_image(tmp_path, blocks=3)
    done, begun, last = (Journal(tmp_path / f"snapshot-{key}.jsonl") for key in ("done", "begun", "last"))
    finished = cloud.perform(image, done)["snapshot"]
    half = str(cloud.begin(begun))

    made = cloud.perform(image, last)["snapshot"]

    assert sorted(cloud.snapshots()) == sorted([finished, made])
    assert half not in (finished, made)


def test_an_upload_says_what_it_costs(cloud: "Cloud", tmp_path: Path) -> None:
    said = cloud.perform(sparse_image(tmp_path, blocks=3), Journal(tmp_path / "snapshot-key.jsonl"))
    assert said["cost"] == estimate(3 * BLOCK, 3)


def test_discarding_what_was_not_finished_may_be_repeated(cloud: "Cloud") -> None:
    cloud.begin(cloud.journal)
    for _ in range(2):
        snapshot.discard_unfinished(cloud.ec2, cloud.journal)
        assert cloud.snapshots() == []


@pytest.mark.slow
def test_a_snapshot_that_was_deleted_is_made_again(
    cloud: "Cloud", tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    image = sparse_image(tmp_path, blocks=3)
    first = cloud.upload(image)
    cloud.ec2.delete_snapshot(SnapshotId=first)
    monkeypatch.setattr(sending, "FRESH", 0.0)

    second = cloud.upload(image)

    assert second != first
    assert cloud.snapshots() == [second]
    assert cloud.puts() == 6


@pytest.mark.slow
def test_a_snapshot_that_failed_is_replaced_and_removed(cloud: "Cloud", tmp_path: Path) -> None:
    image = sparse_image(tmp_path, blocks=200)
    with pytest.raises(Cancelled):
        cloud.upload(image, cancelled=lambda: len(cloud.progress) >= 5)
    (first,) = cloud.snapshots()
    long_ago = time.time() - 4 * 24 * 3600
    os.utime(cloud.kept / "snapshots" / first / "digests", (long_ago, long_ago))
    assert cloud.state(first) == "error"

    second = cloud.upload(image)

    assert cloud.snapshots() == [second] != [first]
    assert_holds(cloud, second, image)


@pytest.mark.slow
def test_another_image_is_not_mixed_into_a_snapshot_that_was_begun(cloud: "Cloud", tmp_path: Path) -> None:
    image = sparse_image(tmp_path, blocks=200)
    with pytest.raises(Cancelled):
        cloud.upload(image, cancelled=lambda: len(cloud.progress) >= 5)
    image.write_bytes(bytes(BLOCK) + os.urandom(2 * BLOCK))

    snapshot_id = cloud.upload(image)

    assert cloud.snapshots() == [snapshot_id]
    assert_holds(cloud, snapshot_id, image)


def test_a_missing_permission_ends_the_upload_at_once(cloud: "Cloud", tmp_path: Path) -> None:
    cloud.refuse_puts("AccessDeniedException", 403)
    with pytest.raises(Failure) as caught:
        cloud.upload(sparse_image(tmp_path, blocks=200))
    assert caught.value.code == "access-denied"
    assert 1 <= cloud.puts() < 200


@pytest.mark.parametrize("code", ["RequestThrottledException", "ResourceNotFoundException"])
def test_what_passes_by_itself_is_waited_out(cloud: "Cloud", tmp_path: Path, code: str) -> None:
    cloud.refuse_puts(code, 400, times=3)
    assert cloud.state(cloud.upload(sparse_image(tmp_path, blocks=5))) == "completed"
    assert cloud.puts() == 5 + 3


def test_an_image_that_does_not_fit_the_volume_is_refused_before_anything_is_made(
    cloud: "Cloud", tmp_path: Path
) -> None:
    image = tmp_path / "image"
    image.touch()
    os.truncate(image, GIB + 1)
    with pytest.raises(Failure) as caught:
        cloud.upload(image)
    assert caught.value.code == "image-larger-than-volume"
    assert cloud.snapshots() == []


def test_the_token_is_written_down_before_aws_is_asked(cloud: "Cloud", tmp_path: Path) -> None:
    seen: list[str] = []

    def look(params: dict[str, Any], **_: Any) -> None:
        asked = cloud.journal.last("StartSnapshot", "asked")
        assert asked is not None
        seen.append(asked["request"]["ClientToken"])
        assert seen[0].encode() in params["body"]

    cloud.ebs.meta.events.register_first("before-call.ebs.StartSnapshot", look)
    cloud.upload(sparse_image(tmp_path, blocks=1))
    assert len(seen) == 1


@pytest.mark.slow
def test_a_torn_line_in_the_ledger_costs_one_block(cloud: "Cloud", tmp_path: Path) -> None:
    image = sparse_image(tmp_path, blocks=200)
    with pytest.raises(Cancelled):
        cloud.upload(image, cancelled=lambda: len(cloud.progress) >= 20)
    first = cloud.puts()
    os.truncate(cloud.ledger, cloud.ledger.stat().st_size - 10)

    cloud.upload(image)

    assert cloud.puts() == 200 + 1 > first


# Helpers


@dataclass(frozen=True, slots=True)
class Server:
    folder: Path
    url: str


class Cloud:
    """The practice cloud in a region of the test's own, with one build's journal and ledger, counting what is asked."""

    def __init__(self, server: Server, build: Path) -> None:
        self.url, self.region = server.url, f"eu-test-{next(NUMBERS)}"
        self.kept = server.folder / self.region
        self.ebs, self.ec2 = client("ebs", self.region, self.url), client("ec2", self.region, self.url)
        self.journal, self.ledger = Journal(build / "journal"), build / "ledger"
        self.progress: list[tuple[int, int]] = []
        self.parts: dict[str, int] = {}
        self._put = block_putter(self.region, self.url)
        self._refusals: list[tuple[str, int]] = []
        self._always: tuple[str, int] | None = None
        self.asked: list[str] = []
        # Earlier than any handler that refuses a call: those end the list of handlers.
        self.ebs.meta.events.register("provide-client-params.ebs", self._count)

    def turn_over(self, folder: Path) -> tuple[Journal, Path]:
        """Other answers to the same build: a journal and a ledger of their own.  Gives the old ones."""
        old = self.journal, self.ledger
        folder.mkdir(exist_ok=True)
        self.journal, self.ledger = Journal(folder / "next-journal"), folder / "next-ledger"
        return old

    def upload(self, image: Path, cancelled: Callable[[], bool] = lambda: False, **more: Any) -> str:
        return snapshot.upload(
            image,
            put=self.put,
            ebs=self.ebs,
            ec2=self.ec2,
            journal=self.journal,
            ledger=self.ledger,
            description="a test",
            tags={"build": "1"},
            volume_gib=1,
            progress=self._note,
            cancelled=cancelled,
            **more,
        )

    def put(self, snapshot_id: str, index: int, data: bytes, digest: bytes) -> None:
        """The real call, counted, unless it is to be refused."""
        self.asked.append("PutSnapshotBlock")
        if refusal := self._refusals.pop() if self._refusals else self._always:
            code, status = refusal
            said = {"Error": {"Code": code, "Message": "a test"}, "ResponseMetadata": {"HTTPStatusCode": status}}
            raise ClientError(said, "PutSnapshotBlock")  # type: ignore[arg-type]
        self._put(snapshot_id, index, data, digest)

    def _note(self, done: int, total: int, parts: Mapping[str, int]) -> None:
        self.progress.append((done, total))
        self.parts = dict(parts)

    def perform(self, image: Path, journal: Journal) -> dict[str, Any]:
        """The upload as a build's step does it."""
        action = UploadSnapshot(self.region, image.name, "snapshot-id", "a test", {"build": "1"})
        return actions.perform(self.url, action, image.parent, journal, lambda *_: None, lambda: False)

    def begin(self, journal: Journal) -> str:
        """An upload that ended before its first block."""
        request = {"VolumeSize": 1, "ClientToken": str(uuid.uuid4())}
        journal.asked("StartSnapshot", region=self.region, request=request)
        snapshot_id = str(self.ebs.start_snapshot(**request)["SnapshotId"])
        journal.answered("StartSnapshot", region=self.region, token=request["ClientToken"], snapshot_id=snapshot_id)
        return snapshot_id

    def snapshots(self) -> list[str]:
        return [item["SnapshotId"] for item in self.ec2.describe_snapshots(OwnerIds=["self"])["Snapshots"]]

    def state(self, snapshot_id: str) -> str:
        return str(self.ec2.describe_snapshots(SnapshotIds=[snapshot_id])["Snapshots"][0]["State"])

    def count(self, operation: str) -> int:
        return self.asked.count(operation)

    def puts(self) -> int:
        return self.count("PutSnapshotBlock")

    def lose_answer(self, operation: str) -> None:
        """The next call reaches the cloud, but its answer does not come back."""
        event = f"after-call.ebs.{operation}"

        def lose(**_: Any) -> None:
            self.ebs.meta.events.unregister(event, lose)
            raise ConnectionClosedError(endpoint_url=self.url)

        self.ebs.meta.events.register(event, lose)

    def say_pending(self, times: int) -> None:
        """The next answers to DescribeSnapshots call every snapshot pending."""
        left = list(range(times))

        def change(parsed: dict[str, Any], **_: Any) -> None:
            if left:
                left.pop()
                for item in parsed["Snapshots"]:
                    item["State"] = "pending"

        self.ec2.meta.events.register("after-call.ec2.DescribeSnapshots", change)

    def refuse_puts(self, code: str, status: int, times: int | None = None) -> None:
        """The next puts, or all, are refused with an error code of AWS."""
        if times is None:
            self._always = (code, status)
        else:
            self._refusals += [(code, status)] * times

    def _count(self, model: Any, **_: Any) -> None:
        self.asked.append(model.name)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("cloud")
    with practice_cloud(folder) as url:
        yield Server(folder, url)


@pytest.fixture
def cloud(server: Server, tmp_path: Path) -> Cloud:
    return Cloud(server, tmp_path)


def sparse_image(folder: Path, blocks: int) -> Path:
    """Random data at the start of an image of 200 blocks, and a hole behind it."""
    image = folder / "image"
    image.write_bytes(os.urandom(blocks * BLOCK))
    os.truncate(image, 200 * BLOCK)
    return image


def assert_holds(cloud: Cloud, snapshot_id: str, image: Path) -> None:
    """The snapshot, read back, is the image and then nothing."""
    back = image.with_name("back")
    read_back(cloud.ebs, snapshot_id, back)
    end = -(-image.stat().st_size // BLOCK)
    with image.open("rb") as wanted, back.open("rb") as got:
        for index in range(end):
            assert read_block(got.fileno(), index) == read_block(wanted.fileno(), index), f"block {index}"
        assert all(found.stop <= end for found in data_blocks(got.fileno())), "there is more than the image"
    assert back.stat().st_size == GIB
