"""Kernel images: what is read from them, and what is said of files that are none."""

import bz2
import gzip
import lzma
import os
import struct
import time
import zlib
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wizard.explain import Failure, explain
from wizard.kernel.image import KernelImage, from_bytes, read_image
from wizard.kernel.subject import config_of
from wizard.kernel.unpack import MOST, unpacked

CONFIG = "# Linux/x86 6.1.192 Kernel Configuration\nCONFIG_64BIT=y\n" + "".join(
    f"CONFIG_FILLER_{number}=y\n" for number in range(60)
)
BANNER = b"Linux version 6.1.0-56-amd64 (someone@somewhere) #1 SMP\n\0"


def elf(machine: int = 62, config: str | None = CONFIG, kind: int = 2, banner: bytes = BANNER) -> bytes:
    """A vmlinux: an ELF header, the banner, and the config between its markers."""
    head = b"\x7fELF\x02\x01\x01" + bytes(9) + struct.pack("<HH", kind, machine) + bytes(44)
    inside = b"IKCFG_ST" + gzip.compress(config.encode()) + b"IKCFG_ED" if config is not None else b""
    return head + bytes(5000) + banner + bytes(3000) + inside + bytes(100)


def bzimage(payload: bytes, protocol: int = 0x20F, load_flags: int = 1) -> bytes:
    """A bzImage: two sectors of setup code, then the payload."""
    setup = bytearray(3 * 512)
    setup[0x1F1] = 2
    setup[0x1FE:0x206] = b"\x55\xaa\xeb\x66HdrS"
    struct.pack_into("<H", setup, 0x206, protocol)
    struct.pack_into("<H", setup, 0x20E, 0x400 - 0x200)
    struct.pack_into("<H", setup, 0x236, load_flags)
    struct.pack_into("<II", setup, 0x248, 16, len(payload))
    setup[0x400:0x420] = b"6.1.0-56-amd64 (someone) #1 SMP\0"
    return bytes(setup) + bytes(16) + payload


def arm64_image() -> bytes:
    return b"MZ\x00\x91" + bytes(52) + b"ARMd" + bytes(4096) + BANNER


def legacy_lzma(data: bytes) -> bytes:
    return lzma.compress(data, lzma.FORMAT_ALONE)


@pytest.mark.parametrize(
    ("pack", "name"),
    [
        (bytes, "none"),
        (gzip.compress, "gzip"),
        (bz2.compress, "bzip2"),
        (lzma.compress, "xz"),
        (legacy_lzma, "lzma"),
    ],
)
def test_a_bzimage_tells_its_version_packing_and_config(pack: Callable[[bytes], bytes], name: str) -> None:
    payload = pack(elf()) + b"\x10\x20\x30\x00"  # the build appends the unpacked size
    found = from_bytes(Path("bzImage"), bzimage(payload))
    assert (found.kind, found.arch, found.version, found.compression) == ("bzImage", "x86_64", "6.1.0-56-amd64", name)
    assert found.protocol == (2, 15)
    assert found.config is not None
    assert found.config.version == (6, 1, 192)


@pytest.mark.parametrize(("magic", "name"), [(b"\x28\xb5\x2f\xfd", "zstd"), (b"\x02\x21\x4c\x18", "lz4")])
def test_a_packing_that_is_not_unpacked_here_is_named_and_admitted(magic: bytes, name: str) -> None:
    found = from_bytes(Path("bzImage"), bzimage(magic + bytes(100)))
    assert (found.compression, found.config) == (name, None)
    assert name in (found.no_config or "")


def test_an_older_bzimage_tells_its_bitness_by_its_payload() -> None:
    assert from_bytes(Path("b"), bzimage(gzip.compress(elf(3)), protocol=0x20A)).arch == "i386"
    assert from_bytes(Path("b"), bzimage(gzip.compress(elf(62)), protocol=0x20A)).arch == "x86_64"


@pytest.mark.parametrize("pack", [bytes, gzip.compress])
def test_a_bare_or_gzipped_vmlinux_is_a_kernel(pack: Callable[[bytes], bytes], tmp_path: Path) -> None:
    path = tmp_path / "vmlinux"
    path.write_bytes(pack(elf(3)))
    found = read_image(path)
    assert (found.kind, found.arch, found.version) == ("vmlinux", "i386", "6.1.0-56-amd64")
    assert found.compression == ("none" if pack is bytes else "gzip")
    assert found.config is not None


def test_an_arm64_image_and_its_self_unpacking_form_are_kernels() -> None:
    image = from_bytes(Path("Image.gz"), gzip.compress(arm64_image()))
    assert (image.kind, image.arch, image.compression) == ("Image", "arm64", "gzip")
    payload = gzip.compress(arm64_image())
    zboot = b"MZ\0\0zimg" + struct.pack("<II", 64, len(payload)) + bytes(48) + payload
    found = from_bytes(Path("vmlinuz.efi"), zboot)
    assert (found.kind, found.arch, found.version) == ("zboot", "arm64", "6.1.0-56-amd64")


def test_a_config_that_spans_two_pieces_is_found_whole() -> None:
    filler = os.urandom(40_000).hex()
    config = CONFIG + f'CONFIG_LONG="{filler}"\n'
    data = elf()[:64] + bytes((1 << 20) - 20_000) + BANNER + elf(config=config)[64:]
    found = from_bytes(Path("vmlinux"), data)
    assert found.config is not None
    assert found.config.value("LONG") == filler


