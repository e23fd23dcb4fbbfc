"""The disks that the kernels are booted from: one partition, holding a small userland or Debian's."""

import os
import shutil
import subprocess
from functools import cache
from pathlib import Path

from wizard import host
from wizard.boot import grub
from wizard.plan.script import PRELUDE

from .kernels import place

USERLAND = Path(__file__).parent / "userland"
BUSYBOX = Path("/bin/busybox")
START_MIB = 1
SIZES_MIB = {"small": 320, "debian": 400}
"""Sparse; mkfs.xfs makes none below 300."""
DEBIAN_PACKAGES = ("systemd-sysv", "udev", "dbus", "openssh-server", "openssh-client", "iproute2")
APPLETS = ("mount", "reboot", "sed", "sleep", "sync", "tr", "uname", "usleep")
ESP_MIB = 8
MENU = "default 0\ntimeout 0\n\ntitle small\n    root (hd0,0)\n    kernel /boot/vmlinuz {arguments}\n"


@cache
def disk(
    userland: str, filesystem: str = "ext4", menu_arguments: str = "", table: str = "dos", uefi_arguments: str = ""
) -> Path:
    """A disk image to make copies of: `userland` is "small" or "debian".

    With `menu_arguments` it has a menu.lst that starts /boot/vmlinuz with them, with `uefi_arguments` an EFI system
    partition with GRUB that does so; the kernel is put in later.
    ext4 is without a journal, so that what the machine has written can be read from outside at once.
    """
    special = (
        ("-menu" if menu_arguments else "") + ("-gpt" if table == "gpt" else "") + ("-uefi" if uefi_arguments else "")
    )
    image = place() / f"{userland}-{filesystem}{special}.img"
    tree = place() / f"tree-{image.stem}"
    _shell(f"as_root rm -rf {tree}")
    if userland == "small":
        _small_tree(tree)
    else:
        _debian_tree(tree)
    if menu_arguments:
        (tree / "boot/grub").mkdir(parents=True, exist_ok=True)
        (tree / "boot/grub/menu.lst").write_text(MENU.format(arguments=menu_arguments))
    size = SIZES_MIB[userland]
    _shell(f"rm -f {image}; truncate -s {size + START_MIB + ESP_MIB + 2}M {image}")
    kind = {"dos": "type=83, bootable", "gpt": "type=linux"}[table]
    partitions = [f"label: {table}", f"start={START_MIB}MiB, size={size}MiB, {kind}"]
    if uefi_arguments:
        partitions.append(f"start={START_MIB + size}MiB, size={ESP_MIB}MiB, type=uefi")
    _shell(f"sfdisk --quiet {image} <<'END'\n{chr(10).join(partitions)}\nEND")
    _make_filesystem(filesystem, tree, image, size)
    if uefi_arguments:
        _make_esp(image, START_MIB + size, uefi_arguments)
    _shell(f"as_root rm -rf {tree}")
    return image


def _make_filesystem(filesystem: str, tree: Path, image: Path, size_mib: int) -> None:
    if filesystem == "ext4":
        at = f"-E offset={START_MIB << 20}"
        _shell(f"as_root mke2fs -q -F -t ext4 -O ^has_journal,^metadata_csum,^64bit {at} -d {tree} {image} {size_mib}M")
        return
    part, prototype = place() / "part.img", place() / "xfs.prototype"
    prototype.write_text(f"none\n0 0\n{_xfs_prototype(tree)}\n")
    fill = {"btrfs": f"mkfs.btrfs -q --rootdir {tree} {part} > /dev/null", "xfs": f"mkfs.xfs -q -p {prototype} {part}"}
    _shell(f"rm -f {part}; truncate -s {size_mib}M {part}; as_root {fill[filesystem]}")
    _shell(f"dd if={part} of={image} bs=1M seek={START_MIB} conv=notrunc,sparse status=none; rm {part}")


def _make_esp(image: Path, start_mib: int, arguments: str) -> None:
    """GRUB with the modules that our images' GRUB has, told at once what to start."""
    config, program = place() / "early.cfg", place() / "BOOTX64.EFI"
    config.write_text(f"search --no-floppy --file --set=root /boot/vmlinuz\nlinux /boot/vmlinuz {arguments}\nboot\n")
    folder, modules = f"{grub.GRUB_FOLDER}/x86_64-efi", " ".join(grub.MODULES)
    _shell(f"grub-mkimage -O x86_64-efi -d {folder} -c {config} -p /EFI/BOOT -o {program} {modules}")
    esp = f"{image}@@{start_mib}M"
    _shell(f"mformat -i {esp} -T {ESP_MIB * 2048} -v ESP ::")
    _shell(f"mmd -i {esp} ::EFI ::EFI/BOOT && mcopy -i {esp} {program} ::EFI/BOOT/BOOTX64.EFI")


