"""The distributions: presets/distros/*.toml."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

from wizard import presets
from wizard.recipe import Recipe


@dataclass(frozen=True, slots=True)
class DistroKernel:
    """A distribution's kernel for one kind of target.

    `config` names the recorded extract of its configuration in presets/kernel/configs; "" when there is none, and then
    the audit cannot speak of it.
    """

    package: str
    config: str = ""


@dataclass(frozen=True, slots=True)
class Distro:
    """A distribution.  `releases` has the newest first; `own` holds what only its family reads.

    `unproved` says what of it was never exercised where this version was made; "" when its images were booted.
    """

    name: str
    title: str
    family: str
    init: str
    releases: tuple[str, ...]
    architectures: Mapping[str, str]
    packages: tuple[str, ...]
    initramfs: tuple[str, ...]
    filesystem_packages: Mapping[str, tuple[str, ...]]
    bootloader_packages: Mapping[str, tuple[str, ...]]
    locale_packages: tuple[str, ...]
    kernels: Mapping[tuple[str, str], DistroKernel]
    unproved: str
    own: Mapping[str, Any]

    def kernel(self, virtualization: str, arch: str) -> DistroKernel | None:
        """Its kernel for such a target; None when it has none."""
        return self.kernels.get((virtualization, arch))

    def kernel_architectures(self, virtualization: str) -> list[str]:
        """The architectures for which it has a kernel."""
        return [arch for kind, arch in self.kernels if kind == virtualization]


@cache
def load(name: str) -> Distro:
    """The distribution of presets/distros/NAME.toml.  Raises FileNotFoundError."""
    table = presets.load(f"distros/{name}")
    return Distro(
        name,
        table["title"],
        table["family"],
        table["init"],
        tuple(table["releases"]),
        table["architectures"],
        tuple(table["packages"]),
        tuple(table.get("initramfs", ())),
        {kind: tuple(names) for kind, names in table.get("filesystem_packages", {}).items()},
        {arch: tuple(names) for arch, names in table.get("bootloader_packages", {}).items()},
        tuple(table.get("locale_packages", ())),
        {
            (virtualization, arch): DistroKernel(**row)
            for virtualization, rows in table.get("kernels", {}).items()
            for arch, row in rows.items()
        },
        table.get("unproved", ""),
        table.get(table["family"], {}),
    )


def of(recipe: Recipe) -> Distro:
    """The recipe's distribution."""
    return load(recipe.distro.name)
