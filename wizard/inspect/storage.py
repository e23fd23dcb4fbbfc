"""The disk itself, fstab and the boot menus: whether they agree with what is there."""

import re
from collections.abc import Iterable, Iterator

from wizard.disk.read import Disk, Partition, Root
from wizard.disk.read.root import Mount, named
from wizard.inspect.boots import Way
from wizard.inspect.findings import Finding, finding
from wizard.inspect.menus import BootEntry, searched_uuids

SAME_DRIVER = ({"ext2", "ext3", "ext4"}, {"vfat", "msdos"})
"""Kinds that one driver of Linux mounts."""

FIRST_DISK = re.compile(r"/dev/(?:xvda|sda|vda|hda|nvme0n1p?)\d*$")


def disk_findings(disk: Disk) -> Iterator[Finding]:
    """What is wrong with the table and the file systems as such."""
    for damage in disk.table.damage:
        yield finding("table-damaged", damage=damage)
    if disk.table.sector != 512:
        yield finding("table-of-other-sectors", size=disk.table.sector)
    for part in disk.partitions:
        yield from _partition(part)


def _partition(part: Partition) -> Iterator[Finding]:
    where = f"partition {part.number}" if part.number else "the disk"
    fs = part.filesystem
    if part.missing:
        yield finding("image-cut-off", where=where, missing=part.missing)
    elif fs and fs.size and fs.size > part.entry.size:
        yield finding("filesystem-too-large", where=where, more=fs.size - part.entry.size)
    if fs and fs.unread and not part.missing:
        yield finding("could-not-look", where, reason=fs.unread)
    if fs and "needs_recovery" in fs.features:
        yield finding("not-unmounted", where=where)


def fstab_findings(root: Root, ways: Iterable[Way]) -> Iterator[Finding]:
    """Whether what fstab names is there, is what it says, and will be found under that name."""
    by_nvme = any(way.mode != "paravirtual" for way in ways)
    for mount in root.mounts:
        yield from _mount(mount, by_nvme)


def _mount(mount: Mount, by_nvme: bool) -> Iterator[Finding]:
    is_device = FIRST_DISK.match(mount.spec) is not None
    if not (is_device or re.match(r"(PART)?(UUID|LABEL)=|/dev/disk/by-", mount.spec)):
        return
    waits = not {"nofail", "noauto"} & set(mount.options)
    facts = {"spec": mount.spec, "mount": mount.path}
    if mount.partition is None:
        code = "fstab-nothing-there" if waits and mount.kind != "swap" else "fstab-nothing-there-optional"
        yield finding(code, "/etc/fstab", **facts)
        return
    if is_device and by_nvme and mount.path != "/":
        yield finding("fstab-by-device", "/etc/fstab", **facts)
    kind = mount.partition.filesystem.kind if mount.partition.filesystem else "nothing that we know"
    if mount.kind not in ("auto", "none", kind) and not any({mount.kind, kind} <= same for same in SAME_DRIVER):
        yield finding("fstab-other-kind", "/etc/fstab", said=mount.kind, found=kind, **facts)


def menu_findings(disk: Disk, root: Root, entries: Iterable[BootEntry], ways: Iterable[Way]) -> Iterator[Finding]:
    """Whether the boot menus name kernels, initramfs and roots that are there."""
    modes = {way.mode for way in ways}
    for entry in entries:
        if entry.kernel is None:
            yield finding("menu-without-kernel", entry.menu, written=entry.written)
        for written, place in entry.initrds:
            if place is None:
                yield finding("menu-without-initramfs", entry.menu, written=written)
        yield from _root_argument(disk, root, entry, modes)
    known = {part.filesystem.uuid.lower() for part in disk.partitions if part.filesystem}
    for menu, uuid in dict.fromkeys(searched_uuids(root.files)):
        if uuid.lower() not in known:
            yield finding("menu-searches-nothing", menu, uuid=uuid)


def _root_argument(disk: Disk, root: Root, entry: BootEntry, modes: set[str]) -> Iterator[Finding]:
    spec = (entry.argument("root") or "").strip("\"'")
    if not spec:
        return
    is_device = FIRST_DISK.match(spec) is not None
    if not (is_device or re.match(r"(PART)?(UUID|LABEL)=|/dev/disk/by-", spec)):
        return
    part = named(disk, spec)
    if part is None:
        yield finding("menu-root-not-there", entry.menu, spec=spec)
    elif part.number != root.partition.number:
        yield finding("menu-root-another", entry.menu, spec=spec, number=part.number, root=root.partition.number)
    elif is_device and entry.loader != "pv-grub" and modes - {"paravirtual"}:
        yield finding("menu-root-by-device", entry.menu, spec=spec)
    if re.match(r"(UUID|LABEL)=", spec) and not entry.initrds:
        yield finding("menu-root-needs-initramfs", entry.menu, spec=spec)
