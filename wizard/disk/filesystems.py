"""What a partition can hold, and what is to be known of each, from presets/filesystems.toml."""

from dataclasses import dataclass
from functools import cache
from typing import Literal

from wizard import presets


@dataclass(frozen=True, slots=True)
class Filesystem:
    """One kind of content; the fields are described in presets/filesystems.toml."""

    name: str
    what: str
    holds: Literal["files", "firmware", "swap", "loader"]
    smallest_mib: int
    label_length: int
    sources: tuple[str, ...]
    grub_module: str | None = None


@cache
def filesystems() -> dict[str, Filesystem]:
    """All of them by name, the usual ones first."""
    rows = presets.load("filesystems")
    return {name: Filesystem(name, **{**row, "sources": tuple(row["sources"])}) for name, row in rows.items()}


def filesystem(name: str) -> Filesystem:
    """One of them.  Raises KeyError."""
    return filesystems()[name]