def test_a_kernel_without_its_config_says_why_and_what_to_name_instead(tmp_path: Path) -> None:
    path = tmp_path / "vmlinuz"
    path.write_bytes(bzimage(gzip.compress(elf(config=None))))
    with pytest.raises(Failure) as caught:
        config_of(path)
    assert caught.value.code == "no-config-inside"
    assert "IKCONFIG" in explain(caught.value).why


def test_the_packing_of_the_file_counts_and_not_that_of_its_build(tmp_path: Path) -> None:
    path = tmp_path / "vmlinux.gz"
    path.write_bytes(gzip.compress(elf(config=CONFIG + "CONFIG_KERNEL_ZSTD=y\n# CONFIG_KERNEL_GZIP is not set\n")))
    found = config_of(path)
    assert (found.value("KERNEL_ZSTD"), found.value("KERNEL_GZIP")) == ("n", "y")


@pytest.mark.parametrize("keep", [0x220, 1000, 2000])
def test_a_kernel_that_is_cut_off_is_called_damaged(keep: int) -> None:
    whole = bzimage(gzip.compress(elf() + os.urandom(5000)))
    with pytest.raises(Failure) as caught:
        from_bytes(Path("bzImage"), whole[:keep])
    assert caught.value.code == "unreadable-kernel"


def test_a_kernel_with_a_damaged_payload_is_called_damaged() -> None:
    payload = bytearray(lzma.compress(elf(config=None) + os.urandom(5000)))
    payload[-2000:-1900] = bytes(100)
    with pytest.raises(Failure) as caught:
        from_bytes(Path("bzImage"), bzimage(bytes(payload)))
    assert caught.value.code == "unreadable-kernel"


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "empty"),
        (bytes(4096), "zero bytes"),
        (b"hello, world\n" * 40, "text"),
        (b"#!/bin/sh\nexit 0\n", "script"),
        (b"<!DOCTYPE html><html><body>404</body></html>", "HTML"),
        (b"version https://git-lfs.github.com/spec/v1\n", "LFS"),
        (bytes(257) + b"ustar\x0000" + bytes(300), "tar"),
        (gzip.compress(bytes(257) + b"ustar\x0000" + bytes(300)), "gzip data that holds a tar"),
        (gzip.compress(b"070701" + bytes(200)), "initramfs"),
        (b"PK\x03\x04" + bytes(100), "zip"),
        (b"!<arch>\ndebian-binary   ", "Debian package"),
        (b"QFI\xfb" + bytes(100), "qcow2"),
        (bytes(510) + b"\x55\xaa", "boot sector"),
        (elf(kind=1) + b"vermagic=6.1.0 SMP", "kernel module"),
        (elf(config=None, banner=b"Hello\0"), "ELF program"),
        (b"MZ" + bytes(300), "EFI"),
        (b"\xa7\x1c\xe9\x55" * 4 + bytes(100), "no kind that we know"),
    ],
    # Each worker collects for itself, and gzip writes the time: only the words are the same everywhere.
    ids=lambda value: value.replace(" ", "-") if isinstance(value, str) else "content",
)
def test_a_wrong_file_is_told_what_it_is_and_what_is_expected(content: bytes, words: str, tmp_path: Path) -> None:
    path = tmp_path / "thing"
    path.write_bytes(content)
    with pytest.raises(Failure) as caught:
        read_image(path)
    explanation = explain(caught.value)
    assert explanation.code == "not-a-kernel"
    assert words in explanation.what
    assert "bzImage" in explanation.why


def test_a_directory_is_answered_with_the_kernel_that_it_holds(tmp_path: Path) -> None:
    (tmp_path / "vmlinux").write_bytes(b"x")
    with pytest.raises(Failure) as caught:
        read_image(tmp_path)
    assert caught.value.code == "not-a-kernel"
    assert "a directory" in caught.value.facts["looks"]
    assert str(tmp_path / "vmlinux") in caught.value.evidence[0]


def test_a_named_pipe_does_not_hang(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(Failure) as caught:
        read_image(tmp_path / "pipe")
    assert "pipe" in caught.value.facts["looks"]


def test_a_file_that_is_not_there_is_explained(tmp_path: Path) -> None:
    with pytest.raises(Failure) as caught:
        read_image(tmp_path / "none")
    assert caught.value.code == "unreadable-file"


def test_a_decompression_bomb_stops_at_a_bound() -> None:
    pack = zlib.compressobj(9, wbits=31)
    bomb = b"".join(pack.compress(bytes(1 << 20)) for _ in range(64)) + pack.flush()
    started = time.monotonic()
    assert sum(len(piece) for piece in unpacked(bomb, "gzip", 8 << 20)) == 8 << 20
    assert time.monotonic() - started < 2
    assert MOST <= 256 << 20


@given(
    st.binary(max_size=2000), st.sampled_from([b"", b"\x1f\x8b\x08", b"\x7fELF", b"MZ\0\0zimg", b"BZh9", b"\x5d\0\0"])
)
def test_any_bytes_give_a_kernel_or_an_explanation(noise: bytes, start: bytes) -> None:
    for data in (start + noise, bzimage(noise)[: 600 + len(noise)], bzimage(start + noise, protocol=0x20A)):
        try:
            assert isinstance(from_bytes(Path("noise"), data), KernelImage)
        except Failure as failure:
            assert failure.code in ("not-a-kernel", "unreadable-kernel")
