"""Starts a machine, follows its consoles, and ends it as soon as something decisive was said."""

import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from wizard import host
from wizard.boot.lab.machine import Logs
from wizard.boot.lab.watch import Consoles, Verdict, judge, out_of_time, readable

LOOKS_EVERY_SECONDS = 0.2
ENDS_WITHIN_SECONDS = 5


@dataclass(frozen=True, slots=True)
class Boot:
    """A boot that is over: the verdict, how long it took until then, and all that the guest said."""

    verdict: Verdict
    seconds: float
    console: str


def boot(
    command: Sequence[str],
    logs: Logs,
    *,
    until: str,
    timeout: float,
    said: Callable[[str], None] = lambda _: None,
) -> Boot:
    """Runs a machine's command line until it is up, has failed, or `timeout` seconds have passed.

    `until` is the phase that counts as up (see `watch.judge`); `said` gets the guest's new text as it comes.
    The machine is ended in every case, also when this is interrupted.
    """
    for log in (logs.guest, logs.lab):
        log.parent.mkdir(parents=True, exist_ok=True)
        log.write_bytes(b"")
    started = time.monotonic()
    machine = subprocess.Popen(
        list(command),
        env={**os.environ, "PATH": host.SEARCH_PATH},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        start_new_session=True,
    )
    try:
        verdict = _follow(machine, logs, until, started + timeout, said)
    finally:
        _end(machine)
    return Boot(verdict, round(time.monotonic() - started, 1), _consoles(logs).guest)


def _follow(
    machine: "subprocess.Popen[bytes]", logs: Logs, until: str, deadline: float, said: Callable[[str], None]
) -> Verdict:
    known, changed = 0, time.monotonic()
    while True:
        # Asked first: what a machine said before it ended must be read after it has ended.
        has_ended = machine.poll() is not None
        consoles = _consoles(logs)
        now = time.monotonic()
        if len(consoles.guest) > known:
            said(consoles.guest[known:])
            known, changed = len(consoles.guest), now
        silent = now - changed if not has_ended else float("inf")
        if verdict := judge(consoles, until, silent):
            return verdict
        if has_ended:
            return out_of_time(consoles, _why_it_ended(machine))
        if now > deadline:
            return out_of_time(consoles, "nothing decisive was said in time")
        time.sleep(LOOKS_EVERY_SECONDS)


def _why_it_ended(machine: "subprocess.Popen[bytes]") -> str:
    complaint = machine.stderr.read().decode("utf-8", "replace").strip() if machine.stderr else ""
    if machine.returncode:
        return f"the machine could not run: {complaint.splitlines()[-1] if complaint else machine.returncode}"
    return "the machine switched itself off or restarted"


def _consoles(logs: Logs) -> Consoles:
    return Consoles(readable(logs.guest.read_bytes()), readable(logs.lab.read_bytes()))


def _end(machine: "subprocess.Popen[bytes]") -> None:
    """Ends the whole process group, kindly first."""
    for how in (signal.SIGTERM, signal.SIGKILL):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(machine.pid, how)
        try:
            machine.wait(ENDS_WITHIN_SECONDS)
            break
        except subprocess.TimeoutExpired:
            continue
    if machine.stderr:
        machine.stderr.close()
