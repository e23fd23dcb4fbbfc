"""QEMU's command lines for the machines of EC2, as lists of arguments.

No privileges are needed, and /dev/kvm only makes it faster.  What was measured on QEMU 7.2 (Debian 12) stands beside
the arguments.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from wizard.boot.lab.accelerator import EMULATED, Accelerator
from wizard.boot.lab.bundle import Bundle

QEMU = "qemu-system-x86_64"
QEMU_ARM = "qemu-system-aarch64"
OVMF_CODE = Path("/usr/share/OVMF/OVMF_CODE_4M.fd")
OVMF_VARIABLES = Path("/usr/share/OVMF/OVMF_VARS_4M.fd")
AAVMF_CODE = Path("/usr/share/AAVMF/AAVMF_CODE.fd")
AAVMF_VARIABLES = Path("/usr/share/AAVMF/AAVMF_VARS.fd")

BARE = ("-display", "none", "-nodefaults", "-no-user-config", "-no-reboot", "-monitor", "none")
NO_GRAPHICS = ("-vga", "none")

# Lazy FPU switching gives guests wrong registers; credit with no rate limit took 75 s where credit2 took 112.
XEN_OPTIONS = (
    "console=com1 com1=115200,8n1 dom0_mem=384M,max:384M dom0_max_vcpus=1 spec-ctrl=no,eager-fpu=yes xpti=no "
    "sched=credit sched_ratelimit_us=0"
)
DOM0_OPTIONS = "console=hvc0 quiet panic=1 ipv6.disable=1"
GUEST_MIB = 512

ISOLATED = ("-netdev", "user,id=network,restrict=on")
"""A network with an address from DHCP, and nothing else on it."""

# What EC2's machines say of themselves, by which images tell where they are.  A Nitro instance's UUID begins with ec2.
# Source: AWS EC2 User Guide, "Detect whether a host is an EC2 instance".
SMBIOS = ("-smbios", "type=1,manufacturer=Amazon EC2,product=m5.large,uuid=ec2a1b2c-0123-4567-89ab-cdef01234567")
VOLUME = "vol0123456789abcdef0"


@dataclass(frozen=True, slots=True)
class Logs:
    """Where a machine writes: `guest` is the image's console, `lab` that of Xen and dom0, or the firmware's."""

    guest: Path
    lab: Path


def paravirtual(
    bundle: Bundle,
    image: Path,
    logs: Logs,
    *,
    device: str = "xvda",
    keeps: bool = False,
    network: Sequence[str] = ISOLATED,
    how: Accelerator = EMULATED,
) -> list[str]:
    """A Xen machine that starts the image as its paravirtual guest, with a card on the machine's network.

    `device`: what the disk is called in the guest, "xvda1" for a file system without a partition table.
    `keeps`: what the guest writes stays in the image.  One CPU: with two, the same boot took twice as long.
    """
    dom0 = f"{DOM0_OPTIONS} lab.memory={GUEST_MIB} lab.device={device}"
    return [
        *(QEMU, "-machine", "pc", *how.arguments, "-cpu", how.xen_cpu, "-smp", "1", "-m", "1536", *BARE, *NO_GRAPHICS),
        *("-kernel", str(bundle.xen), "-append", XEN_OPTIONS),
        *("-initrd", f"{bundle.kernel} {dom0},{bundle.initramfs}"),
        *("-serial", f"file:{logs.lab}", "-serial", f"file:{logs.guest}"),
        *_disk(image, keeps),
        *("-device", "virtio-blk-pci,drive=disk"),
        *_card(network, "virtio-net-pci"),
    ]


def nvme(
    image: Path,
    logs: Logs,
    *,
    uefi_variables: Path | None = None,
    keeps: bool = False,
    network: Sequence[str] = ISOLATED,
    card: str = "virtio-net-pci",
    how: Accelerator = EMULATED,
) -> list[str]:
    """A machine like Nitro's: an NVMe disk, started by BIOS, or by UEFI with a writable copy of OVMF_VARIABLES.

    QEMU has no ENA card, Nitro's own: another one stands in for it.
    """
    return [
        *(QEMU, "-machine", "q35", *how.arguments, "-cpu", how.cpu, "-smp", "2", "-m", "1024", *BARE, *NO_GRAPHICS),
        *("-serial", f"file:{logs.guest}"),
        *("-chardev", f"file,id=firmware,path={logs.lab}", "-device", "isa-debugcon,iobase=0x402,chardev=firmware"),
        *SMBIOS,
        *_disk(image, keeps),
        *("-device", f"nvme,serial={VOLUME},drive=disk,bootindex=0"),
        *_card(network, card),
        *(_flash(OVMF_CODE, uefi_variables) if uefi_variables else ()),
    ]


def graviton(
    image: Path,
    logs: Logs,
    *,
    uefi_variables: Path,
    network: Sequence[str] = ISOLATED,
    card: str = "virtio-net-pci",
    how: Accelerator = EMULATED,
) -> list[str]:
    """The same for arm64, with a writable copy of AAVMF_VARIABLES.

    The firmware speaks on the machine's own serial port and the system on ttyS0, as on EC2; QEMU's own port is ttyAMA0,
    so ttyS0 is a PCI card.  Both write to the guest's console.
    """
    guest = f"file,path={logs.guest},append=on"
    return [
        *(QEMU_ARM, "-machine", "virt", *how.arguments, "-cpu", how.arm_cpu, "-smp", "2", "-m", "1024", *BARE),
        *("-chardev", f"{guest},id=firmware", "-serial", "chardev:firmware"),
        *("-chardev", f"{guest},id=console", "-device", "pci-serial,chardev=console"),
        *SMBIOS,
        *_disk(image, keeps=False),
        *("-device", f"nvme,serial={VOLUME},drive=disk,bootindex=0"),
        *_card(network, card),
        *_flash(AAVMF_CODE, uefi_variables),
    ]


def direct(
    kernel: Path, arguments: str, image: Path, logs: Logs, *, uefi_variables: Path | None = None, keeps: bool = False
) -> list[str]:
    """As `nvme`, but the kernel is handed over by QEMU and not by a boot loader from the image, and the card is of
    Intel's, which needs one option of the kernel and no more."""
    return [
        *nvme(image, logs, uefi_variables=uefi_variables, keeps=keeps, card="e1000"),
        "-kernel",
        str(kernel),
        "-append",
        arguments,
    ]


def _disk(image: Path, keeps: bool) -> list[str]:
    form = "qcow2" if image.suffix == ".qcow2" else "raw"
    return ["-drive", f"if=none,id=disk,format={form},file={image},snapshot={'off' if keeps else 'on'}"]


def _card(network: Sequence[str], model: str) -> list[str]:
    return [*network, "-device", f"{model},netdev=network,romfile="]


def _flash(code: Path, variables: Path) -> list[str]:
    return [
        *("-drive", f"if=pflash,format=raw,unit=0,readonly=on,file={code}"),
        *("-drive", f"if=pflash,format=raw,unit=1,file={variables}"),
    ]
