"""What follows from the answers about the target, and which answers do not go together."""

from dataclasses import dataclass

from wizard.targets.akis import all_akis
from wizard.targets.regions import nearest, regions


@dataclass(frozen=True, slots=True)
class Consequences:
    """What the target's answers decide without being asked.

    root_device_name  what RegisterImage is told
    disk              the root disk's name inside the instance; on a Xen-based HVM type it is xvda, not nvme0n1
    root_partition    the root disk's first partition inside the instance, or the disk itself without partitions
    console           the console that EC2 records
    audit_profile     the kernel audit's profile
    boot_mode         RegisterImage's BootMode; None for paravirtual
    """

    root_device_name: str
    disk: str
    root_partition: str
    console: str
    audit_profile: str
    boot_mode: str | None


def consequences(
    arch: str, virtualization: str, partitioned: bool = True, boot_mode: str | None = None
) -> Consequences:
    """What follows for an AMI of this architecture and virtualization.

    A partitioned paravirtual image is registered as /dev/sda, an unpartitioned one as /dev/sda1, and never as
    /dev/xvda: PV-GRUB counts disks in the order of their Xen numbers, and an instance type's extra /dev/sda3 would
    become its hd0.  Sources: AWS EC2 User Guide, "Device names"; turnkeylinux/tracker#693.
    """
    if virtualization == "paravirtual":
        return Consequences(
            root_device_name="/dev/sda" if partitioned else "/dev/sda1",
            disk="xvda" if partitioned else "xvda1",
            root_partition="xvda1",
            console="hvc0",
            audit_profile=f"pv-{arch}",
            boot_mode=None,
        )
    return Consequences(
        root_device_name="/dev/xvda",
        disk="nvme0n1",
        root_partition="nvme0n1p1" if partitioned else "nvme0n1",
        console="ttyS0",
        audit_profile=f"hvm-{arch}",
        boot_mode=boot_mode or ("uefi" if arch == "arm64" else "uefi-preferred"),
    )


def problems(arch: str, virtualization: str, storage: str, boot_mode: str | None, region: str) -> list[tuple[str, str]]:
    """The answers that cannot go together: where to change it (e.g. "target.storage"), and what is possible.

    Empty when the target is possible.
    """
    found = []
    paravirtual = virtualization == "paravirtual"
    if paravirtual and arch == "arm64":
        found.append(
            (
                "target.virtualization",
                "arm64 instances (Graviton) are HVM only: choose hvm, or the architecture x86_64.",
            )
        )
    if not paravirtual and arch == "i386":
        found.append(
            ("target.arch", "A 32-bit AMI can only be paravirtual here: choose x86_64, or paravirtual virtualization.")
        )
    if storage == "s3" and not paravirtual:
        found.append(
            ("target.storage", "An S3 (instance store) AMI is made for paravirtual instances only: choose ebs for HVM.")
        )
    if paravirtual and boot_mode is not None:
        found.append(
            (
                "target.boot_mode",
                "A paravirtual AMI is started by PV-GRUB and has no boot mode: leave it out, or choose hvm.",
            )
        )
    if storage == "s3" and boot_mode in ("uefi", "uefi-preferred"):
        found.append(("target.boot_mode", "UEFI needs an EBS root disk: choose ebs, or leave the boot mode out."))
    if not paravirtual and arch == "arm64" and boot_mode not in (None, "uefi"):
        found.append(("target.boot_mode", f"arm64 instances start by UEFI only, not by {boot_mode}: choose uefi."))
    if paravirtual and arch != "arm64":
        found += _problems_of_region(arch, region)
    return found


def _problems_of_region(arch: str, region: str) -> list[tuple[str, str]]:
    able = {row.name for row in regions() if row.paravirtual}
    with_aki = {row.region for row in all_akis() if row.arch == arch}
    if region in able & with_aki:
        return []
    near = ", ".join(nearest(region, sorted(able & with_aki)))
    if region not in with_aki:
        lack = f"No PV-GRUB kernel (AKI) for {arch} is known in {region}"
    else:
        lack = f"{region} has an AKI, but no instance type that runs paravirtual AMIs"
    return [("target.region", f"{lack}: choose another region ({near}), or hvm.")]
