"""The PV-GRUB kernel ids (AKIs), from presets/akis.toml, and which of them to use."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache

from wizard import presets
from wizard.explain import Failure
from wizard.targets.pvgrub import pvgrub
from wizard.targets.regions import nearest, paravirtual_regions

NOTHING_ASKED: Mapping[str, str] = {}
"""What is known of AWS's own list when nobody has asked for it (wizard/targets/live.py gives the marks)."""


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
    return sorted(rows, key=_order)


def _order(row: Aki) -> tuple[object, ...]:
    return row.region, row.arch, row.device != "hd0", tuple(-part for part in row.release)


def reads(aki: Aki, table: str) -> bool:
    """Whether this PV-GRUB finds menu.lst behind such a partition table: "dos", "gpt", or "none" for a bare disk."""
    return table in pvgrub(aki.version).tables(aki.device)


def choose(region: str, arch: str, table: str = "dos", marks: Mapping[str, str] = NOTHING_ASKED) -> Aki:
    """The id to register with: the newest hd0 that reads the disk, as AWS advises, and that AWS has not withdrawn.

    An hd00 is never chosen, only taken when somebody names one.  Raises Failure "no-aki-in-region" with the nearest
    regions that have one, "no-aki-for-arm64" for arm64.
    """
    for row in matching(region, arch):
        if row.device == "hd0" and cannot(row, region, arch, table, marks) is None:
            return row
    raise no_aki(region, arch)


def no_aki(region: str | None, arch: str | None) -> Failure:
    """The explanation for a region and an architecture (None: any) without an id, with the regions that help."""
    if arch == "arm64":
        return Failure("no-aki-for-arm64")
    there = regions_for(arch)
    near = ", ".join(nearest(region or "us-east-1", there))
    return Failure("no-aki-in-region", region=region or "any region", kind=f"{arch} " if arch else "", near=near)


def regions_for(arch: str | None = None) -> list[str]:
    """Where a paravirtual AMI can live: the regions that have an id and an instance type for it, sorted."""
    return sorted({row.region for row in matching(arch=arch)} & paravirtual_regions())


def named(aki: str, extra: Iterable[Aki] = ()) -> Aki | None:
    """The row of an id such as "aki-5c21674b", of the preset or of `extra`; None when nobody knows it."""
    return next((row for row in (*all_akis(), *extra) if row.aki == aki), None)


@cache
def unconfirmed() -> dict[str, str]:
    """Ids that public tools use and that are not to be trusted, with the reason for each."""
    return {row["aki"]: row["why"] for row in presets.load("akis_unconfirmed")["unconfirmed"]}


def best(rows: Iterable[Aki], marks: Mapping[str, str] = NOTHING_ASKED) -> list[Aki]:
    """Of each region and architecture the one to use, for people and scripts that want no history."""
    places = dict.fromkeys((row.region, row.arch) for row in rows)
    chosen = (_chosen(region, arch, "dos", marks) for region, arch in places)
    return [row for row in chosen if row]


def cannot(
    aki: Aki, region: str, arch: str, table: str = "dos", marks: Mapping[str, str] = NOTHING_ASKED
) -> str | None:
    """Why this id cannot start the target at all, in a few words; None when it can."""
    if aki.region != region:
        return f"valid only in {aki.region}"
    if aki.arch != arch:
        return {"x86_64": "64-bit only", "i386": "32-bit only"}[aki.arch]
    if marks.get(aki.aki) == "gone":
        return "AWS no longer lists it"
    if reads(aki, table):
        return None
    readable = pvgrub(aki.version).tables(aki.device)
    if table == "gpt" and "dos" in readable:
        return "cannot read GPT"
    return "reads only partitioned images" if table == "none" else "reads only unpartitioned images"


def why_not(
    aki: Aki, region: str, arch: str, table: str = "dos", marks: Mapping[str, str] = NOTHING_ASKED
) -> str | None:
    """Why this id is not the one for the target, in a few words; None when it is.

    What `cannot` says comes first; an id that could be taken says what is better about the chosen one.
    """
    if reason := cannot(aki, region, arch, table, marks):
        return reason
    chosen = _chosen(region, arch, table, marks)
    if aki == chosen:
        return None
    words = ["reads only partitioned images"] if aki.device == "hd00" else []
    if chosen and aki.release < chosen.release:
        words.append(f"superseded by {chosen.version}")
    limits = ", ".join(pvgrub(aki.version).limits)
    return (", ".join(words) or "not the newest hd0") + (f": {limits}" if limits else "")


def by_nearness(
    region: str, arch: str, table: str = "dos", marks: Mapping[str, str] = NOTHING_ASKED, extra: Iterable[Aki] = ()
) -> list[Aki]:
    """The whole table: the id to use first, then those of the region that work, its others, the other regions'."""

    def distance(row: Aki) -> tuple[object, ...]:
        return (
            row.region != region,
            why_not(row, region, arch, table, marks) is not None,
            cannot(row, region, arch, table, marks) is not None,
            row.arch != arch,
            _order(row),
        )

    known = {row.aki for row in all_akis()}
    return sorted([*all_akis(), *(row for row in extra if row.aki not in known)], key=distance)


def _chosen(region: str, arch: str, table: str, marks: Mapping[str, str]) -> Aki | None:
    try:
        return choose(region, arch, table, marks)
    except Failure:
        return None
