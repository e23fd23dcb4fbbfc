"""An image file put into an EBS snapshot, block by block, so that it can be stopped and gone on with anywhere."""

import base64
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from types import MappingProxyType
from typing import Any

from botocore.exceptions import ClientError

from wizard.cloud import blocks
from wizard.cloud.blocks import GIB, Ledger
from wizard.cloud.errors import aws_code, aws_errors
from wizard.cloud.puts import Put
from wizard.cloud.sending import Progress, Target, send_blocks
from wizard.cloud.session import Client
from wizard.cloud.waiting import Asked, never, until
from wizard.explain import Failure
from wizard.run.journal import Journal, Kind, Record

LONGEST_IDLE = 4320
"""Minutes without a put until AWS gives a snapshot up, the most that it allows: three days to come back in."""

LONGEST_COMPLETION = 3600.0
AGREEING = 3
"""Answers in a row that must say `completed`: one alone may be followed by another.  Source: coldsnap."""

SEALED_UNHEARD = 30.0
"""Seconds to look whether a refused CompleteSnapshot had in fact succeeded, with its answer lost."""


@dataclass(frozen=True, slots=True)
class Parent:
    """A completed snapshot of an earlier image of the same build, and what it holds."""

    id: str
    contents: Ledger


def upload(
    image: Path,
    *,
    put: Put,
    ebs: Client,
    ec2: Client,
    journal: Journal,
    ledger: Path,
    description: str,
    tags: Mapping[str, str],
    volume_gib: int,
    progress: Progress,
    cancelled: Asked = never,
    parents: Sequence[tuple[Journal, Path]] = (),
    encryption: Mapping[str, Any] = MappingProxyType({}),
) -> str:
    """Puts a raw image into a new snapshot and gives its id once it is completed.

    `parents` are the journals and ledgers of earlier images of the same build, the newest last: what one of their
    snapshots holds already is not sent again.  `encryption`: StartSnapshot's `Encrypted` and `KmsKeyArn`.

    Called again with the same journal and ledger after any kind of end, it goes on with the same snapshot.  Holes and
    blocks of zeros are not sent.  `put` and `progress`: see puts and sending.  Raises Cancelled,
    image-larger-than-volume, snapshot-failed, and what AWS refuses.
    """
    size = image.stat().st_size
    if size > volume_gib * GIB:
        raise Failure("image-larger-than-volume", image=image, size=size, volume_gib=volume_gib)
    wanted = {
        "VolumeSize": volume_gib,
        "Description": description,
        "Timeout": LONGEST_IDLE,
        "Tags": [{"Key": key, "Value": value} for key, value in tags.items()],
        **encryption,
    }
    target = _target(image, ebs, ec2, journal, ledger, wanted, parents)
    if target.state != "completed":
        present = send_blocks(image, target, put, ledger, progress, cancelled)
        _complete(target, present, ebs, ec2, journal, cancelled)
        wait_until_completed(target, ec2, LONGEST_COMPLETION, cancelled)
    return target.id


# Which snapshot


