"""What a disk of one's own must be like, so that it can be made and starts; each refusal says why."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

from wizard.boot.grub import MODULES
from wizard.disk.filesystems import filesystem, filesystems
from wizard.disk.image import notes
from wizard.disk.layout import Layout, Partition
from wizard.disk.own import CLASHES, boot_modes
from wizard.recipe import MOST_GIB, Target
from wizard.targets import akis, live, pvgrub, target

Field = Literal[
    "table", "partitions", "number", "name", "filesystem", "mount", "size_mib", "label", "subvolumes", "gib"
]

DOS_PARTITIONS = 4
"""An MBR has room for four entries; we make no extended partition."""

DOS_LIMIT_GIB = 2048
"""An MBR counts sectors of 512 bytes with 32 bits."""

PART_OF_ROOT = ("/etc", "/dev", "/proc", "/sys", "/run", "/bin", "/sbin", "/lib", "/lib64", "/usr")
"""What init needs before it mounts anything, and what the kernel or systemd mount themselves.
Source: file-hierarchy(7); systemd's "Booting Without /usr is Broken"."""

SPARE_MIB = 16
"""Beside the content, for a file system's own lists, its journal and the first log."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a layout does not do: the partition's place on the disk (None: the disk as a whole), the field, the reason.

    `suggestion` is a value for the field that would do, where there is one.
    """

    at: int | None
    field: Field
    reason: str
    suggestion: str | None = None


Content = Mapping[str, int]
"""What has to have room at least: folders such as "/usr", and their MiB without those named beside."""

NOTHING_KNOWN: Content = {}


def refusals(
    layout: Layout, where: Target, gib: int | None = None, content: Content = NOTHING_KNOWN
) -> Iterator[Refusal]:
    """Everything that is wrong with a layout for that target, on a volume of so many GiB (None: as the content wants).

    The order is that of the disk, then what concerns it as a whole.
    """
    for at, part in enumerate(layout.partitions):
        yield from _of_content_kind(at, part)
        yield from _of_size(at, part, is_last=at == len(layout.partitions) - 1)
    yield from _of_sameness(layout)
    yield from _of_table(layout, gib)
    if layout.partitions[-1].start_mib >= MOST_GIB * 1024:
        yield Refusal(
            None, "gib", f"A volume has {MOST_GIB} GiB at most, and the others leave nothing to the last one."
        )
    root = layout.at("/")
    if root is None:
        yield Refusal(None, "partitions", "No partition is mounted at /: the system needs a root file system.")
        return
    if layout.partitions[-1] != root:
        reason = "The root comes last on the disk: it takes what the others leave, and grows when the volume does."
        yield Refusal(layout.partitions.index(root), "mount", reason)
    yield from _of_paravirtual(layout, where) if where.virtualization == "paravirtual" else _of_hvm(layout, where)
    yield from _of_room(layout, gib, content)


def remarks(layout: Layout, where: Target) -> Iterator[str]:
    """What is worth knowing of a layout that is not refused."""
    boot = layout.at("/boot") or layout.at("/")
    if where.virtualization == "paravirtual" and boot and boot.filesystem == "ext4":
        yield "PV-GRUB reads ext4 only without 64bit and metadata_csum: on this disk it is made without them."
    yield from notes(layout)


def _of_content_kind(at: int, part: Partition) -> Iterator[Refusal]:
    """A partition by itself: what it holds, and where that is mounted."""
    kind, mount = filesystem(part.filesystem), part.mount
    if kind.holds == "files" and mount is None:
        reason = "Nothing would ever be in it: give it a mount point, or take it out."
        yield Refusal(at, "mount", reason)
    if kind.holds in ("swap", "loader") and mount is not None:
        what = "Swap holds memory" if kind.holds == "swap" else "A BIOS boot partition holds GRUB"
        yield Refusal(at, "mount", f"{what} and no files: it is not mounted anywhere.")
    if kind.holds == "firmware" and mount != "/boot/efi":
        reason = "FAT keeps no owners, modes or links: here it is for the EFI system partition alone, at /boot/efi."
        yield Refusal(at, "filesystem", reason, "ext4" if mount else None)
    if kind.holds != "firmware" and mount == "/boot/efi":
        yield Refusal(at, "filesystem", f"Firmware reads FAT, not {part.filesystem}.", "vfat")
    if mount in PART_OF_ROOT or (mount and mount.startswith(("/dev/", "/proc/", "/sys/", "/run/", "/etc/"))):
        yield Refusal(at, "mount", f"{mount} is needed before anything is mounted: it stays in the root file system.")
    if part.subvolumes and part.filesystem != "btrfs":
        yield Refusal(at, "subvolumes", f"Subvolumes are btrfs's own; {part.filesystem} has none.")
    if kind.label_length and len(part.label) > kind.label_length:
        reason = f"The label {part.label} has {len(part.label)} characters, and {part.filesystem} has room for "
        yield Refusal(at, "label", f"{reason}{kind.label_length}.", part.label[: kind.label_length])


