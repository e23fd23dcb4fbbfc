"""ext2, ext3 and ext4.

Source: the kernel's Documentation/filesystems/ext4 ("ext4 Data Structures and Algorithms").
"""

import stat
import struct
from collections.abc import Iterator
from dataclasses import dataclass

from wizard.disk.read.source import Source, Unreadable, laid_out
from wizard.disk.read.tree import Node

MAGIC = b"\x53\xef"

COMPAT = {0: "dir_prealloc", 2: "has_journal", 3: "ext_attr", 4: "resize_inode", 5: "dir_index", 9: "sparse_super2"}
COMPAT |= {10: "fast_commit", 11: "stable_inodes", 12: "orphan_file"}
INCOMPAT = {
    0: "compression",
    1: "filetype",
    2: "needs_recovery",
    3: "journal_dev",
    4: "meta_bg",
    6: "extent",
    7: "64bit",
}
INCOMPAT |= {8: "mmp", 9: "flex_bg", 10: "ea_inode", 12: "dirdata", 13: "metadata_csum_seed", 14: "large_dir"}
INCOMPAT |= {15: "inline_data", 16: "encrypt", 17: "casefold"}
RO_COMPAT = {0: "sparse_super", 1: "large_file", 3: "huge_file", 4: "uninit_bg", 5: "dir_nlink", 6: "extra_isize"}
RO_COMPAT |= {7: "snapshot", 8: "quota", 9: "bigalloc", 10: "metadata_csum", 11: "replica", 12: "read-only"}
RO_COMPAT |= {13: "project", 14: "shared_blocks", 15: "verity", 16: "orphan_present"}
"""Bits by their numbers, named as in ext4(5)."""

NOT_IN_EXT3 = ~0b10110, ~0b111
"""Bits of INCOMPAT and RO_COMPAT that make it ext4, as the kernel and blkid see it."""

CANNOT_READ = ("compression", "journal_dev", "meta_bg", "inline_data", "encrypt")

EXTENTS = 0x80000
ROOT = 2


@dataclass(frozen=True, slots=True)
class ExtInfo:
    """What the superblock says."""

    kind: str
    uuid: bytes
    label: bytes
    features: tuple[str, ...]
    size: int


def identify(source: Source) -> ExtInfo | None:
    """The superblock, when there is one."""
    head = source.peek(1024, 1024)
    if len(head) < 1024 or head[0x38:0x3A] != MAGIC:
        return None
    compat, incompat, ro_compat = struct.unpack_from("<III", head, 0x5C)
    features = [*_bits(compat, COMPAT), *_bits(incompat, INCOMPAT), *_bits(ro_compat, RO_COMPAT)]
    kind = "ext3" if "has_journal" in features else "ext2"
    if incompat & NOT_IN_EXT3[0] or ro_compat & NOT_IN_EXT3[1]:
        kind = "ext4"
    blocks = int.from_bytes(head[4:8], "little")
    if "64bit" in features:
        blocks |= int.from_bytes(head[0x150:0x154], "little") << 32
    size = blocks << (10 + min(head[0x18], 6))
    return ExtInfo(kind, head[0x68:0x78], head[0x78:0x88].split(b"\0")[0], tuple(features), size)


def _bits(value: int, names: dict[int, str]) -> list[str]:
    return [names.get(bit, f"feature_{bit}") for bit in range(32) if value >> bit & 1]


