"""Partition layouts: presets/layouts/*.toml, with the places and the ids that they get on the disk."""

import uuid
from dataclasses import dataclass
from functools import cache

from wizard import presets

ALIGNMENT_MIB = 1
"""Where the first partition starts, and what every start is a multiple of."""

GPT_TAIL_MIB = 1
"""What the backup GUID partition table needs at the end of the disk (33 sectors), rounded up."""

NAMESPACE = uuid.UUID("6f0c1a3e-6c0b-4e43-9a55-5f2f2c0b7a10")
"""Of ami-wizard's own, so that a build's ids depend on nothing but the build."""


@dataclass(frozen=True, slots=True)
class Partition:
    """A partition; `size_mib` None means: the rest of the disk."""

    number: int
    name: str
    filesystem: str
    mount: str | None
    size_mib: int | None
    options: str
    start_mib: int


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
        """The partition of the root file system."""
        root = self.at("/")
        if root is None:
            raise ValueError(f"layout {self.name} has no root")
        return root

    @property
    def boot(self) -> Partition:
        """The partition that holds /boot: one of its own, or the root."""
        return self.at("/boot") or self.root

    @property
    def tail_mib(self) -> int:
        """What stays free at the end of the disk."""
        return GPT_TAIL_MIB if self.table == "gpt" else 0


def layouts() -> list[Layout]:
    """Every layout there is."""
    return [load(name) for name in presets.names("layouts")]


@cache
def load(name: str) -> Layout:
    """The layout of presets/layouts/NAME.toml.  Raises FileNotFoundError."""
    table = presets.load(f"layouts/{name}")
    start = ALIGNMENT_MIB
    partitions = []
    for entry in table["partition"]:
        part = Partition(
            entry["number"],
            entry["name"],
            entry["filesystem"],
            entry.get("mount"),
            entry.get("size_mib"),
            entry.get("options", "defaults"),
            start,
        )
        partitions.append(part)
        start += part.size_mib or 0
    return Layout(
        name,
        table["title"],
        table["why"],
        table["table"],
        tuple(table["virtualization"]),
        tuple(table["boot_modes"]),
        tuple(partitions),
    )


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


def sfdisk_script(layout: Layout, ids: DiskIds) -> str:
    """The partition table as sfdisk reads it.  Types: UEFI specification; GRUB's manual, "BIOS installation"."""
    gpt_types = {
        "bios-boot": "21686148-6449-6E6F-744E-656564454649",
        "vfat": "C12A7328-F81F-11D2-BA4B-00A0C93EC93B",
    }
    label_id = ids.disk(layout.table) if layout.table == "gpt" else f"0x{ids.disk(layout.table)}"
    lines = [f"label: {layout.table}", f"label-id: {label_id}", "unit: sectors", ""]
    for part in layout.partitions:
        fields = [f"start={part.start_mib}MiB"]
        if part.size_mib:
            fields.append(f"size={part.size_mib}MiB")
        if layout.table == "gpt":
            fields += [f"type={gpt_types.get(part.filesystem, '0FC63DAF-8483-4772-8E79-3D69D8477DE4')}"]
            fields += [f"uuid={ids.partition(part)}", f'name="{part.name}"']
        else:
            fields += ["type=83", *(["bootable"] if part is layout.boot else [])]
        lines.append(f"{part.number} : {', '.join(fields)}")
    return "\n".join(lines) + "\n"


def fstab(layout: Layout, ids: DiskIds) -> str:
    """/etc/fstab, by UUID."""
    lines = ["# <file system> <mount point> <type> <options> <dump> <pass>"]
    for part in sorted((part for part in layout.partitions if part.mount), key=lambda part: part.mount or ""):
        checked = {"btrfs": 0, "vfat": 0}.get(part.filesystem, 1 if part.mount == "/" else 2)
        options = "umask=0077,nofail" if part.filesystem == "vfat" else part.options
        lines.append(f"UUID={ids.filesystem(part)} {part.mount} {part.filesystem} {options} 0 {checked}")
    return "\n".join(lines) + "\n"
