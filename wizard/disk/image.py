"""The image file: the tree staged once, each file system made from its part of it, all at their places.

No loop device and no mount of the host's: makers write into the image at an offset, or into a file that is copied
there.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from itertools import chain

from wizard.disk import btrfs, ext, fat, swap, xfs
from wizard.disk.layout import DiskIds, Layout, Partition, sfdisk_script
from wizard.disk.making import Job
from wizard.plan.actions import Run, Write
from wizard.plan.steps import Step

HEADROOM_MIB = 300
"""Room beside the content, for the journal, logs and a second kernel."""

TREE = "image/tree"

MAKERS: Mapping[str, tuple[Callable[[Job], list[str]], tuple[str, ...]]] = {
    **dict.fromkeys(("ext2", "ext3", "ext4"), (ext.commands, ext.TOOLS)),
    "btrfs": (btrfs.commands, btrfs.TOOLS),
    "xfs": (xfs.commands, xfs.TOOLS),
    "vfat": (fat.commands, fat.TOOLS),
    "swap": (swap.commands, swap.TOOLS),
}
"""What makes a file system, and the programs that it needs."""

UNPACK = "tar -C {tree} --xattrs --xattrs-include='*' --numeric-owner -xpf {archive} --exclude='./dev/*'"

# Files that are put into a folder change its time.
CLAMP = "find {tree} -newermt @{epoch} -exec touch -h -d @{epoch} {{}} +"

REFUSE = """\
refuse() { echo "$*" >&2; exit 1; }
fits() {
  local mib; mib=$(du -sm --apparent-size "$2" | cut -f1)
  [ "$mib" -lt "$3" ] || refuse "$1: the content does not fit into the partition: $mib MiB of files, $3 MiB of room"
}"""

# Inside a process space of its own: there, what is made does not depend on what the host's file system is like.
IN_MEMORY = ("mount -t tmpfs -o mode=755 tmpfs image/tree", "mount -t tmpfs tmpfs /dev/shm")


@dataclass(frozen=True, slots=True)
class BootLoader:
    """What the boot loader wants of an image: bash lines that put files into TREE, and commands at the end."""

    staged: tuple[str, ...] = ()
    installed: tuple[Run, ...] = ()


def image_step(
    layout: Layout,
    ids: DiskIds,
    epoch: int,
    size_gib: int | None,
    needs: tuple[str, ...],
    bootloader: BootLoader,
    is_pv: bool,
    inputs: dict[str, str],
) -> Step:
    """The step that makes image/disk.img (raw, sparse, whole GiB)."""
    table = layout.table != "none"
    return Step(
        "image",
        "Assemble the disk image",
        f"{layout.title}: {'the partition table, ' if table else ''}the file systems and the boot loader go into one "
        "file, which is the disk. Nothing is mounted, and no device of this machine is touched.",
        (
            *([Write("image/table.sfdisk", sfdisk_script(layout, ids))] if table else []),
            *([xfs.restore_unit()] if _of(layout, "xfs") else []),
            *_measure(layout, size_gib),
            Run('truncate -s "$(cat image/disk-gib)G" image/disk.img'),
            *([Run("sfdisk --quiet image/disk.img < image/table.sfdisk")] if table else []),
            Run(f"mkdir {TREE}"),
            Run(_fill(layout, ids, epoch, is_pv, bootloader.staged)),
            *bootloader.installed,
        ),
        needs,
        inputs,
    )


def checksum_step() -> Step:
    """The step that makes checksum/disk.img.sha256.  It reads every byte, so it runs beside the upload."""
    return Step(
        "checksum",
        "Take the image's checksum",
        "Whoever has the recipe can make the same image; its SHA-256 tells that it is the same.",
        (Run("sha256sum image/disk.img | tee checksum/disk.img.sha256"),),
        ("image",),
    )


def tools(layout: Layout) -> list[str]:
    """The host's programs that make a disk of this layout."""
    made = (MAKERS[part.filesystem][1] for part in layout.partitions if part.filesystem in MAKERS)
    return [*(["sfdisk"] if layout.table != "none" else []), *sorted(set(chain.from_iterable(made)))]


