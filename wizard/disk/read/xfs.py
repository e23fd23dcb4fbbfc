"""XFS, versions 4 and 5.

Source: "XFS Algorithms & Data Structures", 3rd edition (xfs-documentation), and the kernel's
fs/xfs/libxfs/xfs_format.h and xfs_da_format.h for what it lacks.  All numbers are big-endian.
"""

import stat
import struct
from collections.abc import Iterator
from dataclasses import dataclass

from wizard.disk.read.source import Source, Unreadable, laid_out
from wizard.disk.read.tree import Node

MAGIC = b"XFSB"

RO_COMPAT = {0: "finobt", 1: "rmapbt", 2: "reflink", 3: "inobtcount"}
INCOMPAT = {0: "ftype", 1: "spinodes", 2: "meta_uuid", 3: "bigtime", 4: "needsrepair", 5: "nrext64", 6: "exchange"}
INCOMPAT |= {7: "parent", 8: "metadir", 9: "zoned"}
VERSION_4 = {
    0x0010: "attr",
    0x0080: "align",
    0x0400: "logv2",
    0x1000: "unwritten",
    0x2000: "dirv2",
    0x8000: "moreflags",
}
VERSION_4_MORE = {0x02: "lazy-count", 0x08: "attr2", 0x80: "projid32", 0x100: "crc", 0x200: "ftype"}

LOCAL, EXTENTS, TREE = 1, 2, 3
"""Where an inode has its content: in itself, in a list of extents, in a tree of extents."""

REALTIME = 1
MANY_EXTENTS = 1 << 4
"""Flags of an inode; the second stands in its flags2 (nrext64)."""


@dataclass(frozen=True, slots=True)
class XfsInfo:
    """What the superblock says."""

    version: int
    uuid: bytes
    label: bytes
    features: tuple[str, ...]
    size: int


def identify(source: Source) -> XfsInfo | None:
    """The superblock, when there is one."""
    head = source.peek(0, 512)
    if len(head) < 512 or head[:4] != MAGIC:
        return None
    block, blocks = struct.unpack_from(">IQ", head, 4)
    (flags,) = struct.unpack_from(">H", head, 100)
    (more,) = struct.unpack_from(">I", head, 200)
    version = flags & 15
    if version >= 5:
        ro_compat, incompat = struct.unpack_from(">II", head, 212)
        features = ["crc", *_bits(ro_compat, RO_COMPAT), *_bits(incompat, INCOMPAT)]
    else:
        features = [name for bit, name in VERSION_4.items() if flags & bit and name != "moreflags"]
        if flags & 0x8000:
            features += [name for bit, name in VERSION_4_MORE.items() if more & bit]
    return XfsInfo(version, head[32:48], head[108:120].split(b"\0")[0], (f"v{version}", *features), block * blocks)


def _bits(value: int, names: dict[int, str]) -> list[str]:
    return [names.get(bit, f"feature_{bit}") for bit in range(32) if value >> bit & 1]


