"""What a kernel needs for a kind of instance, a root file system or a userland: presets/kernel/*.toml.

A preset has a `title`, the profiles that it `includes`, for a kind of instance its `arch`, and `[[option]]` tables:

    name          the option, without CONFIG_
    wanted        "y" | "y-or-m" | "n" | "set" (any value) | the value itself
    severity      "boot" | "access" | "recommended"
    since, until  the first and the last kernel version that has the option; outside of them it does not apply
    arch          the only architecture that has the option
    ends          nothing takes the option's place after `until`: a later kernel lacks it for good
    renamed_from  its earlier name, accepted where the kernel's version is not known
    or_any        options of which one will do in its place
    only_if       options that must all be on for this one to matter: one finding for a missing part is enough
    early         needed to mount the root disk: as a module it must be in the initramfs
    module        that module's name
    pv_grub       the last version of PV-GRUB that this matters to: with those it is "boot", with later ones nothing
    why, breaks   what it is for, and what happens without it
    source        where this is written
"""

from dataclasses import dataclass
from functools import cache
from typing import Any

from wizard import presets
from wizard.explain import Failure

Version = tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Rule:
    """One option that a profile asks for."""

    name: str
    wanted: str
    severity: str
    why: str
    breaks: str
    source: str
    since: Version | None = None
    until: Version | None = None
    ends: bool = False
    renamed_from: str | None = None
    or_any: tuple[str, ...] = ()
    only_if: tuple[str, ...] = ()
    early: bool = False
    module: str | None = None
    pv_grub: Version | None = None
    arch: str | None = None


@dataclass(frozen=True, slots=True)
class Profile:
    """A set of rules; `own` are those of its file, `rules` also those that it includes."""

    name: str
    title: str
    arch: str | None
    own: tuple[Rule, ...]
    rules: tuple[Rule, ...]


@cache
def profile(name: str) -> Profile:
    """A profile by its name, e.g. "pv-x86_64" or "rootfs-btrfs"; Failure "unknown-profile" otherwise."""
    if name not in presets.names("kernel"):
        raise Failure("unknown-profile", profile=name, known=", ".join(presets.names("kernel")))
    table = presets.load(f"kernel/{name}")
    own = tuple(_rule(row) for row in table["option"])
    named = {rule.name for rule in own}
    # Where a profile and what it includes name the same option, the profile knows better.
    included = [rule for other in table.get("includes", ()) for rule in profile(other).rules if rule.name not in named]
    return Profile(name, table["title"], table.get("arch"), own, (*own, *included))


@cache
def instance_profiles() -> tuple[Profile, ...]:
    """The profiles that are kinds of instances: pv-i386, pv-x86_64, hvm-x86_64, hvm-arm64."""
    every = (profile(name) for name in presets.names("kernel"))
    return tuple(sorted((one for one in every if one.arch), key=lambda one: one.name, reverse=True))


def numbers(version: str) -> Version:
    """The leading numbers of a version: "6.1.0-56-cloud" is (6, 1, 0); empty when there are none."""
    digits = version.split("-")[0].split("+")[0].split(".")
    found = []
    for part in digits:
        if not part.isascii() or not part.isdigit() or len(part) > 9:
            break
        found.append(int(part))
    return tuple(found)


def _rule(row: dict[str, Any]) -> Rule:
    limits: dict[str, Any] = {key: numbers(row[key]) for key in ("since", "until", "pv_grub") if key in row}
    lists = {key: tuple(row.get(key, ())) for key in ("or_any", "only_if")}
    fields = {**row, **limits, **lists}
    return Rule(**fields)
