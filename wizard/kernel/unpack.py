"""Compressed data: told apart by its first bytes, unpacked with bounded time and memory.

The modules for zstd, lz4 and lzo are imported where they are needed: most kernels and all plain configs do without.
"""

import bz2
import lzma
import sys
import zlib
from collections.abc import Callable, Iterator
from typing import Protocol

from wizard.kernel.stream import CHUNK, Damaged, Stream, of_bytes

MOST = 256 << 20
"""Nothing of a kernel that we look for lies beyond its first 256 MiB, not even in one with all debug information."""

FIRST_BLOCK = 9 << 20
"""As much as any of the compressions needs to give its first bytes: lz4 has the largest blocks, 8 MiB."""

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

LZ4_BLOCK = 8 << 20
LZO_BLOCK = 256 << 10
"""Unpacked.  Source: the kernel's lib/decompress_unlz4.c and lib/decompress_unlzo.c."""


def compression_of(data: bytes) -> str | None:
    """The compression that these bytes begin with, None when it is none that a kernel may have."""
    return next((name for magic, name in MAGICS.items() if data.startswith(magic)), None)


def unpacked(packed: Stream, compression: str, most: int = MOST) -> Stream:
    """The content, and no more than `most` bytes of it; `damage` says when it breaks off.

    What follows the end of the compressed data is ignored: a bzImage's payload ends with its unpacked size.
    """
    return Stream(_bounded(_UNPACKERS[compression](packed), most))


def _bounded(pieces: Iterator[bytes], most: int) -> Iterator[bytes]:
    try:
        for piece in pieces:
            yield piece[:most]
            most -= len(piece)
            if most <= 0:
                return
    except Damaged:
        raise
    except (zlib.error, OSError, lzma.LZMAError, EOFError, ValueError, RuntimeError) as error:
        # RuntimeError is how lz4.frame says it.
        raise Damaged(str(error) or type(error).__name__) from error


def _plain(packed: Stream) -> Iterator[bytes]:
    while piece := packed.read(CHUNK):
        yield piece


def _gzip(packed: Stream) -> Iterator[bytes]:
    unzip = zlib.decompressobj(wbits=31)
    while rest := packed.read(CHUNK):
        while rest and not unzip.eof:
            yield unzip.decompress(rest, CHUNK)
            rest = unzip.unconsumed_tail
        if unzip.eof:
            return
    raise Damaged("the gzip data breaks off")


def _bzip2(packed: Stream) -> Iterator[bytes]:
    return _by_steps(packed, bz2.BZ2Decompressor())


def _xz(packed: Stream) -> Iterator[bytes]:
    # Kernels are packed with a dictionary of 32 MiB (scripts/xz_wrap.sh); a forged header may ask for 4 GiB.
    return _by_steps(packed, lzma.LZMADecompressor(lzma.FORMAT_XZ, memlimit=128 << 20))


def _lzma(packed: Stream) -> Iterator[bytes]:
    return _by_steps(packed, lzma.LZMADecompressor(lzma.FORMAT_ALONE, memlimit=128 << 20))


def _zstd(packed: Stream) -> Iterator[bytes]:
    if sys.version_info >= (3, 14):
        from compression import zstd
    else:
        from backports import zstd
    try:
        # "zstd -22 --ultra", as kernels are packed, uses a window of 128 MiB, which is also the most that is allowed.
        yield from _by_steps(packed, zstd.ZstdDecompressor())
    except zstd.ZstdError as error:
        raise Damaged(str(error)) from error


class _Stepwise(Protocol):
    """What the decompressors of bz2, lzma, zstd and lz4.frame have in common."""

    @property
    def eof(self) -> bool: ...
    @property
    def needs_input(self) -> bool: ...
    def decompress(self, data: bytes, max_length: int, /) -> bytes: ...


def _by_steps(packed: Stream, tool: _Stepwise) -> Iterator[bytes]:
    while not tool.eof:
        piece = packed.read(CHUNK) if tool.needs_input else b""
        if tool.needs_input and not piece:
            raise Damaged("the compressed data breaks off")
        yield tool.decompress(piece, CHUNK)


def _lz4(packed: Stream) -> Iterator[bytes]:
    if packed.peek(4) == b"\x02\x21\x4c\x18":
        return _lz4_legacy(packed)
    import lz4.frame

    return _by_steps(packed, lz4.frame.LZ4FrameDecompressor())


def _lz4_legacy(packed: Stream) -> Iterator[bytes]:
    """The form that kernels use: blocks with nothing but their length before them.

    Source: LZ4's doc/lz4_Frame_format.md, "Legacy frame"; the kernel's lib/decompress_unlz4.c.
    """
    import lz4.block

    packed.skip(4)
    while len(packed.peek(5)) > 4:
        length = int.from_bytes(packed.read(4), "little")
        block = packed.read(length) if length <= LZ4_BLOCK + LZ4_BLOCK // 255 + 16 else b""
        if len(block) < length or not block:
            raise Damaged("the lz4 data breaks off")
        try:
            content = lz4.block.decompress(block, uncompressed_size=LZ4_BLOCK)
        except lz4.block.LZ4BlockError as error:
            raise Damaged(str(error)) from error
        yield from of_bytes(content).part(LZ4_BLOCK)


def _lzo(packed: Stream) -> Iterator[bytes]:
    """lzop's blocks.  Source: the kernel's lib/decompress_unlzo.c."""
    import lzallright

    _skip_lzop_header(packed)
    while (size := int.from_bytes(packed.read(4), "big")) != 0:
        length = int.from_bytes(packed.read(4), "big")
        packed.skip(4)  # the checksum of the content
        if size > LZO_BLOCK or length > size:
            raise Damaged("an lzo block is larger than a kernel's may be")
        block = packed.read(length)
        if len(block) < length:
            raise Damaged("the lzo data breaks off")
        try:
            yield lzallright.LZOCompressor.decompress(block, size) if length < size else block
        except lzallright.LZOError as error:
            raise Damaged(f"an lzo block cannot be unpacked: {error}") from error


def _skip_lzop_header(packed: Stream) -> None:
    """Magic, versions, method, level; flags, perhaps a filter, mode, times; a name after its length; a checksum."""
    packed.skip(9 + 6 + 2)
    flags = int.from_bytes(packed.read(4), "big")
    packed.skip((4 if flags & 0x800 else 0) + 12)
    packed.skip(int.from_bytes(packed.read(1), "big") + 4)


_UNPACKERS: dict[str, Callable[[Stream], Iterator[bytes]]] = {
    "none": _plain,
    "gzip": _gzip,
    "bzip2": _bzip2,
    "xz": _xz,
    "lzma": _lzma,
    "lzo": _lzo,
    "lz4": _lz4,
    "zstd": _zstd,
}

READABLE = tuple(_UNPACKERS)
