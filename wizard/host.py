"""Which programs this machine has, and how to get the others."""

import os
import platform
import shutil
import subprocess
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from wizard import presets
from wizard.explain import Failure

SEARCH_PATH = os.pathsep.join([os.environ.get("PATH", os.defpath), "/usr/sbin", "/sbin"])
"""Where programs are looked for: Debian leaves sbin out of an ordinary user's PATH, and mke2fs lives there."""


@dataclass(frozen=True, slots=True)
class Tool:
    """Something of the host that a step needs: a program on the PATH, or a file by its absolute path."""

    name: str
    package: str
    why: str
    when: str = ""

    def found(self) -> Path | None:
        """Where it is; None when this machine lacks it."""
        if self.name.startswith("/"):
            path = Path(self.name)
            return path if path.exists() else None
        where = shutil.which(self.name, path=SEARCH_PATH)
        return Path(where) if where else None

    def is_needed(self) -> bool:
        """Whether this user needs it to make images for this machine's own architecture."""
        if self.when == "rootless":
            return os.geteuid() != 0
        return self.when in ("", architecture())


@cache
def tools() -> dict[str, Tool]:
    """Every tool that some step needs, by its name, from presets/host.toml."""
    return {entry["name"]: Tool(**entry) for entry in presets.load("host")["tool"]}


def missing(names: Iterable[str]) -> list[Tool]:
    """Those of the named tools that this machine lacks."""
    return [tool for name in names if (tool := tools()[name]).found() is None]


def require(names: Iterable[str], code: str = "missing-programs") -> None:
    """Raises a Failure that names each with its reason and its package, if any is not there."""
    lacking = missing(names)
    if lacking:
        raise Failure(
            code,
            programs=", ".join(tool.name for tool in lacking),
            command=install_command(lacking),
            evidence=[f"{tool.name}: {tool.why} (package {tool.package})" for tool in lacking],
        )


def install_command(lacking: Iterable[Tool]) -> str:
    """The one command that installs what is missing, on Debian's family."""
    packages = sorted({tool.package for tool in lacking})
    sudo = "" if os.geteuid() == 0 else "sudo "
    return f"{sudo}apt-get install --no-install-recommends -y {' '.join(packages)}"


def can_install() -> bool:
    """Whether this machine has the package manager that `install_command` speaks to."""
    return shutil.which("apt-get", path=SEARCH_PATH) is not None


def stamp(name: str) -> str:
    """What tells one version of a tool from another without running it: its file's size and time."""
    path = tools()[name].found()
    if path is None:
        return "missing"
    status = path.stat()
    return f"{status.st_size}-{status.st_mtime_ns}"


@cache
def offers(program: str, option: str) -> bool:
    """Whether this machine's version of a program has that option, as its `--help` tells."""
    try:
        environment = {**os.environ, "PATH": SEARCH_PATH, "LC_ALL": "C"}
        said = subprocess.run([program, "--help"], capture_output=True, text=True, env=environment, check=False)
    except OSError:
        return False
    return option in (said.stdout + said.stderr).split()


def own_command() -> str:
    """How this very program is called from the user's shell: by its name where that is found, else by its place."""
    if shutil.which("ami-wizard"):
        return "ami-wizard"
    place = Path(sys.executable).with_name("ami-wizard")
    return os.path.relpath(place) if place.is_relative_to(Path.cwd()) else str(place)


def architecture() -> str:
    """This machine's architecture by the recipe's names."""
    machine = platform.machine().lower()
    return {"amd64": "x86_64", "aarch64": "arm64", "i486": "i386", "i586": "i386", "i686": "i386"}.get(machine, machine)


def can_map_users() -> bool:
    """Whether images can be made without root: subordinate ids for this user, or root itself."""
    if os.geteuid() == 0:
        return True
    import getpass

    names = (f"{getpass.getuser()}:", f"{os.getuid()}:")
    try:
        lines = Path("/etc/subuid").read_text(encoding="utf-8").splitlines()
    except OSError:
        return False
    return any(line.startswith(names) for line in lines)
