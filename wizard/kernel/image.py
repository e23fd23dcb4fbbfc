"""Kernel images: what they are, for which machine, how packed, and the config that they may carry."""

import re
import struct
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from wizard.explain import Failure
from wizard.kernel.config import KernelConfig, config_text, parse
from wizard.kernel.sniff import looks_like, read_file
from wizard.kernel.unpack import CHUNK, MOST, READABLE, Damaged, compression_of, start_of, unpacked

OVERLAP = CHUNK // 2
"""A config inside a kernel has 20 to 70 KB; what spans two pieces is found whole in this much."""

ELF_MACHINES = {3: "i386", 62: "x86_64", 183: "arm64"}
_BANNER = re.compile(rb"Linux version (\d+\.\d[!-~]{0,100}) ")


@dataclass(frozen=True, slots=True)
class KernelImage:
    """A kernel as a file.

    kind         "bzImage" (x86), "vmlinux" (ELF), "Image" (arm64), "zboot" (self-unpacking EFI, arm64)
    arch         "i386", "x86_64", "arm64"; None when the image does not tell
    version      e.g. "6.1.0-56-cloud-amd64"
    compression  of the file (vmlinux, Image) or of its payload (bzImage, zboot); "none" when it is not packed
    config       the config inside (CONFIG_IKCONFIG), None without one; `no_config` then says why
    protocol     a bzImage's boot protocol, e.g. (2, 15)
    """

    path: Path
    kind: str
    arch: str | None
    version: str | None
    compression: str
    config: KernelConfig | None
    no_config: str | None = None
    protocol: tuple[int, int] | None = None


@dataclass(frozen=True, slots=True)
class _Content:
    """What was found in an unpacked kernel."""

    head: bytes
    version: str | None
    config: str | None
    damage: str | None


def read_image(path: Path) -> KernelImage:
    """The kernel in a file.

    Raises Failure "unreadable-file", "not-a-kernel" (saying what it looks like), "unreadable-kernel" when it is
    a kernel that is cut off or damaged.
    """
    return from_bytes(path, read_file(path, MOST))


def from_bytes(path: Path, data: bytes) -> KernelImage:
    """As `read_image`, of content that is already here; the path is for people."""
    if data[0x202:0x206] == b"HdrS" and data[0x1FE:0x200] == b"\x55\xaa":
        return _bzimage(path, data)
    if data[:2] == b"MZ" and data[4:8] == b"zimg":
        return _zboot(path, data)
    compression = compression_of(data) or "none"
    head = start_of(data, compression) if compression in READABLE else data[:4096]
    if head[56:60] == b"ARMd":
        kind = "Image"
    elif head.startswith(b"\x7fELF") and head[16:18] in (b"\2\0", b"\3\0"):
        kind = "vmlinux"
    else:
        raise Failure("not-a-kernel", path=path, looks=looks_like(data))
    content = _survey(unpacked(data, compression))
    if content.version is None and content.damage is None:
        raise Failure("not-a-kernel", path=path, looks=looks_like(data))
    arch = "arm64" if kind == "Image" else _elf_arch(head)
    return _image(path, kind, arch, content.version, compression, content)


def _bzimage(path: Path, data: bytes) -> KernelImage:
    """Source: the kernel's Documentation/arch/x86/boot.rst."""
    if len(data) < 0x250:
        raise Failure("unreadable-kernel", evidence=["The file ends within the boot header."], path=path)
    protocol = (data[0x207], data[0x206])
    (version_at,) = struct.unpack_from("<H", data, 0x20E)
    (load_flags,) = struct.unpack_from("<H", data, 0x236)
    offset, length = struct.unpack_from("<II", data, 0x248)
    version = None
    if version_at:
        text = data[version_at + 0x200 : version_at + 0x300].split(b"\0")[0].decode("ascii", "replace")
        version = text.split(" ")[0] or None
    if protocol < (2, 8):
        arch = None if protocol >= (2, 4) else "i386"
        nothing = _Content(b"", None, None, None)
        return _image(path, "bzImage", arch, version, "unknown", nothing, protocol)
    start = ((data[0x1F1] or 4) + 1) * 512 + offset
    payload = data[start : start + length]
    if len(payload) < length or not length:
        said = f"Its header announces {start + length} bytes, the file has {len(data)}."
        raise Failure("unreadable-kernel", evidence=[said], path=path)
    compression = compression_of(payload) or ("none" if payload.startswith(b"\x7fELF") else "unknown")
    content = _survey(unpacked(payload, compression)) if compression in READABLE else _Content(b"", None, None, None)
    arch = _elf_arch(content.head)
    if protocol >= (2, 12):
        arch = "x86_64" if load_flags & 1 else "i386"
    return _image(path, "bzImage", arch, version or content.version, compression, content, protocol)


def _zboot(path: Path, data: bytes) -> KernelImage:
    """Source: the kernel's drivers/firmware/efi/libstub/zboot-header.S."""
    offset, length = struct.unpack_from("<II", data.ljust(64, b"\0"), 8)
    payload = data[offset : offset + length]
    if len(payload) < length or not length:
        said = f"Its header announces {offset + length} bytes, the file has {len(data)}."
        raise Failure("unreadable-kernel", evidence=[said], path=path)
    compression = compression_of(payload) or "unknown"
    content = _survey(unpacked(payload, compression)) if compression in READABLE else _Content(b"", None, None, None)
    arch = "arm64" if content.head[56:60] == b"ARMd" else None
    return _image(path, "zboot", arch, content.version, compression, content)


def _image(
    path: Path,
    kind: str,
    arch: str | None,
    version: str | None,
    compression: str,
    content: _Content,
    protocol: tuple[int, int] | None = None,
) -> KernelImage:
    if content.damage:
        raise Failure("unreadable-kernel", evidence=[f"Unpacking it: {content.damage}."], path=path)
    if content.config is not None:
        config = parse(content.config)
        return KernelImage(path, kind, arch or config.arch, version, compression, config, None, protocol)
    reason = "It was built without CONFIG_IKCONFIG, so it does not carry its config."
    if compression not in READABLE:
        reason = f"It is packed with {compression}, which is not unpacked here, so a config inside was not looked for."
    return KernelImage(path, kind, arch, version, compression, None, reason, protocol)


def _survey(pieces: Iterable[bytes]) -> _Content:
    """Looks through an unpacked kernel, a piece at a time: its start, its banner, its config."""
    head, version, config, window = b"", None, None, b""
    try:
        for piece in pieces:
            if len(head) < 64:
                head = (head + piece)[:64]
            window = window[-OVERLAP:] + piece
            if version is None and (banner := _BANNER.search(window)):
                version = banner[1].decode("ascii")
            config = config or _ikconfig(window)
            if version and config:
                break
    except Damaged as damage:
        return _Content(head, version, config, str(damage))
    return _Content(head, version, config, None)


def _ikconfig(window: bytes) -> str | None:
    """The config between its markers.  Source: the kernel's kernel/configs.c."""
    start = window.find(b"IKCFG_ST\x1f\x8b")
    end = window.find(b"IKCFG_ED", start)
    return config_text(window[start + 8 : end]) if 0 <= start < end else None


def _elf_arch(head: bytes) -> str | None:
    if not head.startswith(b"\x7fELF"):
        return None
    return ELF_MACHINES.get(int.from_bytes(head[18:20], "little" if head[5:6] == b"\1" else "big"))
