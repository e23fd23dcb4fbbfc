"""A mirror on loopback that remembers what it was asked for, and a step run as a build runs it."""

import contextlib
import functools
import http.server
import os
import subprocess
import tarfile
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from wizard.plan.script import PRELUDE
from wizard.plan.steps import Run, Step, Write
from wizard.run.commands import TAIL_LINES, command_failure

EPOCH = 1686355200


@dataclass(frozen=True, slots=True)
class Mirror:
    """Its address, and the paths that it was asked for so far."""

    address: str
    asked: list[str]


@contextlib.contextmanager
def served(folder: Path) -> Iterator[Mirror]:
    """A folder, served over HTTP while the context lasts."""
    asked: list[str] = []

    class Files(http.server.SimpleHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            # A client that has seen enough hangs up.
            with contextlib.suppress(ConnectionError):
                super().do_GET()

        def log_message(self, *_: object) -> None:
            pass

    handler = functools.partial(Files, directory=str(folder))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield Mirror(f"http://127.0.0.1:{server.server_port}", asked)
        server.shutdown()


def run(step: Step, place: Path, downloads: Path) -> None:
    """Runs a step in the folder `place` as a build does.  Raises the Failure that the build would."""
    (place / step.id).mkdir(parents=True)
    environment = {
        **os.environ,
        "DOWNLOADS": str(downloads),
        "SOURCE_DATE_EPOCH": str(EPOCH),
        "TZ": "UTC",
        "LC_ALL": "C.UTF-8",
    }
    for action in step.actions:
        match action:
            case Write(path, text, mode):
                (place / path).parent.mkdir(parents=True, exist_ok=True)
                (place / path).write_text(text)
                (place / path).chmod(mode)
            case Run(command):
                done = subprocess.run(
                    ["bash", "-euo", "pipefail", "-c", f"umask 022\n{PRELUDE}\n{command}"],
                    cwd=place,
                    env=environment,
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.PIPE,
                    stderr=subprocess.STDOUT,
                    text=True,
                    errors="replace",
                )
                print(done.stdout)
                if done.returncode:
                    tail = done.stdout.splitlines()[-TAIL_LINES:]
                    raise command_failure(command, done.returncode, tail, place / "log")


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
