"""Which kernel modules an initramfs holds.

Source: the kernel's Documentation/driver-api/early-userspace/buffer-format.rst: cpio archives one behind the other,
packed or not, with zeros between them; microcode stands plain before the rest.
"""

import re
from pathlib import Path

from wizard.explain import Failure
from wizard.kernel.audit import same_module
from wizard.kernel.sniff import looks_like, opened
from wizard.kernel.stream import Stream
from wizard.kernel.unpack import compression_of, unpacked

HEADER = 110
NAME_AT, SIZE_AT = 94, 54
LONGEST_NAME = 4096
ENDS = "TRAILER!!!"
MOST = 2 << 30
"""As much of the content is read; the largest real ones, with all drivers and firmware, have half of that."""

_MODULE = re.compile(r"([^/]+)\.ko(?:\.(?:gz|xz|zst))?$")


def modules_in(path: Path) -> frozenset[str]:
    """The names of the modules, as `same_module` writes them.

    Raises Failure "unreadable-file", "not-an-initramfs" when it is something else or breaks off.
    """
    with opened(path) as packed:
        return modules_of(path, packed)


def modules_of(path: Path, packed: Stream) -> frozenset[str]:
    """As `modules_in`, of content that comes along; the path is for people."""
    head = packed.peek(4096)
    found: set[str] = set()
    try:
        while start := _start(packed):
            found |= _segment(packed, start)
    except ValueError as error:
        raise Failure("not-an-initramfs", path=path, looks=looks_like(head), evidence=[str(error)]) from error
    if not head:
        raise Failure("not-an-initramfs", path=path, looks=looks_like(head))
    return frozenset(found)


def _start(packed: Stream) -> bytes:
    """The first bytes of the next archive, behind the zeros; none at the end."""
    while (ahead := packed.peek(4)) and not ahead.strip(b"\0"):
        packed.skip(len(ahead))
    return packed.peek(6)


def _segment(packed: Stream, start: bytes) -> set[str]:
    if start in (b"070701", b"070702"):
        return _archive(packed)
    compression = compression_of(start)
    if compression is None:
        raise ValueError("no cpio archive")
    content = unpacked(packed, compression, MOST)
    found: set[str] = set()
    while inner := _start(content):
        if inner not in (b"070701", b"070702"):
            raise ValueError(f"{compression} data without a cpio archive")
        found |= _archive(content)
    if content.damage:
        raise ValueError(f"it breaks off: {content.damage}")
    # What was packed is the last thing in an initramfs.
    packed.skip(MOST)
    return found


def _archive(content: Stream) -> set[str]:
    """One archive up to its end mark."""
    found: set[str] = set()
    while True:
        header = content.read(HEADER)
        if len(header) < HEADER or not header.startswith((b"070701", b"070702")):
            raise ValueError("the cpio archive breaks off")
        name_size, size = int(header[NAME_AT : NAME_AT + 8], 16), int(header[SIZE_AT : SIZE_AT + 8], 16)
        if not 0 < name_size <= LONGEST_NAME:
            raise ValueError("a file's name in the cpio archive is too long")
        name = content.read(name_size).rstrip(b"\0").decode("utf-8", "replace")
        content.skip(-(HEADER + name_size) % 4)
        if name == ENDS:
            return found
        content.skip(size + -size % 4)
        if match := _MODULE.search(name):
            found.add(same_module(match[1]))
