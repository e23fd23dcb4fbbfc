"""Kernel images: what they are, for which machine, how packed, and the config that they may carry."""

import struct
from dataclasses import dataclass
from pathlib import Path

from wizard.explain import Failure
from wizard.kernel.config import KernelConfig, parse
from wizard.kernel.elf import EXECUTABLE, HEAD, Elf, XenNotes
from wizard.kernel.elf import parse as parse_elf
from wizard.kernel.sniff import SNIFF, looks_like, opened
from wizard.kernel.stream import Stream, of_bytes
from wizard.kernel.survey import Content, survey
from wizard.kernel.unpack import READABLE, compression_of, unpacked

BOOT_HEADER = 0x268


@dataclass(frozen=True, slots=True)
class BootHeader:
    """What a bzImage tells the loader.  Source: the kernel's Documentation/arch/x86/boot.rst.

    protocol   e.g. (2, 15)
    version    the first word of its version string
    arch       "i386" or "x86_64"; None when this protocol does not tell
    offset     of the payload in the file, in bytes; 0 before protocol 2.08
    length     of the payload, in bytes; for all packings but gzip its last four are the unpacked size
    alignment  of the kernel in memory, in bytes (CONFIG_PHYSICAL_ALIGN); None before protocol 2.05
    address    where it prefers to be loaded (CONFIG_PHYSICAL_START, aligned); None before protocol 2.10
    """

    protocol: tuple[int, int]
    version: str | None
    arch: str | None
    offset: int
    length: int
    alignment: int | None
    address: int | None


@dataclass(frozen=True, slots=True)
class KernelImage:
    """A kernel as a file.

    kind         "bzImage" (x86), "vmlinux" (ELF), "Image" (arm64), "zboot" (self-unpacking EFI, arm64)
    arch         "i386", "x86_64", "arm64"; None when the image does not tell
    version      e.g. "6.1.0-56-cloud-amd64"
    compression  of the file (vmlinux, Image) or of its payload (bzImage, zboot); "none" when it is not packed
    config       the config inside (CONFIG_IKCONFIG), None without one; `no_config` then says why
    header       a bzImage's boot header
    xen          its notes for Xen by their names in Xen's elfnote.h; empty without any, None when it was not unpacked
    """

    path: Path
    kind: str
    arch: str | None
    version: str | None
    compression: str
    config: KernelConfig | None
    no_config: str | None = None
    header: BootHeader | None = None
    xen: XenNotes | None = None
    elf: Elf | None = None

    @property
    def protocol(self) -> tuple[int, int] | None:
        """A bzImage's boot protocol."""
        return self.header.protocol if self.header else None

    @property
    def alignment(self) -> int | None:
        """To how many bytes it wants to be aligned in memory; None when it does not tell."""
        if self.header:
            return self.header.alignment
        return self.elf.align if self.elf else None

    @property
    def starts_paravirtual(self) -> bool | None:
        """Whether it has the entry by which Xen starts a paravirtual guest; None when its content is not known.

        Source: the kernel's arch/x86/xen/xen-head.S, where the note depends on CONFIG_XEN_PV (before 4.12: XEN).
        """
        return None if self.xen is None else "ENTRY" in self.xen


def read_image(path: Path) -> KernelImage:
    """The kernel in a file.

    Raises Failure "unreadable-file", "not-a-kernel" (saying what it looks like), "unreadable-kernel" when it is
    a kernel that is cut off or damaged.
    """
    with opened(path) as file:
        return from_stream(path, file)


def from_bytes(path: Path, data: bytes) -> KernelImage:
    """As `read_image`, of content that is already here; the path is for people."""
    return from_stream(path, of_bytes(data))


