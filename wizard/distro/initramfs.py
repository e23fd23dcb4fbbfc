"""What an initramfs must hold to start on every EC2 instance, told to each program that makes one."""

from wizard import presets

FILESYSTEMS = ("ext4", "btrfs", "xfs")
"""What a root can lie on; ext4's driver reads ext2 and ext3 too."""

MKINITFS_FEATURES = " ".join(("base", "ec2", "virtio", "scsi", *FILESYSTEMS))
"""mkinitfs's features; `ec2` is ours."""


def dracut() -> str:
    """/etc/dracut.conf.d/10-ec2.conf.  Source: dracut.conf(5)."""
    names = " ".join(row["name"] for row in _drivers())
    return f'hostonly="no"\nreproducible="yes"\nadd_drivers+=" {names} "\n'


def initramfs_tools() -> dict[str, str]:
    """Files below /etc/initramfs-tools: these drivers alone, and not all that a disk could hang on.

    A hook takes them in without loading them: udev loads what the instance has.  Source: initramfs.conf(5),
    initramfs-tools(7).
    """
    names = " ".join((*(row["name"] for row in _drivers()), *FILESYSTEMS))
    hook = f"""\
#!/bin/sh
# What an EC2 instance may have; add what else this one needs, then: update-initramfs -u
[ "$1" = prereqs ] && exit 0
. /usr/share/initramfs-tools/hook-functions
manual_add_modules {names}
"""
    return {"conf.d/ec2": "MODULES=list\n", "hooks/ec2": hook}


def mkinitcpio() -> str:
    """/etc/mkinitcpio.conf.d/ec2.conf.  "?": a kernel may have it built in (mkinitcpio.conf(5))."""
    names = " ".join(f"'{name}?'" for name in (*(row["name"] for row in _drivers()), *FILESYSTEMS))
    return (
        "# Every EC2 instance, not the machine that made the image: without autodetect.\n"
        f"MODULES=({names})\n"
        "HOOKS=(base udev modconf block filesystems fsck)\n"
    )


def mkinitfs() -> str:
    """/etc/mkinitfs/features.d/ec2.modules.  Source: mkinitfs-bootparam(7)."""
    return "".join(f"{row['path']}\n" for row in _drivers())


def _drivers() -> list[dict[str, str]]:
    """The rows of presets/initramfs.toml."""
    found: list[dict[str, str]] = presets.load("initramfs")["driver"]
    return found
