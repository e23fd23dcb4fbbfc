"""Kernel images: what is read from them, and what is said of files that are none."""

import gzip
import lzma
import os
import struct
import subprocess
import sys
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from kernels import (
    BANNER,
    CONFIG,
    PACKINGS,
    XEN_HVM_ONLY,
    arm64_image,
    bzimage,
    elf,
    lz4_legacy,
    zboot,
)

from wizard.explain import Failure, explain
from wizard.kernel.image import KernelImage, from_bytes, read_image
from wizard.kernel.stream import of_bytes
from wizard.kernel.subject import config_of
from wizard.kernel.unpack import MOST, unpacked


@pytest.mark.parametrize("name", PACKINGS)
def test_a_bzimage_tells_its_version_packing_config_and_what_xen_is_told(name: str) -> None:
    found = from_bytes(Path("bzImage"), bzimage(PACKINGS[name](elf())))
    assert (found.kind, found.arch, found.version, found.compression) == ("bzImage", "x86_64", "6.1.0-56-amd64", name)
    assert (found.protocol, found.alignment) == ((2, 15), 0x200000)
    assert found.header is not None
    assert found.header.address == 0x1000000
    assert found.config is not None
    assert found.config.version == (6, 1, 192)
    assert found.xen == {
        "GUEST_OS": "linux",
        "GUEST_VERSION": "2.6",
        "XEN_VERSION": "xen-3.0",
        "ENTRY": 0xFFFFFFFF81000000,
        "LOADER": "generic",
    }
    assert found.starts_paravirtual


