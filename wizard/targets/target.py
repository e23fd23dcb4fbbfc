"""What follows from the answers about the target, and which answers do not go together."""

from collections.abc import Collection, Iterator
from dataclasses import dataclass

from wizard.recipe import BootMode, Problem, Target
from wizard.targets import akis, instances, live
from wizard.targets.pvgrub import pvgrub
from wizard.targets.regions import nearest, paravirtual_regions


@dataclass(frozen=True, slots=True)
class Consequences:
    """What the target's answers decide without being asked; later screens and RegisterImage read it from here.

    root_device_name  what RegisterImage is told
    disk              the root disk's name inside the instance; on a Xen-based HVM type it is xvda, not nvme0n1
    root_partition    the root disk's first partition inside the instance, or the disk itself without partitions
    console           the console that EC2 records
    audit_profile     the kernel audit's profile
    boot_mode         RegisterImage's BootMode; None for paravirtual
    aki               RegisterImage's KernelId; None for hvm
    volume_type       of the root disk; the types that run paravirtual AMIs are as old as "standard"
    """

    root_device_name: str
    disk: str
    root_partition: str
    console: str
    audit_profile: str
    boot_mode: BootMode | None
    aki: str | None
    volume_type: str


@dataclass(frozen=True, slots=True)
class Abilities:
    """What a kernel's config says of ENA, SR-IOV, UEFI and NitroTPM; None where it is not known."""

    ena: bool | None = None
    sriov: bool | None = None
    uefi: bool | None = None
    tpm: bool | None = None


UNKNOWN_KERNEL = Abilities()


def consequences(where: Target, table: str, boot_modes: Collection[str]) -> Consequences:
    """What follows for an AMI of this target, on a disk with that partition table that starts by these boot modes.

    A partitioned paravirtual image is registered as /dev/sda, an unpartitioned one as /dev/sda1, and never as
    /dev/xvda: PV-GRUB counts disks in the order of their Xen numbers, and an instance type's extra /dev/sda3 would
    become its hd0.  Sources: AWS EC2 User Guide, "Device names"; turnkeylinux/tracker#693.
    Raises Failure "no-aki-in-region".
    """
    partitioned = table != "none"
    if where.virtualization == "paravirtual":
        return Consequences(
            root_device_name="/dev/sda" if partitioned else "/dev/sda1",
            disk="xvda" if partitioned else "xvda1",
            root_partition="xvda1",
            console="hvc0",
            audit_profile=f"pv-{where.arch}",
            boot_mode=None,
            aki=where.aki or akis.choose(where.region, where.arch, table).aki,
            volume_type="standard",
        )
    return Consequences(
        root_device_name="/dev/xvda",
        disk="nvme0n1",
        root_partition="nvme0n1p1" if partitioned else "nvme0n1",
        console="ttyS0",
        audit_profile=f"hvm-{where.arch}",
        boot_mode=boot_mode(where, boot_modes),
        aki=None,
        volume_type="gp3",
    )


def boot_mode(where: Target, boot_modes: Collection[str]) -> BootMode | None:
    """The boot mode asked for, or the widest one among those that the disk starts by.  PV has none."""
    if where.virtualization == "paravirtual":
        return None
    if where.boot_mode:
        return where.boot_mode
    if where.arch == "arm64":
        return "uefi"
    widest: tuple[BootMode, ...] = ("uefi-preferred", "legacy-bios", "uefi")
    return next((mode for mode in widest if mode in boot_modes), "legacy-bios")


def unreadable(where: Target, table: str, filesystem: str) -> str | None:
    """Why the target's AKI cannot read a disk with that table and a /boot of that file system; None when it can.

    Without an AKI of its own the target takes one that reads the table.
    """
    row = akis.named(where.aki, live.listed(where.region)) if where.aki else None
    if row is None:
        return None
    able, name = pvgrub(row.version), f"{row.aki} (PV-GRUB {row.device} {row.version})"
    if table not in able.tables(row.device):
        return f"is not read by {name}, which {akis.cannot(row, row.region, row.arch, table)}"
    if filesystem not in able.filesystems:
        return f"has its /boot on {filesystem}, and {name} reads {' and '.join(able.filesystems)} only"
    return None


