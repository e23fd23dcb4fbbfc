"""What every image with systemd is told, in systemd's way."""

from collections.abc import Mapping

from wizard.distro.distros import Distro, System
from wizard.distro.settings import SCRIPTS, TIME_SERVER, Settings, chrony, cloud_init
from wizard.recipe import Recipe

UNITS = "etc/systemd/system"
PACKAGED = "/usr/lib/systemd/system"
"""Where packages put their units; Debian 12 says /lib, which leads there."""

GETTY = f"{PACKAGED}/serial-getty@.service"

NETWORKD = """\
[Match]
Type=ether

[Network]
DHCP=yes
"""

TIMESYNCD = f"""\
[Time]
NTP={TIME_SERVER}
"""

METADATA_SERVICE = """\
[Unit]
Description=The key and the name that EC2 has for this instance
After=network.target
Before={ssh}.service

[Service]
Type=oneshot
ExecStart=/usr/local/lib/instance-metadata

[Install]
WantedBy=multi-user.target
"""
"""It waits for the network itself, for a minute at most, and only ssh waits for it: the console never does."""

GROW_SERVICE = """\
[Unit]
Description=The root file system as large as its disk

[Service]
Type=oneshot
ExecStart=/usr/local/lib/grow-root

[Install]
WantedBy=multi-user.target
"""

HOST_KEYS_SERVICE = """\
[Unit]
Description=This instance's own ssh host keys
Before={ssh}.service sshd-keygen@rsa.service sshd-keygen@ecdsa.service sshd-keygen@ed25519.service
ConditionPathExists=!/etc/ssh/ssh_host_ed25519_key

[Service]
Type=oneshot
ExecStart=/usr/bin/ssh-keygen -A

[Install]
WantedBy=multi-user.target
"""
"""Before those of Fedora and its relatives too, which then have nothing to do: two at once would quarrel."""


def settings(recipe: Recipe, distro: Distro, console: str) -> Settings:
    """Units of ours, and links to all that is switched on, as `systemctl enable` makes them."""
    names = distro.system
    switched_on = {
        f"{names.ssh}.service": "multi-user.target",
        **{service: target for target, services in names.services.items() for service in services},
    }
    return (
        Settings(
            links={**_switched_on(switched_on), f"{UNITS}/getty.target.wants/serial-getty@{console}.service": GETTY}
        )
        + NETWORKS[names.network]
        + _time(names)
        + (cloud_init(recipe) if recipe.system.metadata == "cloud-init" else _first_boot(names))
    )


def _first_boot(names: System) -> Settings:
    """What cloud-init does otherwise."""
    return (
        SCRIPTS
        + _unit("instance-metadata.service", METADATA_SERVICE.format(ssh=names.ssh))
        + _unit("ssh-host-keys.service", HOST_KEYS_SERVICE.format(ssh=names.ssh))
        + _unit("grow-root.service", GROW_SERVICE)
    )


def _time(names: System) -> Settings:
    if not names.time:
        return Settings()
    if names.time == "systemd-timesyncd":
        return Settings({"etc/systemd/timesyncd.conf.d/10-ec2.conf": TIMESYNCD}) + Settings(
            links=_switched_on({"systemd-timesyncd.service": "sysinit.target"})
        )
    return chrony(names) + Settings(links=_switched_on({f"{names.time}.service": "multi-user.target"}))


def _unit(name: str, text: str) -> Settings:
    """A unit of ours, switched on."""
    path = f"{UNITS}/{name}"
    return Settings({path: text}, {}, {f"{UNITS}/multi-user.target.wants/{name}": f"/{path}"})


def _switched_on(wanted: Mapping[str, str]) -> dict[str, str]:
    """Links for packages' units, by the unit that wants each."""
    return {f"{UNITS}/{target}.wants/{unit}": f"{PACKAGED}/{unit}" for unit, target in wanted.items()}


NETWORKS: Mapping[str, Settings] = {
    "systemd-networkd": Settings(
        {"etc/systemd/network/20-first.network": NETWORKD},
        {},
        {
            "etc/resolv.conf": "/run/systemd/resolve/stub-resolv.conf",
            **_switched_on(
                {
                    "systemd-networkd.service": "multi-user.target",
                    "systemd-resolved.service": "multi-user.target",
                    "systemd-networkd-wait-online.service": "network-online.target",
                }
            ),
        },
    ),
    # NetworkManager asks for an address on every card that nobody told it of.
    "NetworkManager": Settings(
        links=_switched_on(
            {
                "NetworkManager.service": "multi-user.target",
                "NetworkManager-wait-online.service": "network-online.target",
            }
        )
    ),
}
"""Who brings up the network: DHCP on every wired card, whatever its name."""
