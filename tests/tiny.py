"""A disk image that boots by UEFI in a few seconds: GRUB, a kernel of Debian's, and busybox as the whole system."""

import subprocess
from pathlib import Path

from images import Files, run

from wizard.boot import grub
from wizard.boot.lab.bundle import xen_bundle

MIB = 1 << 20
INIT = """\
#!/bin/busybox sh
/bin/busybox mount -t devtmpfs dev /dev
/bin/busybox hostname tiny
exec /bin/busybox getty -L 115200 ttyS0 vt100
"""
EARLY = """\
search --no-floppy --file --set=root /vmlinuz
linux /vmlinuz console=ttyS0 panic=1
initrd /initrd
boot
"""
SIZE_MIB, START_MIB = 64, 1


def image(folder: Path) -> Path:
    """The disk, of 66 MiB: one EFI system partition that holds all of it."""
    root = Files(folder / "root", {"init": INIT, "dev": None, "bin/busybox": Path("/bin/busybox").read_bytes()}).folder
    for path in (root / "init", root / "bin/busybox"):
        path.chmod(0o755)
    pack = f"find . | LC_ALL=C sort | cpio --quiet -o -H newc | gzip -1 > {folder}/initrd"
    subprocess.run(["bash", "-euo", "pipefail", "-c", pack], cwd=root, check=True)
    (folder / "early.cfg").write_text(EARLY)
    program = folder / "BOOTX64.EFI"
    form = ("-O", "x86_64-efi", "-d", f"{grub.GRUB_FOLDER}/x86_64-efi", "-p", "/EFI/BOOT")
    run("grub-mkimage", *form, "-c", folder / "early.cfg", "-o", program, *grub.MODULES)
    disk = folder / "disk.img"
    with disk.open("wb") as file:
        file.truncate((SIZE_MIB + 2) * MIB)
    run("sfdisk", "--quiet", disk, stdin=f"label: gpt\nstart={START_MIB}MiB, size={SIZE_MIB}MiB, type=uefi\n")
    esp = f"{disk}@@{START_MIB}M"
    run("mformat", "-i", esp, "-F", "-T", str(SIZE_MIB * 2048), "::")
    run("mmd", "-i", esp, "::EFI", "::EFI/BOOT")
    run("mcopy", "-i", esp, program, "::EFI/BOOT/BOOTX64.EFI")
    run("mcopy", "-i", esp, xen_bundle().kernel, "::vmlinuz")
    run("mcopy", "-i", esp, folder / "initrd", "::initrd")
    return disk