def _target(
    image: Path,
    ebs: Client,
    ec2: Client,
    journal: Journal,
    ledger: Path,
    wanted: Mapping[str, Any],
    parents: Sequence[tuple[Journal, Path]],
) -> Target:
    """The snapshot that the journal names, if it is of this image and still good; otherwise a new one.

    A journal is of one step key, and the same key means the same bytes: a snapshot that was sealed is good for an
    image that was made again, too.  One that is half full is not: what the ledger says is known of the old file alone.
    """
    region: str = ec2.meta.region_name
    stat = image.stat()
    facts = {"region": region, "image": {"size": stat.st_size, "mtime_ns": stat.st_mtime_ns}}
    if asked := journal.last("StartSnapshot", "asked"):
        if _fits(asked, region, stat.st_size, wanted):
            target = _started_before(asked, ebs, ec2, journal)
            if target.state == "completed" and _is_sealed(journal, target.id):
                return target
            is_there = target.state in ("pending", "completed") or (target.state is None and target.is_fresh)
            has_books = blocks.speaks_of(ledger, target.id)
            if (
                is_there
                and asked["image"] == facts["image"]
                and (has_books or "ParentSnapshotId" not in asked["request"])
            ):
                if not has_books:
                    blocks.begin_ledger(ledger, target.id, {})
                return target
        _discard(asked, ec2, journal)
    parent = _parent(ec2, parents, wanted)
    request = {**wanted, **({"ParentSnapshotId": parent.id} if parent else {}), "ClientToken": str(uuid.uuid4())}
    journal.asked("StartSnapshot", **facts, request=request)
    target = Target(_start(request, region, ebs, journal), region, datetime.now(UTC))
    blocks.begin_ledger(ledger, target.id, parent.contents if parent else {})
    return target


def _parent(ec2: Client, parents: Sequence[tuple[Journal, Path]], wanted: Mapping[str, Any]) -> Parent | None:
    """The newest snapshot that a new one may be a difference to: completed, here, of the same size.

    A child has its parent's encryption and must not ask for any (StartSnapshot, `ParentSnapshotId`).
    """
    if "Encrypted" in wanted:
        return None
    for journal, ledger in reversed(parents):
        asked = journal.last("StartSnapshot", "asked")
        if asked is None or asked["region"] != ec2.meta.region_name:
            continue
        snapshot_id, request = started_id(journal, asked), asked["request"]
        if snapshot_id is None or request["VolumeSize"] != wanted["VolumeSize"] or "Encrypted" in request:
            continue
        contents = blocks.read_contents(ledger, snapshot_id)
        if contents and _is_sealed(journal, snapshot_id) and snapshot_state(ec2, snapshot_id) == "completed":
            return Parent(snapshot_id, contents)
    return None


def _fits(asked: Record, region: str, size: int, wanted: Mapping[str, Any]) -> bool:
    request = asked["request"]
    return bool(asked["region"] == region and asked["image"]["size"] == size and {**request, **wanted} == request)


def _started_before(asked: Record, ebs: Client, ec2: Client, journal: Journal) -> Target:
    """Where the answer was lost the same client token gives the same snapshot again."""
    region = asked["region"]
    snapshot_id = started_id(journal, asked) or _start(asked["request"], region, ebs, journal)
    return Target(snapshot_id, region, datetime.fromisoformat(asked["at"]), snapshot_state(ec2, snapshot_id))


def _start(request: Mapping[str, Any], region: str, ebs: Client, journal: Journal) -> str:
    with aws_errors("StartSnapshot", region):
        snapshot_id: str = ebs.start_snapshot(**request)["SnapshotId"]
    journal.answered("StartSnapshot", region=region, token=request["ClientToken"], snapshot_id=snapshot_id)
    return snapshot_id


def started_id(journal: Journal, asked: Record) -> str | None:
    """The snapshot that came of a journaled StartSnapshot, if its answer was heard."""
    token = asked["request"]["ClientToken"]
    return next((str(item["snapshot_id"]) for item in journal.records() if item.get("token") == token), None)


def discard_unfinished(ec2: Client, journal: Journal) -> None:
    """Deletes the snapshots that a journal names as begun and not completed.  Calling it again does no harm.

    For the journal of answers that were changed since: nobody will go on with those snapshots.
    """
    for record in journal.records():
        if (record["operation"], record["kind"]) != ("StartSnapshot", "asked"):
            continue
        if not _is_sealed(journal, started_id(journal, record)):
            _discard(record, ec2, journal)


