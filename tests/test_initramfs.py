"""Which modules an initramfs holds, however it is packed, and what is said of files that are none."""

import gzip
import lzma
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from kernels import cpio

from wizard.explain import Failure
from wizard.kernel.initramfs import modules_in

NAMES = (
    "lib/modules/6.1.0/kernel/drivers/block/xen-blkfront.ko",
    "lib/modules/6.1.0/kernel/fs/ext4/ext4.ko.xz",
    "lib/modules/6.1.0/kernel/drivers/nvme/host/nvme.ko.zst",
    "etc/modprobe.d/nothing.ko.conf",
)


@pytest.mark.parametrize("pack", [bytes, gzip.compress, lzma.compress])
def test_the_modules_are_named_as_the_kernel_compares_them(pack: Callable[[bytes], bytes], tmp_path: Path) -> None:
    (tmp_path / "initrd").write_bytes(pack(cpio(*NAMES)))
    assert modules_in(tmp_path / "initrd") == {"xen_blkfront", "ext4", "nvme"}


def test_plain_microcode_before_the_packed_rest_is_passed_over(tmp_path: Path) -> None:
    early = cpio("kernel/x86/microcode/AuthenticAMD.bin")
    (tmp_path / "initrd").write_bytes(early + bytes(508) + gzip.compress(cpio(*NAMES)))
    assert "xen_blkfront" in modules_in(tmp_path / "initrd")


def test_what_the_real_cpio_makes_is_read(tmp_path: Path) -> None:
    for name in NAMES:
        (tmp_path / "tree" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "tree" / name).write_bytes(b"x" * 1001)
    with (tmp_path / "initrd").open("wb") as file:
        names = "\n".join(NAMES).encode()
        subprocess.run(["cpio", "-o", "-H", "newc"], input=names, stdout=file, cwd=tmp_path / "tree", check=True)
    assert modules_in(tmp_path / "initrd") == {"xen_blkfront", "ext4", "nvme"}


@pytest.mark.parametrize(
    ("content", "looks"),
    [
        (b"", "an empty file"),
        (b"hello\n" * 30, "text"),
        (cpio(*NAMES)[:-130], "an initramfs"),
        (gzip.compress(cpio(*NAMES), mtime=0)[:-20], "gzip data"),
        (gzip.compress(b"hello\n" * 30, mtime=0), "gzip data that holds text"),
    ],
    ids=["empty", "text", "cut-off", "packed-cut-off", "packed-text"],
)
def test_another_file_is_told_what_it_is(content: bytes, looks: str, tmp_path: Path) -> None:
    (tmp_path / "initrd").write_bytes(content)
    with pytest.raises(Failure) as caught:
        modules_in(tmp_path / "initrd")
    assert caught.value.code == "not-an-initramfs"
    assert looks in caught.value.facts["looks"]


@given(noise=st.binary(max_size=300), place=st.integers(0, 900))
def test_a_damaged_one_gives_modules_or_an_explanation(
    noise: bytes, place: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.getbasetemp() / "damaged"
    whole = cpio(*NAMES)
    path.write_bytes(whole[:place] + noise + whole[place + len(noise) :])
    try:
        assert isinstance(modules_in(path), frozenset)
    except Failure as failure:
        assert failure.code == "not-an-initramfs"
