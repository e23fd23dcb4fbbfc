"""Logging in over ssh with a key that lives as long as the proof, and what is asked from inside."""

import re
import subprocess
from dataclasses import dataclass, field
from pathlib import Path

from wizard import host, presets

INSIDE = presets.ROOT / "proof/inside.sh"
TOOLS = ("ssh", "ssh-keygen")
CONNECTS_WITHIN_SECONDS = 60
"""An emulated machine takes some seconds for a key exchange, on a busy host many.  A closed port answers at once."""

OTHER_USER = re.compile(r'login as the user "([a-z_][a-z0-9_-]*)"')
"""cloud-init lets root's key only say this.  Source: cloud-init, `disable_root_opts`."""


@dataclass(frozen=True, slots=True)
class Inside:
    """What a system says of itself.  Sizes in bytes; what it could not say is "" or 0.

    taken      the end of the last partition
    state      what systemd says of itself as a whole: "running", "degraded", …
    messages   the kernel's
    """

    kernel: str
    root: str
    filesystem: str
    filesystem_bytes: int
    partition_bytes: int
    disk_bytes: int
    taken_bytes: int
    state: str
    failed: tuple[str, ...]
    messages: str


@dataclass(slots=True)
class Login:
    """Attempts to log in, one after the other; `answer` is what the last one that ended came to.

    answer  "nothing": no ssh server answered.  "denied": one did, and did not take the key.  "in": we were in.
    """

    key: Path
    port: int
    user: str = "root"
    answer: str = "nothing"
    complaint: str = ""
    inside: Inside | None = None
    attempts: int = 0
    _running: "_Attempt | None" = field(default=None, repr=False)

    @property
    def is_trying(self) -> bool:
        """Whether an attempt runs."""
        return self._running is not None

    def go_on(self) -> None:
        """Starts an attempt, or looks whether the one that runs has ended.  Returns at once."""
        if self._running is None:
            self.attempts += 1
            self._running = _start(ssh_command(self.key, self.port, self.user), self.key.parent)
        elif self._running.process.poll() is not None:
            attempt, self._running = self._running, None
            self._take(*attempt.ended(), attempt.process.returncode == 0)

    def _take(self, said: str, complaint: str, succeeded: bool) -> None:
        self.complaint = complaint.strip()
        if other := OTHER_USER.search(said + complaint):
            self.user = other[1]
        elif succeeded and "messages=" in said:
            self.answer, self.inside = "in", parse(said)
        elif "Permission denied" in complaint or "Too many authentication failures" in complaint:
            self.answer = "denied"
        elif succeeded or said:
            self.answer, self.complaint = "denied", "the login ended before a command could be run"

    def end(self) -> None:
        """Ends an attempt that still runs."""
        if self._running is not None:
            self._running.process.kill()
            self._running.process.wait()
            self._running = None


@dataclass(frozen=True, slots=True)
class _Attempt:
    """An ssh that runs.  Its output goes to files: a pipe would hold it up as soon as it is full."""

    process: "subprocess.Popen[bytes]"
    output: Path
    errors: Path

    def ended(self) -> tuple[str, str]:
        """What it said."""
        said, complained = (path.read_text(encoding="utf-8", errors="replace") for path in (self.output, self.errors))
        return said, complained


def _start(command: list[str], folder: Path) -> _Attempt:
    output, errors = folder / "ssh-output", folder / "ssh-errors"
    environment = {"PATH": host.SEARCH_PATH, "LC_ALL": "C"}
    with INSIDE.open("rb") as script, output.open("wb") as said, errors.open("wb") as complained:
        process = subprocess.Popen(command, stdin=script, stdout=said, stderr=complained, env=environment)
    return _Attempt(process, output, errors)


def make_key(folder: Path) -> Path:
    """A new ed25519 key in a folder; gives the private one's path."""
    key = folder / "key"
    command = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "ami-wizard-proof", "-f", str(key)]
    subprocess.run(command, check=True, stdin=subprocess.DEVNULL, capture_output=True)
    return key


def ssh_command(key: Path, port: int, user: str) -> list[str]:
    """ssh with this key alone, and with nothing of the user's own configuration."""
    options = {
        "IdentitiesOnly": "yes",
        "IdentityAgent": "none",
        "BatchMode": "yes",
        "StrictHostKeyChecking": "no",
        "UserKnownHostsFile": "/dev/null",
        "LogLevel": "ERROR",
        "ConnectTimeout": str(CONNECTS_WITHIN_SECONDS),
    }
    words = [word for name, value in options.items() for word in ("-o", f"{name}={value}")]
    return ["ssh", "-F", "none", "-T", "-i", str(key), "-p", str(port), *words, f"{user}@127.0.0.1", "sh -s"]


def parse(said: str) -> Inside:
    """What the script has said."""
    head, _, messages = said.partition("messages=\n")
    facts = dict(line.partition("=")[::2] for line in head.splitlines())
    return Inside(
        kernel=facts.get("kernel", ""),
        root=facts.get("root", ""),
        filesystem=facts.get("type", ""),
        filesystem_bytes=_number(facts, "filesystem_kib") * 1024,
        partition_bytes=_number(facts, "partition_blocks") * 512,
        disk_bytes=_number(facts, "disk_blocks") * 512,
        taken_bytes=_number(facts, "taken_blocks") * 512,
        state=facts.get("state", ""),
        failed=tuple(facts.get("failed", "").split()),
        messages=messages,
    )


def _number(facts: dict[str, str], name: str) -> int:
    value = facts.get(name, "")
    return int(value) if value.isdigit() else 0
