"""What every image with OpenRC is told, in OpenRC's way."""

from collections.abc import Mapping

from wizard.distro.distros import Distro
from wizard.distro.settings import METADATA_SCRIPT, Settings, chrony, preset_text
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


def settings(recipe: Recipe, distro: Distro, console: str) -> Settings:
    """Services of ours, and links to all that is switched on, as `rc-update add` makes them.

    The ssh daemon's own service makes its host keys where there are none.
    """
    names = distro.system
    getty = f"agetty.{console}"
    default = (*names.services.get("default", ()), names.ssh, names.time, getty)
    laid_over = (
        Settings(links={f"etc/init.d/{getty}": "agetty", **_switched_on({**names.services, "default": default})})
        + NETWORKS[names.network]
        + chrony(names)
    )
    if recipe.system.metadata == "script":
        service = METADATA_SERVICE.format(ssh=names.ssh)
        laid_over += Settings(
            programs={"etc/init.d/instance-metadata": service, METADATA_SCRIPT: preset_text("instance-metadata")},
            links=_switched_on({"default": ("instance-metadata",)}),
        )
    return laid_over


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
