"""Which instance types an AMI can run on, from presets/instances.toml."""

from collections.abc import Iterable
from dataclasses import dataclass, fields, replace
from functools import cache
from typing import Any

from wizard import presets


@dataclass(frozen=True, slots=True)
class Instances:
    """Instance types that are alike; the fields are described in presets/instances.toml."""

    families: tuple[str, ...]
    types: tuple[str, ...]
    size: str | None
    architectures: tuple[str, ...]
    virtualization: tuple[str, ...]
    hypervisor: str
    generation: str
    boot_modes: tuple[str, ...]
    nitro_tpm: bool
    instance_store_root: bool
    ena: str
    nvme: str
    listed: bool

    @property
    def names(self) -> tuple[str, ...]:
        """Families such as "m5", their bare-metal sizes such as "m5.metal", or single types such as "m1.small"."""
        if self.size:
            return tuple(f"{family}.{self.size}" for family in self.families)
        return self.families or self.types


@cache
def every() -> tuple[Instances, ...]:
    """All that AWS lists today."""
    rows = (_instances(row) for row in presets.load("instances")["instances"])
    return tuple(row for row in rows if row.listed)


def of_type(name: str) -> Instances | None:
    """What AWS lists a type under, such as "t3.micro"; None for a family that nobody knows."""
    family, _, size = name.partition(".")
    rows = every()
    by_type = (row for row in rows if name in row.types)
    by_size = (row for row in rows if row.size and family in row.families and size.startswith(row.size))
    by_family = (row for row in rows if not row.size and family in row.families and size)
    return next((row for found in (by_type, by_size, by_family) for row in found), None)


def is_nitro(name: str) -> bool:
    """Whether instances of that type run on Nitro, whose console can be read at any time."""
    row = of_type(name)
    return row is not None and row.hypervisor == "nitro"


def is_among(name: str, rows: Iterable[Instances]) -> bool:
    """Whether these hold an instance type."""
    known, family = of_type(name), name.partition(".")[0]
    if known is None:
        return False
    if known.types:
        return any(name in row.types for row in rows)
    return any(family in row.families and row.size == known.size for row in rows)


def most_s3_gib() -> int:
    """The largest root disk of an S3 (instance store) AMI, in GiB."""
    return int(presets.load("instances")["instance_store"]["max_root_gib"])


def that_start(arch: str, virtualization: str, storage: str, boot_mode: str | None, region: str) -> list[Instances]:
    """Those that start such an AMI there; `boot_mode` as RegisterImage takes it, None for paravirtual.

    Which types of today a region has, nobody but AWS can tell; of the few paravirtual ones it is known.
    """
    found = [
        row
        for row in every()
        if arch in row.architectures
        and virtualization in row.virtualization
        and (storage == "ebs" or row.instance_store_root)
        and (virtualization == "paravirtual" or boot_mode in (None, "uefi-preferred", *row.boot_modes))
    ]
    if virtualization == "hvm" or doubt_about(region):
        return found
    return [kept for row in found if (kept := _offered(row, region)).names]


def doubt_about(region: str) -> str | None:
    """Why nobody knows which paravirtual types a region has; None where it is known."""
    rows = presets.load("instances")["paravirtual_unverified"]
    return next((str(row["why"]) for row in rows if row["region"] == region), None)


def _offered(row: Instances, region: str) -> Instances:
    """What of these paravirtual types is offered in a region."""
    rows = presets.load("instances")["paravirtual"]
    there = {family for one in rows if region in one["regions"] for family in one["families"]}
    return replace(
        row,
        families=tuple(family for family in row.families if family in there),
        types=tuple(name for name in row.types if name.split(".")[0] in there),
    )


def names(rows: Iterable[Instances]) -> list[str]:
    """Their families, and such single types and sizes as are not covered by a family named here; sorted."""
    found = list(rows)
    families = {family for row in found if not row.size for family in row.families}
    others = {name for row in found for name in row.names if name.split(".")[0] not in families}
    return sorted(families | others)


def _instances(row: dict[str, Any]) -> Instances:
    told = {"families": (), "types": (), "size": None, "listed": True, **row}
    wanted = {field.name: told[field.name] for field in fields(Instances)}
    values: dict[str, Any] = {key: tuple(value) if isinstance(value, list) else value for key, value in wanted.items()}
    return Instances(**values)
