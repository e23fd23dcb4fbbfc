"""An image written to the far end's disk: what is there already is not sent again, and all of it is read back."""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import BinaryIO

from wizard.cloud.blocks import BLOCK, ZEROS, data_blocks, read_block
from wizard.cloud.sending import Progress, Tally
from wizard.cloud.volume.session import Request, Session
from wizard.cloud.waiting import Asked, Cancelled
from wizard.explain import Failure

LONGEST_RANGE = 32
"""Blocks that are sent and checked at once: 16 MiB."""

ROUNDS = 3
"""Times that what does not agree is sent, before the disk or the way there counts as broken."""


@dataclass(frozen=True, slots=True)
class Range:
    """Neighbouring blocks that hold data, and their SHA-256 in hexadecimal digits."""

    index: int
    count: int
    digest: str

    @property
    def size(self) -> int:
        """Bytes."""
        return self.count * BLOCK


def ranges_of(image: Path, tally: Tally, cancelled: Asked) -> list[Range]:
    """An image's data; what is zeros or a hole is only counted."""
    found: list[Range] = []
    with image.open("rb") as file:
        for run in _runs(file, tally, cancelled):
            digest = hashlib.sha256()
            for index in run:
                digest.update(read_block(file.fileno(), index))
            found.append(Range(run.start, len(run), digest.hexdigest()))
    tally.holes = max(image.stat().st_size - tally.zeros - sum(one.size for one in found), 0)
    return found


def _runs(file: BinaryIO, tally: Tally, cancelled: Asked) -> Iterator[range]:
    """Blocks that are not zeros, neighbours together, at most LONGEST_RANGE of them."""
    first = last = -1
    for index in (index for stretch in data_blocks(file.fileno()) for index in stretch):
        if cancelled():
            raise Cancelled
        if read_block(file.fileno(), index) == ZEROS:
            tally.zeros += BLOCK
            continue
        if first >= 0 and (index != last + 1 or index - first >= LONGEST_RANGE):
            yield range(first, last + 1)
            first = index
        first, last = (index if first < 0 else first), index
    if first >= 0:
        yield range(first, last + 1)


@dataclass(frozen=True, slots=True)
class Writing:
    """An image on its way to the far end's disk."""

    session: Session
    image: Path
    ranges: Sequence[Range]
    progress: Progress
    tally: Tally

    @property
    def total(self) -> int:
        """Bytes of data."""
        return sum(one.size for one in self.ranges)

    def write(self, *, is_fresh: bool) -> str:
        """Writes what the disk lacks and reads everything back; gives how far from a cache that was: "direct" past
        every one, "dropped" after the far end's was emptied, "cached" where neither could be had.

        `is_fresh`: nothing was written yet, so nothing is asked for before it is sent.
        Raises Cancelled, "volume-differs" and what the session raises.
        """
        wrong, how = (list(self.ranges), "") if is_fresh else self._differing()
        self.tally.there = self.total - sum(one.size for one in wrong)
        for _ in range(ROUNDS):
            self._send(wrong)
            wrong, how = self._differing()
            if not wrong:
                return how
            self.tally.retried += len(wrong)
        places = [f"{one.size} bytes from byte {one.index * BLOCK} on" for one in wrong]
        raise Failure("volume-differs", evidence=places, instance=self.session.instance, rounds=ROUNDS)

    def _send(self, wanted: Sequence[Range]) -> None:
        done = self.total - sum(one.size for one in wanted)
        requests = [Request(f"put {one.index} {one.count}", _blocks(self.image, one)) for one in wanted]
        for one, _ in zip(wanted, self.session.talk(requests), strict=True):
            self.tally.sent += one.size
            done += one.size
            self.progress(done, self.total, asdict(self.tally))

    def _differing(self) -> tuple[list[Range], str]:
        """The ranges that are otherwise on the disk, and how it was read."""
        how = self.session.ask("flush").split(" ")[1]
        requests = [Request(f"sum {one.index} {one.count}") for one in self.ranges]
        wrong, checked = [], 0
        for one, said in zip(self.ranges, self.session.talk(requests), strict=True):
            if said != f"sum {one.index} {one.digest}":
                wrong.append(one)
            checked += one.size
            self.progress(checked, self.total, {**asdict(self.tally), "checked": checked})
        return wrong, how


def _blocks(image: Path, one: Range) -> Iterator[bytes]:
    with image.open("rb") as file:
        for index in range(one.index, one.index + one.count):
            yield read_block(file.fileno(), index)
