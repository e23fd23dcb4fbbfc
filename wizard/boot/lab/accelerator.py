"""Who runs the machine's instructions: this machine's processor by KVM, or QEMU's emulation."""

import os
import subprocess
import tempfile
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from wizard import host

DEVICE = Path("/dev/kvm")
TRIAL_SECONDS = 3

# mov dx, 0x402; mov ecx, 50,000,000; count ecx down; mov al, 0xfe; out dx, al; out 0x64, al (a reset, which ends
# QEMU); hlt for ever.
TRIAL = bytes.fromhex("ba020466b980f0fa02664975fcb0feeee664f4ebfd").ljust(510, b"\0") + b"\x55\xaa"
TRIAL_DONE = b"\xfe"
"""A boot sector that counts and then says so on the firmware's debug port.

/dev/kvm can be there and still be of no use: inside some virtual machines QEMU stops at once, in others what runs
before an operating system runs a thousand times slower than it should (both were seen).
"""


@dataclass(frozen=True, slots=True)
class Accelerator:
    """How QEMU runs a machine: its arguments, and the processor's model: for PCs, under Xen, and for arm64."""

    name: str
    arguments: tuple[str, ...]
    cpu: str
    xen_cpu: str
    arm_cpu: str


# Left alone, QEMU keeps up to 2 GB of translated code; so much holds a PV run at 1.2 to 1.7 GB.
# QEMU 7.2's SMAP and SMEP fault on Xen's way back to user mode, and dom0 dies at once.
# QEMU emulates arm64's pointer authentication slowly unless it may choose how.
EMULATED = Accelerator(
    "emulated",
    ("-accel", "tcg,thread=multi,tb-size=256"),
    "max",
    "max,-smap,-smep",
    "max,pauth-impdef=on",
)
KVM = Accelerator("KVM", ("-accel", "kvm"), "host", "host", "host")


def accelerator(arch: str = "x86_64") -> Accelerator:
    """KVM where it works for machines of that architecture, emulation otherwise."""
    return KVM if arch == host.architecture() and arch == "x86_64" and _kvm_works() else EMULATED


@cache
def _kvm_works() -> bool:
    return os.access(DEVICE, os.R_OK | os.W_OK) and _counts(KVM)


def _counts(how: Accelerator) -> bool:
    """Whether a machine gets through the trial in time."""
    with tempfile.NamedTemporaryFile() as disk:
        disk.write(TRIAL)
        disk.flush()
        command = [
            *("qemu-system-x86_64", *how.arguments, "-cpu", how.cpu, "-m", "64", "-display", "none"),
            *(
                "-nodefaults",
                "-no-user-config",
                "-no-reboot",
                "-drive",
                f"if=ide,format=raw,snapshot=on,file={disk.name}",
            ),
            *("-chardev", "stdio,id=debug", "-device", "isa-debugcon,iobase=0x402,chardev=debug"),
        ]
        environment = {**os.environ, "PATH": host.SEARCH_PATH}
        try:
            done = subprocess.run(command, env=environment, capture_output=True, timeout=TRIAL_SECONDS, check=False)
            said = done.stdout
        except subprocess.TimeoutExpired as error:
            said = error.stdout or b""
        return TRIAL_DONE in said
