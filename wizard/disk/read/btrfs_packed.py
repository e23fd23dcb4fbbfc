"""Unpacks btrfs's packed extents: zlib, lzo and zstd.

The modules for lzo and zstd are imported where they are needed.
"""

import sys
import zlib

from wizard.disk.read.source import Unreadable

MOST = 128 << 10
"""What a packed extent holds at most.  Source: the kernel's fs/btrfs/compression.h (BTRFS_MAX_UNCOMPRESSED)."""


def unpack(packing: int, packed: bytes, size: int, sector: int) -> bytes:
    """The content, `size` bytes of it.  Raises Unreadable when it is damaged or larger than may be."""
    if size > MOST:
        raise Unreadable("a packed part of a file is larger than any may be")
    try:
        match packing:
            case 1:
                return zlib.decompressobj().decompress(packed, size)
            case 2:
                return _lzo(packed, size, sector)
            case 3:
                return _zstd(packed, size)
    except (zlib.error, ValueError, RuntimeError) as error:
        raise Unreadable(f"a packed part of a file is damaged: {error}") from error
    raise Unreadable("a file is packed in a way that we do not know")


def _zstd(packed: bytes, size: int) -> bytes:
    if sys.version_info >= (3, 14):
        from compression import zstd
    else:
        from backports import zstd
    try:
        return zstd.ZstdDecompressor().decompress(packed, size)
    except zstd.ZstdError as error:
        raise Unreadable(f"a packed part of a file is damaged: {error}") from error


def _lzo(packed: bytes, size: int, sector: int) -> bytes:
    """Segments of one sector each, behind their lengths; no length is split between two sectors.

    Source: the kernel's fs/btrfs/lzo.c.
    """
    import lzallright

    total = min(int.from_bytes(packed[:4], "little"), len(packed))
    content, at = b"", 4
    while at + 4 <= total and len(content) < size:
        if sector - at % sector < 4:
            at += sector - at % sector
        length = int.from_bytes(packed[at : at + 4], "little")
        if not 0 < length <= sector + sector // 16 + 67 or at + 4 + length > len(packed):
            raise Unreadable("a packed part of a file is damaged")
        try:
            content += lzallright.LZOCompressor.decompress(packed[at + 4 : at + 4 + length], sector)
        except lzallright.LZOError as error:
            raise Unreadable(f"a packed part of a file is damaged: {error}") from error
        at += 4 + length
    return content[:size]
