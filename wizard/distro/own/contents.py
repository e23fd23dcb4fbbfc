"""What is in a userland that somebody gave: its init, its kernel, what can make an initramfs."""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from wizard.explain import Failure
from wizard.kernel.archive import Member
from wizard.kernel.collection import collect
from wizard.kernel.elf import MACHINES
from wizard.kernel.subject import Subject

OS_RELEASE = ("etc/os-release", "usr/lib/os-release")
SSHD = ("usr/sbin/sshd", "usr/bin/sshd", "usr/sbin/dropbear")
SHELLS = ("usr/bin/bash", "bin/bash", "usr/bin/dash", "bin/dash", "bin/busybox", "usr/bin/busybox")
IMAGE_FILES = ("oci-layout", "manifest.json")
"""What tells that this is no userland but an image with one in its layers."""

MOST_TEXT = 64 << 10
_INITRAMFS = re.compile(r"boot/(?:initrd|initramfs)(?!.*(?:fallback|rescue|kdump))[^/]*")


@dataclass(frozen=True, slots=True)
class Contents:
    """What was found.

    title       as its os-release calls it; "" without one
    arch        of its programs, by the recipe's names; None when unknown
    init        a name of own.toml's inits; None when there is none of them
    maker       the program that makes an initramfs; None when there is none
    sshd        the ssh server's file; None when there is none
    names       those of the files that were looked for which are there
    kernel      None when there is none, or when `doubt` says why it cannot be used
    initramfs   the kernel's, by its path in the userland; None when there is none
    """

    title: str
    arch: str | None
    init: str | None
    maker: str | None
    sshd: str | None
    names: frozenset[str]
    kernel: Subject | None
    initramfs: str | None
    doubt: Failure | None
    is_image: bool


@dataclass(slots=True)
class _Notes:
    names: set[str] = field(default_factory=set)
    initramfs: list[str] = field(default_factory=list)
    title: str = ""
    arch: str | None = None


@dataclass(frozen=True, slots=True)
class Sought:
    """What is looked for, from presets/distros/own.toml.

    inits     by each init's name, the files that it is known by
    makers    programs that make an initramfs
    services  by each init's name and by what they are for, the services that it may have
    """

    inits: Mapping[str, list[str]]
    makers: list[str]
    services: Mapping[str, Mapping[str, list[str]]]

    @property
    def paths(self) -> list[str]:
        """The files to look for."""
        found = [path for paths in self.inits.values() for path in paths]
        found += [path for maker in self.makers for path in _places(maker)]
        for init, parts in self.services.items():
            found += [path for names in parts.values() for name in names for path in unit_paths(init, name)]
        return [*found, *OS_RELEASE, *SSHD, *SHELLS, CHRONY_FILE]


CHRONY_FILE = "etc/chrony/chrony.conf"
"""Where Debian and Alpine have it; elsewhere it is etc/chrony.conf."""


def unit_paths(init: str, name: str) -> list[str]:
    """Where an init has a service: a unit of systemd's, a script of OpenRC's."""
    if init == "systemd":
        return [f"{folder}/systemd/system/{name}.service" for folder in ("usr/lib", "lib")]
    return [f"etc/init.d/{name}"]


def contents(path: Path, files: Iterable[Member], sought: Sought) -> Contents:
    """What is among these files, which lie in `path`.  Raises what reading them raises."""
    notes = _Notes()
    inits, makers = sought.inits, sought.makers
    noted = _noting(files, notes, frozenset(sought.paths))
    kernel, doubt = None, None
    try:
        found = collect(path, noted)
        if found.image:
            kernel = Subject(found.image.path, found.image, found.config, found.modules)
    except Failure as failure:
        doubt = failure
    for _ in noted:
        pass
    return Contents(
        notes.title,
        notes.arch,
        next((name for name, paths in inits.items() if notes.names & set(paths)), None),
        next((maker for maker in makers if notes.names & set(_places(maker))), None),
        next((name for name in SSHD if name in notes.names), None),
        frozenset(notes.names),
        kernel,
        _initramfs_of(kernel, notes.initramfs),
        doubt,
        bool(notes.names & set(IMAGE_FILES)),
    )


def _places(program: str) -> list[str]:
    return [f"{folder}/{program}" for folder in ("usr/sbin", "usr/bin", "sbin", "bin")]


def _noting(files: Iterable[Member], notes: _Notes, wanted: frozenset[str]) -> Iterator[Member]:
    """Passes the files on, and writes down what is seen of them.

    The two marks of an image are looked for at the top only; a file's first bytes are peeked at and stay to be read.
    """
    for name, file in files:
        if name in wanted or name in IMAGE_FILES:
            notes.names.add(name)
        if _INITRAMFS.fullmatch(name):
            notes.initramfs.append(name)
        if name in wanted and (name in OS_RELEASE or notes.arch is None):
            with file as stream:
                head = stream.peek(MOST_TEXT)
                if name in OS_RELEASE:
                    notes.title = notes.title or _title(head.decode("utf-8", "replace"))
                elif head.startswith(b"\x7fELF"):
                    notes.arch = MACHINES.get(int.from_bytes(head[18:20], "little"))
            continue
        yield name, file


def _title(os_release: str) -> str:
    """Source: os-release(5)."""
    found = re.search(r'^PRETTY_NAME=(["\']?)(.*)\1\s*$', os_release, re.MULTILINE)
    return "".join(letter for letter in found[2] if letter.isprintable()) if found else ""


def _initramfs_of(kernel: Subject | None, names: list[str]) -> str | None:
    """The kernel's own by its name, else the only one."""
    if kernel is None:
        return None
    words = {kernel.version or "", kernel.path.name.partition("-")[2]} - {""}
    named = [name for name in names if any(word in name for word in words)]
    found = named or names
    return min(found, key=len) if named or len(found) == 1 else None
