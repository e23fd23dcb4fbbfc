"""The kernel's command line, from one source for every boot loader."""

from wizard.disk.layout import DiskIds, Layout


def root_argument(layout: Layout, ids: DiskIds, *, is_pv: bool, has_initramfs: bool) -> str:
    """How the kernel is told its root.

    Only an initramfs finds a file system's UUID; the kernel alone knows devices and partition ids.  Under PV
    the disk is xvda whatever AWS calls it (Linux, drivers/block/xen-blkfront.c:
    virtual block device 2048 is xvda).
    """
    if has_initramfs:
        return f"root=UUID={ids.filesystem(layout.root)}"
    if is_pv:
        return f"root=/dev/xvda{layout.root.number}"
    return f"root=PARTUUID={ids.partuuid(layout.root, layout.table)}"


def kernel_arguments(layout: Layout, ids: DiskIds, *, is_pv: bool, has_initramfs: bool) -> str:
    """Everything behind the kernel's path.

    `nvme_core.io_timeout` at its maximum is what AWS's guide asks for on Nitro (AWSDOC nvme-ebs-volumes.md).
    """
    parts = [root_argument(layout, ids, is_pv=is_pv, has_initramfs=has_initramfs), "ro"]
    # Alpine's initramfs loads the file system's module by it; every other one knows it, too.
    parts.append(f"rootfstype={layout.root.filesystem}")
    if not has_initramfs:
        parts.append("rootwait")
    parts += (
        ["console=hvc0"] if is_pv else ["console=tty0", "console=ttyS0,115200n8", "nvme_core.io_timeout=4294967295"]
    )
    return " ".join(parts)


def boot_path(layout: Layout) -> str:
    """Where /boot is, as a boot loader sees it: "" when it is a file system of its own."""
    return "" if layout.at("/boot") else "/boot"