def from_stream(path: Path, file: Stream) -> KernelImage:
    """As `read_image`, of content that comes along; the path is for people."""
    head = file.peek(HEAD)
    if head[0x202:0x206] == b"HdrS" and head[0x1FE:0x200] == b"\x55\xaa":
        return _bzimage(path, file)
    if head[:2] == b"MZ" and head[4:8] == b"zimg":
        return _zboot(path, file)
    start = file.peek(SNIFF)
    compression = compression_of(head) or "none"
    content = unpacked(file, compression)
    head = content.peek(HEAD)
    header = parse_elf(head)
    if head[56:60] == b"ARMd":
        kind = "Image"
    elif header and header.kind in EXECUTABLE:
        kind = "vmlinux"
    else:
        raise Failure("not-a-kernel", path=path, looks=looks_like(start))
    found = survey(content)
    if found.version is None and found.damage is None:
        raise Failure("not-a-kernel", path=path, looks=looks_like(start))
    return _image(path, kind, compression, found)


def _bzimage(path: Path, file: Stream) -> KernelImage:
    header = boot_header(file.peek(1 << 16))
    if header is None:
        raise Failure("unreadable-kernel", evidence=["The file ends within the boot header."], path=path)
    if header.offset == 0:
        return _image(path, "bzImage", "unknown", Content(), header)
    compression, content = _payload(path, file, header.offset, header.length)
    if compression in READABLE and content.elf is None:
        said = content.damage or "what is packed in it is no ELF file"
        raise Failure("unreadable-kernel", evidence=[f"Reading it: {said}."], path=path)
    return _image(path, "bzImage", compression, content, header)


def boot_header(head: bytes) -> BootHeader | None:
    """The boot header of a bzImage that begins with these bytes; None when they end within it."""
    if len(head) < BOOT_HEADER:
        return None
    protocol = (head[0x207], head[0x206])
    (version_at,) = struct.unpack_from("<H", head, 0x20E)
    text = head[version_at + 0x200 :][:256].split(b"\0")[0].decode("ascii", "replace") if version_at else ""
    alignment, _relocatable, _min_alignment, load_flags = struct.unpack_from("<IBBH", head, 0x230)
    offset, length = struct.unpack_from("<II", head, 0x248)
    (address,) = struct.unpack_from("<Q", head, 0x258)
    arch = None if protocol >= (2, 4) else "i386"
    if protocol >= (2, 12):
        arch = "x86_64" if load_flags & 1 else "i386"
    has_payload = protocol >= (2, 8)
    return BootHeader(
        protocol,
        text.split(" ")[0] or None,
        arch,
        ((head[0x1F1] or 4) + 1) * 512 + offset if has_payload else 0,
        length if has_payload else 0,
        alignment if protocol >= (2, 5) else None,
        address if protocol >= (2, 10) else None,
    )


def _zboot(path: Path, file: Stream) -> KernelImage:
    """Source: the kernel's drivers/firmware/efi/libstub/zboot-header.S."""
    offset, length = struct.unpack_from("<II", file.peek(64).ljust(64, b"\0"), 8)
    return _image(path, "zboot", *_payload(path, file, offset, length))


def _payload(path: Path, file: Stream, offset: int, length: int) -> tuple[str, Content]:
    """How the kernel within a file is packed, and what it says."""
    if file.size is not None and (offset + length > file.size or not length):
        said = f"Its header announces {offset + length} bytes, the file has {file.size}."
        raise Failure("unreadable-kernel", evidence=[said], path=path)
    file.skip(offset)
    payload = Stream(file.part(length), length)
    start = payload.peek(16)
    compression = compression_of(start) or ("none" if start.startswith(b"\x7fELF") else "unknown")
    return compression, survey(unpacked(payload, compression)) if compression in READABLE else Content()


def _image(path: Path, kind: str, compression: str, content: Content, header: BootHeader | None = None) -> KernelImage:
    if content.damage:
        raise Failure("unreadable-kernel", evidence=[f"Reading it: {content.damage}."], path=path)
    config = parse(content.config) if content.config is not None else None
    reason = None
    if config is None:
        reason = "It was built without CONFIG_IKCONFIG, so it does not carry its config."
        if content.xen is None:
            reason = "How it is packed is not known, so a config inside was not looked for."
    said = header.arch if header else None
    arch = said or content.arch or (config.arch if config else None)
    version = (header.version if header else None) or content.version
    return KernelImage(path, kind, arch, version, compression, config, reason, header, content.xen, content.elf)
