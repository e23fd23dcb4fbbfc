"""Reads menu.lst as GRUB 0.97, and so PV-GRUB, does."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace

MOST_LINES = 10_000


@dataclass(frozen=True, slots=True)
class Entry:
    """What one title of the menu starts; `root`, `kernel` and `initrd` as they are written there."""

    title: str
    root: str = ""
    kernel: str = ""
    arguments: str = ""
    initrd: str = ""


@dataclass(frozen=True, slots=True)
class LegacyMenu:
    """A menu; `default` is the place of the entry that is started when nobody chooses."""

    entries: tuple[Entry, ...]
    default: int = 0

    @property
    def chosen(self) -> Entry | None:
        """The entry that is started; None when there is none at that place."""
        return self.entries[self.default] if self.default < len(self.entries) else None


def parse(text: str) -> LegacyMenu:
    """The menu in a text.  What belongs to no title, and commands that load nothing, are passed over."""
    default, entries = 0, list[Entry]()
    for command, value in _commands(text):
        if command == "title":
            entries.append(Entry(value))
        elif command == "default" and not entries:
            default = int(value) if value.isdecimal() and len(value) < 4 else 0
        elif entries:
            entries[-1] = _with(entries[-1], command, value)
    return LegacyMenu(tuple(entries), default)


def _commands(text: str) -> Iterator[tuple[str, str]]:
    """GRUB takes a tab or "=" where people write a space."""
    for line in text.splitlines()[:MOST_LINES]:
        parts = re.split(r"[\s=]+", line.strip(), maxsplit=1)
        if parts[0] and not parts[0].startswith("#"):
            yield parts[0], parts[1] if len(parts) > 1 else ""


def _with(entry: Entry, command: str, value: str) -> Entry:
    match command:
        case "root" | "rootnoverify":
            return replace(entry, root=value)
        case "kernel":
            words = [word for word in value.split() if not word.startswith("--")]
            return replace(entry, kernel=words[0] if words else "", arguments=" ".join(words[1:]))
        case "initrd":
            return replace(entry, initrd=value.split()[0] if value.split() else "")
    return entry


def placed(path: str, root: str) -> tuple[int | None, str]:
    """A path such as "(hd0,0)/boot/vmlinuz": the partition's number (0 for the bare disk), and the path in it.

    Without a device in the path, `root` is it.  The number is None for another disk than the first.
    """
    device, rest = re.match(r"(\([^)]*\))?(.*)", path, re.DOTALL).groups()  # type: ignore[union-attr]
    name = re.fullmatch(r"\((?:hd0|hd00)(?:,(\d{1,3}))?\)", device or root.strip())
    if name is None:
        return None, rest
    return (int(name[1]) + 1 if name[1] else 0), rest
