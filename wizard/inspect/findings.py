"""What is wrong with an image, in the words of presets/inspect.toml."""

from dataclasses import dataclass

from wizard import presets

SEVERITIES = ("boot", "access", "private", "unknown", "lacking", "leftover", "recommended")
"""The worst first; presets/inspect.toml says what each means."""


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that is wrong; `path` is where, in the image, or empty.  `source` says where the demand comes from."""

    code: str
    severity: str
    path: str
    what: str
    why: str
    do: str
    source: str


def finding(code: str, path: str = "", **facts: object) -> Finding:
    """The finding of that code in presets/inspect.toml, its texts filled with the facts."""
    entry = presets.load("inspect")["finding"][code]
    words = {name: printable(str(value)) for name, value in {"path": path, **facts}.items()}
    what, why, do = (entry[name].format_map(words) for name in ("what", "why", "do"))
    return Finding(code, entry["severity"], words["path"], what, why, do, entry["source"])


def printable(text: str) -> str:
    """A name out of an image may hold anything, also what would drive a terminal."""
    return "".join(letter if letter.isprintable() else "\N{REPLACEMENT CHARACTER}" for letter in text)
