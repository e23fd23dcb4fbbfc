"""How an image can be started, by what lies where the loaders look."""

from dataclasses import dataclass
from pathlib import Path

from wizard.disk.read import Disk, open_image
from wizard.plan.steps import Way

EFI_PROGRAMS = {"BOOTX64.EFI": "x86_64", "BOOTAA64.EFI": "arm64"}


@dataclass(frozen=True, slots=True)
class Starts:
    """The ways that an image has, and the architecture that it is for."""

    ways: tuple[Way, ...]
    arch: str


def starts(path: Path) -> Starts:
    """Of an image file.  One without a loader for HVM is taken for a paravirtual one.

    Raises Failure "unreadable-file", "not-a-raw-image", "not-a-disk-image".
    """
    with open_image(path) as disk:
        arches = _efi_arches(disk)
        ways: list[Way] = []
        if any(disk.source.peek(0, 440)) and disk.table.kind != "none":
            ways.append("bios")
        if arches:
            ways.append("uefi")
        return Starts(tuple(ways) or ("pv",), arches[0] if arches else "x86_64")


def _efi_arches(disk: Disk) -> list[str]:
    found = []
    for part in disk.partitions:
        files = part.filesystem.files if part.is_esp and part.filesystem else None
        found += [arch for name, arch in EFI_PROGRAMS.items() if files and files.stat(f"/EFI/BOOT/{name}")]
    return found
