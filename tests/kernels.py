"""Small kernels, made in memory: the headers are real, what they hold is not."""

import bz2
import gzip
import io
import lzma
import struct
import sys
import tarfile
import zlib
from collections.abc import Callable, Mapping

import lz4.block
import lzallright

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

RELEASE = "6.1.0-56-amd64"
BANNER = f"Linux version {RELEASE} (someone@somewhere) #1 SMP\n\0".encode()
CONFIG = (
    '# Linux/x86 6.1.192 Kernel Configuration\nCONFIG_64BIT=y\nCONFIG_XEN_PV=y\nCONFIG_LOCALVERSION=""\n'
    + "".join(f"CONFIG_FILLER_{number}=y\n" for number in range(60))
)
XEN_64 = {6: b"linux\0", 7: b"2.6\0", 5: b"xen-3.0\0", 1: (0xFFFFFFFF81000000).to_bytes(8, "little"), 8: b"generic\0"}
"""GUEST_OS, GUEST_VERSION, XEN_VERSION, ENTRY and LOADER, as in a kernel for paravirtual guests."""

XEN_HVM_ONLY = {kind: content for kind, content in XEN_64.items() if kind != 1}


def notes(of_xen: Mapping[int, bytes]) -> bytes:
    """A note segment: one of another owner first, as in a real kernel."""
    said = struct.pack("<III", 4, 5, 256) + b"Lin\0" + b"6.1.0" + bytes(3)
    for kind, content in of_xen.items():
        said += struct.pack("<III", 4, len(content), kind) + b"Xen\0" + content + bytes(-len(content) % 4)
    return said


def elf(
    machine: int = 62,
    config: str | None = CONFIG,
    kind: int = 2,
    banner: bytes = BANNER,
    xen: Mapping[int, bytes] = XEN_64,
) -> bytes:
    """A vmlinux: ELF and program headers, the banner, the notes, and the config between its markers."""
    is_64 = machine != 3
    inside = b"IKCFG_ST" + gzip.compress(config.encode(), mtime=0) + b"IKCFG_ED" if config is not None else b""
    notes_at, noted = 8192, notes(xen)
    body = bytes(5000 - 184) + banner
    body = body.ljust(notes_at - 184, b"\0") + noted + bytes(3000) + inside + bytes(100)
    size = 184 + len(body)
    head = b"\x7fELF" + bytes([2 if is_64 else 1, 1, 1]) + bytes(9) + struct.pack("<HHI", kind, machine, 1)
    if is_64:
        head += struct.pack("<QQQIHHHHHH", 0, 64, 0, 0, 64, 56, 2, 0, 0, 0)
        head += struct.pack("<IIQQQQQQ", 1, 5, 0, 0, 0, size, size, 0x200000)
        head += struct.pack("<IIQQQQQQ", 4, 4, notes_at, 0, 0, len(noted), len(noted), 4)
    else:
        head += struct.pack("<IIIIHHHHHH", 0, 52, 0, 0, 52, 32, 2, 0, 0, 0)
        head += struct.pack("<8I", 1, 0, 0, 0, size, size, 5, 0x1000)
        head += struct.pack("<8I", 4, notes_at, 0, 0, len(noted), len(noted), 4, 4)
    return head.ljust(184, b"\0") + body


def bzimage(payload: bytes, protocol: int = 0x20F, load_flags: int = 1) -> bytes:
    """A bzImage: two sectors of setup code, the payload, and what the build puts behind it."""
    setup = bytearray(3 * 512)
    setup[0x1F1] = 2
    setup[0x1FE:0x206] = b"\x55\xaa\xeb\x66HdrS"
    struct.pack_into("<H", setup, 0x206, protocol)
    struct.pack_into("<H", setup, 0x20E, 0x400 - 0x200)
    struct.pack_into("<IBBH", setup, 0x230, 0x200000, 1, 21, load_flags)
    struct.pack_into("<II", setup, 0x248, 16, len(payload))
    struct.pack_into("<Q", setup, 0x258, 0x1000000)
    version = f"{RELEASE} (someone) #1 SMP\0".encode()
    setup[0x400 : 0x400 + len(version)] = version
    return bytes(setup) + bytes(16) + payload + bytes(700)


