"""Reads a file within bounds, and says in words what a file that is not a kernel looks like."""

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from wizard.explain import Failure
from wizard.kernel.stream import CHUNK, Stream, of_bytes
from wizard.kernel.unpack import compression_of, unpacked

SNIFF = CHUNK
"""How much of a file's beginning is needed to say what it looks like."""

SIGNS = (
    (0, b"!<arch>\ndebian", "a Debian package (.deb)"),
    (0, b"!<arch>\n", "an archive of object files (.a)"),
    (0, b"\xed\xab\xee\xdb", "an RPM package"),
    (0, b"070701", "an initramfs (cpio archive)"),
    (257, b"ustar", "a tar archive"),
    (0, b"PK\x03\x04", "a zip archive"),
    (0, b"hsqs", "a squashfs file system"),
    (0, b"QFI\xfb", "a qcow2 disk image"),
    (0, b"KDMV", "a VMDK disk image"),
    (0, b"conectix", "a VHD disk image"),
    (1080, b"\x53\xef", "an ext2, ext3 or ext4 file system"),
    (32769, b"CD001", "an ISO 9660 (CD) image"),
    (0, b"\x27\x05\x19\x56", "a U-Boot image"),
    (0, b"ANDROID!", "an Android boot image"),
    (0, b"\xd0\x0d\xfe\xed", "a device tree"),
    (0, b"%PDF", "a PDF document"),
    (0, b"\x89PNG", "a picture"),
    (0, b"MZ", "an EFI or Windows program"),
    (510, b"\x55\xaa", "a disk image with a boot sector"),
)
"""Offset, bytes, what it is.  Source: the formats' own descriptions, as in file(1)'s magic."""

ELF_TYPES = {1: "an ELF object file", 2: "an ELF program", 3: "an ELF program or shared library", 4: "a core dump"}


@contextmanager
def opened(path: Path) -> Iterator[Stream]:
    """A regular file, to be read once; Failure "unreadable-file", or "not-a-kernel" for another kind of file."""
    status = status_of(path)
    if not stat.S_ISREG(status.st_mode):
        raise Failure("not-a-kernel", path=path, looks=kind_of(status.st_mode))
    try:
        with path.open("rb", buffering=0) as file:
            yield Stream(iter(lambda: file.read(CHUNK), b""), status.st_size)
    except OSError as error:
        raise Failure("unreadable-file", path=path, reason=error.strerror or error) from error


def status_of(path: Path) -> os.stat_result:
    """As `path.stat()`; Failure "unreadable-file" where that is not possible."""
    try:
        return path.stat()
    except (OSError, ValueError) as error:  # ValueError: a zero byte in the name
        raise Failure("unreadable-file", path=path, reason=getattr(error, "strerror", None) or error) from error


def looks_like(data: bytes, deep: bool = True) -> str:
    """What this content looks like, in words that fit after "it looks like"."""
    if not data:
        return "an empty file"
    if not data.strip(b"\0"):
        return "a file of nothing but zero bytes"
    if data.startswith(b"\x7fELF"):
        return _elf(data)
    for offset, magic, words in SIGNS:
        if data[offset : offset + len(magic)] == magic:
            return words
    if (compression := compression_of(data)) is not None:
        inner = unpacked(of_bytes(data), compression).peek(SNIFF) if deep else b""
        return f"{compression} data that holds {looks_like(inner, deep=False)}" if inner else f"{compression} data"
    return _text(data[:65536]) or f"data of no kind that we know (it begins with {data[:8].hex(' ')})"


def _text(data: bytes) -> str | None:
    if b"\0" in data:
        return None
    head = data.lstrip().lower()
    if head.startswith((b"<!doctype html", b"<html")) or b"<html" in head[:1024]:
        return "a web page (HTML): the download probably failed"
    if head.startswith(b"version https://git-lfs"):
        return "a Git LFS pointer: the file itself was not fetched"
    if head.startswith(b"#!"):
        return "a script"
    printable = sum(byte >= 32 or byte in b"\t\n\r\f" for byte in data)
    return "text" if printable > 0.97 * len(data) else None


def _elf(data: bytes) -> str:
    kind = int.from_bytes(data[16:18], "little" if data[5:6] == b"\1" else "big")
    if kind == 1 and (b"vermagic=" in data or b".modinfo" in data):
        return "a kernel module (.ko): a part of a kernel, not the kernel"
    return ELF_TYPES.get(kind, "an ELF file")


def kind_of(mode: int) -> str:
    """What a file that is no regular one is."""
    if stat.S_ISDIR(mode):
        return "a directory"
    if stat.S_ISFIFO(mode):
        return "a named pipe"
    if stat.S_ISBLK(mode) or stat.S_ISCHR(mode):
        return "a device"
    return "a socket"
