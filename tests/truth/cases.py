"""What is to be tried: every `boot` and `access` option of the presets that this machine can try."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from tomllib import loads
from typing import Any

from wizard import presets
from wizard.kernel.profiles import Rule, Version, profile

_DATA = loads((Path(__file__).parent / "cases.toml").read_text(encoding="utf-8"))


@dataclass(frozen=True, slots=True)
class Case:
    """One option of a profile, and how it is tried.

    set_to     "n" takes it away; "y" switches on what should be off
    also       options that would do in its place, to be taken away with it
    severity   what the presets say now
    table      the disk's partition table: "dos" or "gpt"
    firmware   what loads the kernel on HVM: "bios" or "uefi"
    is_late    to be without it means to compile every file again
    """

    profile: str
    option: str
    severity: str
    set_to: str
    also: tuple[str, ...]
    base: str
    userland: str
    root: str
    table: str
    firmware: str
    is_late: bool

    @property
    def ground(self) -> str:
        """What the kernel is tried on: its base, the userland, the disk, the firmware."""
        special = [self.table] * (self.table != "dos") + [self.firmware] * (self.firmware != "bios")
        return ", ".join([self.base, self.userland, self.root, *special])


def cases(version: Version, option: str = "", more: frozenset[tuple[str, str]] = frozenset()) -> list[Case]:
    """Every case that can be tried, most important first.

    `option`: only that one.  `more`: profile and option of further cases.  Both whatever their severity.
    """
    found = []
    for entry in _DATA["profile"]:
        for rule in profile(entry["name"]).own:
            is_wanted = rule.name == option if option else _matters(rule) or (entry["name"], rule.name) in more
            if is_wanted and not untestable(entry["name"], rule, version):
                found.append(_case(entry, rule))
    late = _DATA["late"]
    return sorted(found, key=lambda case: late.index(case.option) if case.option in late else -1)


def untestable_cases(version: Version) -> Iterator[tuple[str, str, str]]:
    """Profile, option and reason of every `boot` and `access` option that cannot be tried here."""
    for name in presets.names("kernel"):
        for rule in profile(name).own:
            if _matters(rule) and (reason := untestable(name, rule, version)):
                yield name, rule.name, reason


def untestable(name: str, rule: Rule, version: Version) -> str:
    """Why an option cannot be tried here, "" when it can."""
    for entry in _DATA["untestable"]:
        if entry["profile"] == name and rule.name in entry.get("options", (rule.name,)):
            return str(entry["reason"])
    if rule.since and version < rule.since:
        return f"Linux {_dotted(version)} does not have it yet"
    if rule.until and version[: len(rule.until)] > rule.until:
        return f"Linux {_dotted(version)} does not have it any more"
    return ""


def _matters(rule: Rule) -> bool:
    return rule.severity in ("boot", "access")


def _case(entry: dict[str, Any], rule: Rule) -> Case:
    userland = "small" if rule.name in entry.get("small_for", ()) else entry["userland"]
    set_to = "y" if rule.wanted == "n" else "n"
    root = entry.get("root", "ext4")
    return Case(
        profile=entry["name"],
        option=rule.name,
        severity=rule.severity,
        set_to=set_to,
        also=rule.or_any,
        base=entry["base"],
        userland=userland,
        root=root,
        table=entry.get("table", "dos"),
        firmware=entry.get("firmware", "bios"),
        is_late=rule.name in _DATA["late"],
    )


def _dotted(version: Version) -> str:
    return ".".join(map(str, version))
