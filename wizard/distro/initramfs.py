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
