"""An image as the blocks that EBS direct takes, and the ledger of those that a snapshot already has.

Once a snapshot is open AWS does not say which of its blocks were written (ListSnapshotBlocks wants a completed
one), so an upload that is to go on later has to remember it itself.
"""

import hashlib
import os
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from wizard.files import data_extents, write_atomically
from wizard.run.journal import append_lines, whole_lines

BLOCK = 524288
"""Bytes of every block; the last one of an image is filled up with zeros.  Source: EBS direct, `BlockSize`."""

GIB = 1 << 30

ZEROS = bytes(BLOCK)
DIGEST_OF_ZEROS = hashlib.sha256(ZEROS).digest()

LEDGER_LINE = re.compile(r"(= )?(\d+) ([0-9a-f]{64})")
"""A block that was put, or one that the snapshot has from its parent."""

LINES_A_SYNC = 64
"""A crash of the machine costs at most so many blocks; the end of the process alone costs none."""

Ledger = dict[int, bytes]
"""The SHA-256 of each block that the snapshot has, by index."""


def data_blocks(fd: int) -> list[range]:
    """The indexes of the blocks that hold data, in order; holes of a sparse file are not read."""
    found: list[range] = []
    for start, end in data_extents(fd):
        first = max(start // BLOCK, found[-1].stop if found else 0)
        found.append(range(first, -(-end // BLOCK)))
    return found


def to_look_at(fd: int, inherited: Ledger) -> list[int]:
    """The blocks of an image that may have to be sent, in order: those with data, and those that the parent has."""
    with_data = {index for found in data_blocks(fd) for index in found}
    return sorted(with_data | inherited.keys())


def read_block(fd: int, index: int) -> bytes:
    """One block of an image, at full length."""
    return os.pread(fd, BLOCK, index * BLOCK).ljust(BLOCK, b"\0")


def linear_checksum(ledger: Ledger) -> bytes:
    """The checksum of a whole snapshot: the SHA-256 over its blocks' raw digests in the order of their indexes.

    Source: EBS direct, CompleteSnapshot, `ChecksumAggregationMethod` LINEAR.
    """
    return hashlib.sha256(b"".join(ledger[index] for index in sorted(ledger))).digest()


def read_ledger(path: Path, snapshot_id: str) -> Ledger:
    """What was put into a snapshot by the ledger at `path`; nothing where the ledger speaks of another one."""
    return _read(path, snapshot_id, is_inherited=False)


def read_inherited(path: Path, snapshot_id: str) -> Ledger:
    """What a snapshot had from its parent when it was begun, by the ledger at `path`."""
    return _read(path, snapshot_id, is_inherited=True)


def read_contents(path: Path, snapshot_id: str) -> Ledger:
    """All that a snapshot holds, blocks of zeros left out."""
    held = read_inherited(path, snapshot_id) | read_ledger(path, snapshot_id)
    return {index: digest for index, digest in held.items() if digest != DIGEST_OF_ZEROS}


def speaks_of(path: Path, snapshot_id: str) -> bool:
    """Whether the ledger at `path` is this snapshot's."""
    return whole_lines(path)[:1] == [f"snapshot {snapshot_id}"]


def begin_ledger(path: Path, snapshot_id: str, inherited: Ledger) -> None:
    """A ledger of a snapshot that was just begun: whole at once, for a block of the parent must not be forgotten."""
    lines = [f"snapshot {snapshot_id}", *(f"= {index} {digest.hex()}" for index, digest in inherited.items())]
    write_atomically(path, "".join(f"{line}\n" for line in lines))


def _read(path: Path, snapshot_id: str, *, is_inherited: bool) -> Ledger:
    if not speaks_of(path, snapshot_id):
        return {}
    entries = (LEDGER_LINE.fullmatch(line) for line in whole_lines(path)[1:])
    return {int(entry[2]): bytes.fromhex(entry[3]) for entry in entries if entry and bool(entry[1]) == is_inherited}


@contextmanager
def ledger_writer(path: Path) -> Iterator[Callable[[int, bytes], None]]:
    """Gives a function that adds (index, digest) to a ledger."""
    append_lines(path, [])
    with path.open("ab", buffering=0) as file:
        written = 0

        def add(index: int, digest: bytes) -> None:
            nonlocal written
            file.write(f"{index} {digest.hex()}\n".encode())
            written += 1
            if written % LINES_A_SYNC == 0:
                os.fsync(file.fileno())

        try:
            yield add
        finally:
            os.fsync(file.fileno())
