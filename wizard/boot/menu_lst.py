"""menu.lst, the legacy GRUB menu that PV-GRUB reads."""

from wizard.boot.commandline import boot_path, kernel_arguments
from wizard.disk.layout import DiskIds, Layout


def menu_lst(layout: Layout, ids: DiskIds, title: str, *, has_initramfs: bool) -> str:
    """The menu, with the kernel by the link that follows its upgrades.

    PV-GRUB 1.04 and later look in the first four partitions for boot/grub/menu.lst and grub/menu.lst; 1.03 and
    earlier only for boot/grub/menu.lst of the disk or of its first partition.
    Source: AWS EC2 User Guide, "UserProvidedKernels".
    """
    folder = boot_path(layout)
    arguments = kernel_arguments(layout, ids, is_pv=True, has_initramfs=has_initramfs)
    disk = "(hd0)" if layout.table == "none" else f"(hd0,{layout.boot.number - 1})"
    initrd = [f"    initrd {folder}/initrd.img"] if has_initramfs else []
    lines = [
        "default 0",
        "timeout 1",
        "",
        f"title {title}",
        f"    root {disk}",
        f"    kernel {folder}/vmlinuz {arguments}",
        *initrd,
    ]
    return "\n".join(lines) + "\n"


def menu_files(layout: Layout, text: str) -> tuple[dict[str, str], dict[str, str]]:
    """Where the menu lies in the tree: files by path, links by path.

    In a /boot of its own it lies in a folder `boot` inside it, where every PV-GRUB looks, with a link from
    /boot/grub, where people look (as arch4ec2 did).
    """
    if layout.at("/boot"):
        return {"boot/boot/grub/menu.lst": text}, {"boot/grub": "boot/grub"}
    return {"boot/grub/menu.lst": text}, {}