class Ext:
    """The files of an ext2, ext3 or ext4."""

    folds_case = False

    def __init__(self, source: Source, features: tuple[str, ...]) -> None:
        """Raises Unreadable for what we do not read, and for a superblock that cannot be."""
        if unknown := [name for name in features if name in CANNOT_READ]:
            raise Unreadable(f"we do not read ext4 with the feature {unknown[0]}")
        head = source.read(1024, 1024)
        self._source = source
        self._inodes, log_size = struct.unpack_from("<I", head)[0], struct.unpack_from("<I", head, 0x18)[0]
        self._per_group = struct.unpack_from("<I", head, 0x28)[0]
        is_dynamic = struct.unpack_from("<I", head, 0x4C)[0] > 0
        self._inode_size = struct.unpack_from("<H", head, 0x58)[0] if is_dynamic else 128
        self._descriptor_size = struct.unpack_from("<H", head, 0xFE)[0] if "64bit" in features else 32
        if log_size > 6 or not self._per_group or self._inode_size < 128 or self._descriptor_size < 32:
            raise Unreadable("its superblock is damaged")
        self._block = 1024 << log_size
        self._descriptors = (struct.unpack_from("<I", head, 0x14)[0] + 1) * self._block

    def root(self) -> Node:
        """The top folder."""
        return self.node((ROOT,))

    def node(self, key: tuple[int, ...]) -> Node:
        """The inode of that number."""
        (number,) = key
        if not 1 <= number <= self._inodes:
            raise Unreadable(f"it points to inode {number}, of {self._inodes}")
        group, index = divmod(number - 1, self._per_group)
        descriptor = self._source.read(self._descriptors + group * self._descriptor_size, self._descriptor_size)
        table = int.from_bytes(descriptor[8:12], "little")
        if self._descriptor_size >= 64:
            table |= int.from_bytes(descriptor[0x28:0x2C], "little") << 32
        raw = self._source.read(table * self._block + index * self._inode_size, 128)
        mode, uid, low = struct.unpack_from("<HHI", raw)
        (gid,) = struct.unpack_from("<H", raw, 0x18)
        (high,) = struct.unpack_from("<I", raw, 0x6C)
        uid_high, gid_high = struct.unpack_from("<HH", raw, 0x78)
        return Node(key, mode, uid | uid_high << 16, gid | gid_high << 16, low | high << 32, raw)

    def entries(self, folder: Node) -> Iterator[tuple[str, tuple[int, ...]]]:
        """Reads a folder's blocks one by one; to an old reader the blocks of its index look empty."""
        for block in self._blocks_of(folder):
            at = 0
            while at + 8 <= len(block):
                number, length, name_length = struct.unpack_from("<IHB", block, at)
                length = len(block) if length in (0, 65535) and self._block == 65536 else length
                if length < 8 or length % 4 or at + length > len(block) or name_length + 8 > length:
                    raise Unreadable("a folder is damaged")
                name = block[at + 8 : at + 8 + name_length]
                if number and name not in (b".", b".."):
                    yield name.decode("utf-8", "surrogateescape"), (number,)
                at += length

    def content(self, file: Node) -> Iterator[bytes]:
        """A file's bytes; a short link's target stands in the inode itself."""
        if stat.S_ISLNK(file.mode) and file.size < 60:
            return iter([file.raw[0x28 : 0x28 + file.size]])
        return laid_out(self._spans(file), file.size, self._source.work)

    def _blocks_of(self, folder: Node) -> Iterator[bytes]:
        for piece in self.content(folder):
            yield from (piece[at : at + self._block] for at in range(0, len(piece), self._block))

    def _spans(self, file: Node) -> Iterator[tuple[int, Iterator[bytes]]]:
        flags = int.from_bytes(file.raw[0x20:0x24], "little")
        area = file.raw[0x28:0x64]
        for logical, physical, count in self._extents(area, 5) if flags & EXTENTS else self._mapped(area, file.size):
            yield logical * self._block, self._source.pieces(physical * self._block, count * self._block)

    def _extents(self, area: bytes, deepest: int) -> Iterator[tuple[int, int, int]]:
        """The blocks of a file: which of its own, where, how many."""
        magic, count, _most, depth = struct.unpack_from("<HHHH", area)
        if magic != 0xF30A or depth > deepest or 12 + 12 * count > len(area):
            raise Unreadable("the list of a file's blocks is damaged")
        for at in range(12, 12 + 12 * count, 12):
            if depth:
                _logical, low, high = struct.unpack_from("<IIH", area, at)
                block = self._source.read((low | high << 32) * self._block, self._block)
                yield from self._extents(block, depth - 1)
                continue
            logical, length, high, low = struct.unpack_from("<IHHI", area, at)
            # More than 32768: set aside and not written yet, so it reads as zeros.
            if length <= 32768:
                yield logical, low | high << 32, length

    def _mapped(self, area: bytes, size: int) -> Iterator[tuple[int, int, int]]:
        """The same, of the older kind: twelve blocks, and three trees of pointers."""
        pointers = struct.unpack("<15I", area)
        end = -(-size // self._block)
        yield from ((index, block, 1) for index, block in enumerate(pointers[:12]) if block and index < end)
        start, reach = 12, self._block // 4
        for level, block in enumerate(pointers[12:], 1):
            if start >= end:
                return
            yield from self._indirect(block, level, start, end)
            start += reach**level

    def _indirect(self, block: int, level: int, start: int, end: int) -> Iterator[tuple[int, int, int]]:
        if block == 0:
            return
        if level == 0:
            yield start, block, 1
            return
        reach = (self._block // 4) ** (level - 1)
        for pointer in struct.unpack(f"<{self._block // 4}I", self._source.read(block * self._block, self._block)):
            if start >= end:
                return
            yield from self._indirect(pointer, level - 1, start, end)
            start += reach