def _xfs_prototype(folder: Path) -> str:
    """A folder's content in the words of mkfs.xfs's prototype files (mkfs.xfs(8), "-p")."""
    lines = ["d--755 0 0"]
    for path in sorted(folder.iterdir()):
        if path.is_symlink():
            lines.append(f"{path.name} l--777 0 0 {path.readlink()}")
        elif path.is_dir():
            lines.append(f"{path.name} {_xfs_prototype(path)}")
        else:
            lines.append(f"{path.name} ---755 0 0 {path}")
    return "\n".join([*lines, "$"])


def copy_of(image: Path, kernel: Path | None) -> Path:
    """A copy to boot from and to write to, with a kernel as /boot/vmlinuz if one is given."""
    copy = image.with_name("running.img")
    _shell(f"cp --sparse=always {image} {copy}")
    if kernel:
        _debugfs(copy, f"write {kernel} boot/vmlinuz", writes=True)
    return copy


def report_in(image: Path) -> str:
    """The report that a booted machine wrote into its root file system, "" when it did not come so far."""
    said = _debugfs(image, "cat lab-report")
    return said if said.startswith("LAB-REPORT") else ""


def _small_tree(tree: Path) -> None:
    for folder in ("bin", "boot", "sbin", "dev", "proc", "sys"):
        (tree / folder).mkdir(parents=True)
    shutil.copy(BUSYBOX, tree / "bin/busybox")
    for name in APPLETS:
        (tree / "bin" / name).symlink_to("busybox")
    shutil.copy(USERLAND / "init", tree / "sbin/init")
    (tree / "sbin/init").chmod(0o755)


def _debian_tree(tree: Path) -> None:
    archive = place() / "debian.tar"
    if not archive.exists():
        leave_out = " ".join(f"--dpkgopt=path-exclude=/usr/share/{name}/*" for name in ("doc", "locale", "man"))
        names = ",".join(DEBIAN_PACKAGES)
        _shell(f"mmdebstrap --quiet --variant=minbase --include={names} {leave_out} bookworm {archive}.part")
        _shell(f"mv {archive}.part {archive}")
    own = place() / "own"
    shutil.rmtree(own, ignore_errors=True)
    lab, units = own / "etc/lab", own / "etc/systemd/system"
    for folder in (lab, own / "root/.ssh", own / "etc/systemd/network", units / "multi-user.target.wants"):
        folder.mkdir(parents=True)
    shutil.copy(USERLAND / "report", lab)
    shutil.copy(USERLAND / "report.service", units)
    shutil.copy(USERLAND / "dhcp.network", own / "etc/systemd/network")
    (units / "multi-user.target.wants/report.service").symlink_to("../report.service")
    networkd = "/lib/systemd/system/systemd-networkd.service"
    (units / "multi-user.target.wants/systemd-networkd.service").symlink_to(networkd)
    (own / "etc/hostname").write_text("lab\n")
    (own / "etc/fstab").write_text("/dev/nvme0n1p1 / ext4 defaults 0 0\n")
    _shell(f"ssh-keygen -q -t ed25519 -N '' -f {lab}/key && cp {lab}/key.pub {own}/root/.ssh/authorized_keys")
    (own / "root").chmod(0o700)
    (own / "root/.ssh").chmod(0o700)
    _shell(f"as_root mkdir {tree} && as_root tar -C {tree} --numeric-owner -xpf {archive} --exclude='./dev/*'")
    _shell(f"tar -C {own} --owner=0 --group=0 -cf - . | as_root tar -C {tree} --keep-directory-symlink -xpf -")


def _debugfs(image: Path, command: str, *, writes: bool = False) -> str:
    access = ["-w"] if writes else []
    return subprocess.run(
        ["debugfs", *access, "-R", command, f"{image}?offset={START_MIB << 20}"],
        env={**os.environ, "PATH": host.SEARCH_PATH},
        capture_output=True,
        text=True,
        errors="replace",
        check=True,
    ).stdout


def _shell(command: str) -> None:
    environment = {**os.environ, "PATH": host.SEARCH_PATH, "LC_ALL": "C.UTF-8"}
    subprocess.run(["bash", "-euo", "pipefail", "-c", f"umask 022\n{PRELUDE}\n{command}"], env=environment, check=True)
