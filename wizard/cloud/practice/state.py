"""What the practice cloud holds, on disk, so that it survives any end of its server.

REGION/images/ami-….json                  an image, in the shape in which DescribeImages gives it
REGION/snapshots/snap-…/snapshot.json     a snapshot
REGION/snapshots/snap-…/blocks            its data, sparse, block n at n * 512 KiB
REGION/snapshots/snap-…/digests           the SHA-256 of block n at n * 32; zeros: never put
REGION/snapshots/snap-…/inherited         the same for the blocks that were there from the parent
"""

import hashlib
import json
import os
import secrets
import shutil
import subprocess
import time
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from wizard.cloud.practice.messages import Refusal

ACCOUNT = "123456789012"
BLOCK = 524288
DIGEST = hashlib.sha256().digest_size
NEVER_PUT = bytes(DIGEST)
GIB = 1 << 30

SETTLING = 1.0
"""Seconds that a snapshot stays pending after CompleteSnapshot: on AWS it is never complete at once."""

DEFAULT_TIMEOUT = 60
"""Minutes without a put after which a snapshot fails, unless asked otherwise.  Source: StartSnapshot, `Timeout`."""


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A snapshot: the StartSnapshot request it came from, and what happened to it.  Times in Unix seconds."""

    id: str
    request: Mapping[str, Any]
    started: float
    tags: list[dict[str, str]]
    sealed: float | None = None


def new_id(kind: str) -> str:
    """An id as AWS makes them: the kind, a dash, 17 hexadecimal digits."""
    return f"{kind}-0{secrets.token_hex(8)}"


def timestamp(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)


def save(path: Path, record: Mapping[str, Any]) -> None:
    """Writes a record aside and renames it, so that no reader and no crash meets half of one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = path.with_suffix(".new")
    aside.write_text(json.dumps(record, indent=1))
    aside.replace(path)


# Snapshots


def snapshot_folder(region: Path, snapshot_id: str) -> Path:
    return region / "snapshots" / snapshot_id


def create_snapshot(region: Path, request: Mapping[str, Any]) -> Snapshot:
    """A new pending snapshot, without a block, or with all that its parent holds."""
    snapshot = Snapshot(new_id("snap"), request, time.time(), list(request.get("Tags", [])))
    folder = snapshot_folder(region, snapshot.id)
    folder.mkdir(parents=True)
    for name in ("blocks", "digests", "inherited"):
        (folder / name).touch()
    if parent := request.get("ParentSnapshotId"):
        source = snapshot_folder(region, parent)
        subprocess.run(["cp", "--reflink=auto", "--sparse=always", source / "blocks", folder / "blocks"], check=True)
        for index, digest in contents(source).items():
            _write_at(folder / "inherited", index * DIGEST, digest)
    save_snapshot(region, snapshot)
    return snapshot


def save_snapshot(region: Path, snapshot: Snapshot) -> None:
    save(snapshot_folder(region, snapshot.id) / "snapshot.json", asdict(snapshot))


def find_snapshot(region: Path, snapshot_id: str) -> Snapshot | None:
    try:
        text = (snapshot_folder(region, snapshot_id) / "snapshot.json").read_text()
    except FileNotFoundError:
        return None
    return Snapshot(**json.loads(text))


def snapshots(region: Path) -> Iterator[Snapshot]:
    """Every snapshot of the region, by id."""
    for folder in sorted((region / "snapshots").glob("snap-*")):
        if snapshot := find_snapshot(region, folder.name):
            yield snapshot


def delete_snapshot(region: Path, snapshot_id: str) -> None:
    folder = snapshot_folder(region, snapshot_id)
    # Without its record the snapshot is gone, even if the rest is never removed.
    (folder / "snapshot.json").unlink()
    shutil.rmtree(folder)


def snapshot_state(region: Path, snapshot: Snapshot) -> str:
    """pending, completed or error, as DescribeSnapshots would say it now."""
    if snapshot.sealed is not None:
        return "completed" if time.time() - snapshot.sealed >= SETTLING else "pending"
    idle = time.time() - (snapshot_folder(region, snapshot.id) / "digests").stat().st_mtime
    return "error" if idle > 60 * snapshot.request.get("Timeout", DEFAULT_TIMEOUT) else "pending"


# Blocks


def write_block(folder: Path, index: int, data: bytes, digest: bytes) -> None:
    """Stores a block.  The digest goes last: a block without one was never put."""
    _write_at(folder / "blocks", index * BLOCK, data)
    _write_at(folder / "digests", index * DIGEST, digest)


def read_block(folder: Path, index: int) -> bytes:
    with (folder / "blocks").open("rb") as file:
        return os.pread(file.fileno(), BLOCK, index * BLOCK)


def contents(folder: Path) -> dict[int, bytes]:
    """The SHA-256 of every block that a snapshot holds, by index, in order."""
    held = _digests_in(folder / "inherited") | digests(folder)
    return {index: held[index] for index in sorted(held)}


def digests(folder: Path) -> dict[int, bytes]:
    """The SHA-256 of every block that was put, by index, in order."""
    return _digests_in(folder / "digests")


def _digests_in(path: Path) -> dict[int, bytes]:
    raw = path.read_bytes()
    found = ((at // DIGEST, raw[at : at + DIGEST]) for at in range(0, len(raw), DIGEST))
    return {index: digest for index, digest in found if digest != NEVER_PUT}


def _write_at(path: Path, offset: int, data: bytes) -> None:
    with path.open("r+b") as file:
        os.pwrite(file.fileno(), data, offset)


# Images


def image_path(region: Path, image_id: str) -> Path:
    return region / "images" / f"{image_id}.json"


def find_image(region: Path, image_id: str) -> dict[str, Any]:
    """Fails as EC2 does where there is no such image."""
    try:
        image: dict[str, Any] = json.loads(image_path(region, image_id).read_text())
    except FileNotFoundError:
        raise Refusal("InvalidAMIID.NotFound", f"The image id '[{image_id}]' does not exist") from None
    return image


def images(region: Path) -> list[dict[str, Any]]:
    """Every image of the region, by id."""
    return [json.loads(path.read_text()) for path in sorted((region / "images").glob("ami-*.json"))]
