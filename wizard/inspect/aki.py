"""Whether the PV-GRUB that an AKI names finds and reads what it must, by the image alone.

The GRUB of a local Xen guest reads more than Amazon's does (btrfs, ext4 with 64bit, kernels packed with zstd), so a
boot there is not enough: this holds the image against what presets/pvgrub.toml says of the version.
"""

from collections.abc import Hashable, Iterator
from dataclasses import dataclass
from pathlib import Path

from wizard.boot import legacy_menu
from wizard.boot.legacy_menu import LegacyMenu, placed
from wizard.disk.read import Disk, Partition, Tree
from wizard.explain import Failure
from wizard.inspect.findings import Finding, finding
from wizard.kernel.image import KernelImage, from_stream
from wizard.targets.pvgrub import PvGrub, pvgrub

NOT_IN_EXT4 = ("64bit", "metadata_csum", "metadata_csum_seed", "orphan_file", "bigalloc", "inline_data", "encrypt")
"""Features that PV-GRUB's ext4 stops at, or that are younger than it (2012) and change what lies where.

Source: xen-project/xen 9fcf9e7e34, stubdom/grub.patches/60ext4.diff; ext4(5)."""

OLDEST_PROTOCOL = (2, 8)
"""Of a bzImage.  Source: xen, tools/libxc/xc_dom_bzimageloader.c."""


TABLES = {"none": "a file system on the bare disk", "dos": "an MBR", "gpt": "a GPT"}

Kernels = dict[Hashable, KernelImage | Failure]
"""The kernels that were looked at, by `Tree.identity`: to unpack one takes seconds."""


def check_for_aki(disk: Disk, version: str, device: str, known: Kernels | None = None) -> list[Finding]:
    """What keeps the PV-GRUB of a version, e.g. "1.04", for "hd0" or "hd00" from starting this disk; empty if nothing.

    In the order in which PV-GRUB would meet it.  A version that is not known counts as the newest.  With `known`, no
    kernel is looked at twice.
    """
    grub = _Grub(f"PV-GRUB {version}", pvgrub(version), disk, {} if known is None else known)
    tables = grub.able.tables(device)
    if disk.table.kind not in tables:
        named = " or ".join(TABLES[table] for table in tables)
        return [finding("aki-table", grub=f"{grub.name} ({device})", found=TABLES[disk.table.kind], tables=named)]
    found = _menu(grub)
    if found is None:
        return [*_unread(grub), finding("aki-no-menu", grub=grub.name, places=", ".join(grub.able.menu_lst))]
    place, path = found
    if said := list(_filesystem(grub, place, "its menu")):
        return said
    files = place.filesystem.files if place.filesystem else None
    menu = legacy_menu.parse((files.text(path) if files else None) or "")
    return list(_entry(grub, menu, place, path))


@dataclass(frozen=True, slots=True)
class _Grub:
    """One PV-GRUB before one disk."""

    name: str
    able: PvGrub
    disk: Disk
    known: Kernels


def _places(grub: _Grub) -> Iterator[tuple[Partition, str]]:
    """Where it looks, in its order."""
    for part in grub.disk.partitions:
        if part.number <= grub.able.menu_partitions:
            folders = grub.able.menu_folders if part.number else grub.able.menu_folders[:1]
            yield from ((part, f"/{folder}/menu.lst") for folder in folders)


def _menu(grub: _Grub) -> tuple[Partition, str] | None:
    """The first menu that is there."""
    for part, path in _places(grub):
        files = part.filesystem.files if part.filesystem else None
        if files and (node := files.stat(path)) and node.is_file:
            return part, path
    return None


def _unread(grub: _Grub) -> Iterator[Finding]:
    """File systems in which it looks, and of which neither it nor we can say what is in them."""
    for part in dict.fromkeys(part for part, _ in _places(grub)):
        if part.filesystem and part.filesystem.kind != "swap" and part.filesystem.driver is None:
            yield from _filesystem(grub, part, "a menu")


def _filesystem(grub: _Grub, part: Partition, what: str) -> Iterator[Finding]:
    """Whether it reads the file system in which something lies."""
    fs = part.filesystem
    where = f"partition {part.number}" if part.number else "the disk"
    if fs is None or fs.kind not in grub.able.filesystems:
        facts = {"kind": fs.kind if fs else "nothing", "kinds": ", ".join(grub.able.filesystems)}
        yield finding("aki-filesystem", grub=grub.name, place=where, held=what, **facts)
    elif features := [feature for feature in fs.features if feature in NOT_IN_EXT4]:
        yield finding("aki-features", grub=grub.name, place=where, held=what, features=", ".join(features))


def _entry(grub: _Grub, menu: LegacyMenu, place: Partition, path: str) -> Iterator[Finding]:
    """The entry that is started when nobody chooses: nobody can on EC2."""
    entry = menu.chosen
    if entry is None or not entry.kernel:
        yield finding("aki-no-entry", path, number=menu.default)
        return
    root = entry.root or (f"(hd0,{place.number - 1})" if place.number else "(hd0)")
    for what, written in (("the kernel", entry.kernel), ("the initramfs", entry.initrd)):
        if not written:
            continue
        number, inner = placed(written, root)
        part = grub.disk.partition(number) if number is not None else None
        if part is None:
            yield finding("aki-wrong-device", path, device=written if "(" in written else root, held=what)
            continue
        if said := list(_filesystem(grub, part, what)):
            yield from said
            continue
        files = part.filesystem.files if part.filesystem else None
        node = files.stat(inner) if files else None
        if files is None or node is None or not node.is_file:
            yield finding("aki-not-there", path, held=what, written=written, root=root)
        elif what == "the kernel":
            yield from _kernel(grub, files, inner)


def _kernel(grub: _Grub, files: Tree, path: str) -> Iterator[Finding]:
    able = grub.able
    kernel = kernel_in(files, path, grub.known)
    if isinstance(kernel, Failure):
        yield finding("aki-no-kernel", path, grub=grub.name)
        return
    packings = (*able.compressions, "none") if kernel.kind == "bzImage" else ("gzip", "none")
    if kernel.compression not in packings:
        facts = {"found": kernel.compression, "packings": ", ".join(able.compressions)}
        yield finding("aki-compression", path, grub=grub.name, **facts)
    if kernel.kind not in ("bzImage", "vmlinux") or kernel.starts_paravirtual is False:
        yield finding("aki-not-for-xen", path, kind=kernel.kind)
    if kernel.protocol is not None and kernel.protocol < OLDEST_PROTOCOL:
        yield finding("aki-old-kernel", path)
    fatal = able.fatal_alignment_mib
    if fatal and kernel.alignment == fatal << 20:
        yield finding("aki-alignment", path, grub=grub.name, alignment=fatal)


def kernel_in(files: Tree, path: str, known: Kernels) -> KernelImage | Failure:
    """The kernel at a path of an image, or why it is none: "not-a-kernel" or "unreadable-kernel"."""
    identity = files.identity(path)
    if identity not in known:
        known[identity] = _read_kernel(files, path)
    return known[identity]


def _read_kernel(files: Tree, path: str) -> KernelImage | Failure:
    stream = files.stream(path)
    if stream is None:
        return Failure("not-a-kernel", path=path, looks="no file")
    try:
        return from_stream(Path(path), stream)
    except Failure as failure:
        return failure
