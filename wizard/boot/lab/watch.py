"""What the consoles have said so far → did the machine come up?  Pure: no clock, no files."""

import re
from dataclasses import dataclass
from functools import cache
from typing import Any

from wizard import presets

ANSI = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)|[()][0-9A-B]|[=>78Mc])")
FILLING = re.compile(r" {24,}")
"""What draws a boot loader's menu."""

LAST_LINES = 8
LINE_WIDTH = 160


@dataclass(frozen=True, slots=True)
class Consoles:
    """The text of a machine's consoles: `guest` is the image's own, `lab` that of Xen and dom0, or the firmware's."""

    guest: str
    lab: str = ""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What became of a boot.

    came_up     None when it is not known: the lab failed, or ran out of time before the image's turn
    reason      in words; empty when it came up
    phase       the last that was reached, e.g. "kernel"; "nothing" before the first
    last_words  the guest's last lines, or those that decided; printable and bounded
    code        the entry of presets/failures/ that explains the reason; empty when nothing decisive was said
    """

    came_up: bool | None
    reason: str
    phase: str
    last_words: tuple[str, ...]
    code: str = ""


@dataclass(frozen=True, slots=True)
class _Sign:
    log: str
    pattern: re.Pattern[str]
    name: str
    code: str
    came_up: bool | None
    patience: float


def judge(consoles: Consoles, until: str, silent_seconds: float) -> Verdict | None:
    """The verdict as soon as something decisive was said; None while nothing was.

    `until` is the phase that counts as up: "login" for any image, "report" for one that has the lab's own service.
    `silent_seconds`: how long the guest has said nothing more.
    """
    phase = last_phase(consoles)
    if phase == until or reached(consoles, until):
        return Verdict(True, "", phase, last_words(consoles.guest))
    has_kernel = reached(consoles, "kernel")
    for sign in _signs("end"):
        found = sign.pattern.search(getattr(consoles, sign.log))
        if found is None or (sign.patience and (has_kernel or silent_seconds < sign.patience)):
            continue
        words = last_words(getattr(consoles, sign.log)[: _end_of_line(getattr(consoles, sign.log), found.end())])
        return Verdict(sign.came_up, sign.name, phase, words, sign.code)
    return None


def out_of_time(consoles: Consoles, reason: str) -> Verdict:
    """The verdict on a machine that was ended, or ended itself, before anything decisive was said.

    A machine that did not even get to its boot loader or kernel says nothing of the image.
    """
    phase = last_phase(consoles)
    came_up = None if phase in ("nothing", "lab") and not consoles.guest.strip() else False
    return Verdict(came_up, reason, phase, last_words(consoles.guest or consoles.lab))


def troubles(text: str) -> tuple[str, ...]:
    """The lines in which a kernel complains of itself (an oops, a program that it had to end), though it goes on."""
    return tuple(
        dict.fromkeys(line.strip()[:LINE_WIDTH] for sign in _signs("trouble") for line in sign.pattern.findall(text))
    )


def reached(consoles: Consoles, phase: str) -> bool:
    """Whether the machine got to a phase."""
    return any(sign.pattern.search(getattr(consoles, sign.log)) for sign in _signs("phase") if sign.name == phase)


def last_phase(consoles: Consoles) -> str:
    """The last phase that was reached, "nothing" before the first."""
    passed = [sign.name for sign in _signs("phase") if sign.pattern.search(getattr(consoles, sign.log))]
    return passed[-1] if passed else "nothing"


def readable(raw: bytes) -> str:
    """A console's bytes as text: without escape sequences, carriage returns and control characters."""
    text = ANSI.sub("", raw.decode("utf-8", "replace").replace("\r", ""))
    text = FILLING.sub("  ", text)
    return "".join(char for char in text if char == "\n" or char.isprintable())


def last_words(text: str) -> tuple[str, ...]:
    """The last lines that hold anything, each cut to a width that a screen has."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return tuple(line[:LINE_WIDTH] for line in lines[-LAST_LINES:])


def _end_of_line(text: str, position: int) -> int:
    end = text.find("\n", position)
    return len(text) if end < 0 else end


@cache
def _signs(kind: str) -> tuple[_Sign, ...]:
    return tuple(_sign(row) for row in presets.load("lab/signs")[kind])


def _sign(row: dict[str, Any]) -> _Sign:
    came_up = row.get("came_up")
    return _Sign(
        row.get("log", "guest"),
        re.compile(row.get("reached") or row["said"], re.MULTILINE),
        row.get("name") or row["reason"],
        row.get("code", ""),
        None if came_up == "lab" else came_up,
        row.get("patience", 0),
    )
