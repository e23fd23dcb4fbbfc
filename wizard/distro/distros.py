"""The distributions: presets/distros/*.toml."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cache
from typing import Any

from wizard import presets
from wizard.distro.own import found
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
class System:
    """How a distribution's running system names its parts: the table [system].

    ssh            the ssh daemon's service
    network        who brings up the network; the init system's module knows each
    time           who asks for the time: "systemd-timesyncd", or chrony by the name of its service; "": nobody
    chrony_file    its configuration
    chrony_drift   where it keeps how fast the clock is
    locale_file    where LANG= stands
    timezone_file  where the time zone's name stands beside /etc/localtime; "" where nobody reads one
    services       services of packages that are switched on beside, by target (systemd) or runlevel (OpenRC)
    """

    ssh: str
    network: str
    time: str = "systemd-timesyncd"
    chrony_file: str = "etc/chrony.conf"
    chrony_drift: str = "/var/lib/chrony/drift"
    locale_file: str = "etc/locale.conf"
    timezone_file: str = ""
    services: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


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
    cloud_init_packages: tuple[str, ...]
    kernels: Mapping[tuple[str, str], DistroKernel]
    system: System
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
        tuple(table.get("cloud_init_packages", ())),
        {
            (virtualization, arch): DistroKernel(**row)
            for virtualization, rows in table.get("kernels", {}).items()
            for arch, row in rows.items()
        },
        _system(table["system"]),
        table.get("unproved", ""),
        table.get(table["family"], {}),
    )


def _system(table: Mapping[str, Any]) -> System:
    services = {level: tuple(names) for level, names in table.get("services", {}).items()}
    return System(**{**table, "services": services})


def of(recipe: Recipe) -> Distro:
    """The recipe's distribution; of a userland of the user's own, what was found in it.

    Raises Failure for an own one: what `find` raises, and `unknown-init`.
    """
    distro = load(recipe.distro.name)
    if distro.family != "own":
        return distro
    own = found.find(recipe.distro, recipe.target)
    init = found.init_of(recipe.distro, own)
    system = replace(distro.system, **found.names_of(own, init))
    return replace(distro, title=own.contents.title or distro.title, init=init, system=system)
