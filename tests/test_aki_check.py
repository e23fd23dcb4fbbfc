"""Whether the PV-GRUB of an AKI starts an image, by what is in it."""

import gzip
import lzma
from pathlib import Path

import pytest
from images import Files, Part, disk
from kernels import XEN_HVM_ONLY, bzimage, elf, sized, zstd_frame

from wizard.disk.read import open_image
from wizard.inspect.aki import check_for_aki

OLD_EXT4 = ("-O", "^64bit,^metadata_csum")
MENU = "default 0\ntimeout 1\n\ntitle Linux\n    root {root}\n    kernel {folder}/vmlinuz root=/dev/xvda1 ro\n"
KERNEL = bzimage(gzip.compress(elf()))


def boot(folder: Path, root: str = "(hd0,0)", kernel: bytes = KERNEL) -> Path:
    """A root with /boot in it."""
    files: dict[str, str | bytes | None] = {
        "boot/grub/menu.lst": MENU.format(root=root, folder="/boot"),
        "boot/vmlinuz-6.1": kernel,
    }
    return Files(folder, {**files, "boot/vmlinuz": "-> vmlinuz-6.1"}).folder


def codes(image: Path, version: str = "1.05", device: str = "hd0") -> list[str]:
    with open_image(image) as opened:
        found = check_for_aki(opened, version, device)
        assert all(text and "{" not in text for one in found for text in (one.what, one.why, one.do))
        return [one.code for one in found]


def test_the_usual_layouts_are_found_and_read(tmp_path: Path) -> None:
    one = disk(tmp_path / "one", "dos", Part("ext4", boot(tmp_path / "a"), options=OLD_EXT4))
    assert codes(one) == codes(one, "1.04", "hd00") == codes(one, "1.03", "hd00") == []
    bare = disk(tmp_path / "bare", "none", Part("ext3", boot(tmp_path / "b", "(hd0)")))
    assert codes(bare) == codes(bare, "1.03", "hd0") == []
    gpt = disk(tmp_path / "gpt", "gpt", Part("", size_mib=1), Part("ext3", boot(tmp_path / "c", "(hd0,1)")))
    assert codes(gpt) == []


def test_a_boot_partition_of_its_own(tmp_path: Path) -> None:
    menu = MENU.format(root="(hd0,0)", folder="")
    own = Files(tmp_path / "own", {"boot/grub/menu.lst": menu, "vmlinuz": KERNEL}).folder
    root = Files(tmp_path / "root", {"etc/fstab": ""}).folder
    image = disk(tmp_path / "image", "dos", Part("ext3", own), Part("btrfs", root, 128))
    assert codes(image) == codes(image, "1.03", "hd00") == []
    top = Files(tmp_path / "top", {"grub/menu.lst": menu, "vmlinuz": KERNEL}).folder
    image = disk(tmp_path / "image", "dos", Part("ext3", top))
    assert codes(image) == []
    assert codes(image, "1.03", "hd00") == ["aki-no-menu"]


@pytest.mark.parametrize(
    ("table", "version", "device"),
    [("dos", "1.03", "hd0"), ("gpt", "1.03", "hd00"), ("none", "1.05", "hd00")],
)
def test_the_wrong_kind_of_disk_for_an_aki(table: str, version: str, device: str, tmp_path: Path) -> None:
    image = disk(tmp_path / "image", table, Part("ext3", boot(tmp_path / "tree")))
    assert codes(image, version, device) == ["aki-table"]


def test_file_systems_that_amazon_s_grub_does_not_read(tmp_path: Path) -> None:
    tree = boot(tmp_path / "tree")
    assert codes(disk(tmp_path / "image", "dos", Part("ext4", tree))) == ["aki-features"]
    assert codes(disk(tmp_path / "image", "dos", Part("btrfs", tree, 128))) == ["aki-filesystem"]
    assert codes(disk(tmp_path / "image", "dos", Part("xfs", tree, 300))) == ["aki-filesystem"]
    ext4 = disk(tmp_path / "image", "dos", Part("ext4", tree, options=OLD_EXT4))
    assert codes(ext4, "1.02", "hd00") == ["aki-filesystem"]


def test_a_fifth_partition_is_not_looked_at(tmp_path: Path) -> None:
    parts = [Part("", size_mib=1)] * 4
    image = disk(tmp_path / "image", "gpt", *parts, Part("ext3", boot(tmp_path / "tree", "(hd0,4)")))
    assert codes(image) == ["aki-no-menu"]


@pytest.mark.parametrize(
    ("kernel", "version", "code"),
    [
        (bzimage(zstd_frame(elf())), "1.05", "aki-compression"),
        (bzimage(sized(lzma.compress)(elf())), "1.03", "aki-compression"),
        (bzimage(gzip.compress(elf(xen=XEN_HVM_ONLY))), "1.05", "aki-not-for-xen"),
        (b"no kernel at all", "1.05", "aki-no-kernel"),
        (KERNEL[: len(KERNEL) // 2], "1.05", "aki-no-kernel"),
    ],
    ids=["zstd", "xz-1.03", "hvm-only", "text", "cut-off"],
)
def test_kernels_that_it_cannot_start(kernel: bytes, version: str, code: str, tmp_path: Path) -> None:
    image = disk(tmp_path / "image", "dos", Part("ext3", boot(tmp_path / "tree", kernel=kernel)))
    assert codes(image, version, "hd00") == [code]


@pytest.mark.parametrize("kernel", [elf(), gzip.compress(elf())], ids=["elf", "gzipped-elf"])
def test_a_bare_elf_kernel_is_started_by_every_version(kernel: bytes, tmp_path: Path) -> None:
    image = disk(tmp_path / "image", "dos", Part("ext3", boot(tmp_path / "tree", kernel=kernel)))
    assert codes(image, "1.02", "hd00") == codes(image) == []


@pytest.mark.parametrize(
    ("menu", "code"),
    [
        ("default 0\n", "aki-no-entry"),
        ("default 3\ntitle x\nroot (hd0,0)\nkernel /boot/vmlinuz\n", "aki-no-entry"),
        ("title x\nroot (hd0,0)\nkernel /vmlinuz\n", "aki-not-there"),
        ("title x\nroot (hd0,0)\nkernel /boot/vmlinuz\ninitrd /boot/initrd.img\n", "aki-not-there"),
        ("title x\nroot (hd0)\nkernel /boot/vmlinuz\n", "aki-wrong-device"),
        ("title x\nroot (hd1,0)\nkernel /boot/vmlinuz\n", "aki-wrong-device"),
        ("title x\nkernel (hd0,5)/boot/vmlinuz\n", "aki-wrong-device"),
    ],
    ids=["empty", "default", "kernel-path", "initrd-path", "bare-disk", "second-disk", "device-in-path"],
)
def test_menus_that_lead_nowhere(menu: str, code: str, tmp_path: Path) -> None:
    tree = boot(tmp_path / "tree")
    (tree / "boot/grub/menu.lst").write_text(menu)
    assert codes(disk(tmp_path / "image", "dos", Part("ext3", tree))) == [code]
