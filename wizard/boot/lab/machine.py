"""QEMU's command lines for the machines of EC2, as lists of arguments.

Everything is emulated (TCG): no /dev/kvm and no privileges are needed.  What was measured on QEMU 7.2 (Debian 12)
stands beside the arguments.
"""

from dataclasses import dataclass
from pathlib import Path

from wizard.boot.lab.bundle import Bundle

QEMU = "qemu-system-x86_64"
OVMF_CODE = Path("/usr/share/OVMF/OVMF_CODE_4M.fd")
OVMF_VARIABLES = Path("/usr/share/OVMF/OVMF_VARS_4M.fd")

# Left alone, QEMU keeps up to 2 GB of translated code; so much holds a PV run at 1.2 to 1.7 GB.
ACCELERATOR = ("-accel", "tcg,thread=multi,tb-size=256")
BARE = ("-display", "none", "-vga", "none", "-nodefaults", "-no-user-config", "-no-reboot", "-monitor", "none")

# QEMU 7.2's SMAP and SMEP fault on Xen's way back to user mode, and dom0 dies at once.
XEN_CPU = "max,-smap,-smep"
# Lazy FPU switching gives guests wrong registers; credit with no rate limit took 75 s where credit2 took 112.
XEN_OPTIONS = (
    "console=com1 com1=115200,8n1 dom0_mem=384M,max:384M dom0_max_vcpus=1 spec-ctrl=no,eager-fpu=yes xpti=no "
    "sched=credit sched_ratelimit_us=0"
)
DOM0_OPTIONS = "console=hvc0 quiet panic=1"
GUEST_MIB = 512


@dataclass(frozen=True, slots=True)
class Logs:
    """Where a machine writes: `guest` is the image's console, `lab` that of Xen and dom0, or the firmware's."""

    guest: Path
    lab: Path


def paravirtual(bundle: Bundle, image: Path, logs: Logs, *, keeps: bool = False) -> list[str]:
    """A Xen machine that starts the image as its paravirtual guest, the disk being xvda.

    One CPU: with two, the same boot took twice as long.  `keeps`: what the guest writes stays in the image.
    """
    return [
        *(QEMU, "-machine", "pc", *ACCELERATOR, "-cpu", XEN_CPU, "-smp", "1", "-m", "1536", *BARE),
        *("-kernel", str(bundle.xen), "-append", XEN_OPTIONS),
        *("-initrd", f"{bundle.kernel} {DOM0_OPTIONS} lab.memory={GUEST_MIB},{bundle.initramfs}"),
        *("-serial", f"file:{logs.lab}", "-serial", f"file:{logs.guest}"),
        *_disk(image, keeps),
        *("-device", "virtio-blk-pci,drive=disk"),
    ]


def nvme(image: Path, logs: Logs, *, uefi_variables: Path | None = None, keeps: bool = False) -> list[str]:
    """A machine like Nitro's: an NVMe disk, started by BIOS, or by UEFI with a writable copy of OVMF_VARIABLES.

    There is a network card, but an Intel one: QEMU has no ENA.
    """
    return [*_nvme_machine(image, logs, keeps), *_firmware(uefi_variables)]


def direct(
    kernel: Path, arguments: str, image: Path, logs: Logs, *, uefi_variables: Path | None = None, keeps: bool = False
) -> list[str]:
    """As `nvme`, but the kernel is handed over by QEMU and not by a boot loader from the image."""
    return [
        *nvme(image, logs, uefi_variables=uefi_variables, keeps=keeps),
        "-kernel",
        str(kernel),
        "-append",
        arguments,
    ]


def _nvme_machine(image: Path, logs: Logs, keeps: bool) -> list[str]:
    return [
        *(QEMU, "-machine", "q35", *ACCELERATOR, "-cpu", "max", "-smp", "2", "-m", "1024", *BARE),
        *("-serial", f"file:{logs.guest}"),
        *("-chardev", f"file,id=firmware,path={logs.lab}", "-device", "isa-debugcon,iobase=0x402,chardev=firmware"),
        *_disk(image, keeps),
        *("-device", "nvme,serial=vol0123456789abcdef0,drive=disk"),
        *("-netdev", "user,id=network", "-device", "e1000,netdev=network"),
    ]


def _disk(image: Path, keeps: bool) -> list[str]:
    return ["-drive", f"if=none,id=disk,format=raw,file={image},snapshot={'off' if keeps else 'on'}"]


def _firmware(uefi_variables: Path | None) -> list[str]:
    if uefi_variables is None:
        return []
    return [
        *("-drive", f"if=pflash,format=raw,unit=0,readonly=on,file={OVMF_CODE}"),
        *("-drive", f"if=pflash,format=raw,unit=1,file={uefi_variables}"),
    ]
