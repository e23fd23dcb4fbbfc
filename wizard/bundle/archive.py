"""A disk image as a tar archive of one member, holes left out.

The member has GNU's old sparse form, as Amazon's own tools made it with `tar --sparse`.
Sources: GNU tar manual, "Old GNU format" and "Storing sparse files"; ec2-ami-tools 1.5, ec2/amitools/bundle.rb.
"""

import os
import tarfile
from collections.abc import Iterator
from itertools import chain

from wizard.files import data_extents

BLOCK = 512
RECORD = 20 * BLOCK
"""A tar archive is filled up to a multiple of this."""

CHUNK = 1 << 20

FIRST_ENTRIES, MORE_ENTRIES = 4, 21
"""Entries of the map of data in the header, and in each block behind it."""

MAP_AT, MORE_AT, SIZE_AT = 386, 482, 483
"""Where in the header the map begins, where it says that there is more of it, and where the file's size stands."""

CHECKSUM_AT = 148


def tar_stream(fd: int, name: str, time: int) -> Iterator[bytes]:
    """The archive of an open file in pieces of at most 1 MiB; the same file, name and time give the same bytes.

    Only what is data is read, once and in order.  `time` is the member's, in Unix seconds.
    """
    size = os.fstat(fd).st_size
    extents = _whole_blocks(data_extents(fd), size)
    length = 0
    for piece in chain(_head(name, time, size, extents), _data(fd, extents), [bytes(2 * BLOCK)]):
        length += len(piece)
        yield piece
    yield bytes(-length % RECORD)


def data_size(fd: int) -> int:
    """How many bytes of a file are data and will be read."""
    return sum(length for _, length in _whole_blocks(data_extents(fd), os.fstat(fd).st_size))


def _whole_blocks(extents: Iterator[tuple[int, int]], size: int) -> list[tuple[int, int]]:
    """Offset and length of each stretch of data, grown to whole blocks: in the archive each one begins with a block."""
    found: list[tuple[int, int]] = []
    for start, end in extents:
        first, last = start // BLOCK * BLOCK, min(-(-end // BLOCK) * BLOCK, size)
        if found and first <= sum(found[-1]):
            first = found.pop()[0]
        found.append((first, last - first))
    return found


def _head(name: str, time: int, size: int, extents: list[tuple[int, int]]) -> Iterator[bytes]:
    """The member's header with the map of its data, and the blocks for what of the map is left."""
    info = tarfile.TarInfo(name)
    info.type, info.mtime = tarfile.GNUTYPE_SPARSE, time
    info.size = sum(length for _, length in extents)
    info.uname = info.gname = "root"
    # One that ends with a hole has an entry of length 0 at its end.
    entries = [*extents, (size, 0)] if not extents or sum(extents[-1]) < size else extents
    fields = [_number(offset) + _number(length) for offset, length in entries]
    header = bytearray(info.tobuf(tarfile.GNU_FORMAT))
    first, rest = fields[:FIRST_ENTRIES], fields[FIRST_ENTRIES:]
    header[MAP_AT : MAP_AT + 24 * len(first)] = b"".join(first)
    header[MORE_AT] = bool(rest)
    header[SIZE_AT : SIZE_AT + 12] = _number(size)
    header[CHECKSUM_AT : CHECKSUM_AT + 8] = b" " * 8
    header[CHECKSUM_AT : CHECKSUM_AT + 8] = b"%06o\0 " % sum(header)
    yield bytes(header)
    while rest:
        these, rest = rest[:MORE_ENTRIES], rest[MORE_ENTRIES:]
        yield b"".join(these).ljust(24 * MORE_ENTRIES, b"\0") + bytes([bool(rest)]) + bytes(7)


def _data(fd: int, extents: list[tuple[int, int]]) -> Iterator[bytes]:
    for offset, length in extents:
        for at in range(offset, offset + length, CHUNK):
            piece = os.pread(fd, min(CHUNK, offset + length - at), at)
            yield piece
        yield bytes(-length % BLOCK)


def _number(value: int) -> bytes:
    """A number as tar writes it: octal digits, or binary with the highest bit set where 11 digits are too few."""
    if value < 8**11:
        return b"%011o\0" % value
    return (value | 1 << 95).to_bytes(12)
