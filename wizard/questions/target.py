"""The questions about the target: architecture, virtualization, region, storage, boot mode, AKI."""

import functools
from dataclasses import replace
from typing import Any

from wizard import host
from wizard.disk import own
from wizard.disk.layout import load
from wizard.disk.layout import names as layout_names
from wizard.plan.defaults import DEFAULT_LAYOUT, S3_LAYOUT
from wizard.questions.kinds import Answers, Default, Option, Question, preset
from wizard.questions.values import own_of, value
from wizard.recipe import ARCHITECTURES, Target
from wizard.targets import akis, instances, latency, live, target
from wizard.targets.regions import default_region, nearest, regions

UNKNOWN_MS = 1_000_000
"""Regions that were not measured come behind those that were."""


def _default_arch(_answers: Answers) -> Default:
    mine = host.architecture()
    return Default(mine, "this machine's") if mine in ("x86_64", "arm64") else Default("x86_64", "preset")


def _arch_options(_answers: Answers) -> list[Option]:
    notes = {"x86_64": "Intel and AMD", "arm64": "AWS Graviton", "i386": "32-bit, paravirtual only"}
    return [Option(arch, arch, notes[arch]) for arch in ("x86_64", "arm64", "i386") if arch in ARCHITECTURES]


def _virtualization_options(answers: Answers) -> list[Option]:
    arch = value("target.arch", answers)
    notes = {"hvm": "every current instance type", "paravirtual": "PV-GRUB and an AKI; the oldest types only"}
    places = ("target.arch", "target.virtualization")
    return [Option(name, name, note, _reason(places, arch, name)) for name, note in notes.items()]


def _default_virtualization(answers: Answers) -> Default:
    if value("target.arch", answers) == "i386":
        return Default("paravirtual", "the only one for i386")
    return Default("hvm", "preset")


def _reason(places: tuple[str, ...], arch: str, virtualization: str, **more: str | None) -> str:
    """What in such a target does not go together at one of these places; empty when all does."""
    told: dict[str, Any] = {"region": "us-east-1", "storage": "ebs", "aki": None, "boot_mode": None, **more}
    where = Target.model_construct(None, arch=arch, virtualization=virtualization, **told)
    return next((found.message for found in target.problems(where) if found.place in places), "")


def _region_options(answers: Answers) -> list[Option]:
    """Those that can be taken first, among them the near ones first, where that was measured."""
    far = latency.measured()
    options = _regions_for(value("target.arch", answers), value("target.virtualization", answers))
    told = [replace(one, note=f"{one.note} · {far[one.value]} ms") if one.value in far else one for one in options]
    return sorted(told, key=lambda one: (bool(one.impossible), far.get(one.value, UNKNOWN_MS), one.value))


@functools.cache
def _regions_for(arch: str, virtualization: str) -> tuple[Option, ...]:
    """Kept: every key on the form asks for them."""
    found = []
    for region in regions():
        why = _reason(("target.region",), arch, virtualization, region=region.name)
        note = f"{region.long_name} · opt-in" if region.opt_in else region.long_name
        found.append(Option(region.name, region.name, note, why))
    return tuple(found)


def _default_region(answers: Answers) -> Default:
    name, origin = default_region()
    options = _region_options(answers)
    possible = [option.value for option in options if not option.impossible]
    if name in possible:
        return Default(name, origin)
    if not any(option.value == name for option in options):
        return Default("us-east-1", f"preset; {name!r} ({origin}) is not a region known here")
    return Default(nearest(name, possible)[0], f"the nearest possible to {name}, {origin}")


def _storage_options(answers: Answers) -> list[Option]:
    arch, virtualization = value("target.arch", answers), value("target.virtualization", answers)
    why = _reason(("target.storage",), arch, virtualization, storage="s3")
    return [
        Option("ebs", "EBS", "a network disk"),
        Option("s3", "instance store (S3)", f"the oldest types; at most {instances.most_s3_gib()} GiB", why),
    ]


def _boot_mode_options(answers: Answers) -> list[Option]:
    arch = value("target.arch", answers)
    notes = {
        "uefi-preferred": "UEFI where there is one, BIOS elsewhere",
        "uefi": "UEFI only; needed for NitroTPM",
        "legacy-bios": "BIOS only",
    }
    return [
        Option(name, name, note, _reason(("target.boot_mode",), arch, "hvm", boot_mode=name))
        for name, note in notes.items()
    ]


def _default_boot_mode(answers: Answers) -> Default:
    if value("target.arch", answers) == "arm64":
        return Default("uefi", "the only one for arm64")
    return Default("uefi-preferred", "preset")


def _aki_options(answers: Answers) -> list[Option]:
    """The whole table: the id to take first, the others with the reason why they come behind it or cannot be."""
    region, arch, table = value("target.region", answers), value("target.arch", answers), _table(answers)
    marks = live.marks(region)
    found = []
    for row in akis.by_nearness(region, arch, table, marks, live.listed(region)):
        cannot = akis.cannot(row, region, arch, table, marks)
        why = akis.why_not(row, region, arch, table, marks)
        mark = marks.get(row.aki, "") if row.region == region else ""
        note = f"the newest hd0{f', {mark} by AWS' if mark == 'confirmed' else ''}"
        label = f"{row.aki:<12}  {row.device:<4} {row.version} {row.arch:<6}"
        outdone = ", ".join(filter(None, [f"{mark} at AWS" if mark in ("new", "changed") else "", why]))
        found.append(Option(row.aki, label.rstrip(), note, cannot or "", "" if why is None else outdone))
    return found


def _default_aki(answers: Answers) -> Default:
    region = value("target.region", answers)
    first = akis.by_nearness(region, value("target.arch", answers), _table(answers), live.marks(region))[0]
    return Default(first.aki, f"the newest hd0 in {region}")


def _table(answers: Answers) -> str:
    """The partition table that the AKI has to read: of the layout that was chosen, or of the default one."""
    chosen = answers.get("disk.layout")
    kept = own_of(answers)
    if chosen == own.NAME and kept:
        return own.layout(kept, "paravirtual").table
    if chosen in layout_names() and "paravirtual" in load(chosen).virtualization:
        return load(chosen).table
    return load(S3_LAYOUT if _is_in_s3(answers) else DEFAULT_LAYOUT["paravirtual"]).table


def _is_hvm(answers: Answers) -> bool:
    return value("target.virtualization", answers) == "hvm"


def _is_paravirtual(answers: Answers) -> bool:
    return not _is_hvm(answers)


def _is_in_s3(answers: Answers) -> bool:
    return value("target.storage", answers) == "s3"


QUESTIONS = (
    Question("target.arch", "target", "choice", _default_arch, _arch_options),
    Question("target.virtualization", "target", "choice", _default_virtualization, _virtualization_options),
    Question("target.region", "target", "choice", _default_region, _region_options),
    Question("target.storage", "target", "choice", preset("ebs"), _storage_options),
    Question("bundle.bucket", "target", "text", preset(""), applies=_is_in_s3),
    Question("bundle.certificate", "target", "path", preset(""), applies=_is_in_s3),
    Question("bundle.private_key", "target", "path", preset(""), applies=_is_in_s3),
    Question("target.boot_mode", "target", "choice", _default_boot_mode, _boot_mode_options, _is_hvm),
    Question("target.aki", "target", "choice", _default_aki, _aki_options, _is_paravirtual),
)
