"""The files in a tar archive or a Debian package, one after the other, without unpacking any to the disk.

Python's tarfile is not used: it reads extended headers whole, however large, and before 3.11.10 and 3.12.6 a forged one
made it hang (CVE-2024-6232).  What is looked for here has names that are short enough to stand in the plain header.
"""

from collections.abc import Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass

from wizard.kernel.stream import Stream
from wizard.kernel.unpack import FIRST_BLOCK, compression_of, unpacked

Member = tuple[str, AbstractContextManager[Stream]]
"""A file's name, with "/" and without a leading one, and its content, to be read before the next one is asked for."""

BLOCK = 512
MOST = 1 << 30
"""Debian's kernels have 400 MB with their modules, and boot/ comes before lib/."""

MOST_FILES = 100_000
"""Debian's kernels have 5,000."""

_REGULAR = (b"0", b"\0")
_LINKS = (b"1", b"2")
_DEBIAN = b"!<arch>\ndebian-binary"


@dataclass(frozen=True, slots=True)
class Entry:
    """What one header of a tar archive says.

    name     as it stands there, with a "./", "/" or ".." in it
    link     where a symbolic link leads; "" for everything else
    content  of a regular file, to be read before the next entry is asked for; None for everything else
    at       where the content begins, in bytes of the unpacked archive
    """

    name: str
    link: str
    content: Stream | None
    at: int


def is_archive(file: Stream) -> bool:
    """Whether it is a Debian package or a tar archive, packed or not.  Leaves it unread."""
    compression = compression_of(file.peek(16)) or "none"
    head = unpacked(file.ahead(FIRST_BLOCK), compression).peek(BLOCK)
    return head.startswith(_DEBIAN) or (len(head) >= BLOCK and head[257:262] == b"ustar")


def members(file: Stream) -> Iterator[Member]:
    """The regular files in an archive, in its order, as far as MOST bytes reach; stops where it is damaged."""
    for entry in entries(file):
        if entry.content:
            yield entry.name.removeprefix("./").lstrip("/"), nullcontext(entry.content)


def entries(file: Stream, most: int = MOST, most_entries: int = MOST_FILES) -> Iterator[Entry]:
    """What is in an archive, in its order, as far as `most` bytes reach; stops where it is damaged."""
    if file.peek(len(_DEBIAN)) == _DEBIAN:
        file = _data_of_package(file)
    tar = unpacked(file, compression_of(file.peek(16)) or "none", most)
    for _ in range(most_entries):
        header = tar.read(BLOCK)
        if len(header) < BLOCK:
            return
        size = _size(header)
        if not _has_checksum(header) or size is None:
            return
        at, kind = tar.position, header[156:157]
        # A link has no content, whatever size its header says.
        size = size if kind not in _LINKS else 0
        content = Stream(tar.part(size), size) if kind in _REGULAR else None
        yield Entry(_text(header[:100]), _text(header[157:257]) if kind == b"2" else "", content, at)
        tar.skip(at + size + -size % BLOCK - tar.position)


def _text(field: bytes) -> str:
    return field.split(b"\0")[0].decode("utf-8", "replace")


def _data_of_package(file: Stream) -> Stream:
    """The archive of a package's files.  Source: deb(5) and ar(5)."""
    file.skip(8)
    while len(header := file.read(60)) == 60:
        digits = header[48:58].strip()
        size = int(digits) if digits.isdigit() else 0
        if header.startswith(b"data.tar"):
            return Stream(file.part(size), size)
        file.skip(size + size % 2)
    return Stream([])


def _size(header: bytes) -> int | None:
    """The size field: octal digits, or a binary number of GNU tar's for what is larger than 8 GiB."""
    field = header[124:136]
    if field[0] & 0x80:
        return int.from_bytes(field[1:], "big")
    try:
        return int(field.strip(b" \0") or b"0", 8)
    except ValueError:
        return None


def _has_checksum(header: bytes) -> bool:
    """Whether the header's sum is right; that of two zero blocks, an archive's end, is not."""
    try:
        said = int(header[148:156].strip(b" \0") or b"-1", 8)
    except ValueError:
        return False
    return said == sum(header) - sum(header[148:156]) + 8 * ord(" ")