def _of_size(at: int, part: Partition, *, is_last: bool) -> Iterator[Refusal]:
    smallest = filesystem(part.filesystem).smallest_mib
    if part.size_mib is None and not is_last:
        reason = "Only the last partition can take the rest of the disk: give this one a size, or move it to the end."
        yield Refusal(at, "size_mib", reason)
    if part.size_mib is not None and is_last:
        reason = "The last partition takes the rest of the disk, whatever its size is: leave the size out."
        yield Refusal(at, "size_mib", reason)
    if part.size_mib is not None and not is_last and part.size_mib < smallest:
        said = f"{part.filesystem} needs {smallest} MiB at least, and this has {part.size_mib} MiB."
        yield Refusal(at, "size_mib", said, str(smallest))


SAME: Mapping[Literal["number", "name", "mount"], str] = {
    "number": "{value} is the number of {first} already: each partition has its own.",
    "name": "{value} is the name of another one already, and their ids follow from their names.",
    "mount": "{first} is mounted at {value} already.",
}


def _of_sameness(layout: Layout) -> Iterator[Refusal]:
    """What two partitions cannot both have; the second one is refused."""
    for at, part in enumerate(layout.partitions):
        for field, reason in SAME.items():
            value = getattr(part, field)
            first = next((one for one in layout.partitions[:at] if getattr(one, field) == value), None)
            if first and value is not None:
                yield Refusal(at, field, reason.format(value=value, first=first.name))


def _of_table(layout: Layout, gib: int | None) -> Iterator[Refusal]:
    if layout.table == "none" and len(layout.partitions) > 1:
        reason = "A disk without a partition table is one file system: choose GPT or MBR to divide it."
        yield Refusal(None, "table", reason, "gpt")
    if layout.table == "dos":
        yield from _of_mbr(layout, gib)
    for at, part in enumerate(layout.partitions):
        if part.filesystem == "bios-boot" and layout.table != "gpt":
            reason = "A BIOS boot partition is for GPT: behind an MBR, GRUB has its place before the first partition."
            yield Refusal(at, "filesystem", reason)


def _of_mbr(layout: Layout, gib: int | None) -> Iterator[Refusal]:
    for at, part in enumerate(layout.partitions):
        if part.number > DOS_PARTITIONS:
            said = f"An MBR has room for {DOS_PARTITIONS} partitions, and this is number {part.number}: choose GPT."
            yield Refusal(at, "number", said)
    if gib and gib > DOS_LIMIT_GIB:
        yield Refusal(None, "gib", f"An MBR reaches {DOS_LIMIT_GIB} GiB, and the disk has {gib} GiB: choose GPT.")


def _of_paravirtual(layout: Layout, where: Target) -> Iterator[Refusal]:
    boot_at, able, name = layout.partitions.index(layout.boot), *_loader(where, layout.table)
    unreadable = target.unreadable(where, layout.table, able.filesystems[0])
    if unreadable:
        yield Refusal(None, "table", f"A disk with this partition table {unreadable}.", "dos")
    if layout.boot.filesystem not in able.filesystems:
        systems = " and ".join([", ".join(able.filesystems[:-1]), able.filesystems[-1]])
        own = "" if layout.at("/boot") else ", or give /boot a partition of its own"
        reason = f"/boot lies on {layout.boot.filesystem}, and {name} reads {systems}: choose ext3{own}."
        yield Refusal(boot_at, "filesystem", reason, "ext3")
    if layout.table == "none":
        return
    if layout.boot.number > able.menu_partitions:
        those = "partition 1" if able.menu_partitions == 1 else f"the partitions 1 to {able.menu_partitions}"
        reason = f"{name} looks for its menu in {those}, and /boot is in number {layout.boot.number}."
        yield Refusal(boot_at, "number", reason, "1")
    for at, part in enumerate(layout.partitions):
        if part.number == CLASHES:
            reason = f"Number {CLASHES} stays free: old instance types bring a disk /dev/sda{CLASHES} of their own."
            yield Refusal(at, "number", reason)
        if filesystem(part.filesystem).holds in ("firmware", "loader"):
            what = "A BIOS boot partition" if part.filesystem == "bios-boot" else "An EFI system partition"
            yield Refusal(at, "filesystem", f"{what} is for firmware, which no paravirtual instance has: take it out.")


