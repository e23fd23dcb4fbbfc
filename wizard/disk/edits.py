"""Changes of a layout: each gives a new one, with every partition at a whole MiB, and the rest for the last."""

from collections.abc import Iterable
from dataclasses import dataclass, replace

from wizard.disk import own
from wizard.disk.filesystems import filesystem
from wizard.disk.layout import ALIGNMENT_MIB, OPTIONS, Layout, Partition

USUAL_MIB = 1024
"""What a partition gets that took the rest, when another one comes to take it."""


@dataclass(frozen=True, slots=True)
class Template:
    """A partition that is often wanted: what for, in a few words."""

    filesystem: str
    mount: str | None
    size_mib: int
    what: str


TEMPLATES = (
    Template("ext4", "/", 2048, "the root: the system itself, which cannot do without"),
    Template("ext3", "/boot", 256, "the kernel, where the boot loader can read it"),
    Template("vfat", "/boot/efi", 64, "the EFI system partition, for UEFI"),
    Template("bios-boot", None, 1, "GRUB's place on GPT, for BIOS"),
    Template("swap", None, 1024, "room for memory that is not in use"),
    Template("ext4", "/home", 1024, "people's own files"),
    Template("ext4", "/var", 2048, "logs, databases, packages"),
    Template("ext4", "/srv", 1024, "what a server serves"),
    Template("ext4", "/data", 1024, "anything: change the mount point"),
)


def possible(layout: Layout, virtualization: str) -> list[Template]:
    """The templates that the layout does not have yet; those for firmware only where there is one, and a GPT."""
    mounts = {part.mount for part in layout.partitions}
    held = {part.filesystem for part in layout.partitions}
    new = [one for one in TEMPLATES if (one.mount not in mounts if one.mount else one.filesystem not in held)]
    has_firmware = virtualization == "hvm" and layout.table == "gpt"
    return [one for one in new if has_firmware or filesystem(one.filesystem).holds in ("files", "swap")]


def add(layout: Layout, template: Template, virtualization: str) -> tuple[Layout, int]:
    """A new partition before the last one, which takes the rest, or as the last one if it is the root; its place."""
    number = own.free_number((part.number for part in layout.partitions), virtualization)
    name = own.usual_name(template.filesystem, template.mount, (part.name for part in layout.partitions))
    options = OPTIONS.get(template.filesystem, "defaults")
    size = template.size_mib
    new = Partition(number, name, template.filesystem, template.mount, size, options, 0, name)
    at = len(layout.partitions) if template.mount == "/" else len(layout.partitions) - 1
    return _laid(layout.table, (*layout.partitions[:at], new, *layout.partitions[at:])), at


def remove(layout: Layout, at: int) -> Layout:
    """Without that partition; the last that is left stays, as a disk has one."""
    if len(layout.partitions) == 1:
        return layout
    return _laid(layout.table, (*layout.partitions[:at], *layout.partitions[at + 1 :]))


def move(layout: Layout, at: int, by: int) -> tuple[Layout, int]:
    """That partition so many places further back on the disk; and its new place.  At an end it stays."""
    to = min(max(at + by, 0), len(layout.partitions) - 1)
    rest = [*layout.partitions[:at], *layout.partitions[at + 1 :]]
    ordered = [*rest[:to], layout.partitions[at], *rest[to:]]
    # The one that took the rest gets the size of the one that takes it now.
    size = ordered[-1].size_mib
    sized = (replace(part, size_mib=size) if part.size_mib is None else part for part in ordered)
    return _laid(layout.table, tuple(sized)), to


def resize(layout: Layout, at: int, mib: int) -> Layout:
    """That partition with so many MiB; the last one has what is left, whatever it is told."""
    return _with(layout, at, replace(layout.partitions[at], size_mib=max(mib, 1)))


def retable(layout: Layout, table: str) -> Layout:
    """The same partitions in another partition table."""
    return _laid(table, layout.partitions)


def with_filesystem(layout: Layout, at: int, name: str) -> Layout:
    """That partition with another content, and what follows from it: the mount point, the options, the name."""
    part, kind = layout.partitions[at], filesystem(name)
    mount = {"swap": None, "loader": None, "firmware": "/boot/efi", "files": part.mount}[kind.holds]
    was_usual = part.options == OPTIONS.get(part.filesystem, "defaults")
    options = OPTIONS.get(name, "defaults") if was_usual or kind.holds != "files" else part.options
    subvolumes = part.subvolumes if name == "btrfs" else ()
    changed = replace(part, filesystem=name, options=options, subvolumes=subvolumes)
    return with_mount(_with(layout, at, _renamed(layout, at, changed)), at, mount)


def with_mount(layout: Layout, at: int, mount: str | None) -> Layout:
    """That partition mounted elsewhere; a name that followed from the place follows it."""
    return _with(layout, at, _renamed(layout, at, replace(layout.partitions[at], mount=mount)))


def with_name(layout: Layout, at: int, name: str) -> Layout:
    """That partition with another name; a label that was the name follows it."""
    return _with(layout, at, _called(layout.partitions[at], name))


def with_number(layout: Layout, at: int, number: int) -> Layout:
    """That partition with another number."""
    return _with(layout, at, replace(layout.partitions[at], number=number))


def with_label(layout: Layout, at: int, label: str) -> Layout:
    """That partition's file system with another label; its name for an empty one."""
    part = layout.partitions[at]
    return _with(layout, at, replace(part, label=label or part.name))


def with_options(layout: Layout, at: int, options: str) -> Layout:
    """That partition mounted with other options; the usual ones for empty ones."""
    part = layout.partitions[at]
    return _with(layout, at, replace(part, options=options or OPTIONS.get(part.filesystem, "defaults")))


def with_subvolumes(layout: Layout, at: int, subvolumes: Iterable[str]) -> Layout:
    """That partition with other subvolumes."""
    return _with(layout, at, replace(layout.partitions[at], subvolumes=tuple(subvolumes)))


def _renamed(layout: Layout, at: int, changed: Partition) -> Partition:
    """The changed partition with the name that follows from what it is, where the old one followed too."""
    part = layout.partitions[at]
    others = [one.name for place, one in enumerate(layout.partitions) if place != at]
    if part.name != own.usual_name(part.filesystem, part.mount, others):
        return changed
    return _called(changed, own.usual_name(changed.filesystem, changed.mount, others))


def _called(part: Partition, name: str) -> Partition:
    return replace(part, name=name, label=name if part.label == part.name else part.label)


def _with(layout: Layout, at: int, part: Partition) -> Layout:
    return _laid(layout.table, (*layout.partitions[:at], part, *layout.partitions[at + 1 :]))


def _laid(table: str, partitions: tuple[Partition, ...]) -> Layout:
    """The partitions one after the other; the one that comes last takes the rest, the one that did gets a size."""
    *before, last = partitions
    start = ALIGNMENT_MIB if table != "none" else 0
    laid = []
    for part in (*(replace(one, size_mib=one.size_mib or USUAL_MIB) for one in before), replace(last, size_mib=None)):
        laid.append(replace(part, start_mib=start))
        start += part.size_mib or 0
    return own.made_of(table, tuple(laid))
