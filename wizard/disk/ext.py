"""ext2, ext3, ext4: mke2fs writes straight at an offset of the image.

What was measured on e2fsprogs 1.47.0 (Debian 12) about making the same bytes twice stands beside the commands.
"""

import shlex

from wizard.disk.making import IMAGE, Job

TOOLS = ("mke2fs", "debugfs")


def commands(job: Job) -> list[str]:
    """Makes the file system from its folder."""
    name, tree = job.part.name, job.tree
    return [
        _mke2fs(job),
        f"find {tree} -maxdepth 0 -printf 'sif / mode 04%04m\\nsif / uid %U\\nsif / gid %G\\n' > image/{name}.edits",
        f"find {tree} -printf '%P\\n' | LC_ALL=C sort | sed {shlex.quote(_times(job.epoch))} >> image/{name}.edits",
        f"debugfs -w -f image/{name}.edits '{IMAGE}?offset={job.offset}' > image/{name}.debugfs 2>&1",
        f"rm image/{name}.edits image/{name}.debugfs",
    ]


def _mke2fs(job: Job) -> str:
    """PV-GRUB's ext4 reader stops at the 64bit feature and knows no checksums (Xen,
    stubdom/grub.patches/60ext4.diff); GRUB 2.06 knows neither metadata_csum_seed nor orphan_file.
    """
    features = ["^metadata_csum_seed", "^orphan_file"]
    if job.is_pv:
        features += ["^64bit", "^metadata_csum"]
    wanted = f" -O {','.join(features)}" if job.part.filesystem == "ext4" else ""
    names = f"-L {shlex.quote(job.part.label)} -U {job.fs_id}"
    options = f"offset={job.offset},hash_seed={job.fs_id}"
    return f'mke2fs -q -F -t {job.part.filesystem}{wanted} {names} -E {options} -d {job.tree} {IMAGE} "{job.mib}M"'


def _times(epoch: int) -> str:
    """mke2fs copies each file's change and access time, which no program can set: they are set in the image.

    In sorted order, as debugfs counts what it writes, and the count depends on the order.
    """
    return f's/"/""/g; s/.*/sif "\\/&" ctime @{epoch}\\nsif "\\/&" atime @{epoch}/'
