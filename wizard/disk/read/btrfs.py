"""btrfs on one device, with its subvolumes and packed files.

Source: btrfs-progs' Documentation/dev/On-disk-format.rst and the kernel's include/uapi/linux/btrfs_tree.h.
"""

import struct
from bisect import bisect_left, bisect_right
from collections import OrderedDict
from collections.abc import Iterator
from copy import copy
from dataclasses import dataclass

from wizard.disk.read.btrfs_packed import unpack
from wizard.disk.read.source import Source, Unreadable, laid_out
from wizard.disk.read.tree import Node

SUPERBLOCK, MAGIC = 0x10000, b"_BHRfS_M"

COMPAT_RO = {0: "free-space-tree", 1: "free-space-tree-valid", 2: "verity", 3: "block-group-tree"}
INCOMPAT = {0: "mixed-backref", 1: "default-subvol", 2: "mixed-groups", 3: "compress-lzo", 4: "compress-zstd"}
INCOMPAT |= {5: "big-metadata", 6: "extref", 7: "raid56", 8: "skinny-metadata", 9: "no-holes", 10: "metadata-uuid"}
INCOMPAT |= {11: "raid1c34", 12: "zoned", 13: "extent-tree-v2", 14: "raid-stripe-tree", 16: "simple-quota"}

INODE_ITEM, DIR_ITEM, DIR_INDEX, EXTENT_DATA, ROOT_ITEM, CHUNK_ITEM = 1, 84, 96, 108, 132, 228
ROOT_TREE_DIR, TOP_VOLUME, FIRST_VOLUME, LAST_VOLUME, FIRST_INODE = 6, 5, 256, (1 << 64) - 256, 256
MANY_DISKS = 0x08 | 0x40 | 0x80 | 0x100
"""Chunks of RAID0, 10, 5 and 6; of the others each copy is whole."""

Key = tuple[int, int, int]
LAST = (1 << 64) - 1

KEPT_BLOCKS = 512


@dataclass(frozen=True, slots=True)
class BtrfsInfo:
    """What the superblock says."""

    uuid: bytes
    label: bytes
    features: tuple[str, ...]
    size: int


def identify(source: Source) -> BtrfsInfo | None:
    """The superblock, when there is one."""
    head = source.peek(SUPERBLOCK, 4096)
    if len(head) < 4096 or head[0x40:0x48] != MAGIC:
        return None
    compat_ro, incompat = struct.unpack_from("<QQ", head, 0xB4)
    features = (*_bits(incompat, INCOMPAT), *_bits(compat_ro, COMPAT_RO))
    (size,) = struct.unpack_from("<Q", head, 0x70)
    return BtrfsInfo(head[0x20:0x30], head[0x12B:0x22B].split(b"\0")[0], features, size)


def _bits(value: int, names: dict[int, str]) -> list[str]:
    return [names.get(bit, f"feature_{bit}") for bit in range(64) if value >> bit & 1]


@dataclass(frozen=True, slots=True)
class _Block:
    """A node of a tree, with keys in order; behind each a branch has the address of a block, a leaf an item."""

    level: int
    keys: list[Key]
    links: list[int]
    items: list[bytes]


