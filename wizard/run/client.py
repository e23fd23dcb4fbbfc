"""What front ends do with a build: start its runner, follow its events, stop it."""

import contextlib
import errno
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from wizard.explain import Failure, explain
from wizard.run.builds import Build
from wizard.run.events import LAST, Event, read
from wizard.run.room import free_mib

POLL_SECONDS = 0.05

ALL_BUT_FULL_MIB = 4
"""With so little room left on the disk nothing can be written reliably."""

BUSY = 3
"""A runner's exit code when another one was faster; it has said nothing then."""


def start(build: Build, *, until: str | None = None) -> int:
    """Starts a runner that outlives this process; gives the place in the event file where its events begin.

    Raises Failure `build-is-running` when one works on it already.
    """
    if build.is_running():
        raise Failure("build-is-running", build=build.id, holder=build.holder() or "another process")
    offset = build.events_end
    command = [sys.executable, "-m", "wizard.run", str(build.folder), *(["--until", until] if until else [])]
    with (build.logs / "runner.log").open("wb") as log:
        runner = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True, env=_environment()
        )
    _wait_until_it_speaks(build, runner, offset)
    return offset


def follow(build: Build, offset: int) -> Iterator[Event | None]:
    """The events of the running attempt as they come, None whenever there is nothing new; ends after the last one.

    When the runner was killed, the last event is one that says so.
    """
    while True:
        found = False
        for event, behind in read(build.events_path, offset):
            offset = behind
            found = True
            yield event
            if event["event"] in LAST:
                return
        if not found and not build.is_running():
            if any(True for _ in read(build.events_path, offset)):
                continue
            yield runner_died(build)
            return
        yield None
        time.sleep(POLL_SECONDS)


def unread(build: Build, offset: int) -> Iterator[Event]:
    """The events behind a place, as far as there are any now."""
    return (event for event, _ in read(build.events_path, offset))


def runner_died(build: Build) -> Event:
    """The event that a killed runner could not write."""
    return {
        "event": "failed",
        "time": round(time.time(), 3),
        "build": build.id,
        "explanation": explain(_last_words(build)).as_dict(),
    }


def _last_words(build: Build) -> Failure:
    """Why a runner is gone.  One that met a full disk may have had no room to say so."""
    log = build.logs / "runner.log"
    said = log.read_text(encoding="utf-8", errors="replace") if log.exists() else ""
    if os.strerror(errno.ENOSPC) in said or free_mib(build.folder) < ALL_BUT_FULL_MIB:
        return Failure("no-space", where=build.folder, free=free_mib(build.folder), evidence=[f"log: {log}"])
    return Failure("runner-killed", build=build.id, evidence=[*said.splitlines()[-3:], f"log: {log}"])


def stop(build: Build, *, within_seconds: float = 10) -> None:
    """Asks the runner to stop in order, and waits until it has."""
    holder = build.holder()
    if holder is None or not build.is_running():
        return
    with contextlib.suppress(ProcessLookupError):
        os.kill(holder, signal.SIGTERM)
    deadline = time.monotonic() + within_seconds
    while build.is_running() and time.monotonic() < deadline:
        time.sleep(POLL_SECONDS)


def _wait_until_it_speaks(build: Build, runner: "subprocess.Popen[bytes]", offset: int) -> None:
    """Between the start of a process and its first event nobody could tell it from a dead one."""
    while runner.poll() is None:
        if build.holder() == runner.pid and build.events_end > offset:
            return
        time.sleep(POLL_SECONDS)
    if runner.returncode == BUSY:
        raise Failure("build-is-running", build=build.id, holder=build.holder() or "another process")


def _environment() -> dict[str, str]:
    """The runner finds this very package, wherever it was started from."""
    root = str(Path(__file__).resolve().parents[2])
    return {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, [root, os.environ.get("PYTHONPATH")]))}
