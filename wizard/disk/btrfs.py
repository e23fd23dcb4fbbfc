"""btrfs: made from a folder, without a mount.

Measured on btrfs-progs 6.2 (Debian 12): inode numbers and order are those of the folder, and ids are random.  So the
folder lies in a memory file system where they are the same every time, and libfaketime holds time and randomness.
mkfs.btrfs copies each file's change time, which no program can set, so libfaketime must show it another one; with it
goes the time of last modification: every file is of the build's epoch.

Measured on 6.19: newer ones (from 6.10 on, by their source) read times where libfaketime cannot reach.  Files keep
their times of modification, and two builds differ in the times of change and access: not the same bytes.
"""

import shlex

from wizard import host
from wizard.disk.layout import Partition
from wizard.disk.making import Job, clock_stopped, put_in_place

KIB_A_FILE = 32
OWN_MIB = 256
"""What mkfs.btrfs reckons with beside the content, before it makes its file larger: for each file 16 KiB of metadata,
twice, and room of its own.  Measured on 6.2: 13,607 files of 383 MiB had to have 997 MiB."""

TOOLS = ("mkfs.btrfs", "faketime", "unshare")


def commands(job: Job) -> list[str]:
    """Makes the file system from its folder.

    mkfs.btrfs makes its file larger where the content does not fit; the kernel would refuse that.
    """
    seed = f"0x{job.fs_id.replace('-', '')[:16]}"
    names = f"-U {job.fs_id} -L {shlex.quote(job.part.label)}"
    subvolumes = [shlex.quote(name) for name in job.part.subvolumes] if makes_subvolumes() else []
    options = "".join(f" --subvol {name}" for name in subvolumes)
    return [
        *(f"mkdir -p {job.tree}/{name}" for name in subvolumes),
        f'truncate -s "{job.mib}M" {job.alone}',
        f"FAKERANDOM_SEED={seed} {clock_stopped(job.epoch)} \\",
        f"  mkfs.btrfs -q {names} --rootdir {job.tree}{options} {job.alone}",
        f'test "$(stat -c %s {job.alone})" = "$(({job.mib} * 1048576))" || '
        f'refuse "{job.part.name}: the content does not fit into the partition"',
        *put_in_place(job),
    ]


def makes_subvolumes() -> bool:
    """Whether this machine's mkfs.btrfs can make subvolumes: btrfs-progs 6.12 and newer."""
    return host.offers("mkfs.btrfs", "--subvol")


def note(part: Partition) -> str:
    """What the screen says beside the partition; nothing when there is nothing to say."""
    names = ", ".join(part.subvolumes)
    if makes_subvolumes():
        became = f"{names} become subvolumes of {part.name}. " if names else ""
        return f"{became}Two builds differ in when each file was last changed (its ctime), which mkfs.btrfs copies."
    stayed = (
        f"{names} stay plain folders of {part.name}: making them subvolumes without a mount takes mkfs.btrfs 6.12 or "
        "newer (its option --subvol), which this machine does not have. "
    )
    same = f"Every file of {part.name} is of the image's own date, 2023-06-10: so the bytes are the same each time."
    return (stayed if names else "") + same
