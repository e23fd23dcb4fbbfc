"""How an image that was found to start would be registered: the command for it."""

import shlex

from wizard.inspect.boots import Way
from wizard.inspect.image import Inspection
from wizard.recipe import Target
from wizard.targets import target


def register_command(found: Inspection, region: str, snapshot_id: str, name: str) -> str | None:
    """`aws ec2 register-image` for the image's snapshot; None where nothing is found that EC2 would start.

    Raises Failure "no-aki-in-region" for an image that only PV-GRUB starts.
    """
    modes = {way.mode for way in found.boots_by}
    arch = _arch(found)
    if not modes or arch is None:
        return None
    virtualization = "hvm" if modes - {"paravirtual"} else "paravirtual"
    where = Target.model_validate({"region": region, "arch": arch, "virtualization": virtualization})
    both = ["uefi-preferred"] if {"legacy-bios", "uefi"} <= modes else []
    outcome = target.consequences(where, found.disk.table.kind, [*both, *modes])
    fields = target.register_fields(where, outcome)
    options = {
        "--region": region,
        "--name": name,
        "--architecture": arch,
        "--virtualization-type": virtualization,
        "--kernel-id": fields.get("KernelId"),
        "--boot-mode": fields.get("BootMode"),
        "--root-device-name": outcome.root_device_name,
        "--block-device-mappings": f"DeviceName={outcome.root_device_name},Ebs={{SnapshotId={snapshot_id}}}",
    }
    words = [word for option, value in options.items() if value for word in (option, str(value))]
    ena = ["--ena-support"] if fields.get("EnaSupport") else []
    return shlex.join(["aws", "ec2", "register-image", *words, *ena])


def _arch(found: Inspection) -> str | None:
    """What firmware's programs are for, or the kernel."""
    named = [way.arch for way in _hvm(found) if way.arch]
    if named:
        return named[0]
    return found.kernel.image.arch if found.kernel else None


def _hvm(found: Inspection) -> list[Way]:
    return [way for way in found.boots_by if way.mode != "paravirtual"]
