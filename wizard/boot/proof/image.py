"""What an image says of itself before it is started: how it can be, and whether PV-GRUB reads it."""

from dataclasses import dataclass
from pathlib import Path

from wizard.disk.read import Disk, open_image
from wizard.inspect import boots
from wizard.inspect.aki import Kernels, check_for_aki
from wizard.kernel.image import KernelImage
from wizard.plan.actions import Way
from wizard.targets.pvgrub import versions

MODES: dict[str, Way] = {"paravirtual": "pv", "legacy-bios": "bios", "uefi": "uefi"}


@dataclass(frozen=True, slots=True)
class Starts:
    """The ways that an image has, and the architecture that it is for."""

    ways: tuple[Way, ...]
    arch: str


@dataclass(frozen=True, slots=True)
class GrubCheck:
    """Which PV-GRUBs read the image, e.g. "hd0 1.04", and what stops the one that was asked for, or all of them."""

    asked: str
    able: tuple[str, ...]
    problems: tuple[str, ...]

    @property
    def is_fine(self) -> bool:
        """Whether the image can be started by the one that was asked for, or by any if none was."""
        return not self.problems


def starts(path: Path) -> Starts:
    """Of an image file.  Where nothing on it can be started, the way that it was most likely meant for.

    Raises Failure "unreadable-file", "not-a-raw-image", "not-a-disk-image".
    """
    with open_image(path) as disk:
        kernels: Kernels = {}
        found, _ = boots.ways(disk, kernels)
        of_kernels = [kernel.arch for kernel in kernels.values() if isinstance(kernel, KernelImage) and kernel.arch]
        arch = next((way.arch for way in found if way.arch and way.mode != "paravirtual"), None)
        return Starts(
            tuple(MODES[way.mode] for way in found) or _meant(disk), arch or next(iter(of_kernels), None) or "x86_64"
        )


def _meant(disk: Disk) -> tuple[Way, ...]:
    if any(part.is_esp for part in disk.partitions):
        return ("uefi",)
    return ("bios",) if disk.table.kind != "none" and any(disk.source.peek(0, 440)) else ("pv",)


def is_bare(path: Path) -> bool:
    """Whether it is a file system without a partition table: then the whole disk is xvda1, not xvda."""
    with open_image(path) as disk:
        return disk.table.kind == "none"


def check_for_pvgrub(path: Path, asked: str = "") -> GrubCheck:
    """The image by what PV-GRUB reads; `asked` is a device and a version, e.g. "hd0 1.04", or nothing for any."""
    with open_image(path) as disk:
        known: Kernels = {}
        problems = {
            f"{device} {version}": [one.what for one in check_for_aki(disk, version, device, known)]
            for row in versions()
            for version in row.versions
            for device in ("hd0", "hd00")
        }
        if asked and asked not in problems:
            device, version = asked.split()
            problems[asked] = [one.what for one in check_for_aki(disk, version, device, known)]
    able = tuple(name for name, said in problems.items() if not said)
    newest = f"hd0 {versions()[0].versions[0]}"
    return GrubCheck(asked, able, tuple(problems[asked] if asked else [] if able else problems[newest]))
