"""An address by DHCP on the first interface, whatever its name: every way that distributions have for it."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from fnmatch import fnmatchcase

from wizard.inspect.boots import Way
from wizard.inspect.findings import Finding, finding
from wizard.inspect.menus import BootEntry
from wizard.inspect.system import System
from wizard.inspect.userland import agents

EVERY = ("*",)

UDEV = (
    "/usr/lib/systemd/systemd-udevd",
    "/lib/systemd/systemd-udevd",
    "/sbin/udevd",
    "/usr/sbin/udevd",
    "/usr/bin/udevd",
)


@dataclass(frozen=True, slots=True)
class Client:
    """What asks for an address: `names` are the interfaces that it does so on, with "*" and "?"."""

    path: str
    names: tuple[str, ...]


def network_findings(system: System, entries: list[BootEntry], ways: list[Way]) -> Iterator[Finding]:
    """Whether the first interface gets an address on every kind of instance that the image starts on."""
    clients = list(dhcp_clients(system, entries))
    if not clients:
        yield finding("no-dhcp")
        return
    names = dict.fromkeys(name for client in clients for name in client.names)
    missed = [
        name for name in _first_interfaces(system, entries, ways) if not any(fnmatchcase(name, one) for one in names)
    ]
    if missed:
        yield finding("dhcp-by-name", clients[0].path, names=", ".join(names), missed=", ".join(missed))


def _first_interfaces(system: System, entries: list[BootEntry], ways: list[Way]) -> tuple[str, ...]:
    """How the kernel, or udev, calls it.  Source: systemd.net-naming-scheme(7); AWS EC2 User Guide, ENA."""
    if entries and all("net.ifnames=0" in entry.arguments for entry in entries):
        return ("eth0",)
    # Without udev nobody gives it another name than the kernel's.
    if {way.mode for way in ways} == {"paravirtual"} or not system.has(*UDEV):
        return ("eth0",)
    return ("eth0", "ens5")


def dhcp_clients(system: System, entries: list[BootEntry]) -> Iterator[Client]:
    """All that are found."""
    for agent in agents():
        if "network" in agent.does and system.starts(*agent.services):
            yield Client(agent.name, EVERY)
    for look in (_networkd, _network_manager, _ifupdown, _dhcpcd, _netplan, _ifcfg, _netifrc):
        yield from look(system)
    for entry in entries:
        if re.search(r"(^|:)(dhcp|on|any|both)$", entry.argument("ip") or ""):
            yield Client(entry.menu, EVERY)
    for path, text in system.boot_texts.items():
        if re.search(r"^[^#\n]*\b(udhcpc|dhclient|dhcpcd)\b.*", text, re.MULTILINE) and not path.endswith(".service"):
            yield Client(path, tuple(re.findall(r"\b(?:eth|ens|enX)\w+", text)) or EVERY)


def _networkd(system: System) -> Iterator[Client]:
    if not system.starts("systemd-networkd"):
        return
    for path, text in system.texts("/etc/systemd/network/*.network", "/usr/lib/systemd/network/*.network"):
        if re.search(r"^DHCP=(yes|true|1|on|ipv4|both|v4)\s*$", text, re.MULTILINE | re.IGNORECASE):
            names = re.findall(r"^Name=(.*)$", text, re.MULTILINE)
            patterns = tuple(name for line in names for name in line.split())
            yield Client(path, tuple(name for name in patterns if not name.startswith("!")) or EVERY)


def _network_manager(system: System) -> Iterator[Client]:
    """By itself it asks on every wired interface for which nothing else is said."""
    if not system.starts("NetworkManager"):
        return
    settings = system.texts("/etc/NetworkManager/NetworkManager.conf", "/etc/NetworkManager/conf.d/*.conf")
    if not any(re.search(r"^no-auto-default=\*", text, re.MULTILINE) for _, text in settings):
        yield Client("NetworkManager", EVERY)
    for path, text in system.texts("/etc/NetworkManager/system-connections/*"):
        if re.search(r"^\[ipv4\][^\[]*^method=auto", text, re.MULTILINE):
            yield Client(path, tuple(re.findall(r"^interface-name=(\S+)", text, re.MULTILINE)) or EVERY)


def _ifupdown(system: System) -> Iterator[Client]:
    if not system.starts("networking", "ifup@", "network"):
        return
    for path, text in system.texts("/etc/network/interfaces", "/etc/network/interfaces.d/*"):
        names = tuple(re.findall(r"^\s*iface\s+(\S+)\s+inet\s+dhcp", text, re.MULTILINE))
        if names:
            yield Client(path, names)
    if system.has("/etc/network/cloud-ifupdown-helper"):
        yield Client("/etc/network/cloud-ifupdown-helper", EVERY)


def _dhcpcd(system: System) -> Iterator[Client]:
    if system.starts("dhcpcd"):
        yield Client("dhcpcd", EVERY)
    if names := tuple(name.partition("@")[2] for name in system.services if name.startswith(("dhcpcd@", "dhclient@"))):
        yield Client("dhcpcd", names)


def _netplan(system: System) -> Iterator[Client]:
    """Read by its lines: an interface is a key below `ethernets`, and may stand for those that `match` names."""
    for path, text in system.texts("/etc/netplan/*.yaml"):
        if re.search(r"\bdhcp4:\s*(true|yes|on)\b", text):
            matched = re.findall(r"\bname:\s*[\"']?([^\s\"'},]+)", text)
            keys = re.findall(r"^\s+([\w*-]+):\s*(?:\{.*)?$", text, re.MULTILINE)
            by_other = re.search(r"\bmatch:", text) and not matched
            yield Client(path, EVERY if by_other else tuple(matched or keys))


def _ifcfg(system: System) -> Iterator[Client]:
    """Red Hat's and SUSE's scripts, which NetworkManager and wicked read too."""
    if not system.starts("network", "NetworkManager", "wicked", "wickedd"):
        return
    for path, text in system.texts("/etc/sysconfig/network-scripts/ifcfg-*", "/etc/sysconfig/network/ifcfg-*"):
        if re.search(r"^BOOTPROTO=[\"']?dhcp4?\b", text, re.MULTILINE | re.IGNORECASE):
            device = re.search(r"^DEVICE=[\"']?([\w.]+)", text, re.MULTILINE)
            yield Client(path, (device[1] if device else path.rpartition("ifcfg-")[2],))


def _netifrc(system: System) -> Iterator[Client]:
    """Gentoo's: a service for each interface, which uses DHCP where nothing else is said."""
    text = "\n".join(text for _, text in system.texts("/etc/conf.d/net"))
    for name in (service.removeprefix("net.") for service in system.services if service.startswith("net.")):
        said = re.search(rf"^config_{re.escape(name)}=(.*)$", text, re.MULTILINE)
        if name != "lo" and (said is None or "dhcp" in said[1]):
            yield Client("/etc/conf.d/net", (name,))
