"""A layout of one's own: the partitions of a recipe as a Layout, and a Layout as those of a recipe."""

import tomllib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Any

import tomlkit
from pydantic import ValidationError

from wizard.disk.layout import OPTIONS, Layout, Partition, placed
from wizard.recipe import Disk
from wizard.recipe import Partition as Entry

NAME = "own"
"""What such a layout is called; no preset has that name."""

WHY = "Partitions of your own, as the recipe has them under [[disk.partitions]]."

CLASHES = 3
"""The number that a paravirtual disk leaves free: old instance types bring a disk /dev/sda3 of their own, and the
kernel cannot have two xvda3.  Source: coreos/bugs#1716."""

NAMES: Mapping[str, str] = {"/": "root", "/boot/efi": "esp", "bios-boot": "bios"}
"""What a partition is called by its mount point, or by what it holds; others by that itself."""


def layout(disk: Disk, virtualization: str) -> Layout:
    """The layout of a recipe's own partitions, with what they leave out filled in."""
    given = disk.partitions or ()
    # What only a GPT has a place for asks for one.
    table = disk.table or ("gpt" if any(one.filesystem in ("bios-boot", "vfat") for one in given) else "dos")
    entries = _filled(given, virtualization if table != "none" else "hvm")
    return made_of(table, placed(entries, table))


def made_of(table: str, partitions: tuple[Partition, ...]) -> Layout:
    """A layout of these partitions; what it starts by follows from them."""
    bare = Layout(NAME, "Your own partitions", WHY, table, (), (), partitions)
    modes = boot_modes(bare)
    return replace(bare, boot_modes=modes, virtualization=("paravirtual", *(("hvm",) if modes else ())))


def boot_modes(layout: Layout) -> tuple[str, ...]:
    """What such a disk has the places for.

    By BIOS: room for GRUB between an MBR and the first partition, or a BIOS boot partition.  By UEFI: an EFI system
    partition.  Sources: GRUB's manual, "BIOS installation"; UEFI specification 2.10, §13.3.
    """
    has_bios_boot = any(part.filesystem == "bios-boot" for part in layout.partitions)
    esp = layout.at("/boot/efi")
    by_bios = layout.table == "dos" or (layout.table == "gpt" and has_bios_boot)
    by_uefi = layout.table == "gpt" and esp is not None and esp.filesystem == "vfat"
    both = ("uefi-preferred",) if by_bios and by_uefi else ()
    return (*(("legacy-bios",) if by_bios else ()), *(("uefi",) if by_uefi else ()), *both)


def usual_name(filesystem: str, mount: str | None, taken: Iterable[str] = ()) -> str:
    """A name for a partition by what it is for: root, boot, esp, srv-data, swap; with a number when it is taken."""
    said = NAMES.get(mount or filesystem) or (mount or filesystem).strip("/")
    name = said.translate(str.maketrans("/@+", "---")).lstrip("._-")[:32] or filesystem
    used = set(taken)
    return next(one for one in (name, *(f"{name}{number}" for number in range(2, 999))) if one not in used)


def free_number(taken: Iterable[int], virtualization: str) -> int:
    """The lowest number that a new partition can have."""
    used = {*taken, *((CLASHES,) if virtualization == "paravirtual" else ())}
    return next(number for number in range(1, 1000) if number not in used)


def _filled(entries: Iterable[Entry], virtualization: str) -> Iterator[dict[str, Any]]:
    given = list(entries)
    numbers = [one.number for one in given if one.number]
    names = [one.name for one in given if one.name]
    for one in given:
        number, name = one.number, one.name
        if number is None:
            number = free_number(numbers, virtualization)
            numbers.append(number)
        if name is None:
            name = usual_name(one.filesystem, one.mount, names)
            names.append(name)
        yield {**one.model_dump(exclude_none=True), "number": number, "name": name}


def tables(layout: Layout) -> dict[str, Any]:
    """What stands under [disk] of a recipe with this layout; what goes without saying is left out."""
    return {"table": layout.table, "partitions": [_entry(part) for part in layout.partitions]}


def _entry(part: Partition) -> dict[str, Any]:
    usual = OPTIONS.get(part.filesystem, "defaults")
    entry = {
        "number": part.number,
        "name": part.name,
        "filesystem": part.filesystem,
        "mount": part.mount,
        "size_mib": part.size_mib,
        "options": part.options if part.options != usual else None,
        "label": part.label if part.label != part.name else None,
        "subvolumes": list(part.subvolumes) or None,
    }
    return {key: value for key, value in entry.items() if value is not None}


def dumps(layout: Layout) -> str:
    """The layout as text: what stands under [disk], as TOML."""
    return tomlkit.dumps(tables(layout))


def loads(text: str) -> Disk | None:
    """The partitions of a text that `dumps` made; None when there are none to be read in it."""
    try:
        disk = Disk.model_validate(tomllib.loads(text))
    except (tomllib.TOMLDecodeError, ValidationError):
        return None
    return disk if disk.partitions else None
