"""`ami-wizard doctor`: what this machine has and lacks to make images, and how to get it."""

import os
import platform
import shlex
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from wizard import __version__, folders, host
from wizard.cli.output import card, print_json
from wizard.explain import Explanation, Failure, explain, recognise
from wizard.host import Tool
from wizard.plan.script import PRELUDE

TEMPORARY_MIB = 1000
"""Room for the userland while it is installed: the default one of Debian 12 took 586 MiB, and its packages on top."""


@dataclass(frozen=True, slots=True)
class Room:
    """A folder that a build writes to, and whether its disk has the room (MiB)."""

    use: str
    path: Path
    free: int
    needed: int


@dataclass(frozen=True, slots=True)
class Report:
    """What was found: each tool's place (None where it is missing), the room, and what stands in the way."""

    tools: dict[Tool, Path | None]
    rooms: tuple[Room, ...]
    problems: tuple[Explanation, ...]

    def missing(self, *, needed: bool) -> list[Tool]:
        """The tools that are not there; those that a build for this architecture needs, or the others."""
        return [tool for tool, place in self.tools.items() if place is None and tool.is_needed() == needed]


@click.command()
@click.option("--install", is_flag=True, help="Install what is missing, by the one command that is shown.")
@click.option("--all", "everything", is_flag=True, help="With --install: also what only some builds need.")
@click.option("--yes", is_flag=True, help="With --install: do not ask.")
@click.option("--json", "as_json", is_flag=True, help="What was found as JSON.")
def doctor(install: bool, everything: bool, yes: bool, as_json: bool) -> int:
    """Says what this machine has and lacks to make images, and how to get it.

    Exit code 0 when a build can start, 1 when something that it needs is missing.
    """
    if (everything or yes) and not install:
        raise click.UsageError("--all and --yes say how --install goes about it: add --install.")
    found = examine()
    lacking = found.missing(needed=True) + (found.missing(needed=False) if everything else [])
    if install and lacking:
        install_packages(lacking, yes=yes)
        found = examine()
    if as_json:
        print_json(as_dict(found))
    else:
        click.echo(as_text(found))
    for problem in found.problems:
        click.echo(f"\n{card(problem)}", err=True)
    return 1 if found.problems else 0


def examine() -> Report:
    """Looks at this machine; starts nothing but an empty user namespace."""
    tools = {tool: tool.found() for tool in host.tools().values()}
    rooms = _rooms()
    failures = [_missing_programs(tools), _namespaces(), *map(_too_small, rooms)]
    return Report(tools, rooms, tuple(explain(failure) for failure in failures if failure is not None))


def install_packages(lacking: list[Tool], *, yes: bool) -> None:
    """Runs the one apt-get command that installs them, its output on standard error.

    Raises Failure `no-package-manager`, `not-a-terminal-to-install`, `install-failed`; click.Abort after a no.
    """
    command = host.install_command(lacking)
    if not host.can_install():
        raise Failure("no-package-manager", packages=", ".join(sorted({tool.package for tool in lacking})))
    click.echo(f"This installs what is missing:\n  {command}", err=True)
    if not yes:
        if not sys.stdin.isatty():
            raise Failure("not-a-terminal-to-install", command=command)
        click.confirm("Run it?", default=True, abort=True, err=True)
    done = subprocess.run(shlex.split(command), stdout=sys.stderr, check=False)
    if done.returncode != 0:
        raise Failure("install-failed", exit_code=done.returncode, command=command)


def as_dict(found: Report) -> dict[str, Any]:
    """The report as JSON:

    `{"ready": bool, "version", "python", "architecture", "tools": [{"name", "package", "why", "path": PATH|null,
    "needed": bool}], "room": [{"for", "path", "free_mib", "needed_mib"}], "install": COMMAND|null,
    "problems": [explanation]}`.  `needed`: by builds for this machine's own architecture.  `install` gets what is
    needed and missing.  `ready` is true when there are no problems.
    """
    lacking = found.missing(needed=True)
    return {
        "ready": not found.problems,
        "version": __version__,
        "python": platform.python_version(),
        "architecture": host.architecture(),
        "tools": [
            {
                "name": tool.name,
                "package": tool.package,
                "why": tool.why,
                "path": str(place) if place else None,
                "needed": tool.is_needed(),
            }
            for tool, place in found.tools.items()
        ],
        "room": [
            {"for": room.use, "path": str(room.path), "free_mib": room.free, "needed_mib": room.needed}
            for room in found.rooms
        ],
        "install": host.install_command(lacking) if lacking else None,
        "problems": [problem.as_dict() for problem in found.problems],
    }


def as_text(found: Report) -> str:
    """For people: one line a tool and a folder, its state first and in words."""
    lines = [f"ami-wizard {__version__}, Python {platform.python_version()}, {host.architecture()}", "", "Programs:"]
    for tool, place in found.tools.items():
        if place is not None:
            at = "" if str(place) == tool.name else f": {place}"
            lines.append(f"  there    {tool.name}{at}")
        else:
            state = "MISSING" if tool.is_needed() else "optional"
            lines.append(f"  {state:<8} {tool.name}: {tool.why} (package {tool.package})")
    lines += ["", "Room:"]
    for room in found.rooms:
        state = "enough" if room.free >= room.needed else "TOO LITTLE"
        lines.append(f"  {state:<8} {room.free} MiB for {room.use}, at {room.path} (wanted: {room.needed})")
    if others := found.missing(needed=False):
        lines += [
            "",
            "Only for images of another architecture, to prove paravirtual ones, or to repack kernels:",
            f"  {host.install_command(others)}",
        ]
    lines += ["", "Not everything is there." if found.problems else "Everything is there: a build can start."]
    return "\n".join(lines)


def _missing_programs(tools: dict[Tool, Path | None]) -> Failure | None:
    try:
        host.require(tool.name for tool in tools if tool.is_needed())
    except Failure as failure:
        return failure
    return None


def _namespaces() -> Failure | None:
    """Whether a build's own way to become root in a space of its own works here."""
    if host.missing(["unshare"]):
        return None
    if not host.can_map_users():
        return Failure("no-subordinate-ids")
    tried = subprocess.run(
        ["bash", "-euc", f"{PRELUDE}\nas_root_apart true"],
        env={**os.environ, "PATH": host.SEARCH_PATH},
        capture_output=True,
        text=True,
        check=False,
    )
    if tried.returncode == 0:
        return None
    return recognise("unshare", tried.stderr) or Failure("no-user-namespace", evidence=[tried.stderr.strip()])


def _rooms() -> tuple[Room, ...]:
    from wizard.run.room import NEEDED_MIB, free_mib

    wanted = (
        ("finished pieces", folders.results(), NEEDED_MIB),
        ("work", folders.builds(), NEEDED_MIB),
        ("temporary files", Path(tempfile.gettempdir()), TEMPORARY_MIB),
    )
    return tuple(Room(use, path, free_mib(path), needed) for use, path, needed in wanted)


def _too_small(room: Room) -> Failure | None:
    if room.free >= room.needed:
        return None
    return Failure("no-space-to-start", where=room.path, free=room.free, needed=room.needed)
