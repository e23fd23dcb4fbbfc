"""What each version of PV-GRUB can read and start, from presets/pvgrub.toml."""

from dataclasses import dataclass
from functools import cache
from typing import Any

from wizard import presets


@dataclass(frozen=True, slots=True)
class PvGrub:
    """One version's abilities; the fields are described in presets/pvgrub.toml."""

    versions: tuple[str, ...]
    hd0_tables: tuple[str, ...]
    hd00_tables: tuple[str, ...]
    filesystems: tuple[str, ...]
    compressions: tuple[str, ...]
    menu_lst: tuple[str, ...]
    menu_partitions: int
    menu_folders: tuple[str, ...]
    limits: tuple[str, ...]
    unsure: str
    sources: tuple[str, ...]
    fatal_alignment_mib: int | None = None

    def tables(self, device: str) -> tuple[str, ...]:
        """The partition tables behind which an AKI for that device, hd0 or hd00, finds its menu."""
        return self.hd0_tables if device == "hd0" else self.hd00_tables


@cache
def versions() -> tuple[PvGrub, ...]:
    """All that are known, the newest first."""
    return tuple(_pvgrub(row) for row in presets.load("pvgrub")["pvgrub"])


def pvgrub(version: str) -> PvGrub:
    """The abilities of a version such as "1.04"; of one that is not known yet, those of the newest that is."""
    return next((row for row in versions() if version in row.versions), versions()[0])


def _pvgrub(row: dict[str, Any]) -> PvGrub:
    values: dict[str, Any] = {key: tuple(value) if isinstance(value, list) else value for key, value in row.items()}
    return PvGrub(**values)
