"""Partition tables: GPT and MBR.

Source: UEFI specification 2.10, chapter 5; for logical partitions, what Linux and sfdisk do.
"""

import struct
import uuid
import zlib
from collections.abc import Iterator
from dataclasses import dataclass

from wizard.disk.read.source import Source

SECTOR = 512
EXTENDED = (0x05, 0x0F, 0x85)
PROTECTIVE = 0xEE

MOST_PARTITIONS = 256
"""Linux numbers as many of one disk; sfdisk makes 128 at most."""


@dataclass(frozen=True, slots=True)
class Entry:
    """A partition by the table: `start` and `size` in bytes, `kind` a GUID or two hex digits, ids as in PARTUUID=."""

    number: int
    start: int
    size: int
    kind: str
    partuuid: str
    name: str = ""


@dataclass(frozen=True, slots=True)
class Table:
    """`kind` is "gpt", "dos", or "none" for a file system on the bare disk; `damage` says what is wrong with it."""

    kind: str
    disk_id: str
    sector: int
    entries: tuple[Entry, ...]
    damage: tuple[str, ...] = ()


def read_table(disk: Source) -> Table:
    """The partition table of a disk; of kind "none" where there is none."""
    for sector in (SECTOR, 4096):
        if disk.peek(sector, 8) == b"EFI PART":
            return _gpt(disk, sector)
    first = disk.peek(0, SECTOR)
    slots = [first[at : at + 16] for at in range(446, 510, 16)]
    if len(first) < SECTOR or first[510:] != b"\x55\xaa" or any(slot[0] not in (0, 0x80) for slot in slots):
        return Table("none", "", SECTOR, ())
    disk_id = f"{int.from_bytes(first[440:444], 'little'):08x}"
    entries = tuple(_dos(disk, slots, disk_id))
    if not entries:
        return Table("none", "", SECTOR, ())
    damage = ["It announces a GPT, and there is none."] if slots[0][4] == PROTECTIVE else []
    return Table("dos", disk_id, SECTOR, entries, tuple(damage))


def _dos(disk: Source, slots: list[bytes], disk_id: str) -> Iterator[Entry]:
    for number, slot in enumerate(slots, 1):
        kind, start, size = slot[4], *struct.unpack_from("<II", slot, 8)
        if kind and start and size:
            yield _dos_entry(number, slot, start, disk_id)
        if kind in EXTENDED and start:
            yield from _logical(disk, start, disk_id)


def _logical(disk: Source, first: int, disk_id: str) -> Iterator[Entry]:
    """A chain of tables with one partition each, numbered from 5."""
    at, seen = first, set[int]()
    for number in range(5, MOST_PARTITIONS):
        sector = disk.peek(at * SECTOR, SECTOR)
        if at in seen or sector[510:] != b"\x55\xaa":
            return
        seen.add(at)
        slot, link = sector[446:462], sector[462:478]
        start, size = struct.unpack_from("<II", slot, 8)
        if slot[4] and size:
            yield _dos_entry(number, slot, at + start, disk_id)
        if link[4] not in EXTENDED:
            return
        at = first + struct.unpack_from("<I", link, 8)[0]


def _dos_entry(number: int, slot: bytes, start: int, disk_id: str) -> Entry:
    size = int.from_bytes(slot[12:16], "little")
    partuuid = f"{disk_id}-{number:02x}"
    return Entry(number, start * SECTOR, size * SECTOR, f"{slot[4]:02x}", partuuid)


def _gpt(disk: Source, sector: int) -> Table:
    header = disk.peek(sector, 92).ljust(92, b"\0")
    (header_size,) = struct.unpack_from("<I", header, 12)
    last_usable, disk_id, first, count, size, checksum = struct.unpack_from("<Q16sQIII", header, 48)
    damage = []
    if not 92 <= header_size <= sector or not _holds(header + disk.peek(sector + 92, header_size - 92)):
        damage.append("The checksum of its header is wrong.")
    if not (128 <= size <= 4096 and count * size <= 1 << 20):
        return Table("gpt", _guid(disk_id), sector, (), (*damage, "Its header makes no sense."))
    array = disk.peek(first * sector, count * size)
    if zlib.crc32(array) != checksum:
        damage.append("The checksum of its entries is wrong.")
    if (last_usable + 1) * sector > disk.size:
        damage.append("It was made for a larger disk: the image is cut off.")
    elif disk.peek(int.from_bytes(header[32:40], "little") * sector, 8) != b"EFI PART":
        damage.append("Its copy at the end of the disk is not where it should be.")
    entries = list(_gpt_entries(array, size, sector))
    return Table("gpt", _guid(disk_id), sector, tuple(entries[:MOST_PARTITIONS]), tuple(damage))


def _gpt_entries(array: bytes, size: int, sector: int) -> Iterator[Entry]:
    for number, at in enumerate(range(0, len(array) - 127, size), 1):
        kind, partuuid, first, last = struct.unpack_from("<16s16sQQ", array, at)
        if any(kind) and last >= first:
            name = array[at + 56 : at + 128].decode("utf-16-le", "replace").split("\0")[0]
            yield Entry(number, first * sector, (last - first + 1) * sector, _guid(kind), _guid(partuuid), name)


def _holds(header: bytes) -> bool:
    """Whether the header's checksum, taken with itself as zeros, is right."""
    return zlib.crc32(header[:16] + bytes(4) + header[20:]) == int.from_bytes(header[16:20], "little")


def _guid(data: bytes) -> str:
    return str(uuid.UUID(bytes_le=data))
