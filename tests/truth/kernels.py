"""Small kernels from Debian's source package: a base that boots, and the same without one option."""

import hashlib
import os
import re
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from wizard import folders

from . import kconfig

ARCHIVE = Path("/usr/src/linux-source-6.1.tar.xz")
CONFIGS = Path(__file__).parent / "configs"
BASES = {
    "pv-x86_64": ("common", "xen", "pv-x86_64"),
    "hvm-x86_64": ("common", "xen", "hvm-x86_64"),
    "hvm-uefi": ("common", "xen", "hvm-x86_64", "uefi"),
    "userland": ("common", "userland"),
}
"""The fragments that make a base config."""


class DoesNotBuild(Exception):
    """The compiler or the linker refused."""


@dataclass(frozen=True, slots=True)
class Variant:
    """A config without an option.

    away     what had to be set: the option, and what selects it
    along    options that Kconfig then switched off by itself, because they depend on it
    is_away  false when Kconfig insists on it
    """

    config: str
    away: tuple[str, ...]
    along: tuple[str, ...]
    is_away: bool


def place() -> Path:
    """Where source, objects and disks lie: some 4 GB."""
    return folders.lab() / "truth"


@cache
def source() -> Path:
    """The kernel's source tree, unpacked once."""
    tree = place() / "source"
    if not tree.exists():
        place().mkdir(parents=True, exist_ok=True)
        unpacked = place() / "unpacking"
        shutil.rmtree(unpacked, ignore_errors=True)
        unpacked.mkdir()
        subprocess.run(["tar", "-C", unpacked, "--strip-components=1", "-xf", ARCHIVE], check=True)
        unpacked.rename(tree)
    return tree


@cache
def version() -> str:
    """The source's version, e.g. "6.1.192"."""
    text = (source() / "Makefile").read_text(encoding="utf-8")
    return ".".join(re.findall(r"^(?:VERSION|PATCHLEVEL|SUBLEVEL) = (\d+)$", text, re.MULTILINE))


@cache
def base_config(name: str) -> str:
    """tinyconfig with the fragments of a base, as the kernel's own Kconfig settles it."""
    folder = place() / f"base-{name}"
    folder.mkdir(parents=True, exist_ok=True)
    _make(folder, "tinyconfig")
    path = folder / ".config"
    wanted: dict[str, str] = {}
    for part in BASES[name]:
        text = (CONFIGS / f"{part}.config").read_text(encoding="utf-8")
        wanted.update(kconfig.values(text))
        wanted.update(dict.fromkeys(re.findall(r"^# CONFIG_(\w+) is not set$", text, re.MULTILINE), "n"))
    settled = _settle(name, kconfig.changed(path.read_text(encoding="utf-8"), wanted))
    have = kconfig.values(settled)
    lost = [option for option, value in wanted.items() if have.get(option, "n") != value]
    if lost:
        raise SystemExit(f"The fragments for {name} ask for what this kernel does not give: {', '.join(lost)}")
    return settled


def digest(config: str) -> str:
    """What tells one config from another; its first lines name the compiler and are left out."""
    lines = [line for line in config.splitlines() if re.match(r"CONFIG_(?!CC_VERSION|GCC_VERSION|AS_|LD_)", line)]
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()[:16]


def without(name: str, options: Sequence[str], value: str) -> Variant:
    """The base config `name` with options set to `value` ("n" takes them away), and what that entails.

    What another option selects cannot be off while that one is on: then those go first.
    """
    base = base_config(name)
    away = dict.fromkeys(options, value)
    while True:
        settled = _settle(name, kconfig.changed(base, away))
        on = kconfig.values(settled)
        insisting = {wanted for wanted, set_to in away.items() if on.get(wanted, "n") != set_to}
        more = {by for wanted in insisting for by in _selectors().get(wanted, ()) if by in on and by not in away}
        if not more:
            break
        away.update(dict.fromkeys(sorted(more), "n"))
    along = sorted(set(kconfig.values(base)) - set(on) - set(away))
    is_away = all(on.get(option, "n") == value for option in options)
    return Variant(settled, tuple(away), tuple(along), is_away)


def build(name: str, config: str) -> Path:
    """The bzImage of a config that differs little from the base `name`.

    The base's object files are kept as they are, and every build begins with a copy of them: so it compiles what
    its own difference asks for, and never what the one before it left.
    Raises DoesNotBuild with the first complaint.
    """
    folder, kept = place() / f"build-{name}", place() / f"objects-{name}"
    folder.mkdir(exist_ok=True)
    base = base_config(name)
    if not kept.exists() or (kept / ".config").read_text(encoding="utf-8") != base:
        _compile(folder, base)
        shutil.rmtree(kept, ignore_errors=True)
        aside = place() / "copying"
        shutil.rmtree(aside, ignore_errors=True)
        _copy(folder, aside)
        aside.rename(kept)
    shutil.rmtree(folder)
    _copy(kept, folder)
    if config != base:
        _compile(folder, config)
    return folder / "arch/x86/boot/bzImage"


def _compile(folder: Path, config: str) -> None:
    (folder / ".config").write_text(config, encoding="utf-8")
    _make(folder, "olddefconfig")
    done = _make(folder, "bzImage", check=False)
    if done.returncode:
        complaints = [line for line in done.stderr.splitlines() if re.search(r"error|undefined|Error", line)]
        raise DoesNotBuild(complaints[0] if complaints else done.stderr[-300:])


def _copy(tree: Path, to: Path) -> None:
    """With the times of its files, by which make tells what is old."""
    subprocess.run(["cp", "-a", tree, to], check=True)


def _settle(name: str, config: str) -> str:
    folder = place() / f"base-{name}"
    (folder / ".config").write_text(config, encoding="utf-8")
    _make(folder, "olddefconfig")
    return (folder / ".config").read_text(encoding="utf-8")


@cache
def _selectors() -> dict[str, set[str]]:
    files = [path for path in source().rglob("Kconfig*") if path.is_file()]
    arch = source() / "arch"
    return kconfig.selectors(
        path for path in files if not path.is_relative_to(arch) or path.is_relative_to(arch / "x86")
    )


def _make(folder: Path, target: str, check: bool = True) -> "subprocess.CompletedProcess[str]":
    """ARCH=x86 and not x86_64, because only then 64BIT can be taken away."""
    settings = [f"O={folder}", "ARCH=x86", f"-j{os.cpu_count() or 1}"]
    return subprocess.run(
        ["make", "-s", "-C", str(source()), *settings, target],
        env={**os.environ, "LC_ALL": "C"},
        capture_output=True,
        text=True,
        check=check,
    )
