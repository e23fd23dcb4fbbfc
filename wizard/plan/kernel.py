"""The kernel that a recipe chooses: what it is, how it will be started, and what AWS is told because of it."""

from dataclasses import replace
from functools import lru_cache
from pathlib import Path

from wizard.disk.layout import Layout
from wizard.distro import distros
from wizard.distro.own import found
from wizard.distro.userland import UserKernel
from wizard.explain import Failure
from wizard.kernel import config, subject
from wizard.kernel.audit import Start
from wizard.kernel.config import KernelConfig
from wizard.kernel.image import KernelImage
from wizard.kernel.judge import Judged, judged
from wizard.kernel.repack import loads
from wizard.kernel.stage import cannot_reach_root
from wizard.kernel.subject import Subject, known_of
from wizard.recipe import Distro, Kernel, Recipe, Target
from wizard.targets import akis, live
from wizard.targets.pvgrub import PvGrub, pvgrub
from wizard.targets.target import Abilities, Consequences


def chosen(kernel: Kernel, distro: Distro, where: Target) -> Subject:
    """The kernel that was chosen, as far as anybody can know it before it is there.

    The distribution's is known by its recorded config, that of a userland of the user's own by itself.  Raises Failure
    "no-distro-kernel", "no-kernel-file-yet", "no-kernel-in-userland", and what reading the user's files raises.
    """
    if kernel.source == "distro":
        maker = distros.load(distro.name)
        if maker.family == "own":
            return found.kernel_of(found.find(distro, where))
        known = maker.kernel(where.virtualization, where.arch)
        if known is None:
            raise Failure("no-distro-kernel", distro=maker.title, virtualization=where.virtualization, arch=where.arch)
        return Subject(Path(known.package), config=config.recorded(known.config) if known.config else None)
    given = [read(path) for path in (kernel.image, kernel.config) if path]
    if not given:
        raise Failure("no-kernel-file-yet")
    image = next((one.image for one in given if one.image), None)
    beside = next((one.config for one in given if one.config), None)
    folder = Path(kernel.modules) if kernel.modules else None
    modules = folder.name if folder and folder.is_dir() else None
    return Subject(given[0].path, image, beside, modules)


def has_initramfs(recipe: Recipe, layout: Layout, kernel: Subject, staged: UserKernel | None) -> bool:
    """Whether it starts with an initramfs: a distribution's always does.

    Raises Failure "no-initramfs-maker" where it needs one and there is none.
    """
    if staged:
        return staged.has_initramfs
    if distros.load(recipe.distro.name).family != "own":
        return True
    own = found.find(recipe.distro, recipe.target)
    if own.contents.initramfs or own.contents.maker:
        return True
    if cannot_reach_root(known_of(kernel), recipe, layout):
        raise Failure("no-initramfs-maker", path=own.path, release=kernel.version or kernel.path.name)
    return False


def start_of(where: Target, layout: Layout, outcome: Consequences) -> Start:
    """How the kernel of such an AMI will be started.  Whether it gets an initramfs follows from the kernel."""
    loader = loader_of(where, outcome)
    version = loader.versions[0] if loader else None
    return Start(None, version, layout.root.filesystem, layout.table, outcome.boot_mode)


def loader_of(where: Target, outcome: Consequences) -> PvGrub | None:
    """The PV-GRUB that the AKI names; None for hvm."""
    row = akis.named(outcome.aki, live.listed(where.region)) if outcome.aki else None
    return pvgrub(row.version) if row else None


def verdict(kernel: Subject, packs: bool, outcome: Consequences, start: Start) -> Judged:
    """What the audit says of the kernel as it will be installed: packed again with gzip, or as it is."""
    if packs and kernel.image:
        kernel = replace(kernel, image=replace(kernel.image, kind="vmlinux", compression="gzip", header=None))
    return judged(kernel, outcome.audit_profile, start)


def packs_again(image: KernelImage | None, loader: PvGrub | None, repack: str) -> bool:
    """Whether the user's kernel is packed again: when PV-GRUB cannot unpack it and nobody said to leave it alone."""
    return repack == "as-needed" and image is not None and loader is not None and not loads(image, loader.compressions)


def abilities(known: KernelConfig) -> Abilities:
    """What a kernel's config says of ENA, SR-IOV, UEFI and NitroTPM.

    Sources of the options: presets/kernel/hvm-x86_64.toml and hvm-arm64.toml.
    """

    def has(*options: str) -> bool | None:
        if any(known.has(option) for option in options):
            return True
        return False if known.complete else None

    return Abilities(has("ENA_ETHERNET"), has("IXGBEVF"), has("EFI_STUB"), has("TCG_CRB"))


def read(path: str) -> Subject:
    """As `subject.read`; a file that did not change is not read again: every key on a form asks."""
    place = Path(path)
    try:
        status = place.stat()
    except (OSError, ValueError):
        return subject.read(place)
    return _kept(place, status.st_size, status.st_mtime_ns)


@lru_cache(maxsize=4)
def _kept(path: Path, _size: int, _mtime_ns: int) -> Subject:
    return subject.read(path)
