"""FAT12, FAT16 and FAT32 with long names, as EFI system partitions have them.

Source: Microsoft's "FAT32 File System Specification", 1.03.
"""

import stat
import struct
from collections.abc import Iterator
from dataclasses import dataclass

from wizard.disk.read.source import Source, Unreadable, laid_out
from wizard.disk.read.tree import Node

FOLDER, VOLUME, LONG_NAME = 0x10, 0x08, 0x0F

MOST_ENTRIES = 65536
"""Of one folder, which is FAT's own limit."""


@dataclass(frozen=True, slots=True)
class FatInfo:
    """What the boot sector says; `bits` is 12, 16 or 32."""

    bits: int
    serial: int
    size: int


def identify(source: Source) -> FatInfo | None:
    """The boot sector, when it is one of a FAT."""
    head = source.peek(0, 512)
    if len(head) < 512 or head[510:] != b"\x55\xaa" or head[0] not in (0xEB, 0xE9):
        return None
    sector, cluster, reserved, tables, root_entries, sectors16, media = struct.unpack_from("<HBHBHHB", head, 11)
    is_plausible = sector in (512, 1024, 2048, 4096) and cluster and not cluster & (cluster - 1)
    if not is_plausible or not reserved or tables not in (1, 2) or (media < 0xF8 and media != 0xF0):
        return None
    per_table = struct.unpack_from("<H", head, 22)[0] or struct.unpack_from("<I", head, 36)[0]
    sectors = sectors16 or struct.unpack_from("<I", head, 32)[0]
    data = reserved + tables * per_table + -(-root_entries * 32 // sector)
    clusters = (sectors - data) // cluster
    if clusters <= 0 or not per_table:
        return None
    bits = 12 if clusters < 4085 else 16 if clusters < 65525 or root_entries else 32
    at = 67 if bits == 32 else 39
    return FatInfo(bits, int.from_bytes(head[at : at + 4], "little"), sectors * sector)


class Fat:
    """The files of a FAT.  It has no owners or modes: all is root's, for everyone to read."""

    folds_case = True

    def __init__(self, source: Source, bits: int) -> None:
        head = source.read(0, 512)
        sector, cluster, reserved, tables, root_entries, _ = struct.unpack_from("<HBHBHH", head, 11)
        per_table = struct.unpack_from("<H", head, 22)[0] or struct.unpack_from("<I", head, 36)[0]
        self._source, self._bits = source, bits
        self._table, self._table_size = reserved * sector, per_table * sector
        root_at = (reserved + tables * per_table) * sector
        self._fixed_root = (root_at, root_entries * 32) if bits != 32 else None
        self._first_cluster = struct.unpack_from("<I", head, 44)[0] if bits == 32 else 0
        self._data = root_at + -(-root_entries * 32 // sector) * sector
        self._cluster = cluster * sector

    def root(self) -> Node:
        """The top folder."""
        return self.node((self._first_cluster, 0, FOLDER))

    def node(self, key: tuple[int, ...]) -> Node:
        """FAT's folders hold all that there is to know: the first cluster, the size, the attributes."""
        _cluster, size, attributes = key
        mode = stat.S_IFDIR | 0o755 if attributes & FOLDER else stat.S_IFREG | 0o644
        return Node(key, mode, 0, 0, 0 if attributes & FOLDER else size)

    def entries(self, folder: Node) -> Iterator[tuple[str, tuple[int, ...]]]:
        """The names in a folder: each long one stands in pieces, the last first, before its short one."""
        long = ""
        for entry in self._entries_of(folder):
            if entry[0] == 0xE5:
                long = ""
            elif entry[11] & 0x3F == LONG_NAME:
                piece = (entry[1:11] + entry[14:26] + entry[28:32]).decode("utf-16-le", "replace")
                long = piece.split("\0")[0] + ("" if entry[0] & 0x40 else long)
            else:
                name, long = long or _short_name(entry), ""
                cluster = int.from_bytes(entry[26:28], "little")
                if self._bits == 32:
                    cluster |= int.from_bytes(entry[20:22], "little") << 16
                if not entry[11] & VOLUME and name not in (".", ".."):
                    yield name, (cluster, int.from_bytes(entry[28:32], "little"), entry[11])

    def label(self) -> bytes:
        """The disk's name: an entry of the top folder, as blkid takes it; the boot sector's is often out of date."""
        entries = self._entries_of(self.root())
        return next((one[:11].rstrip() for one in entries if one[11] & 0x1F == VOLUME and one[0] != 0xE5), b"")

    def content(self, file: Node) -> Iterator[bytes]:
        """A file's bytes."""
        return laid_out(self._spans(file.key[0]), file.size, self._source.work)

    def _entries_of(self, folder: Node) -> Iterator[bytes]:
        """A folder's entries of 32 bytes, up to the end mark."""
        if folder.key[0] == 0 and self._fixed_root:
            pieces: Iterator[bytes] = self._source.pieces(*self._fixed_root)
        else:
            pieces = (piece for _, parts in self._spans(folder.key[0]) for piece in parts)
        count = 0
        for piece in pieces:
            for at in range(0, len(piece), 32):
                count += 1
                if piece[at] == 0 or count > MOST_ENTRIES:
                    return
                yield piece[at : at + 32]

    def _spans(self, cluster: int) -> Iterator[tuple[int, Iterator[bytes]]]:
        """A chain of clusters; one that has more links than the table has room for goes in circles."""
        last = {12: 0xFF8, 16: 0xFFF8, 32: 0xFFFFFF8}[self._bits]
        for index in range(self._table_size * 8 // self._bits):
            if cluster >= last:
                return
            if cluster < 2:
                raise Unreadable("a file's chain of clusters is damaged")
            yield index * self._cluster, self._source.pieces(self._data + (cluster - 2) * self._cluster, self._cluster)
            cluster = self._next(cluster)
        raise Unreadable("a file's chain of clusters goes in circles")

    def _next(self, cluster: int) -> int:
        at = cluster * self._bits // 8
        width = 4 if self._bits == 32 else 2
        if at + width > self._table_size:
            raise Unreadable("a file's chain of clusters is damaged")
        value = int.from_bytes(self._source.read(self._table + at, width), "little")
        if self._bits == 12:
            return value >> 4 if cluster & 1 else value & 0xFFF
        return value & 0xFFFFFFF if self._bits == 32 else value


def _short_name(entry: bytes) -> str:
    """Eight and three characters; bits of byte 12 say that they are to be read as small letters."""
    base, ending = (part.decode("cp437").rstrip() for part in (entry[:8], entry[8:11]))
    base = base.lower() if entry[12] & 8 else base
    ending = ending.lower() if entry[12] & 16 else ending
    return f"{base}.{ending}" if ending else base