def notes(layout: Layout) -> list[str]:
    """What is worth knowing of how this machine makes these file systems."""
    said = [btrfs.note(part) for part in _of(layout, "btrfs")] + [xfs.NOTE] * bool(_of(layout, "xfs"))
    return [note for note in said if note]


def _of(layout: Layout, filesystem: str) -> list[Partition]:
    return [part for part in layout.partitions if part.filesystem == filesystem]


def _measure(layout: Layout, size_gib: int | None) -> tuple[Run, ...]:
    """The volume's size in whole GiB: as given, or from the content."""
    if size_gib is not None:
        return (Run(f"echo {size_gib} > image/disk-gib"),)
    content, fixed = "$(cat image/content-mib)", layout.root.start_mib + layout.tail_mib + HEADROOM_MIB
    count = []
    wanted = f"{content} * 5 / 4 + {fixed}"
    if layout.root.filesystem == "btrfs":
        count = [Run("tar -tf bootstrap/root.tar | wc -l > image/content-files")]
        wanted += f" + $(cat image/content-files) * {btrfs.KIB_A_FILE} / 1024 + {btrfs.OWN_MIB}"
    return (
        Run("du -m --apparent-size bootstrap/root.tar | cut -f1 > image/content-mib"),
        *count,
        Run(f"echo $(( ({wanted} + 1023) / 1024 )) > image/disk-gib"),
    )


def _fill(layout: Layout, ids: DiskIds, epoch: int, is_pv: bool, staged: Iterable[str]) -> str:
    """All file systems from one staged tree, innermost first: what is made is taken out of the tree of the others."""
    in_memory = bool(_of(layout, "btrfs"))
    mounts = [part.mount for part in layout.partitions if part.mount]
    folders = [f"{TREE}{mount}" for mount in sorted(mounts) if mount != "/"]
    xfs_parts = _of(layout, "xfs")
    lines = [
        REFUSE,
        *(IN_MEMORY if in_memory else ()),
        UNPACK.format(tree=TREE, archive="bootstrap/root.tar"),
        UNPACK.format(tree=TREE, archive="system/system.tar"),
        *([f"mkdir -p {' '.join(folders)}"] if folders else []),
        *staged,
        *(xfs.set_aside(TREE, xfs_parts, mounts) if xfs_parts else []),
    ]
    for part in sorted(layout.partitions, key=_depth, reverse=True):
        lines += _make(part, layout, ids, epoch, is_pv)
    lines += [f"rm -r {TREE}"] if not in_memory else []
    apart = "as_root_apart" if in_memory else "as_root"
    after = f"\nrmdir {TREE}" if in_memory else ""
    return f"{apart} bash -euo pipefail <<'TREE'\n" + "\n".join(lines) + f"\nTREE{after}"


def _make(part: Partition, layout: Layout, ids: DiskIds, epoch: int, is_pv: bool) -> list[str]:
    if part.filesystem not in MAKERS:
        return []
    make, _ = MAKERS[part.filesystem]
    tree = f"{TREE}{part.mount.rstrip('/')}" if part.mount else ""
    mib = str(part.size_mib) if part.size_mib else _root_mib(layout)
    commands = make(Job(part, ids.filesystem(part), tree, mib, epoch, is_pv))
    if not part.mount:
        return [f"echo '{part.name}: {part.filesystem}'", *commands]
    return [
        f"echo '{part.name}: {part.filesystem} for {part.mount}'",
        f'fits {part.name} {tree} "{mib}"',
        CLAMP.format(tree=tree, epoch=epoch),
        *commands,
        *([f"find {tree} -mindepth 1 -delete"] if part.mount != "/" else []),
    ]


def _root_mib(layout: Layout) -> str:
    return f"$(( $(cat image/disk-gib) * 1024 - {layout.root.start_mib + layout.tail_mib} ))"


def _depth(part: Partition) -> int:
    return len([name for name in (part.mount or "").split("/") if name])
