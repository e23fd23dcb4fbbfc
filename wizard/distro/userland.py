"""What a family is asked for: one userland, whatever package manager makes it."""

from collections.abc import Iterable
from dataclasses import dataclass

from wizard.distro import distros
from wizard.distro.distros import Distro
from wizard.recipe import Recipe


@dataclass(frozen=True, slots=True)
class UserKernel:
    """The user's kernel, staged as kernel/kernel.tar."""

    release: str
    has_initramfs: bool


@dataclass(frozen=True, slots=True)
class Userland:
    """A root file system that is to be made.

    `packages` are all that are asked for by name, sorted, the kernel's among them unless it is the user's own;
    `epoch` is the newest time that a file in it may have (seconds since 1970).
    """

    distro: Distro
    recipe: Recipe
    packages: tuple[str, ...]
    kernel: UserKernel | None
    epoch: int

    @property
    def release(self) -> str:
        """The distribution's release."""
        return self.recipe.distro.release

    @property
    def arch(self) -> str:
        """The architecture, as the distribution calls it."""
        return self.distro.architectures[self.recipe.target.arch]

    @property
    def has_initramfs(self) -> bool:
        """Whether its kernel starts with an initramfs: a distribution's always does."""
        return self.kernel is None or self.kernel.has_initramfs

    @property
    def title(self) -> str:
        """What it is called."""
        return f"{self.distro.title} {self.release}".strip()


def userland(recipe: Recipe, filesystems: Iterable[str], kernel: UserKernel | None, epoch: int) -> Userland:
    """The userland that a recipe asks for, on a disk with these file systems."""
    distro = distros.of(recipe)
    wanted = {*distro.packages, *recipe.distro.packages, *distro.bootloader_packages.get(recipe.target.arch, ())}
    for filesystem in filesystems:
        wanted.update(distro.filesystem_packages.get(filesystem, ()))
    own = distro.kernel(recipe.target.virtualization, recipe.target.arch)
    if kernel is None and own:
        wanted.add(own.package)
    if kernel is None or kernel.has_initramfs:
        wanted.update(distro.initramfs)
    if needs_locale(recipe.system.locale):
        language = recipe.system.locale.partition("_")[0]
        wanted.update(name.format(language=language) for name in distro.locale_packages)
    if recipe.system.metadata == "cloud-init":
        wanted.update(distro.cloud_init_packages)
    return Userland(distro, recipe, tuple(sorted(wanted)), kernel, epoch)


def needs_locale(locale: str) -> bool:
    """Whether the locale has to be generated: C and POSIX are part of every system."""
    return locale.split(".")[0] not in ("C", "POSIX")
