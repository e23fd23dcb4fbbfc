"""The step that starts the image before it is uploaded."""

from wizard.plan.actions import ProveImage, Way
from wizard.plan.defaults import Choices
from wizard.plan.steps import Step
from wizard.recipe import Recipe, Target
from wizard.targets import akis, live
from wizard.targets.target import Abilities


def ways_of(recipe: Recipe, chosen: Choices, able: Abilities) -> tuple[Way, ...]:
    """The ways in which the image is started: all in which its disk and its kernel can be.

    None for i386: Debian's Xen starts no paravirtual guest of 32 bits (it is built without PV32).
    """
    target = recipe.target
    if target.virtualization == "paravirtual":
        return () if target.arch == "i386" else ("pv",)
    modes = chosen.layout.boot_modes
    by_bios = target.arch == "x86_64" and "legacy-bios" in modes
    by_uefi = target.arch == "arm64" or (able.uefi is not False and any(mode.startswith("uefi") for mode in modes))
    return (*(("bios",) if by_bios else ()), *(("uefi",) if by_uefi else ()))


def prove_step(target: Target, ways: tuple[Way, ...], aki: str | None) -> Step:
    """The step; what it leaves is the consoles and the verdicts.  `aki` is what RegisterImage will be told.

    Our HVM AMIs are registered for version 2 of the metadata service alone (ImdsSupport), so they are proved so.
    """
    row = akis.named(aki, live.listed(target.region)) if aki else None
    pvgrub = f"{row.device} {row.version}" if row else ""
    action = ProveImage("image/disk.img", ways, target.arch, "prove", target.virtualization != "hvm", pvgrub)
    if not ways:
        return Step(
            "prove",
            "Hold the image against what PV-GRUB reads",
            "An image of 32 bits cannot be started here. That the loader of its AKI finds and reads the menu, the "
            "kernel and the file system that they lie on, is known from the image itself.",
            (action,),
            ("image",),
        )
    return Step(
        "prove",
        "Prove that the image comes up",
        "The image is started here the way EC2 would start it, on a disk that keeps nothing. It must find its root, "
        "take an address and its key from instance metadata, and let one in over ssh, before a byte is uploaded.",
        (action,),
        ("image",),
    )
