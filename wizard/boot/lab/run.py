"""Starts a machine, follows its consoles, and ends it as soon as something decisive was said."""

import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from wizard import host
from wizard.boot.lab.machine import Logs
from wizard.boot.lab.watch import Consoles, Verdict, judge, out_of_time, readable

LOOKS_EVERY_SECONDS = 0.2
ENDS_WITHIN_SECONDS = 5
BUSY_SHARE = 0.5
"""A machine that waited for a processor longer than this share of its time was not given its chance."""


@dataclass(frozen=True, slots=True)
class Boot:
    """A boot that is over: the verdict, how long it took until then, and all that the guest said."""

    verdict: Verdict
    seconds: float
    console: str


@dataclass(slots=True)
class Machine:
    """A machine that runs."""

    process: "subprocess.Popen[bytes]"
    logs: Logs
    said: Callable[[str], None]
    started: float
    heard: int = 0
    changed: float = 0

    def look(self) -> tuple[Consoles, float]:
        """What the consoles have said so far, and for how many seconds the guest has said nothing more."""
        # Asked first: what a machine said before it ended must be read after it has ended.
        ended = self.has_ended()
        consoles = Consoles(readable(self.logs.guest.read_bytes()), readable(self.logs.lab.read_bytes()))
        now = time.monotonic()
        if len(consoles.guest) > self.heard:
            self.said(consoles.guest[self.heard :])
            self.heard, self.changed = len(consoles.guest), now
        return consoles, float("inf") if ended else now - self.changed

    def seconds(self) -> float:
        """How long it has run."""
        return time.monotonic() - self.started

    def has_ended(self) -> bool:
        """Whether it has ended by itself."""
        return self.process.poll() is not None

    def why_it_ended(self) -> str:
        """In words, once it has ended."""
        stderr = self.process.stderr
        complaint = stderr.read().decode("utf-8", "replace").strip() if stderr else ""
        if self.process.returncode:
            return f"the machine could not run: {complaint.splitlines()[-1] if complaint else self.process.returncode}"
        return "the machine switched itself off or restarted"

    def was_kept_waiting(self) -> bool:
        """Whether it got too little of this machine's processors to judge it by the time that it took."""
        return self.share() < 1 - BUSY_SHARE

    def share(self) -> float:
        """How much of the time in which it could have run it did run, from 0 to 1.

        Source: Linux, Documentation/scheduler/sched-stats.rst, "/proc/<pid>/schedstat": time run, time waited (ns).
        """
        ran = waited = 0
        for path in Path(f"/proc/{self.process.pid}/task").glob("*/schedstat"):
            with contextlib.suppress(OSError, ValueError):
                run, wait, _ = path.read_text(encoding="ascii").split()
                ran, waited = ran + int(run), waited + int(wait)
        return ran / (ran + waited) if ran else 1.0


class Guard(Protocol):
    """What ends a machine's process group when this process is killed (wizard/run/warden.py)."""

    def guard(self, group: int) -> None:
        """From now on this process group ends with us."""

    def release(self, group: int) -> None:
        """It has ended by itself."""


@contextlib.contextmanager
def running(
    command: Sequence[str], logs: Logs, said: Callable[[str], None] = lambda _: None, guard: Guard | None = None
) -> Iterator[Machine]:
    """A machine by its command line; `said` gets the guest's new text as it comes.  It is ended in every case."""
    for log in (logs.guest, logs.lab):
        log.parent.mkdir(parents=True, exist_ok=True)
        log.write_bytes(b"")
    process = subprocess.Popen(
        list(command),
        env={**os.environ, "PATH": host.SEARCH_PATH},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        start_new_session=True,
    )
    if guard:
        guard.guard(process.pid)
    now = time.monotonic()
    try:
        yield Machine(process, logs, said, now, changed=now)
    finally:
        _end(process)
        if guard:
            guard.release(process.pid)


def boot(
    command: Sequence[str],
    logs: Logs,
    *,
    until: str,
    timeout: float,
    said: Callable[[str], None] = lambda _: None,
) -> Boot:
    """Runs a machine's command line until it is up, has failed, or `timeout` seconds have passed.

    `until` is the phase that counts as up (see `watch.judge`).
    """
    with running(command, logs, said) as machine:
        verdict = _follow(machine, until, timeout)
        consoles, _ = machine.look()
        return Boot(verdict, round(machine.seconds(), 1), consoles.guest)


def _follow(machine: Machine, until: str, timeout: float) -> Verdict:
    while True:
        consoles, silent = machine.look()
        if verdict := judge(consoles, until, silent):
            return verdict
        if silent == float("inf"):
            return out_of_time(consoles, machine.why_it_ended())
        if machine.seconds() > timeout:
            return out_of_time(consoles, "nothing decisive was said in time")
        time.sleep(LOOKS_EVERY_SECONDS)


def _end(process: "subprocess.Popen[bytes]") -> None:
    """Ends the whole process group, kindly first."""
    for how in (signal.SIGTERM, signal.SIGKILL):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, how)
        try:
            process.wait(ENDS_WITHIN_SECONDS)
            break
        except subprocess.TimeoutExpired:
            continue
    if process.stderr:
        process.stderr.close()
