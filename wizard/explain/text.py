"""A text that somebody has: a console's, an error's, a build's → what is known of it."""

from wizard.boot.lab.watch import Consoles, judge, last_phase, readable, troubles
from wizard.explain.catalogue import entries
from wizard.explain.failure import Failure

MOST_LINES = 8


def failures_in(raw: bytes) -> list[Failure]:
    """What a text says, the decisive first; empty when nothing in it is known.

    A machine's console is read by presets/lab/signs.toml, anything by the signs of presets/failures/.
    """
    text = readable(raw)
    console = Consoles(text)
    found = []
    if reached(raw) and (verdict := judge(console, "login", float("inf"))) and verdict.code:
        found.append(Failure(verdict.code, evidence=verdict.last_words, phase=verdict.phase, said="nothing"))
    if complaints := troubles(text):
        found.append(Failure("proof-kernel-troubles", evidence=complaints[:MOST_LINES], count=len(complaints)))
    return found or _by_catalogue(text) or _of_excerpt(console)


def reached(raw: bytes) -> str | None:
    """The last phase of a machine's start that a text speaks of; None where it is no console."""
    phase = last_phase(Consoles(readable(raw)))
    return None if phase == "nothing" else phase


def _of_excerpt(console: Consoles) -> list[Failure]:
    """By a line that was copied out of a console, as people do, without those that would tell that it is one."""
    verdict = judge(console, "login", float("inf"))
    if verdict is None or not verdict.code:
        return []
    # GRUB begins every complaint with "error:", as other programs do: that alone tells nothing.
    if verdict.code == "proof-kernel-not-loaded" and "xc_dom" not in console.guest:
        return []
    return [Failure(verdict.code, evidence=verdict.last_words, phase="not in this text", said="nothing")]


def _by_catalogue(text: str) -> list[Failure]:
    """By the first entry with a sign in it, whatever program has said it."""
    for entry in entries().values():
        for program, pattern in entry.signs:
            if match := pattern.search(text):
                line = text[text.rfind("\n", 0, match.start()) + 1 :].split("\n", 1)[0].strip()
                named = {name: value for name, value in match.groupdict().items() if value is not None}
                return [Failure(entry.code, evidence=[line], **{"program": program or "the program", **named})]
    return []