class Btrfs:
    """The files of a btrfs, from its default subvolume on or, with `volume`, from another one."""

    folds_case = False

    def __init__(self, source: Source, features: tuple[str, ...]) -> None:
        """Raises Unreadable for what we do not read, and where its first trees are damaged."""
        if unknown := [name for name in ("zoned", "extent-tree-v2", "raid-stripe-tree") if name in features]:
            raise Unreadable(f"we do not read btrfs with the feature {unknown[0]}")
        head = source.read(SUPERBLOCK, 4096)
        self._source = source
        root, chunk_root = struct.unpack_from("<QQ", head, 0x50)
        (devices,) = struct.unpack_from("<Q", head, 0x88)
        self._sector, self._node_size = struct.unpack_from("<II", head, 0x90)
        if devices != 1:
            raise Unreadable(f"it lies on {devices} disks, of which this is one")
        if not 512 <= self._node_size <= 65536 or not 512 <= self._sector <= 65536:
            raise Unreadable("its superblock is damaged")
        self._blocks: OrderedDict[int, _Block] = OrderedDict()
        self._roots: dict[int, int] = {}
        self._chunks: list[tuple[int, int, int]] = []
        size = min(struct.unpack_from("<I", head, 0xA0)[0], 2048)
        self._add_chunks(_array(head[0x32B : 0x32B + size]))
        self._chunks = sorted(self._chunks)
        every = list(self._items(chunk_root, (0, CHUNK_ITEM, 0), (LAST, CHUNK_ITEM, LAST)))
        self._chunks = []
        self._add_chunks((key, data) for key, data in every if key[1] == CHUNK_ITEM)
        self._chunks.sort()
        self._root_tree = root
        self.volume = self._default()

    def root(self) -> Node:
        """The top folder of the chosen subvolume."""
        return self.node((self.volume, FIRST_INODE))

    def node(self, key: tuple[int, ...]) -> Node:
        """The inode of that number in that subvolume."""
        volume, number = key
        data = self._one(self._root_of(volume), (number, INODE_ITEM, 0))
        if data is None or len(data) < 160:
            raise Unreadable(f"it points to inode {number}, which it does not have")
        (size,) = struct.unpack_from("<Q", data, 16)
        uid, gid, mode = struct.unpack_from("<III", data, 44)
        return Node(key, mode & 0xFFFF, uid, gid, size)

    def entries(self, folder: Node) -> Iterator[tuple[str, tuple[int, ...]]]:
        """The names in a folder; those of subvolumes lead into other trees."""
        volume, number = folder.key
        for _, data in self._items(self._root_of(volume), (number, DIR_INDEX, 0), (number, DIR_INDEX, LAST)):
            if len(data) < 30:
                raise Unreadable("a folder is damaged")
            target, kind, _ = struct.unpack_from("<QBQ", data)
            (length,) = struct.unpack_from("<H", data, 27)
            name = data[30 : 30 + length].decode("utf-8", "surrogateescape")
            yield name, (target, FIRST_INODE) if kind == ROOT_ITEM else (volume, target)

    def content(self, file: Node) -> Iterator[bytes]:
        """A file's bytes, or a link's target."""
        return laid_out(self._spans(file), file.size, self._source.work)

    def volumes(self) -> list[int]:
        """The numbers of all subvolumes, the top one first."""
        span = self._items(self._root_tree, (FIRST_VOLUME, ROOT_ITEM, 0), (LAST_VOLUME, ROOT_ITEM, LAST))
        return [TOP_VOLUME, *dict.fromkeys(key[0] for key, _ in span if key[1] == ROOT_ITEM)]

    def of_volume(self, volume: int) -> "Btrfs":
        """The same file system from another subvolume on."""
        other = copy(self)
        other.volume = volume
        return other

    def _default(self) -> int:
        span = self._items(self._root_tree, (ROOT_TREE_DIR, DIR_ITEM, 0), (ROOT_TREE_DIR, DIR_ITEM, LAST))
        for _, data in span:
            if data[30:37] == b"default":
                return int.from_bytes(data[:8], "little")
        return TOP_VOLUME

    def _root_of(self, volume: int) -> int:
        if volume not in self._roots:
            span = self._items(self._root_tree, (volume, ROOT_ITEM, 0), (volume, ROOT_ITEM, LAST))
            found = [data for _, data in span if len(data) >= 239]
            if not found:
                raise Unreadable(f"it points to subvolume {volume}, which it does not have")
            self._roots[volume] = int.from_bytes(found[-1][176:184], "little")
        return self._roots[volume]

    def _spans(self, file: Node) -> Iterator[tuple[int, Iterator[bytes]]]:
        volume, number = file.key
        for key, data in self._items(self._root_of(volume), (number, EXTENT_DATA, 0), (number, EXTENT_DATA, LAST)):
            if len(data) < 21:
                raise Unreadable("the list of a file's parts is damaged")
            (size,) = struct.unpack_from("<Q", data, 8)
            packing, encryption, other, kind = struct.unpack_from("<BBHB", data, 16)
            if encryption or other:
                raise Unreadable("a file is encrypted")
            if kind == 0:
                yield key[2], iter([self._unpacked(packing, data[21:], size)])
            elif kind == 1:
                yield key[2], self._part(data, packing, size)

    def _part(self, data: bytes, packing: int, size: int) -> Iterator[bytes]:
        """A part of an extent, which may be packed as a whole."""
        if len(data) < 53:
            raise Unreadable("the list of a file's parts is damaged")
        start, packed_size, offset, length = struct.unpack_from("<QQQQ", data, 21)
        if start == 0:
            return
        if packing == 0:
            yield from self._mapped(start + offset, length)
            return
        packed = b"".join(self._mapped(start, min(packed_size, 1 << 20)))
        yield self._unpacked(packing, packed, size)[offset : offset + length]

    def _unpacked(self, packing: int, packed: bytes, size: int) -> bytes:
        if packing == 0:
            return packed
        self._source.work.spend(min(size, 1 << 20))
        return unpack(packing, packed, size, self._sector)

    def _mapped(self, logical: int, size: int) -> Iterator[bytes]:
        """Bytes by their logical address, which chunks map to places on the disk."""
        while size > 0:
            index = bisect_right(self._chunks, (logical, LAST, LAST)) - 1
            start, length, physical = self._chunks[index] if index >= 0 else (0, 0, 0)
            part = min(size, start + length - logical, 1 << 20)
            if part <= 0:
                raise Unreadable(f"it points to address {logical}, which it does not have")
            yield self._source.read(physical + logical - start, part)
            logical, size = logical + part, size - part

    def _add_chunks(self, items: Iterator[tuple[Key, bytes]]) -> None:
        for key, data in items:
            if len(data) < 80:
                raise Unreadable("its map of the disk is damaged")
            (length,) = struct.unpack_from("<Q", data)
            kind, stripes = struct.unpack_from("<Q", data, 24)[0], struct.unpack_from("<H", data, 44)[0]
            if kind & MANY_DISKS and stripes > 1:
                raise Unreadable("it is spread over several parts (RAID), which we do not read")
            self._chunks.append((key[2], length, struct.unpack_from("<Q", data, 56)[0]))

    def _one(self, root: int, key: Key) -> bytes | None:
        return next((data for _, data in self._items(root, key, key)), None)

    def _items(self, root: int, low: Key, high: Key, level: int | None = None) -> Iterator[tuple[Key, bytes]]:
        """The items of a tree from one key to another, in order."""
        block = self._block(root)
        if level is not None and block.level != level:
            raise Unreadable("one of its trees is damaged")
        end = bisect_right(block.keys, high)
        if block.level == 0:
            at = bisect_left(block.keys, low)
            yield from zip(block.keys[at:end], block.items[at:end], strict=True)
            return
        # The keys of a child are those from its own key on: the one before the first that fits may hold `low`.
        for address in block.links[max(bisect_right(block.keys, low) - 1, 0) : end]:
            yield from self._items(address, low, high, block.level - 1)

    def _block(self, address: int) -> _Block:
        # Counted also when it is at hand: a forged tree may lead to the same blocks over and over.
        self._source.work.spend(0)
        if address in self._blocks:
            self._blocks.move_to_end(address)
            return self._blocks[address]
        data = b"".join(self._mapped(address, self._node_size))
        if int.from_bytes(data[0x30:0x38], "little") != address or data[0x64] > 7:
            raise Unreadable("one of its trees is damaged")
        block = _parsed(data)
        self._blocks[address] = block
        if len(self._blocks) > KEPT_BLOCKS:
            self._blocks.popitem(last=False)
        return block


def _parsed(data: bytes) -> _Block:
    """A block of a tree: 101 bytes of header, then keys with addresses (33 bytes) or keys with items (25 bytes)."""
    (count,) = struct.unpack_from("<I", data, 0x60)
    level = data[0x64]
    step = 33 if level else 25
    if 101 + count * step > len(data):
        raise Unreadable("one of its trees is damaged")
    places = range(101, 101 + count * step, step)
    keys = [struct.unpack_from("<QBQ", data, at) for at in places]
    if level:
        return _Block(level, keys, [struct.unpack_from("<Q", data, at + 17)[0] for at in places], [])
    spans = (struct.unpack_from("<II", data, at + 17) for at in places)
    return _Block(0, keys, [], [data[101 + at : 101 + at + size] for at, size in spans])


def _array(data: bytes) -> Iterator[tuple[Key, bytes]]:
    """The superblock's own chunks, those that hold the map of all the others."""
    at = 0
    while at + 17 + 80 <= len(data):
        key = struct.unpack_from("<QBQ", data, at)
        (stripes,) = struct.unpack_from("<H", data, at + 17 + 44)
        size = 48 + 32 * stripes
        yield key, data[at + 17 : at + 17 + size]
        at += 17 + size
