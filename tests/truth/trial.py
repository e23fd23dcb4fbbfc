"""One kernel, one boot → what came of it."""

import re
import shutil
from dataclasses import dataclass
from pathlib import Path

from wizard.boot.lab import machine
from wizard.boot.lab.bundle import xen_bundle
from wizard.boot.lab.run import Boot, boot
from wizard.boot.lab.watch import Consoles, Verdict, reached

from . import disks, kernels
from .cases import Case

TIMEOUT = {"xen": 150, "small": 60, "debian": 240}
"""Seconds.  The bases come up in 19, 4 and 16 s on an idle machine with two CPUs."""

DIRECT_ARGUMENTS = "root=/dev/nvme0n1p1 console=ttyS0 ro"

ATTEMPTS = 3
"""A boot that says nothing of the kernel, because the lab failed, is tried again; so is one that surprises."""

_REPORT = re.compile(r"LAB-REPORT .* end$", re.MULTILINE)
_MULTI_USER = re.compile(r"Reached target (Multi-User System|multi-user\.target)")


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of a boot: in words, how bad it is ("boot", "access", "none"), how long it took, the last words."""

    words: str
    severity: str
    seconds: float
    said: tuple[str, ...]


class LabFailed(Exception):
    """Nothing was learnt about the kernel."""


def outcome(verdict: Verdict, console: str, on_disk: str) -> tuple[str, str]:
    """The words and the severity.  `on_disk` is the report that the machine left on its disk, where none was seen.

    Raises LabFailed.
    """
    on_console = _REPORT.search(console)
    report = on_console[0] if on_console else on_disk
    if report:
        if not on_console:
            return "came up without a console", "access"
        if "network=none" in report:
            return "came up without a network", "access"
        if "ssh=refused" in report:
            said = re.search(r"said=\[(.*)\]", report)
            return f"came up, but nobody can log in over ssh: {said[1] if said else ''}", "access"
        return "came up", "none"
    if reached(Consoles(console), "login"):
        return "a login prompt, but no network service started", "access"
    if _MULTI_USER.search(console):
        return "all of systemd came up, but no service could be started", "access"
    if verdict.came_up is None:
        raise LabFailed(f"{verdict.reason}: {' | '.join(verdict.last_words)}")
    return verdict.reason, "boot"


def start(case: Case, kernel: Path) -> Outcome:
    """Boots a kernel as the case says; raises LabFailed when nothing could be learnt in several attempts."""
    last: LabFailed | None = None
    for _ in range(ATTEMPTS):
        try:
            return _once(case, kernel)
        except LabFailed as failed:
            last = failed
    raise last or LabFailed


def confirmed(case: Case, kernel: Path) -> Outcome:
    """As `start`, but what the presets do not lead to expect must be seen twice."""
    first = start(case, kernel)
    if first.severity == case.severity:
        return first
    for _ in range(ATTEMPTS - 1):
        again = start(case, kernel)
        if again.severity == first.severity:
            return again
        first = again
    raise LabFailed(f"{case.option}: no two boots had the same outcome")


def _once(case: Case, kernel: Path) -> Outcome:
    logs = machine.Logs(kernels.place() / "guest.log", kernels.place() / "lab.log")
    is_pv = case.base == "pv-x86_64"
    if is_pv:
        image = disks.copy_of(disks.disk(case.userland, case.root, "root=/dev/xvda1 console=hvc0 ro"), kernel)
        command = machine.paravirtual(xen_bundle(), image, logs, keeps=True)
    elif case.firmware == "uefi":
        # Handed over by QEMU, a kernel that UEFI cannot start would be started in another way.
        image = disks.copy_of(disks.disk(case.userland, case.root, "", "gpt", DIRECT_ARGUMENTS), kernel)
        command = machine.nvme(image, logs, uefi_variables=_uefi_variables(), keeps=True)
    else:
        image = disks.copy_of(disks.disk(case.userland, case.root, table=case.table), None)
        command = machine.direct(kernel, DIRECT_ARGUMENTS, image, logs, keeps=True)
    done: Boot = boot(command, logs, until="report", timeout=TIMEOUT["xen" if is_pv else case.userland])
    on_disk = disks.report_in(image) if case.root == "ext4" else ""
    words, severity = outcome(done.verdict, done.console, on_disk)
    return Outcome(words, severity, done.seconds, done.verdict.last_words)


def _uefi_variables() -> Path:
    """A fresh copy of the firmware's memory."""
    return Path(shutil.copy(machine.OVMF_VARIABLES, kernels.place() / "uefi-variables.fd"))
