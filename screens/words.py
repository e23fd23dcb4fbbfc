"""Text for the screens: states as glyph and word, times, and outside text made harmless."""

import time
from collections.abc import Mapping

STATES: Mapping[str, tuple[str, str]] = {
    "now": ("▶", "now"),
    "done": ("✓", "done"),
    "open": ("○", "to do"),
    "wrong": ("!", "look again"),
    "waiting": ("○", "waiting"),
    "running": ("▶", "running"),
    "finished": ("✓", "done"),
    "reused": ("✓", "kept"),
    "failed": ("✗", "failed"),
    "stopped": ("■", "stopped"),
    "new": ("○", "not started"),
    "boot": ("✗", "boot"),
    "access": ("!", "access"),
    "recommended": ("·", "better"),
}

_CONTROL = {code: "·" for code in (*range(0x20), *range(0x7F, 0xA0)) if chr(code) not in "\n\t"}


def plain(text: str) -> str:
    """Outside text without control characters: an escape sequence in a log must not reach the terminal."""
    return text.translate(_CONTROL).expandtabs()


def state(name: str) -> str:
    """A glyph and a word: never colour alone, never a glyph alone."""
    glyph, word = STATES[name]
    return f"{glyph} {word}"


def seconds(count: float) -> str:
    """A duration: "8 s", "2 min 05 s", "1 h 04 min"."""
    whole = int(count)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02} min"


def ago(moment: float, now: float | None = None) -> str:
    """How long ago a time (seconds since 1970) was."""
    past = max(0, int((time.time() if now is None else now) - moment))
    for size, name in ((86400, "day"), (3600, "hour"), (60, "minute")):
        if past >= size:
            count = past // size
            return f"{count} {name}{'s' if count > 1 else ''} ago"
    return "just now"


def size(count: float) -> str:
    """Bytes: "812 MiB", "1.5 GiB"."""
    for unit, name in ((1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB")):
        if count >= unit:
            return f"{count / unit:.1f} {name}" if count < 10 * unit else f"{count / unit:.0f} {name}"
    return f"{count:.0f} B"
