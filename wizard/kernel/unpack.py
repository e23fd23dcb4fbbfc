"""Compressed data: told apart by its first bytes, unpacked with bounded time and memory."""

import bz2
import lzma
import zlib
from collections.abc import Iterator

CHUNK = 1 << 20
MOST = 256 << 20
"""Nothing of a kernel that we look for lies beyond its first 256 MiB, not even in one with all debug information."""

MAGICS = {
    b"\x1f\x8b": "gzip",
    b"BZh": "bzip2",
    b"\xfd7zXZ\x00": "xz",
    b"\x5d\x00\x00": "lzma",
    b"\x89LZO": "lzo",
    b"\x02\x21\x4c\x18": "lz4",
    b"\x04\x22\x4d\x18": "lz4",
    b"\x28\xb5\x2f\xfd": "zstd",
}
"""Source: the kernel's scripts/extract-vmlinux and Documentation/arch/x86/boot.rst (payload_offset)."""

READABLE = ("gzip", "bzip2", "xz", "lzma", "none")
"""What Python unpacks without help."""


class Damaged(Exception):
    """Compressed data that breaks off or does not fit its format."""


def compression_of(data: bytes) -> str | None:
    """The compression that these bytes begin with, None when it is none that a kernel may have."""
    return next((name for magic, name in MAGICS.items() if data.startswith(magic)), None)


def unpacked(data: bytes, compression: str, most: int = MOST) -> Iterator[bytes]:
    """The content in pieces of at most CHUNK bytes, and `most` bytes in all; raises Damaged.

    What follows the end of the compressed data is ignored: a bzImage's payload ends with its unpacked size.
    """
    if compression == "none":
        for start in range(0, min(len(data), most), CHUNK):
            yield data[start : start + CHUNK]
        return
    pieces = _gzip(data) if compression == "gzip" else _others(data, compression)
    given = 0
    try:
        for piece in pieces:
            yield piece[: most - given]
            given += len(piece)
            if given >= most:
                return
    except (zlib.error, OSError, lzma.LZMAError, EOFError, ValueError) as error:
        raise Damaged(str(error) or type(error).__name__) from error


def start_of(data: bytes, compression: str, size: int = 4096) -> bytes:
    """The first bytes of the content; less than `size` where the data breaks off before."""
    got = b""
    try:
        for piece in unpacked(data, compression, size):
            got += piece
    except Damaged:
        return got
    return got


def _gzip(data: bytes) -> Iterator[bytes]:
    unzip = zlib.decompressobj(wbits=31)
    for start in range(0, len(data), CHUNK):
        rest = data[start : start + CHUNK]
        while rest and not unzip.eof:
            yield unzip.decompress(rest, CHUNK)
            rest = unzip.unconsumed_tail
        if unzip.eof:
            return
    raise EOFError("the gzip data breaks off")


def _others(data: bytes, compression: str) -> Iterator[bytes]:
    tool: bz2.BZ2Decompressor | lzma.LZMADecompressor
    if compression == "bzip2":
        tool = bz2.BZ2Decompressor()
    else:
        form = lzma.FORMAT_XZ if compression == "xz" else lzma.FORMAT_ALONE
        # Kernels are packed with a dictionary of 32 MiB (scripts/xz_wrap.sh); a forged header may ask for 4 GiB.
        tool = lzma.LZMADecompressor(form, memlimit=128 << 20)
    rest = data
    while not tool.eof:
        if tool.needs_input and not rest:
            raise EOFError(f"the {compression} data breaks off")
        piece = tool.decompress(rest, CHUNK)
        rest = b""
        yield piece
