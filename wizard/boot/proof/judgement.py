"""What was seen of a started image → did it come up, and why not.  Pure: no clock, no files."""

from dataclasses import dataclass, replace

from wizard.boot.lab.watch import Verdict, troubles
from wizard.boot.proof.image import GrubCheck
from wizard.boot.proof.login import Inside
from wizard.boot.proof.network import Request, Wire
from wizard.explain import Failure

KEY_PATH = "/meta-data/public-keys/0/openssh-key"
ROOM_BYTES = 256 << 20
"""The proof's disk is far more than so much larger than the image: a root that leaves it free has not grown."""

FILESYSTEM_SHARE = 0.8
"""Of a partition, a file system's own records take less than the rest."""

EVIDENCE_LINES = 8

STUCK = {
    "lab": "proof-stuck-firmware",
    "boot loader": "proof-stuck-loader",
    "kernel": "proof-stuck-kernel",
    "root file system": "proof-stuck-start",
    "userspace": "proof-stuck-start",
}
"""The last phase that was reached → what explains that nothing followed."""


@dataclass(frozen=True, slots=True)
class Seen:
    """All that was seen until the machine was ended.

    verdict        what the consoles decided; its `code` is empty when they did not
    machine_ended  why the machine ended by itself; empty when it did not
    is_lab_fault   it ended because QEMU could not run it
    kept_waiting   this machine's processors were too busy for it: the guest's own time limits mean nothing
    had_its_time   it was ended only after it had got as much of the processors as it can need
    is_talking     the guest was still saying something new
    answer         what the last attempt to log in came to (see `login.Login`)
    """

    verdict: Verdict
    console: str
    machine_ended: str
    is_lab_fault: bool
    kept_waiting: bool
    had_its_time: bool
    is_talking: bool
    wire: Wire
    requests: tuple[Request, ...]
    answer: str
    complaint: str
    inside: Inside | None


@dataclass(frozen=True, slots=True)
class Outcome:
    """came_up None: could not tell.  `failure` says why it did not, or why nobody can tell; `findings` what else is
    wrong with it."""

    came_up: bool | None
    failure: Failure | None
    findings: tuple[Failure, ...]


def outcome(seen: Seen) -> Outcome:
    """The verdict, with its explanation."""
    findings = tuple(_findings(seen))
    if seen.inside is not None:
        return Outcome(True, None, findings)
    came_up, code, evidence = _without_login(seen)
    failure = Failure(code, evidence=evidence, phase=seen.verdict.phase, said=seen.complaint or "nothing")
    if came_up:
        return Outcome(True, None, (failure, *findings))
    return Outcome(came_up, failure, findings)


def with_pvgrub(boot: Outcome, grub: GrubCheck | None) -> Outcome:
    """A paravirtual boot's verdict, and what the PV-GRUB that EC2 would use makes of the image.

    Ours reads more than Amazon's: what came up here may still not be read there.
    """
    if grub is None or grub.is_fine:
        return boot
    name = f"PV-GRUB {grub.asked}" if grub.asked else "any PV-GRUB"
    able = ", ".join(grub.able) or "none"
    failure = Failure("proof-not-for-pvgrub", evidence=grub.problems, grub=name, able=able)
    if boot.came_up is False:
        return replace(boot, findings=(failure, *boot.findings))
    return Outcome(False, failure, boot.findings)


Found = tuple[bool | None, str, tuple[str, ...]]
"""Whether it came up, the code of what is wrong, the evidence."""


def _without_login(seen: Seen) -> Found:
    """The same for an image that let nobody in."""
    words = seen.verdict.last_words
    if seen.verdict.code == "proof-device-missing" and not seen.kept_waiting:
        # systemd waits 90 s: long enough for any machine that is given a processor.
        return False, seen.verdict.code, words
    if seen.verdict.code:
        code = "proof-too-slow" if seen.verdict.code == "proof-device-missing" else seen.verdict.code
        return seen.verdict.came_up, code, words
    if seen.machine_ended and seen.is_lab_fault:
        return None, "proof-lab-failed", (seen.machine_ended,)
    if seen.machine_ended:
        return False, "proof-guest-ended", words
    if seen.verdict.phase != "login" and seen.answer == "nothing":
        return _stuck(seen)
    came_up, code, evidence = _unreachable(seen)
    if came_up is False and not seen.had_its_time:
        return None, "proof-too-slow", words
    return came_up, code, evidence


def _stuck(seen: Seen) -> Found:
    """It came to no login."""
    words, phase = seen.verdict.last_words, seen.verdict.phase
    if seen.is_talking or not seen.had_its_time:
        return None, "proof-too-slow", words
    if phase not in STUCK:
        return None, "proof-lab-failed", words
    return False, STUCK[phase], words


def _unreachable(seen: Seen) -> Found:
    """It runs, and nobody got in: the first thing that was missing on the way."""
    words = seen.verdict.last_words
    asked = tuple(f"{request.method} {request.path}: {request.status}" for request in seen.requests)[-EVIDENCE_LINES:]
    if not seen.wire.got_address:
        return False, "proof-no-address", words
    if not seen.requests:
        failed = _metadata_failed(seen.console)
        failed += tuple(f"It looked for {address} in the network, where nobody is." for address in seen.wire.sought)
        return (False, "proof-metadata-not-reached", failed) if failed else (True, "proof-metadata-not-asked", words)
    if all(request.status >= 400 for request in seen.requests):
        return False, "proof-metadata-not-reached", asked
    if not any(request.path.endswith(KEY_PATH) and request.status == 200 for request in seen.requests):
        return True, "proof-key-not-asked", asked
    if seen.answer == "denied":
        return False, "proof-ssh-refused", (seen.complaint, *asked)
    return False, "proof-ssh-no-answer", words


def _metadata_failed(console: str) -> tuple[str, ...]:
    """The lines in which the image's own metadata service is said to have failed."""
    lines = [line.strip() for line in console.splitlines()]
    return tuple(line for line in lines if "FAILED" in line and ("metadata" in line or "cloud-init" in line))


def _findings(seen: Seen) -> list[Failure]:
    inside = seen.inside
    found = []
    complaints = troubles(f"{seen.console}\n{inside.messages if inside else ''}")
    if complaints:
        found.append(Failure("proof-kernel-troubles", evidence=complaints[:EVIDENCE_LINES], count=len(complaints)))
    if inside is None:
        return found
    if inside.failed:
        found.append(Failure("proof-units-failed", evidence=inside.failed, units=", ".join(inside.failed)))
    elif inside.state in ("starting", "initializing"):
        found.append(Failure("proof-still-starting", evidence=[inside.state]))
    if has_not_grown(inside):
        sizes = {"root": inside.root, "size": mib(inside.filesystem_bytes), "disk": mib(inside.disk_bytes)}
        found.append(Failure("proof-root-not-grown", evidence=[f"{name}: {value}" for name, value in sizes.items()]))
    if seen.requests and not any(request.by_token for request in seen.requests):
        found.append(Failure("proof-metadata-v1-only", evidence=[request.path for request in seen.requests][:1]))
    return found


def has_not_grown(inside: Inside) -> bool:
    """Whether the disk has room behind its partitions, or the root's partition behind its file system."""
    if not inside.disk_bytes or not inside.partition_bytes:
        return False
    free = inside.disk_bytes - inside.taken_bytes if inside.taken_bytes else 0
    return free > ROOM_BYTES or inside.filesystem_bytes < inside.partition_bytes * FILESYSTEM_SHARE


def mib(size: int) -> str:
    """A size in words."""
    return f"{size >> 20} MiB"
