"""What follows from a recipe where it is silent, and what in it does not go together."""

import zoneinfo
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from wizard import presets
from wizard.disk.layout import Layout, load
from wizard.recipe import BootMode, Problem, Recipe, Target, nearest
from wizard.targets import akis, target
from wizard.targets.regions import regions

DEFAULT_LAYOUT = {"paravirtual": "single-ext4", "hvm": "gpt-ext4"}


@dataclass(frozen=True, slots=True)
class Choices:
    """A recipe's answers with every default filled in."""

    layout: Layout
    aki: str | None
    boot_mode: BootMode | None
    consequences: target.Consequences


def choices(recipe: Recipe) -> Choices:
    """The answers as they will be used.  Raises Failure `no-aki-in-region`."""
    layout = load(layout_name(recipe))
    where = recipe.target
    mode = boot_mode(where, layout)
    return Choices(layout, _aki(where, layout), mode, consequences(where, layout))


def consequences(where: Target, layout: Layout) -> target.Consequences:
    """What follows from the target: names of devices, the console, the kernel profile."""
    return target.consequences(where.arch, where.virtualization, partitioned=layout.table != "none")


def layout_name(recipe: Recipe) -> str:
    """The layout asked for, or the one that the virtualization boots by default."""
    return recipe.disk.layout or DEFAULT_LAYOUT[recipe.target.virtualization]


def boot_mode(where: Target, layout: Layout) -> BootMode | None:
    """The boot mode asked for, or the widest one that the layout starts by.  PV has none."""
    if where.virtualization == "paravirtual":
        return None
    if where.boot_mode:
        return where.boot_mode
    if where.arch == "arm64":
        return "uefi"
    return "uefi-preferred" if "uefi-preferred" in layout.boot_modes else "legacy-bios"


def _aki(where: Target, layout: Layout) -> str | None:
    if where.virtualization == "hvm":
        return None
    return where.aki or akis.choose(where.region, where.arch, partitioned=layout.table != "none").aki


def region_problem(name: str) -> Problem | None:
    """A region that nobody knows."""
    known = [region.name for region in regions()]
    return None if name in known else Problem("target.region", f"no region {name!r} is known.", nearest(name, known))


def target_problems(where: Target) -> Iterator[Problem]:
    """What does not go together in a target."""
    if unknown := region_problem(where.region):
        yield unknown
        return
    found = target.problems(where.arch, where.virtualization, where.storage, where.boot_mode, where.region)
    yield from (Problem(place, message) for place, message in found)
    if where.storage == "s3" and not any(place == "target.storage" for place, _ in found):
        yield Problem("target.storage", "is 's3'; this version makes EBS snapshots only.", "ebs")
    if where.aki and where.virtualization == "hvm":
        yield Problem("target.aki", "an AKI starts paravirtual instances only; leave it out for hvm.")


def combination_problems(recipe: Recipe) -> Iterator[Problem]:
    """Everything in a well-formed recipe that does not go together.

    What a wrong target makes wrong in its turn is left out: it would hide the cause.
    """
    wrong = list(target_problems(recipe.target))
    yield from wrong
    yield from _distro_problems(recipe)
    if not wrong:
        yield from _layout_problems(recipe)
        yield from _kernel_problems(recipe)
    if recipe.system.timezone not in zoneinfo.available_timezones():
        known = sorted(zoneinfo.available_timezones())
        yield Problem(
            "system.timezone", f"no time zone {recipe.system.timezone!r}.", nearest(recipe.system.timezone, known)
        )


def _distro_problems(recipe: Recipe) -> Iterator[Problem]:
    names = presets.names("distros")
    if recipe.distro.name not in names:
        message = f"is {recipe.distro.name!r}; this version makes {', '.join(names)}."
        yield Problem("distro.name", message, nearest(recipe.distro.name, names))
        return
    distro = presets.load(f"distros/{recipe.distro.name}")
    if recipe.distro.release not in distro["releases"]:
        message = f"is {recipe.distro.release!r}; {distro['title']} has {', '.join(distro['releases'])} here."
        yield Problem("distro.release", message, nearest(recipe.distro.release, distro["releases"]))


def _distro_kernel_problems(recipe: Recipe) -> Iterator[Problem]:
    """A distribution without a kernel for the target."""
    if recipe.distro.name not in presets.names("distros"):
        return
    distro = presets.load(f"distros/{recipe.distro.name}")
    kernels = distro["kernels"][recipe.target.virtualization]
    if recipe.target.arch not in kernels:
        yield Problem(
            "kernel.source",
            f"{distro['title']} has no kernel for {recipe.target.virtualization} on {recipe.target.arch}: "
            f'give your own (source = "files"), or choose the architecture {" or ".join(kernels)}.',
        )


def _layout_problems(recipe: Recipe) -> Iterator[Problem]:
    names = presets.names("layouts")
    name = layout_name(recipe)
    if name not in names:
        yield Problem("disk.layout", f"is {name!r}; there are {', '.join(names)}.", nearest(name, names))
        return
    layout = load(name)
    where = recipe.target
    if where.virtualization not in layout.virtualization:
        yield Problem("disk.layout", f"{name} does not start {where.virtualization} instances.", _fitting(where))
    elif where.virtualization == "hvm" and (mode := boot_mode(where, layout)) not in layout.boot_modes:
        yield Problem(
            "disk.layout", f"{name} starts by {', '.join(layout.boot_modes)}, not by {mode}.", _fitting(where)
        )


def _fitting(where: Target) -> str:
    return DEFAULT_LAYOUT[where.virtualization]


def _kernel_problems(recipe: Recipe) -> Iterator[Problem]:
    kernel = recipe.kernel
    if kernel.source == "distro":
        yield from _distro_kernel_problems(recipe)
        given = [name for name in ("image", "config", "modules") if getattr(kernel, name)]
        for name in given:
            yield Problem(f"kernel.{name}", 'is given, but source is "distro".', 'source = "files"')
        return
    if not kernel.image:
        yield Problem("kernel.image", 'is needed when source is "files": the path of a bzImage, vmlinuz or Image.')
    for name in ("image", "config", "modules"):
        path = getattr(kernel, name)
        if path and not Path(path).exists():
            yield Problem(f"kernel.{name}", f"there is no {path}.")


def fitting_layouts(where: Target) -> list[str]:
    """The layouts that start such a target, the default first."""
    default = DEFAULT_LAYOUT[where.virtualization]
    fitting = [
        name
        for name in presets.names("layouts")
        if where.virtualization in (layout := load(name)).virtualization
        and (where.virtualization == "paravirtual" or boot_mode(where, layout) in layout.boot_modes)
    ]
    return sorted(fitting, key=lambda name: (name != default, name))
