"""Image files that are not raw: told apart, and how to convert them."""

from pathlib import Path

from wizard.disk.read.source import Source
from wizard.explain import Failure
from wizard.kernel.unpack import compression_of

FORMATS = (
    (0, b"QFI\xfb", "a qcow2 image", "qcow2"),
    (0, b"KDMV", "a VMDK image", "vmdk"),
    (0, b"COWD", "a VMDK image", "vmdk"),
    (0, b"# Disk DescriptorFile", "the description of a VMDK image", "vmdk"),
    (0, b"conectix", "a VHD image", "vpc"),
    (0, b"vhdxfile", "a VHDX image", "vhdx"),
    (64, b"\x7f\x10\xda\xbe", "a VirtualBox image (VDI)", "vdi"),
    (0, b"QED\0", "a QED image", "qed"),
)
"""Offset, bytes, what it is, and qemu-img's name of the format.  Source: QEMU's block/*.c and docs/interop."""

UNPACKERS = {"gzip": "gunzip", "bzip2": "bunzip2", "xz": "unxz", "lzma": "unlzma", "zstd": "unzstd", "lz4": "unlz4"}


def refuse_other_formats(path: Path, image: Source) -> None:
    """Raises Failure "not-a-raw-image" for what EC2 would take for a disk full of rubbish (NixOS/amis#123)."""
    for offset, magic, words, name in FORMATS:
        if image.peek(offset, len(magic)) == magic:
            raise _refusal(path, words, name)
    if image.peek(image.size - 512, 8) == b"conectix":
        raise _refusal(path, "a VHD image of fixed size", "vpc")
    if compression := compression_of(image.peek(0, 16)):
        tool = UNPACKERS.get(compression, compression)
        words = f"packed with {compression}"
        raise Failure("not-a-raw-image", path=path, looks=words, command=f"{tool} --keep {path}")


def _refusal(path: Path, words: str, name: str) -> Failure:
    command = f"qemu-img convert -f {name} -O raw {path} {path.with_suffix('.raw')}"
    return Failure("not-a-raw-image", path=path, looks=words, command=command)
