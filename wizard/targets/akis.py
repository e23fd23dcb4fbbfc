"""The PV-GRUB kernel ids (AKIs), from presets/akis.toml, and which of them to use."""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache

from wizard import presets
from wizard.explain import Failure
from wizard.targets.regions import nearest, regions


@dataclass(frozen=True, slots=True)
class Aki:
    """One published id; the fields are described in presets/akis.toml."""

    region: str
    arch: str
    image_name: str
    version: str
    device: str
    aki: str
    sources: tuple[str, ...]
    confidence: int

    @property
    def release(self) -> tuple[int, ...]:
        """The version as numbers, to compare."""
        return tuple(int(part) for part in self.version.split("."))


@cache
def all_akis() -> tuple[Aki, ...]:
    """Every id that we know, in the order of the preset."""
    return tuple(Aki(**{**row, "sources": tuple(row["sources"])}) for row in presets.load("akis")["aki"])


def matching(region: str | None = None, arch: str | None = None) -> list[Aki]:
    """The ids of a region and an architecture (None: of all), best first within each region and architecture."""
    rows = [row for row in all_akis() if region in (None, row.region) and arch in (None, row.arch)]
    rows.sort(key=lambda row: (row.device == "hd0", row.release), reverse=True)
    rows.sort(key=lambda row: (row.region, row.arch))
    return rows


def reads(aki: Aki, partitioned: bool) -> bool:
    """Whether this PV-GRUB finds menu.lst on such a disk.

    hd00 looks in the first partition only; hd0 serves both since 1.04, and only unpartitioned disks before.
    Source: andsens/bootstrap-vz 6483695, redhat-imaging/imagefactory 90038a0.
    """
    if aki.device == "hd00":
        return partitioned
    return not partitioned or aki.release >= (1, 4)


def choose(region: str, arch: str, partitioned: bool = True) -> Aki:
    """The id to register with: the newest hd0 that reads the disk, as AWS advises, or else the newest hd00.

    Raises Failure "no-aki-in-region" with the nearest regions that have one, "no-aki-for-arm64" for arm64.
    """
    for row in matching(region, arch):
        if reads(row, partitioned):
            return row
    raise no_aki(region, arch)


def no_aki(region: str | None, arch: str | None) -> Failure:
    """The explanation for a region and an architecture (None: any) without an id, with the regions that help."""
    if arch == "arm64":
        return Failure("no-aki-for-arm64")
    able = {row.name for row in regions() if row.paravirtual}
    there = sorted({row.region for row in matching(arch=arch)} & able)
    near = ", ".join(nearest(region or "us-east-1", there))
    return Failure("no-aki-in-region", region=region or "any region", kind=f"{arch} " if arch else "", near=near)


def best(rows: Iterable[Aki]) -> list[Aki]:
    """Of each region and architecture the one to use, for people and scripts that want no history."""
    chosen: dict[tuple[str, str], Aki] = {}
    for row in rows:
        chosen.setdefault((row.region, row.arch), choose(row.region, row.arch))
    return list(chosen.values())


def why_not(aki: Aki, region: str, arch: str, partitioned: bool = True) -> str | None:
    """Why this id is not the one for the target, in a few words; None when it is."""
    if aki.region != region:
        return f"valid only in {aki.region}"
    if aki.arch != arch:
        return "64-bit only" if aki.arch == "x86_64" else "32-bit only"
    if not reads(aki, partitioned):
        return f"reads only {'un' if partitioned else ''}partitioned images"
    chosen = choose(region, arch, partitioned)
    if aki == chosen:
        return None
    if aki.device == "hd00":
        return "reads only partitioned images"
    return f"superseded by {chosen.version}"
