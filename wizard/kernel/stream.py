"""Bytes that are read once, from front to end, with a look at what comes next."""

from collections.abc import Iterable, Iterator

CHUNK = 1 << 20


class Damaged(Exception):
    """Packed data that breaks off or does not fit its format."""


class Stream:
    """A forward-only reader: a kernel is never held whole, whatever it lies in and however it is packed.

    size      how many bytes it has in all, None when that is known only at its end
    position  how many of them were read
    damage    why it ended too early; None when it did not.  Damaged data simply ends where the damage begins
    """

    def __init__(self, pieces: Iterable[bytes], size: int | None = None) -> None:
        self.size = size
        self.position = 0
        self.damage: str | None = None
        self._pieces = iter(pieces)
        self._ahead, self._at = b"", 0

    def peek(self, size: int) -> bytes:
        """The next bytes, which stay to be read; fewer than `size` only at the end."""
        if (missing := self._at + size - len(self._ahead)) > 0:
            parts = [self._ahead[self._at :]]
            while missing > 0 and (piece := self._next()):
                parts.append(piece)
                missing -= len(piece)
            self._ahead, self._at = b"".join(parts), 0
        return self._ahead[self._at : self._at + size]

    def read(self, size: int) -> bytes:
        """The next bytes; fewer than `size` only at the end."""
        got = self.peek(size)
        self._at += len(got)
        self.position += len(got)
        return got

    def ahead(self, most: int) -> "Stream":
        """The next `most` bytes as a stream of their own; here they stay to be read."""
        starts = range(0, most, CHUNK)
        return Stream(self.peek(min(start + CHUNK, most))[start:] for start in starts)

    def part(self, size: int) -> Iterator[bytes]:
        """The next `size` bytes in pieces of at most CHUNK."""
        while size > 0 and (got := self.read(min(size, CHUNK))):
            size -= len(got)
            yield got

    def skip(self, size: int) -> None:
        """Leaves out the next bytes."""
        for _ in self.part(size):
            pass

    def _next(self) -> bytes:
        try:
            return next((piece for piece in self._pieces if piece), b"")
        except Damaged as damage:
            self.damage = str(damage)
            return b""


def of_bytes(data: bytes) -> Stream:
    """Content that is already here."""
    return Stream((data[start : start + CHUNK] for start in range(0, len(data), CHUNK)), len(data))
