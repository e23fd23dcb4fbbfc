"""What every EC2 image is told, as plain files: network, console, ssh, metadata, boot menu, fstab."""

from collections.abc import Mapping

from wizard import presets
from wizard.plan.steps import Run, Step, writes
from wizard.recipe import Recipe

METADATA_SCRIPT = "usr/local/lib/instance-metadata"

NETWORK = """\
[Match]
Type=ether

[Network]
DHCP=yes
"""

SSHD = """\
PasswordAuthentication no
PermitRootLogin prohibit-password
UseDNS no
"""

METADATA_SERVICE = f"""\
[Unit]
Description=The key and the name that EC2 has for this instance
Wants=network-online.target
After=network-online.target
Before=ssh.service

[Service]
Type=oneshot
ExecStart=/{METADATA_SCRIPT}

[Install]
WantedBy=multi-user.target
"""

HOST_KEYS_SERVICE = """\
[Unit]
Description=This instance's own ssh host keys
Before=ssh.service
ConditionPathExists=!/etc/ssh/ssh_host_ed25519_key

[Service]
Type=oneshot
ExecStart=/usr/bin/ssh-keygen -A

[Install]
WantedBy=multi-user.target
"""


def system_files(recipe: Recipe, fstab: str, boot_files: Mapping[str, str]) -> dict[str, str]:
    """Every file that we add to the userland, by its path in the image."""
    system = recipe.system
    files = {
        "etc/fstab": fstab,
        # Empty, so that the first boot makes its own (machine-id(5)).
        "etc/machine-id": "",
        "etc/hostname": f"{system.hostname}\n" if system.hostname else "",
        "etc/hosts": "127.0.0.1 localhost\n::1 localhost ip6-localhost ip6-loopback\n",
        "etc/timezone": f"{system.timezone}\n",
        "etc/default/locale": f"LANG={system.locale}\n",
        "etc/systemd/network/20-first.network": NETWORK,
        "etc/ssh/sshd_config.d/10-ami-wizard.conf": SSHD,
        "etc/systemd/system/instance-metadata.service": METADATA_SERVICE,
        "etc/systemd/system/ssh-host-keys.service": HOST_KEYS_SERVICE,
        METADATA_SCRIPT: (presets.ROOT / "system/instance-metadata.sh").read_text(),
        **boot_files,
    }
    if system.ssh_authorized_keys:
        files["root/.ssh/authorized_keys"] = "".join(f"{key}\n" for key in system.ssh_authorized_keys)
    return files


def system_links(recipe: Recipe, console: str, boot_links: Mapping[str, str]) -> dict[str, str]:
    """Every symbolic link that we add: units switched on as `systemctl enable` does it, and the time zone."""
    units = "etc/systemd/system"
    return {
        "etc/localtime": f"/usr/share/zoneinfo/{recipe.system.timezone}",
        "etc/resolv.conf": "/run/systemd/resolve/stub-resolv.conf",
        f"{units}/multi-user.target.wants/instance-metadata.service": "/etc/systemd/system/instance-metadata.service",
        f"{units}/multi-user.target.wants/ssh-host-keys.service": "/etc/systemd/system/ssh-host-keys.service",
        f"{units}/multi-user.target.wants/systemd-networkd.service": "/lib/systemd/system/systemd-networkd.service",
        f"{units}/multi-user.target.wants/systemd-resolved.service": "/lib/systemd/system/systemd-resolved.service",
        f"{units}/network-online.target.wants/systemd-networkd-wait-online.service": (
            "/lib/systemd/system/systemd-networkd-wait-online.service"
        ),
        f"{units}/getty.target.wants/serial-getty@{console}.service": "/lib/systemd/system/serial-getty@.service",
        **boot_links,
    }


def system_step(recipe: Recipe, files: Mapping[str, str], links: Mapping[str, str], epoch: int) -> Step:
    """The step that makes system/system.tar, to be laid over the root file system."""
    tree = "system/files"
    folders = sorted({path.rpartition("/")[0] for path in links if "/" in path})
    commands = [f"mkdir -p {' '.join(f'{tree}/{folder}' for folder in folders)}"]
    commands += [f"ln -sfn {target} {tree}/{path}" for path, target in links.items()]
    if recipe.system.ssh_authorized_keys:
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
        (*writes(files, tree, executable=(METADATA_SCRIPT,)), *map(Run, commands)),
    )
