"""How an image can be started on this machine, and what that takes."""

import shutil
from collections.abc import Sequence
from pathlib import Path

from wizard.boot.lab import machine
from wizard.boot.lab.accelerator import EMULATED, Accelerator
from wizard.boot.lab.bundle import TOOLS as XEN_TOOLS
from wizard.boot.lab.bundle import xen_bundle
from wizard.boot.lab.machine import Logs
from wizard.boot.proof import login
from wizard.boot.proof.image import is_bare
from wizard.plan.actions import Way

TITLES: dict[Way, str] = {
    "pv": "as a paravirtual guest of Xen",
    "bios": "by BIOS, from an NVMe disk",
    "uefi": "by UEFI, from an NVMe disk",
}

# Measured with Debian 12 images on two cores: until an ssh login had answered.  (With KVM: not measured.)
USUAL_SECONDS: dict[Way, int] = {"pv": 90, "bios": 30, "uefi": 35}
KVM_IS_FASTER = 4
LIMIT_SECONDS: dict[Way, int] = {"pv": 400, "bios": 240, "uefi": 240}
"""After so long nothing more is to be expected."""

ARM_SLOWER = 2


def tools(ways: Sequence[Way], arch: str) -> list[str]:
    """The host's programs and files that these ways of starting need, by their names in presets/host.toml."""
    names = ["qemu-img", *login.TOOLS]
    if arch == "arm64":
        return [*names, machine.QEMU_ARM, str(machine.AAVMF_CODE)]
    names.append(machine.QEMU)
    if "uefi" in ways:
        names.append(str(machine.OVMF_CODE))
    if "pv" in ways:
        names += XEN_TOOLS
    return names


def usual_seconds(way: Way, arch: str, how: Accelerator) -> int:
    """How long a proof usually takes until an image is known to have come up."""
    seconds = USUAL_SECONDS[way] * (ARM_SLOWER if arch == "arm64" else 1)
    return seconds // KVM_IS_FASTER if how.name == "KVM" else seconds


def command(
    way: Way, arch: str, image: Path, disk: Path, logs: Logs, network: Sequence[str], how: Accelerator
) -> list[str]:
    """QEMU's command line for a disk that holds the image; the firmware's memory is a new copy beside the disk."""
    if way == "pv":
        device = "xvda1" if is_bare(image) else "xvda"
        return machine.paravirtual(xen_bundle(), disk, logs, device=device, network=network, how=how)
    memory = disk.with_name("firmware-memory")
    if way == "uefi":
        shutil.copy(firmware_memory(arch), memory)
    return by_firmware(way, arch, disk, logs, memory, network, how)


def by_firmware(
    way: Way,
    arch: str,
    disk: Path,
    logs: Logs,
    memory: Path,
    network: Sequence[str] = machine.ISOLATED,
    how: Accelerator = EMULATED,
) -> list[str]:
    """QEMU's command line for HVM; with UEFI, `memory` is a copy of the file that `firmware_memory` names."""
    if arch == "arm64":
        return machine.graviton(disk, logs, uefi_variables=memory, network=network, how=how)
    variables = memory if way == "uefi" else None
    return machine.nvme(disk, logs, uefi_variables=variables, network=network, how=how)


def firmware_memory(arch: str) -> Path:
    """What UEFI remembers on a new machine."""
    return machine.AAVMF_VARIABLES if arch == "arm64" else machine.OVMF_VARIABLES