def arm64_image() -> bytes:
    """An arm64 Image."""
    return b"MZ\x00\x91" + bytes(52) + b"ARMd" + bytes(4096) + BANNER


def zboot(payload: bytes) -> bytes:
    """A self-unpacking EFI kernel."""
    return b"MZ\0\0zimg" + struct.pack("<II", 64, len(payload)) + bytes(48) + payload


def sized(pack: Callable[[bytes], bytes]) -> Callable[[bytes], bytes]:
    """A packing as a kernel's build does it: followed by the unpacked size, for all but gzip."""
    return lambda data: pack(data) + len(data).to_bytes(4, "little")


def lz4_legacy(data: bytes) -> bytes:
    """As `lz4 -l`."""
    said = b"\x02\x21\x4c\x18"
    for start in range(0, len(data), 8 << 20):
        block = lz4.block.compress(data[start : start + (8 << 20)], store_size=False)
        said += len(block).to_bytes(4, "little") + block
    return said


def lzop(data: bytes) -> bytes:
    """As `lzop -9`."""
    head = struct.pack(">HHHBBIIIIB", 0x1040, 0x20A0, 0x0940, 3, 9, 1, 0o100644, 0, 0, 0)
    said = b"\x89LZO\x00\r\n\x1a\n" + head + struct.pack(">I", zlib.adler32(head))
    for start in range(0, len(data), 256 << 10):
        plain = data[start : start + (256 << 10)]
        block = lzallright.LZOCompressor().compress(plain)
        block = block if len(block) < len(plain) else plain
        said += struct.pack(">III", len(plain), len(block), zlib.adler32(plain)) + block
    return said + bytes(4)


def legacy_lzma(data: bytes) -> bytes:
    """As `lzma -9`."""
    return lzma.compress(data, lzma.FORMAT_ALONE)


def zstd_frame(data: bytes) -> bytes:
    """As `zstd`."""
    return zstd.compress(data)


PACKINGS: dict[str, Callable[[bytes], bytes]] = {
    "gzip": gzip.compress,
    "bzip2": sized(bz2.compress),
    "xz": sized(lzma.compress),
    "lzma": sized(legacy_lzma),
    "lzo": sized(lzop),
    "lz4": sized(lz4_legacy),
    "zstd": sized(zstd_frame),
}


def tar(files: Mapping[str, bytes], form: int = tarfile.GNU_FORMAT) -> bytes:
    """A tar archive; a name that ends with "/" is a folder."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=form) as archive:
        for name, content in files.items():
            member = tarfile.TarInfo(name.rstrip("/"))
            member.type = tarfile.DIRTYPE if name.endswith("/") else tarfile.REGTYPE
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return buffer.getvalue()


def deb(data: bytes, name: str = "data.tar.xz") -> bytes:
    """A Debian package with this archive of files."""
    said = b"!<arch>\n"
    for member, content in (("debian-binary", b"2.0\n"), ("control.tar.xz", b"odd"), (name, data)):
        head = f"{member:<16}{0:<12}{0:<6}{0:<6}{100644:<8}{len(content):<10}`\n"
        said += head.encode() + content + bytes(len(content) % 2)
    return said


def cpio(*names: str) -> bytes:
    """A cpio archive in the new format, written by hand."""
    made = io.BytesIO()
    for name in (*names, "TRAILER!!!"):
        content = b"" if name == "TRAILER!!!" else b"\x7fELF" + bytes(13)
        fields = [0, 0o100644, 0, 0, 1, 0, len(content), 0, 0, 0, 0, len(name) + 1, 0]
        made.write(b"070701" + b"".join(b"%08X" % field for field in fields))
        made.write(name.encode() + b"\0")
        made.write(bytes(-made.tell() % 4))
        made.write(content)
        made.write(bytes(-made.tell() % 4))
    return made.getvalue()
