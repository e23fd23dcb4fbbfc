"""The image file: the tree staged once, each file system made from it, all put at their places.

No loop device and no mount of the host's: mke2fs writes straight at an offset of the image.  What was measured
on e2fsprogs 1.47.0 and btrfs-progs 6.2 (Debian 12) about making the same bytes twice stands beside the commands.
"""

import shlex

from wizard.disk.layout import DiskIds, Layout, Partition, sfdisk_script
from wizard.plan.steps import Run, Step, Write

HEADROOM_MIB = 300
"""Room beside the content, for the journal, logs and a second kernel."""

# Our own files change the times of the folders that they are put into.
CLAMP = "find {tree} -newermt @{epoch} -exec touch -h -d @{epoch} {{}} +"

UNPACK = "tar -C {tree} --xattrs --xattrs-include='*' --numeric-owner -xpf {archive} --exclude='./dev/*'"


def image_step(
    layout: Layout,
    ids: DiskIds,
    epoch: int,
    size_gib: int | None,
    needs: tuple[str, ...],
    bootloader: tuple[Run, ...],
    is_pv: bool,
    inputs: dict[str, str],
) -> Step:
    """The step that makes image/disk.img (raw, sparse, whole GiB)."""
    root = layout.root
    make_root = _btrfs_root if root.filesystem == "btrfs" else _ext_root
    return Step(
        "image",
        "Assemble the disk image",
        f"{layout.title}: the partition table, the file systems and the boot loader go into one file, "
        "which is the disk. Nothing is mounted, and no device of this machine is touched.",
        (
            Write("image/table.sfdisk", sfdisk_script(layout, ids)),
            *_measure(layout, size_gib),
            Run('truncate -s "$(cat image/disk-gib)G" image/disk.img'),
            Run("sfdisk --quiet image/disk.img < image/table.sfdisk"),
            *make_root(layout, ids, epoch, is_pv),
            *bootloader,
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


def _measure(layout: Layout, size_gib: int | None) -> tuple[Run, ...]:
    """The volume's size in whole GiB: as given, or from the content."""
    if size_gib is not None:
        return (Run(f"echo {size_gib} > image/disk-gib"),)
    fixed = layout.root.start_mib + layout.tail_mib + HEADROOM_MIB
    return (
        Run("du -m --apparent-size bootstrap/root.tar | cut -f1 > image/content-mib"),
        Run(f"echo $(( ($(cat image/content-mib) * 5 / 4 + {fixed} + 1023) / 1024 )) > image/disk-gib"),
    )


def _root_mib(layout: Layout) -> str:
    return f"$(( $(cat image/disk-gib) * 1024 - {layout.root.start_mib + layout.tail_mib} ))"


def _mke2fs(part: Partition, ids: DiskIds, is_pv: bool, tree: str, size: str) -> str:
    """A file system from a folder, at its place in the image.

    PV-GRUB's ext4 reader stops at the 64bit feature and knows no checksums (FACTS.md, "File system of /boot for
    PV-GRUB"); GRUB 2.06 knows neither metadata_csum_seed nor orphan_file.
    """
    features = ["^metadata_csum_seed", "^orphan_file"]
    if is_pv:
        features += ["^64bit", "^metadata_csum"]
    fs_id = ids.filesystem(part)
    options = f"offset={part.start_mib * 1024 * 1024},hash_seed={fs_id}"
    wanted = f" -O {','.join(features)}" if part.filesystem == "ext4" else ""
    names = f"-L {part.name} -U {fs_id}"
    return f"mke2fs -q -F -t {part.filesystem}{wanted} {names} -E {options} -d {tree} image/disk.img {size}"


def _same_times(part: Partition, epoch: int, name: str) -> tuple[str, str]:
    """mke2fs copies each file's change and access time, which no program can set: they are set in the image.

    In sorted order, as debugfs counts what it writes, and the count depends on the order.
    """
    edit = f's/"/""/g; s/.*/sif "\\/&" ctime @{epoch}\\nsif "\\/&" atime @{epoch}/'
    at = f"image/disk.img?offset={part.start_mib * 1024 * 1024}"
    return (
        f"sed {shlex.quote(edit)} > image/{name}.times",
        f"debugfs -w -f image/{name}.times {shlex.quote(at)} > image/{name}.debugfs 2>&1",
    )


def _ext_root(layout: Layout, ids: DiskIds, epoch: int, is_pv: bool) -> tuple[Run, ...]:
    tree = "image/tree"
    commands = [
        f"mkdir -p {tree}",
        f"as_root {UNPACK.format(tree=tree, archive='bootstrap/root.tar')}",
        f"as_root {UNPACK.format(tree=tree, archive='system/system.tar')}",
    ]
    if layout.boot is not layout.root:
        commands += _ext_filesystem(layout.boot, ids, epoch, is_pv, f"{tree}/boot", f"{layout.boot.size_mib}M")
        commands.append(f"as_root find {tree}/boot -mindepth 1 -delete")
    commands += _ext_filesystem(layout.root, ids, epoch, is_pv, tree, f'"{_root_mib(layout)}M"')
    commands.append(f"as_root rm -rf {tree}")
    return tuple(Run(command) for command in commands)


def _ext_filesystem(part: Partition, ids: DiskIds, epoch: int, is_pv: bool, tree: str, size: str) -> list[str]:
    script, apply = _same_times(part, epoch, part.name)
    return [
        f"as_root {CLAMP.format(tree=tree, epoch=epoch)}",
        f"as_root {_mke2fs(part, ids, is_pv, tree, size)}",
        f"as_root find {tree} -printf '%P\\n' | LC_ALL=C sort | {script}",
        apply,
        f"rm image/{part.name}.times image/{part.name}.debugfs",
    ]


def _btrfs_root(layout: Layout, ids: DiskIds, epoch: int, is_pv: bool) -> tuple[Run, ...]:
    """btrfs keeps the inode numbers and the order of the folder that it was made from, and random ids.

    So the tree is staged in a memory file system that only this command sees, in a process space of its own: there
    inode numbers, order and process ids are the same every time; libfaketime makes time and randomness so.
    """
    if layout.boot is layout.root or layout.boot.filesystem == "btrfs":
        raise ValueError("a btrfs root needs a /boot of its own that PV-GRUB reads")
    root, boot = layout.root, layout.boot
    times, set_times = _same_times(boot, epoch, boot.name)
    seed = f"0x{ids.filesystem(root).replace('-', '')[:16]}"
    script = f"""
mount -t tmpfs -o mode=755 tmpfs image/tree
mount -t tmpfs tmpfs /dev/shm
{UNPACK.format(tree="image/tree", archive="bootstrap/root.tar")}
{UNPACK.format(tree="image/tree", archive="system/system.tar")}
{CLAMP.format(tree="image/tree/boot", epoch=epoch)}
{_mke2fs(boot, ids, is_pv, "image/tree/boot", f"{boot.size_mib}M")}
find image/tree/boot -printf '%P\\n' | LC_ALL=C sort | {times}
{set_times}
find image/tree/boot -mindepth 1 -delete
truncate -s "{_root_mib(layout)}M" image/root.btrfs
FAKERANDOM_SEED={seed} faketime -f "$(date -u -d @{epoch} '+%Y-%m-%d %H:%M:%S')" \\
  mkfs.btrfs -q -U {ids.filesystem(root)} -L {root.name} --rootdir image/tree image/root.btrfs
"""
    grown = f'test "$(stat -c %s image/root.btrfs)" = "$(({_root_mib(layout)} * 1048576))"'
    return (
        Run("mkdir -p image/tree"),
        Run(f"as_root_apart bash -euo pipefail <<'APART'{script}APART"),
        Run(f"{grown} || {{ echo 'mkfs.btrfs: the content does not fit into the partition' >&2; false; }}"),
        Run(f"dd if=image/root.btrfs of=image/disk.img bs=1M seek={root.start_mib} conv=notrunc,sparse status=none"),
        Run(f"rm -r image/root.btrfs image/tree image/{boot.name}.times image/{boot.name}.debugfs"),
    )
