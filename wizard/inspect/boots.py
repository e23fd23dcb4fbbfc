"""The ways in which an image can be started on EC2, by what lies where the loaders look."""

from dataclasses import dataclass

from wizard.disk.read import Disk
from wizard.inspect.aki import Kernels, check_for_aki
from wizard.inspect.findings import Finding, finding
from wizard.targets.pvgrub import versions

EFI_PROGRAMS = {"BOOTX64.EFI": ("x86_64", 0x8664), "BOOTAA64.EFI": ("arm64", 0xAA64)}
"""The names that firmware looks for, and the machine that their header must name.

Source: UEFI specification 2.10, §3.5.1.1; Microsoft's "PE Format".
"""


@dataclass(frozen=True, slots=True)
class Way:
    """`mode` is "paravirtual", "legacy-bios" or "uefi"; `by` says what is found there; `arch` only where it tells."""

    mode: str
    by: str
    arch: str | None = None


def ways(disk: Disk, known: Kernels) -> tuple[list[Way], list[Finding]]:
    """All ways that are open, and what stands in the way where none is; `known` takes the kernels that were read."""
    found = [*_paravirtual(disk, known), *_bios(disk)]
    uefi, wrong = _uefi(disk)
    found += uefi
    if not found:
        newest = check_for_aki(disk, versions()[0].versions[0], "hd0", known)
        wrong += [one for one in newest if one.code != "aki-no-menu"]
        wrong.append(finding("starts-by-nothing"))
    return found, wrong


def _paravirtual(disk: Disk, known: Kernels) -> list[Way]:
    said = []
    for device in ("hd0", "hd00"):
        able = [name for row in versions() for name in row.versions if not check_for_aki(disk, name, device, known)]
        if able:
            said.append(f"{device} {', '.join(sorted(able))}")
    return [Way("paravirtual", f"PV-GRUB {'; '.join(said)}")] if said else []


def _bios(disk: Disk) -> list[Way]:
    """Boot code in the first sector.  GRUB's names the sector where the rest of it lies (boot.S, kernel_sector)."""
    sector = disk.source.peek(0, 512)
    if not any(sector[:440]) or sector[510:] != b"\x55\xaa":
        return []
    if b"GRUB" not in sector[:440]:
        return [Way("legacy-bios", "boot code in the first sector", "x86_64")]
    where = int.from_bytes(sector[0x5C:0x64], "little")
    return [Way("legacy-bios", "GRUB in the first sector", "x86_64")] if any(disk.source.peek(where * 512, 512)) else []


def _uefi(disk: Disk) -> tuple[list[Way], list[Finding]]:
    found, wrong = list[Way](), list[Finding]()
    for part in disk.partitions:
        files = part.filesystem.files if part.filesystem and part.is_esp else None
        if files is None:
            continue
        here = []
        for name, (arch, machine) in EFI_PROGRAMS.items():
            path = f"/EFI/BOOT/{name}"
            program = files.stream(path)
            if program is None:
                continue
            if _machine(program.read(4096)) == machine:
                here.append(Way("uefi", f"{path[1:]} on partition {part.number}", arch))
            else:
                wrong.append(finding("efi-program-wrong", path, arch=arch))
        if not here:
            wrong.append(finding("esp-without-program", number=part.number))
        found += here
    return found, wrong


def _machine(head: bytes) -> int | None:
    """The machine that an EFI program is for; None when it is none."""
    at = int.from_bytes(head[60:64], "little")
    is_program = head[:2] == b"MZ" and head[at : at + 4] == b"PE\0\0"
    return int.from_bytes(head[at + 4 : at + 6], "little") if is_program else None
