"""The ELF file that a kernel is inside: for which machine, what of it is loaded, and its notes for Xen."""

import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

HEAD = 4096
"""The header and the program headers of a kernel lie within this much."""

MACHINES = {3: "i386", 62: "x86_64", 183: "arm64"}
EXECUTABLE = (2, 3)
MOST_NOTES = 64 << 10
"""A kernel's notes have some hundred bytes."""

XEN_NOTES = {
    1: "ENTRY",
    2: "HYPERCALL_PAGE",
    3: "VIRT_BASE",
    4: "PADDR_OFFSET",
    5: "XEN_VERSION",
    6: "GUEST_OS",
    7: "GUEST_VERSION",
    8: "LOADER",
    9: "PAE_MODE",
    10: "FEATURES",
    12: "HV_START_LOW",
    15: "INIT_P2M",
    16: "MOD_START_PFN",
    17: "SUPPORTED_FEATURES",
    18: "PHYS32_ENTRY",
}
"""Source: Xen's xen/include/public/elfnote.h."""

_TEXTS = ("XEN_VERSION", "GUEST_OS", "GUEST_VERSION", "LOADER", "PAE_MODE", "FEATURES")
_LOAD, _NOTE = 1, 4

XenNotes = Mapping[str, str | int]


@dataclass(frozen=True, slots=True)
class Elf:
    """What an ELF header says.

    kind    of the file, 2 and 3 are executable
    arch    "i386", "x86_64", "arm64"; None for others
    loaded  where in the file its last loaded byte ends; what follows (symbols, debug information) is not the kernel
    align   the strictest alignment of a loaded segment, in bytes
    notes   where in the file its notes are: offset and size
    """

    kind: int
    arch: str | None
    loaded: int
    align: int
    notes: tuple[tuple[int, int], ...]


def parse(head: bytes) -> Elf | None:
    """The ELF file that begins with these bytes (HEAD of them will do); None when it is none.  Never raises."""
    if len(head) < 64 or not head.startswith(b"\x7fELF"):
        return None
    order = "<" if head[5] == 1 else ">"
    is_64 = head[4] == 2
    kind, machine = struct.unpack_from(f"{order}HH", head, 16)
    if is_64:
        (start,) = struct.unpack_from(f"{order}Q", head, 32)
        size, count = struct.unpack_from(f"{order}HH", head, 54)
    else:
        (start,) = struct.unpack_from(f"{order}I", head, 28)
        size, count = struct.unpack_from(f"{order}HH", head, 42)
    loaded, align, notes = 0, 0, []
    for number in range(count):
        at = start + number * size
        if at + 56 > len(head):
            break
        segment, offset, length, boundary = _segment(head, at, order, is_64)
        if segment == _LOAD:
            loaded, align = max(loaded, offset + length), max(align, boundary)
        elif segment == _NOTE and 0 < length <= MOST_NOTES:
            notes.append((offset, length))
    return Elf(kind, MACHINES.get(machine), loaded, align, tuple(notes[:4]))


def _segment(head: bytes, at: int, order: str, is_64: bool) -> tuple[int, int, int, int]:
    """A program header's type, offset in the file, size in the file and alignment."""
    if is_64:
        kind, _, offset, _, _, length, _, align = struct.unpack_from(f"{order}IIQQQQQQ", head, at)
    else:
        kind, offset, _, _, length, _, _, align = struct.unpack_from(f"{order}8I", head, at)
    return kind, offset, length, align


def xen_notes(data: bytes) -> dict[str, str | int]:
    """The notes for Xen in a note segment, by their names in elfnote.h; empty when there are none.  Never raises."""
    return dict(_xen_notes(data))


def _xen_notes(data: bytes) -> Iterator[tuple[str, str | int]]:
    at = 0
    while at + 12 <= len(data):
        name_size, size, kind = struct.unpack_from("<III", data, at)
        content_at = at + 12 + (name_size + 3 & ~3)
        content = data[content_at : content_at + size]
        name = XEN_NOTES.get(kind)
        if data[at + 12 : at + 16] == b"Xen\0" and name_size == 4 and name and len(content) == size:
            yield name, _text(content) if name in _TEXTS else int.from_bytes(content[:8], "little")
        at = content_at + (size + 3 & ~3)


def _text(content: bytes) -> str:
    return content.split(b"\0")[0].decode("ascii", "replace")