def register_fields(where: Target, outcome: Consequences, able: Abilities = UNKNOWN_KERNEL) -> dict[str, object]:
    """What RegisterImage is told about how an instance starts, as far as the kernel is known to be able to.

    VirtualizationType and Architecture are always given: AWS's defaults are paravirtual and i386 (API reference,
    RegisterImage).
    With ENA claimed and no driver an instance cannot be reached; without the claim the types of today refuse the AMI.
    TpmSupport goes with the boot mode "uefi" alone, and is claimed on x86_64 only, where that mode is asked for because
    of it: some types that start by UEFI have no TPM and would refuse the AMI.  Source: presets/instances.toml.
    """
    fields: dict[str, object] = {
        "Architecture": where.arch,
        "VirtualizationType": where.virtualization,
        **({"RootDeviceName": outcome.root_device_name} if where.storage == "ebs" else {}),
    }
    if outcome.aki:
        return {**fields, "KernelId": outcome.aki}
    fields |= {"BootMode": outcome.boot_mode, "ImdsSupport": "v2.0"}
    if able.ena is not False:
        fields["EnaSupport"] = True
    if able.sriov is not False:
        fields["SriovNetSupport"] = "simple"
    if able.tpm and outcome.boot_mode == "uefi" and where.arch == "x86_64":
        fields["TpmSupport"] = "v2.0"
    return fields


def problems(where: Target) -> Iterator[Problem]:
    """What does not go together in a target: where to change it, what is possible, and the nearest possible choice."""
    yield from _of_architecture(where)
    yield from _of_storage(where)
    if where.virtualization == "paravirtual" and where.arch != "arm64":
        yield from _of_region(where)
    yield from _of_aki(where)


def _of_architecture(where: Target) -> Iterator[Problem]:
    paravirtual = where.virtualization == "paravirtual"
    if paravirtual and where.arch == "arm64":
        yield Problem(
            "target.virtualization",
            "arm64 instances (Graviton) are HVM only; or choose x86_64 to stay paravirtual.",
            "hvm",
        )
    if not paravirtual and where.arch == "i386":
        yield Problem(
            "target.arch", "a 32-bit AMI can only be paravirtual here; or choose paravirtual to stay 32-bit.", "x86_64"
        )
    if paravirtual and where.boot_mode is not None:
        yield Problem(
            "target.boot_mode",
            "a paravirtual AMI is started by PV-GRUB, no firmware is asked: leave it out, or choose hvm.",
        )
    if not paravirtual and where.arch == "arm64" and where.boot_mode not in (None, "uefi"):
        yield Problem("target.boot_mode", f"arm64 instances start by UEFI only, not by {where.boot_mode}.", "uefi")


def _of_storage(where: Target) -> Iterator[Problem]:
    if where.storage != "s3":
        return
    if where.virtualization == "hvm":
        yield Problem(
            "target.storage", "an S3 (instance store) AMI is made for paravirtual instances only here.", "ebs"
        )
    if where.boot_mode in ("uefi", "uefi-preferred"):
        yield Problem("target.boot_mode", "UEFI needs an EBS root disk: choose ebs, or leave the boot mode out.")


def _of_region(where: Target) -> Iterator[Problem]:
    able = akis.regions_for(where.arch)
    if where.region in able:
        return
    near = nearest(where.region, able)
    if where.region in paravirtual_regions() or not akis.matching(where.region, where.arch):
        lack = f"no PV-GRUB kernel (AKI) for {where.arch} is known in {where.region}"
    else:
        lack = f"{where.region} has an AKI, but no instance type that runs paravirtual AMIs"
    yield Problem("target.region", f"{lack}: choose another region ({', '.join(near)}), or hvm.", near[0])


def _of_aki(where: Target) -> Iterator[Problem]:
    if not where.aki:
        return
    if where.virtualization == "hvm":
        yield Problem("target.aki", "an AKI starts paravirtual instances only; leave it out for hvm.")
        return
    right = next((row.aki for row in akis.matching(where.region, where.arch) if row.device == "hd0"), None)
    if where.aki in akis.unconfirmed():
        reason = akis.unconfirmed()[where.aki]
        yield Problem("target.aki", f"{where.aki} is in public lists, but not confirmed: {reason}", right)
        return
    row = akis.named(where.aki, live.listed(where.region))
    if row is None:
        yield Problem(
            "target.aki",
            f"nobody knows {where.aki}. If AWS has it, `ami-wizard akis --region {where.region} --live` learns it.",
            right,
        )
    elif row.region != where.region or row.arch != where.arch:
        starts = f"is of {row.region} and starts {row.arch} kernels"
        yield Problem("target.aki", f"{where.aki} {starts}; an id is valid in its own region only.", right)


def runs_on(where: Target, outcome: Consequences) -> list[instances.Instances]:
    """The instance types that start such an AMI."""
    return instances.that_start(where.arch, where.virtualization, where.storage, outcome.boot_mode, where.region)
