"""A mirror on loopback that remembers what it was asked for, and a step run as a build runs it."""

import contextlib
import functools
import http.server
import os
import shutil
import subprocess
import tarfile
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from wizard.plan.actions import Run, Write
from wizard.plan.script import PRELUDE
from wizard.plan.steps import Step
from wizard.run.commands import TAIL_LINES, command_failure

EPOCH = 1686355200


@dataclass(frozen=True, slots=True)
class Mirror:
    """Its address, and the paths that it was asked for so far.

    A file whose path has one of `stops_in` in it is sent in part, and the rest when `goes_on` is set.
    """

    address: str
    asked: list[str]
    stops_in: list[str] = field(default_factory=list)
    goes_on: threading.Event = field(default_factory=threading.Event)


@contextlib.contextmanager
def served(folder: Path) -> Iterator[Mirror]:
    """A folder, served over HTTP while the context lasts."""
    mirror = Mirror("", [])

    class Files(http.server.SimpleHTTPRequestHandler):
        def do_GET(self) -> None:
            mirror.asked.append(self.path)
            # A client that has seen enough hangs up.
            with contextlib.suppress(ConnectionError):
                super().do_GET()

        def copyfile(self, source: Any, outputfile: Any) -> None:
            if any(name in self.path for name in mirror.stops_in):
                outputfile.write(source.read(100))
                outputfile.flush()
                mirror.goes_on.wait(60)
            super().copyfile(source, outputfile)

        def log_message(self, *_: object) -> None:
            pass

    handler = functools.partial(Files, directory=str(folder))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield replace(mirror, address=f"http://127.0.0.1:{server.server_port}")
        server.shutdown()


def begun(
    step: Step, place: Path, downloads: Path, user: str | None = None, temporary: str = "/nowhere"
) -> "subprocess.Popen[str]":
    """Begins with a step in the folder `place`, as a build does; by another user where one is named.

    `temporary`: the folder for temporary files, which only mmdebstrap should need.
    """
    for folder in (place, place / step.id, downloads):
        folder.mkdir(parents=True, exist_ok=True)
        if user:
            shutil.chown(folder, user)
    commands = [f"umask 022\n{PRELUDE}"]
    for action in step.actions:
        match action:
            case Write(path, text, mode):
                (place / path).parent.mkdir(parents=True, exist_ok=True)
                (place / path).write_text(text)
                (place / path).chmod(mode)
            case Run(command):
                commands.append(command)
    told = {"DOWNLOADS": str(downloads), "SOURCE_DATE_EPOCH": str(EPOCH), "TZ": "UTC", "LC_ALL": "C.UTF-8"}
    return subprocess.Popen(
        ["bash", "-euo", "pipefail", "-c", "\n".join(commands)],
        cwd=place,
        env={**os.environ, **told, "TMPDIR": temporary},
        user=user,
        group=user,
        extra_groups=[] if user else None,
        start_new_session=True,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
    )


def run(step: Step, place: Path, downloads: Path, user: str | None = None, temporary: str = "/nowhere") -> None:
    """Runs a step to its end.  Raises the Failure that the build would."""
    process = begun(step, place, downloads, user, temporary)
    said, _ = process.communicate()
    print(said)
    if process.returncode:
        raise command_failure("bash", process.returncode, said.splitlines()[-TAIL_LINES:], place / "log")


def unpacked(place: Path) -> dict[str, tarfile.TarInfo]:
    """What lies in a step's bootstrap/root.tar, by path."""
    with tarfile.open(place / "bootstrap/root.tar") as tar:
        return {member.name.removeprefix("./"): member for member in tar.getmembers()}


def text(place: Path, path: str) -> str:
    """The text of a file in bootstrap/root.tar."""
    with tarfile.open(place / "bootstrap/root.tar") as tar:
        file = tar.extractfile(f"./{path}")
        assert file
        return file.read().decode()
