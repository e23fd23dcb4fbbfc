"""One proof: an image is started, followed until it lets us in or has failed, and judged."""

import json
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from wizard import host
from wizard.boot.lab.accelerator import EMULATED, KVM, Accelerator, accelerator
from wizard.boot.lab.machine import Logs
from wizard.boot.lab.run import LOOKS_EVERY_SECONDS, Guard, Machine, running
from wizard.boot.lab.watch import Consoles, Verdict, judge, last_phase, last_words, reached
from wizard.boot.proof.image import GrubCheck, check_for_pvgrub
from wizard.boot.proof.judgement import KEY_PATH, Outcome, Seen, outcome, with_pvgrub
from wizard.boot.proof.login import Inside, Login, make_key
from wizard.boot.proof.network import Request, free_port, network, requests_in, seen_on
from wizard.boot.proof.told import Told, settings
from wizard.boot.proof.ways import LIMIT_SECONDS, TITLES, command, tools, usual_seconds
from wizard.explain import Explanation, Failure, explain
from wizard.plan.actions import Way

LARGER_BYTES = 1 << 30
"""By so much the disk is larger than the image, as a volume may be: the root has to grow."""

ATTEMPTS = 3
"""The port for ssh may be taken by somebody else between choosing it and using it."""

AFTER_LOGIN_SECONDS = 75
"""How long after its login prompt a system may take until ssh lets one in; on a slow machine as long as it took to
come so far.  Our own images ask for their key for a minute before they give up and say so."""

AFTER_DENIAL_SECONDS = 15
"""How long an ssh server may refuse a key that was handed out."""

TALKS_WITHIN_SECONDS = 30

SILENT_SECONDS = 120
"""How long a machine may say nothing, neither on its console nor on the network, before its login prompt.

GRUB under Xen is silent for 20 s while it reads a kernel, an initramfs for 30 s while it waits for a disk.
"""

LONGEST = 3
"""However busy this machine is, a proof ends after so many times its limit."""


@dataclass(frozen=True, slots=True)
class Proof:
    """What a proof came to.  `came_up` None: could not tell.  `phase` is the last that was reached, see signs.toml."""

    way: Way
    arch: str
    how: str
    came_up: bool | None
    seconds: float
    phase: str
    failure: Failure | None
    findings: tuple[Explanation, ...]
    inside: Inside | None
    console: Path
    pvgrub: GrubCheck | None

    @property
    def explanation(self) -> Explanation | None:
        """Why it did not come up, or why nobody can tell."""
        return explain(self.failure) if self.failure else None

    def as_dict(self) -> dict[str, Any]:
        """The shape that the README promises in JSON, and more."""
        inside = self.inside
        return {
            "came_up": "unknown" if self.came_up is None else self.came_up,
            "as": self.way,
            "seconds": self.seconds,
            "kernel": inside.kernel if inside else None,
            "explanation": self.explanation.as_dict() if self.explanation else None,
            "console": str(self.console),
            "arch": self.arch,
            "run_by": self.how,
            "reached": "ssh" if inside else self.phase,
            "findings": [finding.as_dict() for finding in self.findings],
            "pv_grub": asdict(self.pvgrub) if self.pvgrub else None,
            "root": {"device": inside.root, "filesystem": inside.filesystem, "bytes": inside.filesystem_bytes}
            if inside
            else None,
        }


@dataclass(frozen=True, slots=True)
class Trial:
    """What is started, and how.

    allows_imds_v1  whether the metadata service answers without a token too
    pvgrub          for "pv", the PV-GRUB of the AKI, e.g. "hd0 1.04"; any of them if empty
    """

    image: Path
    way: Way
    arch: str = "x86_64"
    allows_imds_v1: bool = True
    pvgrub: str = ""

    def announcement(self) -> str:
        """What is about to be done, and how long it usually takes."""
        if self.arch == "i386":
            return "Holds the image against what PV-GRUB reads; no Xen of today starts guests of 32 bits."
        how = accelerator(self.arch)
        seconds = usual_seconds(self.way, self.arch, how)
        return f"Starts the image {TITLES[self.way]} ({how.name}: usually about {seconds} s)."


@dataclass(frozen=True, slots=True)
class Observer:
    """Who looks on: `said` gets the console's text as it comes, `stop` says whether to give up, `guard` ends the
    machine when this process is killed."""

    said: Callable[[str], None] = lambda _: None
    stop: Callable[[], bool] = lambda: False
    guard: Guard | None = None


ALONE = Observer()


def prove(trial: Trial, console: Path, observer: Observer = ALONE) -> Proof:
    """Starts the image and judges it; nothing is written to it.  The guest's console is left in the file `console`.

    Raises Failure `missing-programs-to-prove`, `interrupted` when the observer says so, and what making the Xen
    machine raises.
    """
    if trial.arch == "i386":
        return _unstarted(trial, console)
    host.require(tools([trial.way], trial.arch), "missing-programs-to-prove")
    how = accelerator(trial.arch)
    proof = _attempt(trial, how, console, observer)
    if proof.came_up is None and how == KVM:
        observer.said("\nNothing could be told with KVM; once more, emulated.\n")
        proof = _attempt(trial, EMULATED, console, observer)
    return proof


def _unstarted(trial: Trial, console: Path) -> Proof:
    """The proof of an image that cannot be started here, by what lies in it alone."""
    result = Outcome(None, Failure("proof-no-32-bit"), ())
    grub = check_for_pvgrub(trial.image, trial.pvgrub)
    result = with_pvgrub(result, grub)
    return Proof(trial.way, trial.arch, "nobody", result.came_up, 0, "nothing", result.failure, (), None, console, grub)