def _loader(where: Target, table: str) -> tuple[pvgrub.PvGrub, str]:
    """The PV-GRUB that will read the disk, and what it is called."""
    row = akis.named(where.aki, live.listed(where.region)) if where.aki else None
    row = row or next((one for one in akis.matching(where.region, where.arch) if akis.reads(one, table)), None)
    return (pvgrub.pvgrub(row.version), f"PV-GRUB {row.version}") if row else (pvgrub.versions()[0], "PV-GRUB")


def _of_hvm(layout: Layout, where: Target) -> Iterator[Refusal]:
    if layout.table == "none":
        reason = "An HVM instance starts from a boot loader, for which a disk without a partition table has no place."
        yield Refusal(None, "table", reason, "gpt")
        return
    if filesystem(layout.boot.filesystem).grub_module not in MODULES:
        able = ", ".join(name for name, one in filesystems().items() if one.grub_module in MODULES)
        reason = f"/boot lies on {layout.boot.filesystem}, which GRUB does not read: it reads {able}."
        yield Refusal(layout.partitions.index(layout.boot), "filesystem", reason, "ext4")
    modes = boot_modes(layout)
    mode = target.boot_mode(where, modes)
    if mode in ("legacy-bios", "uefi-preferred") and "legacy-bios" not in modes:
        reason = f"The boot mode {mode} starts by BIOS, for which GRUB needs a BIOS boot partition of 1 MiB on GPT: "
        yield Refusal(None, "partitions", f"{reason}add one, or choose uefi on Target.")
    if mode in ("uefi", "uefi-preferred") and "uefi" not in modes:
        reason = f"The boot mode {mode} starts by UEFI, which needs an EFI system partition (FAT at /boot/efi) on GPT: "
        other = "" if where.arch == "arm64" else ", or choose legacy-bios on Target"
        yield Refusal(None, "table" if layout.table == "dos" else "partitions", f"{reason}add one{other}.", "gpt")


def _of_room(layout: Layout, gib: int | None, content: Content) -> Iterator[Refusal]:
    """Whether the partitions fit on the disk, and the content into them."""
    *others, last = layout.partitions
    for at, part in enumerate(others):
        need = _need(layout, part, content)
        if part.size_mib is not None and filesystem(part.filesystem).smallest_mib <= part.size_mib < need:
            held = f"What belongs into {part.mount} takes {_held(layout, part, content)} MiB and more"
            yield Refusal(at, "size_mib", f"{held}, and this has {part.size_mib} MiB.", str(need))
    if gib is None:
        return
    taken, need = last.start_mib + layout.tail_mib, _need(layout, last, content)
    need = max(need, filesystem(last.filesystem).smallest_mib)
    if gib * 1024 - taken < need:
        words = f"Of {gib} GiB the others leave {max(gib * 1024 - taken, 0)} MiB to {last.name}, which needs {need} MiB"
        yield Refusal(None, "gib", f"{words}: make the disk larger, or them smaller.", str(-(-(need + taken) // 1024)))


def _need(layout: Layout, part: Partition, content: Content) -> int:
    """The MiB that hold what belongs into the partition; 0 where nothing is known to."""
    held = _held(layout, part, content)
    return held * 5 // 4 + SPARE_MIB if held else 0


def _held(layout: Layout, part: Partition, content: Content) -> int:
    """The MiB of content that lie in this partition and in no other that is mounted inside."""
    return sum(mib for folder, mib in content.items() if _home(layout, folder) == part.mount)


def _home(layout: Layout, folder: str) -> str | None:
    """The mount point below which a folder lies."""
    mounts = [part.mount for part in layout.partitions if part.mount]
    return max((one for one in mounts if one == "/" or f"{folder}/".startswith(f"{one}/")), key=len, default=None)
