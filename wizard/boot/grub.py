"""GRUB for BIOS and UEFI: its menu, and its images made from the host's modules."""

from wizard.boot.commandline import boot_path, kernel_arguments
from wizard.disk.image import TREE, BootLoader
from wizard.disk.layout import DiskIds, Layout
from wizard.plan.actions import Run, Write
from wizard.plan.steps import Step

MODULES = [
    *("part_gpt", "part_msdos", "fat", "ext2", "btrfs", "xfs", "gzio"),
    *("normal", "configfile", "linux", "search", "search_fs_uuid", "test"),
    *("minicmd", "echo", "ls", "cat", "reboot", "halt"),
]
"""To find the menu and load the kernel; the last line is for whoever stands at GRUB's prompt."""

EFI = {"x86_64": ("x86_64-efi", "BOOTX64.EFI"), "arm64": ("arm64-efi", "BOOTAA64.EFI")}
"""GRUB's platform, and the name that firmware looks for (UEFI specification 2.10, §3.5.1.1)."""

GRUB_FOLDER = "/usr/lib/grub"

BOOT_CODE_BYTES = 440
"""The boot code of an MBR ends where the disk's signature begins."""


def grub_cfg(layout: Layout, ids: DiskIds, title: str, arch: str, *, has_initramfs: bool) -> str:
    """GRUB's menu: on the serial port, which is what EC2 shows; root by UUID."""
    folder = boot_path(layout)
    arguments = kernel_arguments(layout, ids, is_pv=False, has_initramfs=has_initramfs)
    lines = [
        "set timeout=1",
        *serial(arch),
        f"search --no-floppy --fs-uuid --set=root {ids.filesystem(layout.boot)}",
        f'menuentry "{title}" {{',
        f"    linux {folder}/vmlinuz {arguments}",
        *([f"    initrd {folder}/initrd.img"] if has_initramfs else []),
        "}",
    ]
    return "\n".join(lines) + "\n"


def serial(arch: str) -> list[str]:
    """What makes GRUB speak on the serial port, which is what EC2 shows.

    For arm64 it speaks to the firmware's console, which on EC2 is that port.
    """
    if arch != "x86_64":
        return []
    return [
        "serial --unit=0 --speed=115200",
        "terminal_input serial console",
        "terminal_output serial console",
    ]


def bootloader_step(layout: Layout, ids: DiskIds, arch: str, inputs: dict[str, str]) -> Step:
    """The step that makes GRUB's images.

    On x86_64 from the host's modules, beside the userland that it does not need; on arm64 they come with the userland.
    """
    by_bios, by_uefi = _by_bios(layout, arch), layout.at("/boot/efi") is not None
    boots_by = " and ".join(name for name, does in (("BIOS", by_bios), ("UEFI", by_uefi)) if does)
    actions: list[Run | Write] = [Write("bootloader/early.cfg", _early_cfg(layout, ids, arch))]
    if by_bios:
        actions += _bios_images(layout)
    if by_uefi:
        actions += _efi_program(arch)
    return Step(
        "bootloader",
        f"Make the boot loader ({boots_by})",
        "An HVM instance starts like a PC: its firmware reads GRUB from the disk, and GRUB starts the kernel. "
        "These are GRUB's two small programs, told by UUID where their menu lies.",
        tuple(actions),
        ("bootstrap",) if arch == "arm64" else (),
        inputs,
    )


def into_image(layout: Layout, arch: str) -> BootLoader:
    """What puts the boot loader into the image.

    boot.img is the MBR's code: at 0x5c it holds the sector of core.img, at 0x66 a jump that is only for floppies.
    core.img's first sector holds at 500 the sector where the rest of it lies.
    Source: GRUB 2.06, grub-core/boot/i386/pc/boot.S and diskboot.S, and util/setup.c, which writes the same.
    """
    staged: list[str] = []
    commands: list[str] = []
    if layout.at("/boot/efi"):
        name = EFI[arch][1]
        staged.append(f"install -D -m 644 bootloader/{name} {TREE}/boot/efi/EFI/BOOT/{name}")
    if _by_bios(layout, arch):
        bios = next((part for part in layout.partitions if part.filesystem == "bios-boot"), None)
        sector = bios.start_mib * 2048 if bios else 1
        commands += [
            f"dd if=bootloader/boot.img of=image/disk.img bs={BOOT_CODE_BYTES} count=1 conv=notrunc status=none",
            _patch(0x5C, sector.to_bytes(8, "little")),
            _patch(0x66, b"\x90\x90"),
            f"dd if=bootloader/core.img of=image/disk.img bs=512 seek={sector} conv=notrunc status=none",
            _patch(sector * 512 + 500, (sector + 1).to_bytes(8, "little")),
        ]
    return BootLoader(tuple(staged), tuple(map(Run, commands)))


def _by_bios(layout: Layout, arch: str) -> bool:
    """Whether GRUB for BIOS has a place; on a GPT without one, its sectors would be those of the table."""
    return arch == "x86_64" and "legacy-bios" in layout.boot_modes


def _patch(offset: int, data: bytes) -> str:
    octal = "".join(f"\\{byte:03o}" for byte in data)
    return f"printf '{octal}' | dd of=image/disk.img bs=1 seek={offset} conv=notrunc status=none"


def _early_cfg(layout: Layout, ids: DiskIds, arch: str) -> str:
    """The menu that lies in GRUB itself.  It speaks before it has found anything, so that one sees what it lacks."""
    lines = [
        *serial(arch),
        f"search --no-floppy --fs-uuid --set=root {ids.filesystem(layout.boot)}",
        f"set prefix=($root){boot_path(layout)}/grub",
        "configfile $prefix/grub.cfg",
    ]
    return "\n".join(lines) + "\n"


def _bios_images(layout: Layout) -> list[Run | Write]:
    room = 1024 * 1024 if layout.table == "gpt" else 1024 * 1024 - 512
    modules = " ".join(("biosdisk", "serial", "terminal", *MODULES))
    return [
        Run(f"cp {GRUB_FOLDER}/i386-pc/boot.img bootloader/boot.img"),
        Run(
            f"grub-mkimage -O i386-pc -d {GRUB_FOLDER}/i386-pc -c bootloader/early.cfg -p /boot/grub "
            f"-o bootloader/core.img {modules}"
        ),
        Run(f'test "$(stat -c %s bootloader/core.img)" -le {room}'),
    ]


def _efi_program(arch: str) -> list[Run | Write]:
    platform, name = EFI[arch]
    modules = " ".join((*(("serial", "terminal") if arch == "x86_64" else ()), *MODULES))
    folder = f"{GRUB_FOLDER}/{platform}"
    unpack, remove = [], []
    if arch == "arm64":
        unpack = [Run(f"tar -C bootloader -xf bootstrap/root.tar .{folder}")]
        remove = [Run("rm -r bootloader/usr")]
        folder = f"bootloader{folder}"
    return [
        *unpack,
        Run(
            f"grub-mkimage -O {platform} -d {folder} -c bootloader/early.cfg -p /EFI/BOOT "
            f"-o bootloader/{name} {modules}"
        ),
        *remove,
    ]