def _attempt(trial: Trial, how: Accelerator, console: Path, observer: Observer) -> Proof:
    with tempfile.TemporaryDirectory(prefix="ami-wizard-proof-") as place:
        folder = Path(place)
        logs = Logs(folder / "guest.log", folder / "lab.log")
        try:
            seconds, seen = _watched(trial, how, logs, observer)
        finally:
            console.parent.mkdir(parents=True, exist_ok=True)
            _keep(logs, console)
    grub = check_for_pvgrub(trial.image, trial.pvgrub) if trial.way == "pv" else None
    result = with_pvgrub(outcome(seen), grub)
    return Proof(
        trial.way,
        trial.arch,
        how.name,
        result.came_up,
        seconds,
        seen.verdict.phase,
        result.failure,
        tuple(map(explain, result.findings)),
        seen.inside,
        console,
        grub,
    )


def _keep(logs: Logs, console: Path) -> None:
    """The guest's console, and beside it that of the lab."""
    for log, kept in ((logs.guest, console), (logs.lab, console.with_suffix(".lab.log"))):
        if log.exists():
            shutil.copy(log, kept)


def _watched(trial: Trial, how: Accelerator, logs: Logs, observer: Observer) -> tuple[float, Seen]:
    """Starts the machine, again when its port was taken; gives how long it took, and what was seen."""
    folder = logs.guest.parent
    key, answers = make_key(folder), folder / "answers.json"
    public = key.with_suffix(".pub").read_text(encoding="ascii").strip()
    answers.write_text(json.dumps(settings(Told(public, trial.allows_imds_v1))), encoding="utf-8")
    disk = _overlay(trial.image, folder)
    requests, capture = folder / "requests.jsonl", folder / "packets.pcap"
    for attempt in range(ATTEMPTS):
        port = free_port()
        wires = network(port, answers, requests, capture)
        words = command(trial.way, trial.arch, trial.image, disk, logs, wires, how)
        with running(words, logs, observer.said, observer.guard) as machine:
            login = Login(key, port)
            try:
                seen = _follow(machine, login, requests, capture, LIMIT_SECONDS[trial.way], observer.stop)
            finally:
                login.end()
            seconds = round(machine.seconds(), 1)
        if "host forwarding" not in seen.machine_ended or attempt == ATTEMPTS - 1:
            break
    return seconds, seen


def _overlay(image: Path, folder: Path) -> Path:
    """A disk that is larger than the image, and takes in all that is written."""
    disk = folder / "disk.qcow2"
    size = image.stat().st_size + LARGER_BYTES
    made = subprocess.run(
        ["qemu-img", "create", "-q", "-f", "qcow2", "-F", "raw", "-b", str(image.absolute()), str(disk), str(size)],
        capture_output=True,
        text=True,
        check=False,
    )
    if made.returncode:
        raise Failure("proof-lab-failed", evidence=[made.stderr.strip()])
    return disk


@dataclass(slots=True)
class _Moments:
    """When, in seconds of the machine's life, something was seen for the first time; None before."""

    prompt: float | None = None
    key: float | None = None

    def note(self, consoles: Consoles, requests: tuple[Request, ...], now: float) -> None:
        if self.prompt is None and reached(consoles, "login"):
            self.prompt = now
        if self.key is None and any(request.path.endswith(KEY_PATH) for request in requests):
            self.key = now

    def are_over(self, now: float, answer: str) -> bool:
        """Whether what should have followed them has had its time."""
        if answer == "denied" and self.key is not None and now > self.key + AFTER_DENIAL_SECONDS:
            return True
        return self.prompt is not None and now > self.prompt + max(AFTER_LOGIN_SECONDS, self.prompt)


def _follow(
    machine: Machine, login: Login, requests: Path, capture: Path, limit: float, stop: Callable[[], bool]
) -> Seen:
    """Looks until something decisive was seen."""
    moments, had_its_time = _Moments(), False
    while True:
        consoles, silent = machine.look()
        asked, wire = requests_in(requests), seen_on(capture)
        # On a busy machine the clock of a proof goes slower.
        now = machine.seconds() * machine.share()
        moments.note(consoles, asked, now)
        if wire.got_address or moments.prompt is not None:
            login.go_on()
        verdict = judge(consoles, "ssh", silent)
        ended = machine.why_it_ended() if machine.has_ended() else ""
        if login.inside or verdict or ended:
            break
        is_mute = silent * machine.share() > SILENT_SECONDS and not wire.asked_for_address
        had_its_time = is_mute or now > limit or moments.are_over(now, login.answer)
        if had_its_time or machine.seconds() > limit * LONGEST:
            break
        if stop():
            raise Failure("interrupted", signal="a request to stop", build="")
        time.sleep(LOOKS_EVERY_SECONDS)
    return Seen(
        verdict=verdict or Verdict(None, "", last_phase(consoles), last_words(consoles.guest or consoles.lab)),
        console=consoles.guest,
        machine_ended=ended,
        is_lab_fault=bool(machine.process.returncode),
        kept_waiting=machine.was_kept_waiting(),
        had_its_time=had_its_time,
        is_talking=silent < TALKS_WITHIN_SECONDS,
        wire=wire,
        requests=asked,
        answer=login.answer,
        complaint=login.complaint,
        inside=login.inside,
    )
