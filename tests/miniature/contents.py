"""What a miniature distribution consists of, whatever its packages look like."""

import subprocess
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

BUSYBOX = Path("/bin/busybox")
"""Debian's busybox-static: one program without libraries, so it runs in any root."""


@dataclass(frozen=True, slots=True)
class File:
    """A file with its mode."""

    content: bytes
    mode: int = 0o644


@dataclass(frozen=True, slots=True)
class Link:
    """A symbolic link."""

    target: str


@dataclass(frozen=True, slots=True)
class Folder:
    """A folder that needs to be there, or needs a mode of its own."""

    mode: int = 0o755


@dataclass(frozen=True, slots=True)
class Package:
    """A package.  `files` go by their paths from the root, without the slash, parents before what is in them.

    `installed` is the text of a shell script that the package manager runs in the root after it has unpacked it.
    """

    name: str
    version: str = "1.0"
    files: Mapping[str, File | Link | Folder] = field(default_factory=dict)
    depends: tuple[str, ...] = ()
    installed: str = ""


def script(text: str) -> File:
    """A program in busybox's shell."""
    return File(f"#!/bin/sh\n{text}".encode(), 0o755)


def filesystem(name: str = "filesystem") -> Package:
    """The folders of a merged /usr, the first accounts, and the name of the system."""
    folders = ("boot", "dev", "etc", "home", "mnt", "opt", "run", "srv", "usr", "usr/bin", "usr/lib", "usr/share")
    return Package(
        name,
        files={
            **{folder: Folder() for folder in (*folders, "var", "var/cache", "var/lib", "var/log")},
            "var/tmp": Folder(0o1777),
            **{folder: Folder(0o555) for folder in ("proc", "sys")},
            "root": Folder(0o700),
            **{folder: Folder(0o1777) for folder in ("tmp", "var/tmp")},
            "bin": Link("usr/bin"),
            "sbin": Link("usr/bin"),
            "lib": Link("usr/lib"),
            "lib64": Link("usr/lib"),
            "usr/sbin": Link("bin"),
            "etc/passwd": File(b"root:x:0:0::/root:/bin/sh\n"),
            "etc/group": File(b"root:x:0:root\n"),
            "etc/shadow": File(b"root::14871::::::\n", 0o600),
            "etc/os-release": File(b'NAME="Miniature"\nID=miniature\n'),
        },
    )


def busybox(depends: tuple[str, ...] = ("filesystem",), name: str = "busybox") -> Package:
    """A shell and the usual programs, each a link to one."""
    applets = subprocess.run([BUSYBOX, "--list"], check=True, capture_output=True, text=True).stdout.split()
    links = {f"usr/bin/{applet}": Link("busybox") for applet in applets if applet not in ("busybox", "init")}
    return Package(name, "1.35", {"usr/bin/busybox": File(BUSYBOX.read_bytes(), 0o755), **links}, depends)


def names_only(names: Iterable[str], depends: tuple[str, ...] = ()) -> list[Package]:
    """Packages with nothing in them, so that a distribution's own list of packages can be installed."""
    return [Package(name, depends=depends) for name in names]
