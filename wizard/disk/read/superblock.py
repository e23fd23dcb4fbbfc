"""Which file system lies somewhere, by its superblock."""

import struct
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from wizard.disk.read import btrfs, ext, fat, xfs
from wizard.disk.read.source import Source, Unreadable
from wizard.disk.read.tree import Driver, Tree

OTHERS = (
    (0, b"LUKS\xba\xbe", "crypto_LUKS"),
    (536, b"LVM2 001", "LVM2_member"),
    (0, b"hsqs", "squashfs"),
    (1024, b"\xe2\xe1\xf5\xe0", "erofs"),
    (1024, b"\x10\x20\xf5\xf2", "f2fs"),
    (32769, b"CD001", "iso9660"),
    (3, b"NTFS    ", "ntfs"),
    (3, b"EXFAT   ", "exfat"),
    (4096, b"\xfc\x4e\x2b\xa9", "linux_raid_member"),
    (32768, b"JFS1", "jfs"),
    (65588, b"ReIsEr", "reiserfs"),
)
"""Offset, bytes, kind as blkid(8) names it: what is recognised and not read."""

SWAP_PAGES = (4096, 8192, 16384, 65536)


@dataclass(frozen=True, slots=True)
class FileSystem:
    """A file system as its superblock describes it.

    kind      as blkid(8) and fstab(5) name it: "ext4", "btrfs", "vfat", "swap" …
    uuid      as `UUID=` in fstab has it
    size      in bytes, as the file system itself counts
    driver    reads its files; None for what has none or is not read, and `unread` then says why
    """

    kind: str
    uuid: str = ""
    label: str = ""
    features: tuple[str, ...] = ()
    size: int | None = None
    driver: Driver | None = field(default=None, repr=False, compare=False)
    unread: str = ""

    @property
    def files(self) -> Tree | None:
        """Its files alone, from its own top folder on."""
        return Tree({"/": self.driver}) if self.driver else None


def identify(source: Source) -> FileSystem | None:
    """What lies there; None for nothing that we know."""
    looks = (_xfs, _btrfs, _ext, _swap, _other, _fat)
    return next((found for look in looks for found in look(source)), None)


def _ext(source: Source) -> Iterator[FileSystem]:
    if info := ext.identify(source):
        driver, unread = _driver(lambda: ext.Ext(source, info.features))
        yield FileSystem(info.kind, _uuid(info.uuid), _text(info.label), info.features, info.size, driver, unread)


def _xfs(source: Source) -> Iterator[FileSystem]:
    if info := xfs.identify(source):
        driver, unread = _driver(lambda: xfs.Xfs(source, info.features))
        yield FileSystem("xfs", _uuid(info.uuid), _text(info.label), info.features, info.size, driver, unread)


def _btrfs(source: Source) -> Iterator[FileSystem]:
    if info := btrfs.identify(source):
        driver, unread = _driver(lambda: btrfs.Btrfs(source, info.features))
        yield FileSystem("btrfs", _uuid(info.uuid), _text(info.label), info.features, info.size, driver, unread)


def _fat(source: Source) -> Iterator[FileSystem]:
    if info := fat.identify(source):
        serial = f"{info.serial >> 16:04X}-{info.serial & 0xFFFF:04X}"
        features = (f"fat{info.bits}",)
        try:
            driver = fat.Fat(source, info.bits)
            yield FileSystem("vfat", serial, _text(driver.label()), features, info.size, driver)
        except Unreadable as error:
            yield FileSystem("vfat", serial, "", features, info.size, unread=str(error))


def _swap(source: Source) -> Iterator[FileSystem]:
    """Source: the kernel's include/linux/swap.h (union swap_header)."""
    for page in SWAP_PAGES:
        if source.peek(page - 10, 10) == b"SWAPSPACE2":
            header = source.peek(1024, 44).ljust(44, b"\0")
            (last,) = struct.unpack_from("<I", header, 4)
            yield FileSystem("swap", _uuid(header[12:28]), _text(header[28:44].split(b"\0")[0]), size=(last + 1) * page)


def _other(source: Source) -> Iterator[FileSystem]:
    for offset, magic, kind in OTHERS:
        if source.peek(offset, len(magic)) == magic:
            yield FileSystem(kind, unread=f"we do not read {kind}")


def _driver(make: Callable[[], Driver]) -> tuple[Driver | None, str]:
    try:
        return make(), ""
    except (Unreadable, struct.error) as error:
        return None, str(error)


def _uuid(data: bytes) -> str:
    return str(uuid.UUID(bytes=data))


def _text(data: bytes) -> str:
    return data.decode("utf-8", "replace")
