"""What Kconfig asks for before an option can be set, as presets/kernel-needs.toml tells it."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

from wizard import presets
from wizard.kernel.profiles import Rule, Version, numbers, profile


@dataclass(frozen=True, slots=True)
class Kernel:
    """Which kernel's options are meant; version None stands for today's."""

    version: Version | None
    arch: str | None


def needs(option: str, kernel: Kernel) -> tuple[str, ...]:
    """The options that must be on before this one can be set: the direct ones, of those that this kernel has."""
    named = [need for table in _tables(option, kernel) for need in table.get("needs", ())]
    return tuple(need for need in dict.fromkeys(named) if exists(need, kernel))


def excluded_by(option: str, kernel: Kernel) -> tuple[str, ...]:
    """The options that must be off before this one can be set, but for the rivals of its choice."""
    return tuple(other for table in _tables(option, kernel) for other in table.get("without", ()))


def choice(option: str, kernel: Kernel) -> tuple[str, ...]:
    """The options of which this one excludes the others, itself among them; empty where it is in no choice."""
    return tuple(member for member in _choices().get(option, ()) if exists(member, kernel))


def instead(option: str) -> str | None:
    """What helps where the option is gone for good."""
    return next((table["instead"] for table in _options().get(option, ()) if "instead" in table), None)


def exists(option: str, kernel: Kernel) -> bool:
    """Whether this kernel has the option, as far as a profile or a table of needs tells its versions."""
    spans = _spans().get(option)
    return not spans or any(_within(since, until, kernel.version) for since, until in spans)


def _tables(option: str, kernel: Kernel) -> Iterator[Mapping[str, Any]]:
    for table in _options().get(option, ()):
        since, until = (numbers(table[key]) if key in table else None for key in ("since", "until"))
        if table.get("arch") in (None, kernel.arch) and _within(since, until, kernel.version):
            yield table


def _within(since: Version | None, until: Version | None, version: Version | None) -> bool:
    if version is None:
        return until is None
    return (since is None or version >= since) and (until is None or version[: len(until)] <= until)


@cache
def _options() -> dict[str, list[Mapping[str, Any]]]:
    found: dict[str, list[Mapping[str, Any]]] = {}
    for table in presets.load("kernel-needs")["option"]:
        found.setdefault(table["name"], []).append(table)
    return found


@cache
def _choices() -> dict[str, tuple[str, ...]]:
    every = [tuple(one["options"]) for one in presets.load("kernel-needs")["choice"]]
    return {option: options for options in every for option in options}


@cache
def _spans() -> dict[str, set[tuple[Version | None, Version | None]]]:
    """The versions that have an option: the profiles that name it agree on them."""
    rules: list[Rule] = [rule for name in presets.names("kernel") for rule in profile(name).own]
    found: dict[str, set[tuple[Version | None, Version | None]]] = {}
    for rule in rules:
        found.setdefault(rule.name, set()).add((rule.since, rule.until))
    return found
