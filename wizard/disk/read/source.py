"""Bytes of an image, by their place, and what reading them may cost."""

import os
from collections.abc import Iterable, Iterator

CHUNK = 1 << 20

MOST_BYTES = 4 << 30
"""Of all that is read and unpacked from one image: a full 60,000-file system costs less than a tenth of it."""

MOST_READS = 3_000_000
"""A walk through 60,000 files takes about 150,000.  This many take a minute or so."""


class Unreadable(Exception):
    """What lies there does not follow its format, is of a kind that we do not read, or costs more than it may."""


class Work:
    """What may still be read of an image: a forged one can point in circles, or to files of any size."""

    def __init__(self, most_bytes: int = MOST_BYTES, most_reads: int = MOST_READS) -> None:
        self._bytes, self._reads = most_bytes, most_reads

    def spend(self, size: int) -> None:
        """Counts one read.  Raises Unreadable when there were too many."""
        self._bytes -= size
        self._reads -= 1
        if self._bytes < 0 or self._reads < 0:
            raise Unreadable("reading it takes more work than any real image does")


class Source:
    """A range of bytes of an open file: the whole image, or a partition of it."""

    def __init__(self, descriptor: int, start: int, size: int, work: Work) -> None:
        self.size = size
        self.work = work
        self._descriptor, self._start = descriptor, start

    def part(self, start: int, size: int) -> "Source":
        """A range of this one, cut off where this one ends."""
        start = min(start, self.size)
        return Source(self._descriptor, self._start + start, min(size, self.size - start), self.work)

    def read(self, offset: int, size: int) -> bytes:
        """Exactly these bytes.  Raises Unreadable where the range does not have them."""
        data = self.peek(offset, size)
        if len(data) < size:
            raise Unreadable(f"it points to byte {offset + size}, but ends at byte {self.size}")
        return data

    def peek(self, offset: int, size: int) -> bytes:
        """As many of these bytes as there are."""
        size = min(size, self.size - offset)
        if offset < 0 or size <= 0:
            return b""
        self.work.spend(size)
        return os.pread(self._descriptor, size, self._start + offset)

    def pieces(self, offset: int, size: int) -> Iterator[bytes]:
        """As `read`, in pieces of at most CHUNK."""
        for at in range(offset, offset + size, CHUNK):
            yield self.read(at, min(CHUNK, offset + size - at))


def laid_out(spans: Iterable[tuple[int, Iterable[bytes]]], size: int, work: Work) -> Iterator[bytes]:
    """A file's content from what lies where in it, with zeros between: `spans` are offset and bytes, in order."""
    at = 0
    for start, pieces in spans if size else ():
        if start < at:
            raise Unreadable("parts of a file overlap")
        yield from _zeros(min(start, size) - at, work)
        at = start
        for piece in pieces if at < size else ():
            yield piece[: size - at]
            at += len(piece)
            if at >= size:
                return
    yield from _zeros(size - at, work)


def _zeros(size: int, work: Work) -> Iterator[bytes]:
    while size > 0:
        piece = bytes(min(size, CHUNK))
        work.spend(len(piece))
        yield piece
        size -= len(piece)
