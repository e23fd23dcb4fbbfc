"""Partition layouts: presets/layouts/*.toml, with the places and the ids that they get on the disk."""

import uuid
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any, Literal, get_args

from wizard import presets
from wizard.explain import Failure

Table = Literal["gpt", "dos", "none"]
"""The partition table; "none": the whole disk is one file system."""

Filesystem = Literal["ext2", "ext3", "ext4", "btrfs", "xfs", "vfat", "swap", "bios-boot"]
"""What a partition holds; "bios-boot" is GRUB's place on a GPT disk that starts by BIOS, and no file system."""

FILESYSTEMS: tuple[str, ...] = get_args(Filesystem)

OPTIONS: Mapping[str, str] = {"vfat": "umask=0077,nofail", "swap": "sw"}
"""The mount options that are taken where none are given; "defaults" for the others."""

ALIGNMENT_MIB = 1
"""Where the first partition starts, and what every start is a multiple of."""

GPT_TAIL_MIB = 1
"""What the backup GUID partition table needs at the end of the disk (33 sectors), rounded up."""

LEAST_ROOT_MIB = 300
"""The smallest file system that mkfs.xfs makes (xfsprogs 5.19 and newer); a Debian needs more anyway."""

NAMESPACE = uuid.UUID("6f0c1a3e-6c0b-4e43-9a55-5f2f2c0b7a10")
"""Of ami-wizard's own, so that a build's ids depend on nothing but the build."""


