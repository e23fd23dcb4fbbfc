"""What every EC2 image is told, as plain files: network, console, ssh, metadata, boot menu, fstab."""

from collections.abc import Mapping
from typing import Protocol

from wizard.distro import distros, openrc, systemd
from wizard.distro.distros import Distro
from wizard.distro.settings import Settings
from wizard.plan.actions import Run, writes
from wizard.plan.steps import Step
from wizard.recipe import Recipe


class Init(Protocol):
    """What an init system's module gives."""

    def settings(self, recipe: Recipe, distro: Distro, console: str) -> Settings:
        """Network, ssh, metadata, time and a login prompt on the console, in that init system's way."""


INITS: Mapping[str, Init] = {"systemd": systemd, "openrc": openrc}

SSHD = """\
PasswordAuthentication no
PermitRootLogin prohibit-password
UseDNS no
"""


def settings(recipe: Recipe, console: str, boot: Settings) -> Settings:
    """Everything that is laid over the recipe's userland; `boot` is fstab and the boot loader's menu."""
    distro = distros.of(recipe)
    return _common(recipe, distro) + INITS[distro.init].settings(recipe, distro, console) + boot


def _common(recipe: Recipe, distro: Distro) -> Settings:
    system, names = recipe.system, distro.system
    files = {
        # Empty, so that the first boot makes its own (machine-id(5)).
        "etc/machine-id": "",
        "etc/hostname": f"{system.hostname}\n" if system.hostname else "",
        "etc/hosts": "127.0.0.1 localhost\n::1 localhost ip6-localhost ip6-loopback\n",
        names.locale_file: f"LANG={system.locale}\n",
        "etc/ssh/sshd_config.d/10-ami-wizard.conf": SSHD,
    }
    if names.timezone_file:
        files[names.timezone_file] = f"{system.timezone}\n"
    if system.ssh_authorized_keys:
        files["root/.ssh/authorized_keys"] = "".join(f"{key}\n" for key in system.ssh_authorized_keys)
    return Settings(files, {}, {"etc/localtime": f"/usr/share/zoneinfo/{system.timezone}"})


def system_step(laid_over: Settings, epoch: int) -> Step:
    """The step that makes system/system.tar, to be laid over the root file system."""
    tree = "system/files"
    folders = sorted({path.rpartition("/")[0] for path in laid_over.links if "/" in path})
    commands = [f"mkdir -p {' '.join(f'{tree}/{folder}' for folder in folders)}"]
    commands += [f"ln -sfn {target} {tree}/{path}" for path, target in laid_over.links.items()]
    if "root/.ssh/authorized_keys" in laid_over.files:
        commands.append(f"chmod 700 {tree}/root {tree}/root/.ssh && chmod 600 {tree}/root/.ssh/authorized_keys")
    # Only files and links: the folders of the userland keep the modes that its packages gave them.
    commands.append(
        f"find {tree} -mindepth 1 \\( ! -type d -o -path {tree}/root/.ssh \\) -printf '%P\\0' | LC_ALL=C sort -z | "
        f"tar -C {tree} --null --no-recursion -T - --mtime=@{epoch} --owner=0 --group=0 --numeric-owner "
        "-cf system/system.tar"
    )
    return Step(
        "system",
        "Write the system's own settings",
        "A few plain files make a userland an EC2 instance: an address by DHCP, the key and the name from instance "
        "metadata, host keys made at first boot, a login prompt on the console, and the boot menu. "
        "No password anywhere.",
        (
            *writes({**laid_over.files, **laid_over.programs}, tree, executable=tuple(laid_over.programs)),
            *map(Run, commands),
        ),
    )
