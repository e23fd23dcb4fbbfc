"""An image as the blocks that EBS direct takes, and the ledger of those that a snapshot already has.

Once a snapshot is open AWS does not say which of its blocks were written (ListSnapshotBlocks wants a completed
one), so an upload that is to go on later has to remember it itself.
"""

import errno
import hashlib
import os
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from wizard.run.journal import append_lines, whole_lines

BLOCK = 524288
"""Bytes of every block; the last one of an image is filled up with zeros.  Source: EBS direct, `BlockSize`."""

GIB = 1 << 30

ZEROS = bytes(BLOCK)

LEDGER_LINE = re.compile(r"(\d+) ([0-9a-f]{64})")

LINES_A_SYNC = 64
"""A crash of the machine costs at most so many blocks; the end of the process alone costs none."""

Ledger = dict[int, bytes]
"""The SHA-256 of each block that the snapshot has, by index."""


def data_blocks(fd: int) -> list[range]:
    """The indexes of the blocks that hold data, in order; holes of a sparse file are not read."""
    found: list[range] = []
    size = os.fstat(fd).st_size
    end = 0
    while end < size:
        try:
            start = os.lseek(fd, end, os.SEEK_DATA)
        except OSError as error:
            if error.errno == errno.ENXIO:  # nothing but a hole up to the end
                break
            raise
        end = os.lseek(fd, start, os.SEEK_HOLE)
        first = max(start // BLOCK, found[-1].stop if found else 0)
        found.append(range(first, -(-end // BLOCK)))
    return found


def read_block(fd: int, index: int) -> bytes:
    """One block of an image, at full length."""
    return os.pread(fd, BLOCK, index * BLOCK).ljust(BLOCK, b"\0")


def linear_checksum(ledger: Ledger) -> bytes:
    """The checksum of a whole snapshot: the SHA-256 over its blocks' raw digests in the order of their indexes.

    Source: EBS direct, CompleteSnapshot, `ChecksumAggregationMethod` LINEAR.
    """
    return hashlib.sha256(b"".join(ledger[index] for index in sorted(ledger))).digest()


def read_ledger(path: Path, snapshot_id: str) -> Ledger:
    """What a snapshot has by the ledger at `path`; nothing where the ledger speaks of another one."""
    lines = whole_lines(path)
    if lines[:1] != [f"snapshot {snapshot_id}"]:
        return {}
    entries = (LEDGER_LINE.fullmatch(line) for line in lines[1:])
    return {int(entry[1]): bytes.fromhex(entry[2]) for entry in entries if entry}


@contextmanager
def ledger_writer(path: Path, snapshot_id: str) -> Iterator[Callable[[int, bytes], None]]:
    """Gives a function that adds (index, digest) to the ledger; a ledger of another snapshot is begun anew."""
    if whole_lines(path)[:1] != [f"snapshot {snapshot_id}"]:
        path.unlink(missing_ok=True)
        append_lines(path, [f"snapshot {snapshot_id}"])
    else:
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