@dataclass(frozen=True, slots=True)
class Partition:
    """A partition, or the whole disk where there is no table.

    name        in the partition table (GPT), on the screen, and what its ids follow from
    mount       None: not mounted (swap, BIOS boot)
    size_mib    None: the rest of the disk
    start_mib   0 without a partition table
    label       of the file system
    subvolumes  folders that are btrfs subvolumes of their own, where the host's mkfs.btrfs can make them
    """

    number: int
    name: str
    filesystem: str
    mount: str | None
    size_mib: int | None
    options: str
    start_mib: int
    label: str
    subvolumes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Layout:
    """A partition layout; the last partition on the disk is the one that takes the rest."""

    name: str
    title: str
    why: str
    table: str
    virtualization: tuple[str, ...]
    boot_modes: tuple[str, ...]
    partitions: tuple[Partition, ...]

    def at(self, mount: str) -> Partition | None:
        """The partition mounted there."""
        return next((part for part in self.partitions if part.mount == mount), None)

    @property
    def root(self) -> Partition:
        """The partition of the root file system.  Raises Failure `no-root-partition`."""
        root = self.at("/")
        if root is None:
            raise Failure("no-root-partition")
        return root

    @property
    def boot(self) -> Partition:
        """The partition that holds /boot: one of its own, or the root."""
        return self.at("/boot") or self.root

    @property
    def tail_mib(self) -> int:
        """What stays free at the end of the disk."""
        return GPT_TAIL_MIB if self.table == "gpt" else 0

    @property
    def least_gib(self) -> int:
        """The smallest volume that holds its partitions, the root as small as XFS can be."""
        return -(-(self.root.start_mib + LEAST_ROOT_MIB + self.tail_mib) // 1024)


def names() -> list[str]:
    """Every layout's name.  A preset with a table [swap] gives two: NAME, and NAME-swap with that partition too."""
    return [
        name
        for preset in presets.names("layouts")
        for name in (preset, *([f"{preset}-swap"] if "swap" in presets.load(f"layouts/{preset}") else []))
    ]


def layouts() -> list[Layout]:
    """Every layout there is."""
    return [load(name) for name in names()]


@cache
def load(name: str) -> Layout:
    """The layout of that name.  Raises FileNotFoundError."""
    if name not in names():
        raise FileNotFoundError(name)
    preset = name.removesuffix("-swap")
    table = presets.load(f"layouts/{preset}")
    if preset == name:
        return layout(name, table)
    swap = {"name": "swap", "filesystem": "swap", **table["swap"]}
    *before, last = table["partition"]
    title = table["title"].replace(" root,", " root and swap,", 1)
    title = title if "swap" in title else f"{title}, with swap"
    return layout(name, {**table, "title": title, "partition": [*before, swap, last]})


def layout(name: str, table: Mapping[str, Any]) -> Layout:
    """A layout from a table with the keys of presets/layouts/*.toml."""
    return Layout(
        name,
        table["title"],
        table["why"],
        table["table"],
        tuple(table["virtualization"]),
        tuple(table["boot_modes"]),
        placed(table["partition"], table["table"]),
    )


def placed(entries: Iterable[Mapping[str, Any]], table: str) -> tuple[Partition, ...]:
    """Partitions one after the other on the disk, in the order given, with what is left out filled in."""
    start = ALIGNMENT_MIB if table != "none" else 0
    partitions = []
    for entry in entries:
        part = Partition(
            entry["number"],
            entry["name"],
            entry["filesystem"],
            entry.get("mount"),
            entry.get("size_mib"),
            entry.get("options") or OPTIONS.get(entry["filesystem"], "defaults"),
            start,
            entry.get("label") or entry["name"],
            tuple(entry.get("subvolumes", ())),
        )
        partitions.append(part)
        start += part.size_mib or 0
    return tuple(partitions)


@dataclass(frozen=True, slots=True)
class DiskIds:
    """The ids on a disk.  They follow from the build's identity alone: same recipe, same bytes."""

    identity: str

    def disk(self, table: str) -> str:
        """The id of the partition table: a UUID (GPT) or eight hex digits (MBR)."""
        disk_id = uuid.uuid5(NAMESPACE, f"{self.identity}/disk")
        return str(disk_id) if table == "gpt" else f"{disk_id.hex[:8]}"

    def partition(self, part: Partition) -> str:
        """The UUID of a GPT entry."""
        return str(uuid.uuid5(NAMESPACE, f"{self.identity}/partition/{part.name}"))

    def filesystem(self, part: Partition) -> str:
        """What stands behind UUID= in fstab; FAT has eight hex digits."""
        fs_id = uuid.uuid5(NAMESPACE, f"{self.identity}/filesystem/{part.name}")
        return f"{fs_id.hex[:4]}-{fs_id.hex[4:8]}".upper() if part.filesystem == "vfat" else str(fs_id)

    def partuuid(self, part: Partition, table: str) -> str:
        """What the kernel's `root=PARTUUID=` takes."""
        return self.partition(part) if table == "gpt" else f"{self.disk(table)}-{part.number:02x}"


GPT_TYPES: Mapping[str, str] = {
    "bios-boot": "21686148-6449-6E6F-744E-656564454649",
    "vfat": "C12A7328-F81F-11D2-BA4B-00A0C93EC93B",
    "swap": "0657FD6D-A4AB-43C4-84E5-0933C84B4F4F",
}
"""Types by what a partition holds.  UEFI specification; GRUB's manual, "BIOS installation"; UAPI group's DPS."""

GPT_LINUX = "0FC63DAF-8483-4772-8E79-3D69D8477DE4"
DOS_TYPES: Mapping[str, str] = {"swap": "82", "vfat": "0c"}


def sfdisk_script(layout: Layout, ids: DiskIds) -> str:
    """The partition table as sfdisk reads it."""
    is_gpt = layout.table == "gpt"
    lines = [f"label: {layout.table}", f"label-id: {'' if is_gpt else '0x'}{ids.disk(layout.table)}"]
    lines += ["unit: sectors", ""]
    for part in layout.partitions:
        fields = [f"start={part.start_mib}MiB"]
        if part.size_mib:
            fields.append(f"size={part.size_mib}MiB")
        if is_gpt:
            fields += [f"type={GPT_TYPES.get(part.filesystem, GPT_LINUX)}"]
            fields += [f"uuid={ids.partition(part)}", f'name="{part.name}"']
        else:
            fields += [f"type={DOS_TYPES.get(part.filesystem, '83')}"]
            fields += ["bootable"] if part is layout.boot else []
        lines.append(f"{part.number} : {', '.join(fields)}")
    return "\n".join(lines) + "\n"


def fstab(layout: Layout, ids: DiskIds) -> str:
    """/etc/fstab, by UUID: what is mounted, outer before inner, then swap."""
    lines = ["# <file system> <mount point> <type> <options> <dump> <pass>"]
    mounted = sorted((part for part in layout.partitions if part.mount), key=lambda part: part.mount or "")
    for part in (*mounted, *(part for part in layout.partitions if part.filesystem == "swap")):
        checked = (1 if part.mount == "/" else 2) if part.filesystem.startswith("ext") else 0
        place = part.mount or "none"
        lines.append(f"UUID={ids.filesystem(part)} {place} {part.filesystem} {part.options} 0 {checked}")
    return "\n".join(lines) + "\n"