@pytest.mark.parametrize("name", PACKINGS)
def test_a_payload_that_breaks_off_is_called_damaged_whatever_its_packing(name: str) -> None:
    payload = PACKINGS[name](elf())
    with pytest.raises(Failure) as caught:
        from_bytes(Path("bzImage"), bzimage(payload[: len(payload) // 2]))
    assert caught.value.code == "unreadable-kernel"


@pytest.mark.parametrize("name", PACKINGS)
def test_any_damage_within_a_payload_gives_a_kernel_or_an_explanation(name: str) -> None:
    payload = PACKINGS[name](elf())
    for at in range(len(payload)):
        for byte in (0x00, 0xFF):
            _explained(bzimage(payload[:at] + bytes([byte]) + payload[at + 1 :]))


def test_a_packing_that_nobody_knows_is_admitted() -> None:
    found = from_bytes(Path("bzImage"), bzimage(b"\xa7\x1c" + bytes(100)))
    assert (found.compression, found.config, found.xen, found.starts_paravirtual) == ("unknown", None, None, None)
    assert "not known" in (found.no_config or "")


@pytest.mark.parametrize("machine", [3, 62], ids=["i386", "x86_64"])
def test_a_kernel_without_the_entry_for_paravirtual_guests_is_told_apart(machine: int) -> None:
    assert from_bytes(Path("b"), bzimage(gzip.compress(elf(machine)))).starts_paravirtual is True
    hvm = from_bytes(Path("b"), bzimage(gzip.compress(elf(machine, xen=XEN_HVM_ONLY))))
    assert hvm.starts_paravirtual is False
    assert hvm.xen
    assert from_bytes(Path("b"), bzimage(gzip.compress(elf(machine, xen={})))).xen == {}


def test_a_bare_vmlinux_that_is_cut_off_is_called_damaged() -> None:
    with pytest.raises(Failure) as caught:
        from_bytes(Path("vmlinux"), elf()[:9000])
    assert caught.value.code == "unreadable-kernel"


def test_what_follows_the_loaded_part_of_a_vmlinux_is_not_searched() -> None:
    debug = elf(config=None) + bytes(2 << 20) + elf()
    assert from_bytes(Path("vmlinux"), debug).config is None


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
    found = from_bytes(Path("vmlinuz.efi"), zboot(PACKINGS["zstd"](arm64_image())))
    assert (found.kind, found.arch, found.version) == ("zboot", "arm64", "6.1.0-56-amd64")


def test_a_config_that_spans_two_pieces_is_found_whole() -> None:
    filler = os.urandom(40_000).hex()
    config = CONFIG + f'CONFIG_LONG="{filler}"\n'
    # An ELF header without segments: all of it is searched.
    data = elf()[:44].ljust(64, b"\0") + bytes((1 << 20) - 20_000) + BANNER + elf(config=config)[64:]
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


def test_a_named_pipe_does_not_hang(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(Failure) as caught:
        read_image(tmp_path / "pipe")
    assert "pipe" in caught.value.facts["looks"]


def test_a_file_that_is_not_there_is_explained(tmp_path: Path) -> None:
    with pytest.raises(Failure) as caught:
        read_image(tmp_path / "none")
    assert caught.value.code == "unreadable-file"


def _bomb(name: str) -> bytes:
    """64 MiB of zeros, packed."""
    if name == "lz4":
        return lz4_legacy(bytes(64 << 20))
    return PACKINGS[name](bytes(64 << 20))


@pytest.mark.parametrize("name", PACKINGS)
def test_a_decompression_bomb_stops_at_a_bound(name: str) -> None:
    bomb = _bomb(name)
    content = unpacked(of_bytes(bomb), name, 32 << 20)
    tracemalloc.start()
    assert sum(len(piece) for piece in content.part(1 << 40)) == 32 << 20
    assert tracemalloc.get_traced_memory()[1] < 40 << 20
    tracemalloc.stop()
    assert MOST <= 256 << 20


def test_a_kernel_of_100_mib_is_read_within_120_mib_of_memory(tmp_path: Path) -> None:
    path = tmp_path / "vmlinux"
    large = bytearray(elf(config=None))
    struct.pack_into("<Q", large, 64 + 32, 100 << 20)  # the first segment's size
    with path.open("wb") as file:
        file.write(large)
        file.truncate(100 << 20)
    # VmHWM: the peak of this program alone; getrusage counts what its parent had before.
    program = (
        "import sys; from pathlib import Path; from wizard.kernel.image import read_image;"
        "read_image(Path(sys.argv[1])); print(open('/proc/self/status').read().split('VmHWM:')[1].split()[0])"
    )
    said = subprocess.run([sys.executable, "-c", program, str(path)], capture_output=True, text=True, check=True)
    assert int(said.stdout) < 120 << 10


def _explained(data: bytes) -> None:
    try:
        assert isinstance(from_bytes(Path("noise"), data), KernelImage)
    except Failure as failure:
        assert failure.code in ("not-a-kernel", "unreadable-kernel")
        assert explain(failure).do


STARTS = [b"", b"\x1f\x8b\x08", b"\x7fELF\x02\x01", b"\x7fELF\x01\x01", b"MZ\0\0zimg", b"BZh9", b"\x5d\0\0"]
STARTS += [b"\x89LZO\0\r\n\x1a\n", b"\x02\x21\x4c\x18", b"\x04\x22\x4d\x18", b"\x28\xb5\x2f\xfd", b"\xfd7zXZ\0"]


@given(st.binary(max_size=2000), st.sampled_from(STARTS))
def test_any_bytes_give_a_kernel_or_an_explanation(noise: bytes, start: bytes) -> None:
    for data in (start + noise, bzimage(noise)[: 600 + len(noise)], bzimage(start + noise, protocol=0x20A)):
        _explained(data)


@given(st.data(), st.sampled_from([*PACKINGS, "none"]))
def test_a_kernel_with_any_bytes_changed_gives_a_kernel_or_an_explanation(data: st.DataObject, name: str) -> None:
    pack = PACKINGS.get(name, bytes)
    kind = data.draw(st.sampled_from(["bzImage", "vmlinux", "zboot"]))
    whole = {
        "bzImage": lambda: bzimage(pack(elf())),
        "vmlinux": lambda: pack(elf()),
        "zboot": lambda: zboot(pack(elf())),
    }
    image = bytearray(whole[kind]())
    for at, byte in data.draw(st.lists(st.tuples(st.integers(0, len(image) - 1), st.integers(0, 255)), max_size=8)):
        image[at] = byte
    _explained(bytes(image[: data.draw(st.integers(0, len(image)))]))
