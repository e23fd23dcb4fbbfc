"""The families of distributions: for each, the module that knows its package manager."""

from collections.abc import Mapping
from typing import Protocol

from wizard.distro import alpine, debian, dnf, gentoo, pacman, zypper
from wizard.distro.own import family as own
from wizard.distro.userland import Userland
from wizard.plan.steps import Step


class Family(Protocol):
    """What a family's module gives."""

    def bootstrap_step(self, wanted: Userland, inputs: Mapping[str, str]) -> Step:
        """The step "bootstrap", which makes bootstrap/root.tar: a whole root file system.

        Owners are numbers, names are sorted, no time is later than the epoch.  /boot/vmlinuz and, where there is an
        initramfs, /boot/initrd.img lead to the kernel and follow its upgrades.  Nothing in it is any machine's own: no
        host keys, no machine-id, no random seed, no logs, no package caches.
        """

    def tools(self, wanted: Userland) -> list[str]:
        """The host's programs and files that the step needs, by their names in presets/host.toml."""


FAMILIES: Mapping[str, Family] = {
    "alpine": alpine,
    "debian": debian,
    "dnf": dnf,
    "gentoo": gentoo,
    "own": own,
    "pacman": pacman,
    "zypper": zypper,
}


def family(wanted: Userland) -> Family:
    """The module for a userland."""
    return FAMILIES[wanted.distro.family]