def _discard(asked: Record, ec2: Client, journal: Journal) -> None:
    """Deletes a snapshot that was begun and will not be finished.

    A completed one may belong to an image, and one of another region is out of reach: `clean --cloud` has them.
    """
    snapshot_id = started_id(journal, asked)
    is_here = asked["region"] == ec2.meta.region_name
    if snapshot_id and is_here and snapshot_state(ec2, snapshot_id) in ("pending", "error"):
        delete_snapshot(ec2, journal, snapshot_id)


def delete_snapshot(ec2: Client, journal: Journal, snapshot_id: str) -> bool:
    """Deletes a snapshot; False if there is none any more."""
    region = ec2.meta.region_name
    journal.asked("DeleteSnapshot", region=region, snapshot_id=snapshot_id)
    with aws_errors("DeleteSnapshot", region):
        try:
            ec2.delete_snapshot(SnapshotId=snapshot_id)
        except ClientError as error:
            if aws_code(error) != "InvalidSnapshot.NotFound":
                raise
            return False
    journal.answered("DeleteSnapshot", region=region, snapshot_id=snapshot_id)
    return True


def snapshot_state(ec2: Client, snapshot_id: str) -> str | None:
    """pending, completed or error; None where AWS knows no such snapshot."""
    with aws_errors("DescribeSnapshots", ec2.meta.region_name):
        try:
            found = ec2.describe_snapshots(SnapshotIds=[snapshot_id])["Snapshots"]
        except ClientError as error:
            if aws_code(error) != "InvalidSnapshot.NotFound":
                raise
            return None
    return str(found[0]["State"]) if found else None


# The end


def _complete(target: Target, present: Ledger, ebs: Client, ec2: Client, journal: Journal, cancelled: Asked) -> None:
    """Seals the snapshot, once: the call knows no client token, so the journal and the state are looked at."""
    if _is_sealed(journal, target.id) or snapshot_state(ec2, target.id) == "completed":
        return
    # An earlier call whose answer is missing may have sealed it, and AWS may still be at work on that.
    patience = LONGEST_COMPLETION if _was_asked_to_seal(journal, target.id) else SEALED_UNHEARD
    request = {
        "SnapshotId": target.id,
        "ChangedBlocksCount": len(present),
        "Checksum": base64.b64encode(blocks.linear_checksum(present)).decode(),
        "ChecksumAlgorithm": "SHA256",
        "ChecksumAggregationMethod": "LINEAR",
    }
    journal.asked("CompleteSnapshot", region=target.region, request=request)
    try:
        with aws_errors("CompleteSnapshot", target.region):
            ebs.complete_snapshot(**request)
    except Failure as failure:
        if failure.code != "aws-refused":
            raise
        wait_until_completed(target, ec2, patience, cancelled, late=failure)
    journal.answered("CompleteSnapshot", region=target.region, snapshot_id=target.id)


def _is_sealed(journal: Journal, snapshot_id: str | None) -> bool:
    return any(item["snapshot_id"] == snapshot_id for item in _completions(journal, "answered"))


def _was_asked_to_seal(journal: Journal, snapshot_id: str) -> bool:
    return any(item["request"]["SnapshotId"] == snapshot_id for item in _completions(journal, "asked"))


def _completions(journal: Journal, kind: Kind) -> list[Record]:
    return [item for item in journal.records() if (item["operation"], item["kind"]) == ("CompleteSnapshot", kind)]


def wait_until_completed(
    target: Target, ec2: Client, patience: float, cancelled: Asked, late: Failure | None = None
) -> None:
    def failed(state: str | None) -> Failure:
        said = f"DescribeSnapshots: {target.id} is {state or 'not known'}"
        return Failure("snapshot-failed", evidence=[said], snapshot_id=target.id, region=target.region)

    def is_completed() -> bool:
        state = snapshot_state(ec2, target.id)
        if state == "error" or (state is None and not target.is_fresh):
            raise failed(state)
        return state == "completed"

    def look() -> bool | None:
        return all(is_completed() for _ in range(AGREEING)) or None

    until(look, patience, late or failed("still pending"), cancelled)
