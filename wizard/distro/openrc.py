"""What every image with OpenRC is told, in OpenRC's way."""

from collections.abc import Mapping

from wizard.distro.distros import Distro, System
from wizard.distro.settings import SCRIPTS, Settings, chrony, cloud_init
from wizard.recipe import Recipe

METADATA_SERVICE = """\
#!/sbin/openrc-run
description="The key and the name that EC2 has for this instance"

depend() {{
    after net
    before {ssh}
}}

start() {{
    ebegin "Asking EC2 for this instance's key and name"
    /usr/local/lib/instance-metadata
    eend $?
}}
"""

GROW_SERVICE = """\
#!/sbin/openrc-run
description="The root file system as large as its disk"

depend() {
    need localmount
}

start() {
    ebegin "Growing the root file system"
    /usr/local/lib/grow-root
    eend $?
}
"""


def settings(recipe: Recipe, distro: Distro, console: str) -> Settings:
    """Services of ours, and links to all that is switched on, as `rc-update add` makes them.

    The ssh daemon's own service makes its host keys where there are none.
    """
    names = distro.system
    getty = f"agetty.{console}"
    time = (names.time,) if names.time else ()
    default = (*names.services.get("default", ()), names.ssh, *time, getty)
    return (
        Settings(links={f"etc/init.d/{getty}": "agetty", **_switched_on({**names.services, "default": default})})
        + NETWORKS[names.network]
        + (chrony(names) if names.time else Settings())
        + (cloud_init(recipe) if recipe.system.metadata == "cloud-init" else _first_boot(names))
    )


def _first_boot(names: System) -> Settings:
    """What cloud-init does otherwise."""
    services = {"instance-metadata": METADATA_SERVICE.format(ssh=names.ssh), "grow-root": GROW_SERVICE}
    return SCRIPTS + Settings(
        programs={f"etc/init.d/{name}": text for name, text in services.items()},
        links=_switched_on({"default": tuple(services)}),
    )


def _switched_on(runlevels: Mapping[str, tuple[str, ...]]) -> dict[str, str]:
    return {
        f"etc/runlevels/{level}/{service}": f"/etc/init.d/{service}"
        for level, services in runlevels.items()
        for service in services
    }


INTERFACES = """\
auto lo
iface lo inet loopback

auto eth0
iface eth0 inet dhcp
"""

NETWORKS: Mapping[str, Settings] = {
    # ifupdown: without udev, the kernel's own name for the first card stays.
    "networking": Settings({"etc/network/interfaces": INTERFACES}, {}, _switched_on({"boot": ("networking",)})),
    "dhcpcd": Settings(links=_switched_on({"default": ("dhcpcd",)})),
}
"""Who brings up the network."""