class Xfs:
    """The files of an XFS."""

    folds_case = False

    def __init__(self, source: Source, features: tuple[str, ...]) -> None:
        """Raises Unreadable for what we do not read, and for a superblock that cannot be."""
        if "zoned" in features:
            raise Unreadable("we do not read XFS with the feature zoned")
        head = source.read(0, 512)
        self._source = source
        self._is_v5 = "crc" in features
        self._has_types = "ftype" in features
        self._block = int.from_bytes(head[4:8], "big")
        (self._root,) = struct.unpack_from(">Q", head, 56)
        self._group_blocks = int.from_bytes(head[84:88], "big")
        self._groups = int.from_bytes(head[88:92], "big")
        (self._inode_size,) = struct.unpack_from(">H", head, 104)
        block_log, _, _, self._per_block_log, self._group_log = head[120:125]
        self._folder_block = self._block << head[192]
        is_sound = 512 <= self._block <= 65536 and 256 <= self._inode_size <= 2048 and self._folder_block <= 65536
        if not is_sound or self._block != 1 << block_log or self._per_block_log > 8 or self._group_log > 32:
            raise Unreadable("its superblock is damaged")

    def root(self) -> Node:
        """The top folder."""
        return self.node((self._root,))

    def node(self, key: tuple[int, ...]) -> Node:
        """The inode of that number: the numbers of its group, its block in it, its place in that."""
        (number,) = key
        block, index = number >> self._per_block_log, number & ((1 << self._per_block_log) - 1)
        raw = self._source.read(self._at(block) + index * self._inode_size, self._inode_size)
        if raw[:2] != b"IN":
            raise Unreadable(f"it points to inode {number}, where there is none")
        (mode,) = struct.unpack_from(">H", raw, 2)
        uid, gid = struct.unpack_from(">II", raw, 8)
        (size,) = struct.unpack_from(">Q", raw, 56)
        return Node(key, mode, uid, gid, size, raw)

    def entries(self, folder: Node) -> Iterator[tuple[str, tuple[int, ...]]]:
        """A small folder stands in its inode; a larger one has blocks of entries, and behind them those of an index."""
        if folder.raw[5] == LOCAL:
            yield from self._short_folder(self._fork(folder.raw)[: folder.size])
            return
        rest = b""
        for piece in self.content(folder):
            rest += piece
            while len(rest) >= self._folder_block:
                yield from self._folder_entries(rest[: self._folder_block])
                rest = rest[self._folder_block :]

    def content(self, file: Node) -> Iterator[bytes]:
        """A file's bytes, or a link's target."""
        if file.raw[5] == LOCAL:
            return iter([self._fork(file.raw)[: file.size]])
        if stat.S_ISLNK(file.mode) and self._is_v5:
            return self._long_target(file)
        return laid_out(self._spans(file), file.size, self._source.work)

    def _at(self, block: int) -> int:
        """The byte where a block lies: the upper bits of its number are its group."""
        group, within = block >> self._group_log, block & ((1 << self._group_log) - 1)
        if group >= self._groups or within >= self._group_blocks:
            raise Unreadable(f"it points to block {block}, which it does not have")
        return (group * self._group_blocks + within) * self._block

    def _fork(self, raw: bytes) -> bytes:
        """The part of an inode that holds its content, or says where it is."""
        start = 176 if raw[4] >= 3 else 100
        return raw[start : start + raw[82] * 8 if raw[82] else None]

    def _short_folder(self, area: bytes) -> Iterator[tuple[str, tuple[int, ...]]]:
        if len(area) < 6:
            raise Unreadable("a folder is damaged")
        count, width = area[0], 8 if area[1] else 4
        at = 2 + width
        for _ in range(count):
            end = at + 3 + area[at] if at < len(area) else len(area)
            name = area[at + 3 : end]
            end += self._has_types
            number = area[end : end + width]
            if len(number) < width:
                raise Unreadable("a folder is damaged")
            yield name.decode("utf-8", "surrogateescape"), (int.from_bytes(number, "big"),)
            at = end + width

    def _folder_entries(self, block: bytes) -> Iterator[tuple[str, tuple[int, ...]]]:
        magic = block[:4]
        if magic == b"\0\0\0\0":
            return
        if magic not in (b"XD2B", b"XD2D", b"XDB3", b"XDD3"):
            raise Unreadable("a folder is damaged")
        at, end = 64 if self._is_v5 else 16, len(block)
        if magic in (b"XD2B", b"XDB3"):
            end -= 8 + 8 * int.from_bytes(block[-8:-4], "big")
        while at + 12 <= end:
            if block[at : at + 2] == b"\xff\xff":
                length = int.from_bytes(block[at + 2 : at + 4], "big")
                if length < 8 or length % 8:
                    raise Unreadable("a folder is damaged")
                at += length
                continue
            number, name_length = struct.unpack_from(">QB", block, at)
            name = block[at + 9 : at + 9 + name_length]
            if name not in (b".", b".."):
                yield name.decode("utf-8", "surrogateescape"), (number,)
            at += (9 + name_length + self._has_types + 2 + 7) // 8 * 8

    def _long_target(self, link: Node) -> Iterator[bytes]:
        """Each of its blocks begins with 56 bytes about itself."""
        left = min(link.size, 4096)
        for _, blocks in self._spans(link):
            for piece in blocks:
                for at in range(0, len(piece), self._block):
                    part = piece[at + 56 : at + self._block][:left]
                    left -= len(part)
                    yield part

    def _spans(self, file: Node) -> Iterator[tuple[int, Iterator[bytes]]]:
        raw = file.raw
        if int.from_bytes(raw[90:92], "big") & REALTIME:
            raise Unreadable("we do not read the realtime part of an XFS")
        # What lies further out is the index of a folder.
        end = -(-file.size // self._block)
        for logical, block, count in self._extents(raw):
            if logical >= end:
                return
            yield logical * self._block, self._source.pieces(self._at(block), count * self._block)

    def _extents(self, raw: bytes) -> Iterator[tuple[int, int, int]]:
        """The blocks of a file: which of its own, where, how many."""
        fork = self._fork(raw)
        if raw[5] == TREE:
            level, count = struct.unpack_from(">HH", fork)
            room = (len(fork) - 4) // 16
            yield from self._children(fork, 4, room, count, level)
            return
        if raw[5] != EXTENTS:
            raise Unreadable("where a file's content lies is not known")
        (count,) = struct.unpack_from(">I", raw, 76)
        if raw[4] >= 3 and int.from_bytes(raw[120:128], "big") & MANY_EXTENTS:
            (count,) = struct.unpack_from(">Q", raw, 24)
        yield from _records(fork, 0, count)

    def _children(self, node: bytes, start: int, room: int, count: int, level: int) -> Iterator[tuple[int, int, int]]:
        """What is below a node of the tree: keys for as many children as fit, then where these are."""
        if count > room or not 1 <= level <= 9:
            raise Unreadable("the list of a file's blocks is damaged")
        for at in range(start + room * 8, start + room * 8 + count * 8, 8):
            block = self._source.read(self._at(int.from_bytes(node[at : at + 8], "big")), self._block)
            if block[:4] not in (b"BMAP", b"BMA3") or int.from_bytes(block[4:6], "big") != level - 1:
                raise Unreadable("the list of a file's blocks is damaged")
            head = 72 if self._is_v5 else 24
            inner = int.from_bytes(block[6:8], "big")
            if level == 1:
                yield from _records(block, head, inner)
            else:
                yield from self._children(block, head, (self._block - head) // 16, inner, level - 1)


def _records(data: bytes, start: int, count: int) -> Iterator[tuple[int, int, int]]:
    """Packed into 128 bits: whether it was never written, 54 bits of place in the file, 52 of where, 21 of how many."""
    if start + 16 * count > len(data):
        raise Unreadable("the list of a file's blocks is damaged")
    for at in range(start, start + 16 * count, 16):
        value = int.from_bytes(data[at : at + 16], "big")
        if not value >> 127:
            yield value >> 73 & ((1 << 54) - 1), value >> 21 & ((1 << 52) - 1), value & ((1 << 21) - 1)
