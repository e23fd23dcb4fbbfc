"""Kernel configs: .config, /boot/config-*, /proc/config.gz, and those that kernels carry in themselves."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from wizard import presets
from wizard.explain import Failure
from wizard.kernel.profiles import Version, numbers
from wizard.kernel.sniff import looks_like, opened
from wizard.kernel.stream import CHUNK, Stream, of_bytes
from wizard.kernel.unpack import FIRST_BLOCK, compression_of, unpacked

MOST = 16 << 20
"""The largest real configs have 300 KB."""

FEWEST_OPTIONS = 50
"""The smallest config that boots (allnoconfig with drivers) has some hundreds of options."""

CUT_OFF = "The config is empty or cut off: what it does not mention is unknown. Copy it again, whole."

NO_CONFIG = "Nobody has seen its config: name the file that it was built from, such as /boot/config-VERSION."

_OPTION = re.compile(r"^(?:CONFIG_(\w+)=(.*)|# CONFIG_(\w+) is not set[ \t]*)$", re.ASCII | re.MULTILINE)
_HEADER = re.compile(r"^# Linux/(\S+) (\d\S*) Kernel Configuration$", re.MULTILINE)
_OLD_HEADER = re.compile(r"^# Linux kernel version: (\d\S*)$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class KernelConfig:
    """What a kernel was configured with.

    options   by name without CONFIG_; "y", "m", "n" (for "is not set") or a value, strings without their quotes
    version   e.g. (6, 1, 192); None when the config does not say
    arch      "i386", "x86_64", "arm64", or the kernel's own name of another architecture; None when unknown
    lacks     what is missing of it, for people; then what it does not mention is unknown, not off
    """

    options: Mapping[str, str] = field(repr=False)
    version: Version | None = None
    arch: str | None = None
    lacks: str = ""

    @property
    def complete(self) -> bool:
        """Whether what it does not mention is off."""
        return not self.lacks

    def value(self, option: str) -> str | None:
        """The option's value; None when the config does not mention it."""
        return self.options.get(option)

    def has(self, option: str) -> bool:
        """Built in or as a module."""
        return self.options.get(option) in ("y", "m")


def parse(text: str) -> KernelConfig:
    """The config in a .config's text.  As in the kernel's own build, the last word on an option counts."""
    text = text.removeprefix("\ufeff").replace("\r", "")
    options = {name or unset: "n" if unset else _plain(value) for name, value, unset in _OPTION.findall(text)}
    header = _HEADER.search(text)
    old = _OLD_HEADER.search(text) if header is None else None
    said = header[2] if header else old[1] if old else options.get("BUILD_SALT", "")
    is_whole = len(options) >= FEWEST_OPTIONS and not _is_cut_off(text)
    arch = _arch(header[1] if header else None, options)
    return KernelConfig(options, numbers(said) or None, arch, "" if is_whole else CUT_OFF)


def read_config(path: Path) -> KernelConfig:
    """A config file, plain or compressed.

    Raises Failure "unreadable-file" when it cannot be read, "not-a-config" when it is something else, saying what.
    A kernel image that carries its config is read by wizard.kernel.subject.config_of.
    """
    with opened(path) as file:
        text = text_of(file)
        if text is None:
            raise Failure("not-a-config", path=path, looks=looks_like(file.peek(CHUNK)))
    return parse(text)


def text_of(file: Stream) -> str | None:
    """The text of the config that a file holds, plain or compressed; None when it holds none.  Leaves it unread.

    An empty file counts as an empty config: that is what a full disk leaves of one.
    """
    compression = compression_of(file.peek(16)) or "none"
    if b"\0" in unpacked(file.ahead(FIRST_BLOCK), compression).peek(4096):
        return None
    return config_text(file.peek(MOST))


def config_text(data: bytes) -> str | None:
    """The text of a config, plain or compressed; None when it is none."""
    compression = compression_of(data)
    if compression is not None:
        content = unpacked(of_bytes(data), compression, MOST)
        data = content.peek(MOST)
        if content.damage and not data:
            return None
    if b"\0" in data:
        return None
    text = data.decode("utf-8", "replace")
    is_config = "CONFIG_" in text or _HEADER.search(text) or not text.strip()
    return text if is_config else None


def recorded(name: str) -> KernelConfig:
    """A distribution's kernel config that comes with ami-wizard, e.g. "debian-bookworm-cloud-amd64".

    It holds the options that the audit's profiles name, no others.  Raises Failure "unknown-recorded-config".
    """
    folder = presets.ROOT / "kernel" / "configs"
    known = sorted(path.stem for path in folder.glob("*.config"))
    if name not in known:
        raise Failure("unknown-recorded-config", name=name, known=", ".join(known))
    return parse((folder / f"{name}.config").read_text("utf-8"))


def unseen(arch: str | None, version: str | None) -> KernelConfig:
    """What is certain of a kernel whose config nobody has seen: what its architecture and version imply."""
    bits = {"i386": ("X86_32",), "x86_64": ("X86_64", "64BIT"), "arm64": ("ARM64", "64BIT")}.get(arch or "", ())
    names = ("X86_32", "X86_64", "ARM64", "64BIT") if bits else ()
    options = {name: "y" if name in bits else "n" for name in names}
    return KernelConfig(options, numbers(version or "") or None, arch, NO_CONFIG)


def packed_as(config: KernelConfig, compression: str) -> KernelConfig:
    """The config with what the image shows: how it is really packed, which may not be how it was built."""
    if compression not in (*_PACKINGS, "none"):
        return config
    options = dict.fromkeys(_PACKINGS.values(), "n") | {_PACKINGS.get(compression, "KERNEL_GZIP"): "y"}
    return replace(config, options={**config.options, **options})


def packing_of(config: KernelConfig) -> str | None:
    """How the kernel will be packed by its config; None when the config does not say."""
    return next((name for name, option in _PACKINGS.items() if config.value(option) == "y"), None)


_PACKINGS = {
    "gzip": "KERNEL_GZIP",
    "bzip2": "KERNEL_BZIP2",
    "lzma": "KERNEL_LZMA",
    "xz": "KERNEL_XZ",
    "lzo": "KERNEL_LZO",
    "lz4": "KERNEL_LZ4",
    "zstd": "KERNEL_ZSTD",
}


def _plain(value: str) -> str:
    value = value.strip()
    return value[1:-1] if len(value) >= 2 and value[0] == value[-1] == '"' else value


def _is_cut_off(text: str) -> bool:
    """Whether the end is missing: a torn last line, or a config with its menus but without the last ones."""
    last = text[text.rfind("\n") + 1 :]
    if last.strip() and not last.startswith("#") and not _OPTION.match(last):
        return True
    # From 2.6 to today every whole config has these menus; "Kernel hacking" and "Library routines" come last.
    has_menus = "# General setup" in text and "Automatically generated" in text
    return has_menus and not ("# Library routines" in text and "# Kernel hacking" in text)


def _arch(said: str | None, options: Mapping[str, str]) -> str | None:
    is_x86 = said in ("x86", "i386", "x86_64") or any(options.get(name) == "y" for name in ("X86", "X86_64", "X86_32"))
    if is_x86:
        if said == "x86_64" or "y" in (options.get("64BIT"), options.get("X86_64")):
            return "x86_64"
        if said == "i386" or options.get("X86_32") == "y" or options.get("64BIT") == "n":
            return "i386"
        return None
    return said or ("arm64" if options.get("ARM64") == "y" else None)
