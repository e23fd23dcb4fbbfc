"""What every EC2 image needs of its userland: an address, the key, a name, the time, a console, room to grow.

Distributions do each in ways of their own, so it is looked for in all ways that are known (presets/inspect.toml,
`agent`), and then in whatever the system runs at boot.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache

from wizard import presets
from wizard.inspect.findings import Finding, finding
from wizard.inspect.menus import BootEntry
from wizard.inspect.system import System

GROWING_INITRAMFS = (
    "/usr/share/initramfs-tools/scripts/local-bottom/growroot",
    "/usr/lib/dracut/modules.d/50growroot",
    "/usr/share/mkinitfs/initramfs-growroot",
)

METADATA = "169.254.169.254"
TIME = "169.254.169.123"

TIME_SETTINGS = (
    *("/etc/chrony.conf", "/etc/chrony/chrony.conf", "/etc/chrony.d/*", "/etc/chrony/{conf,sources}.d/*"),
    *("/usr/share/chrony/*.conf", "/etc/systemd/network/*", "/usr/lib/systemd/network/*"),
    *("/{etc,usr/lib}/systemd/timesyncd.conf", "/{etc,usr/lib}/systemd/timesyncd.conf.d/*.conf"),
    *("/etc/ntp.conf", "/etc/ntpsec/ntp.conf", "/etc/ntpd.conf", "/etc/openntpd/ntpd.conf", "/etc/conf.d/ntpd"),
)
TIME_SERVICES = ("chronyd", "chrony", "systemd-timesyncd", "ntpd", "ntp", "ntpsec", "openntpd", "busybox-ntpd")
SSH_SERVICES = ("ssh", "sshd", "ssh.socket", "sshd.socket", "dropbear", "tinysshd", "sshd-unix-local.socket")


@dataclass(frozen=True, slots=True)
class Agent:
    """A program that is known to prepare instances; `does` are words such as "key"."""

    name: str
    services: tuple[str, ...]
    does: tuple[str, ...]


@cache
def agents() -> tuple[Agent, ...]:
    """Those of presets/inspect.toml."""
    rows = presets.load("inspect")["agent"]
    return tuple(Agent(row["name"], tuple(row["services"]), tuple(row["does"])) for row in rows)


def userland_findings(system: System, entries: list[BootEntry], keys_are_given: bool) -> Iterator[Finding]:
    """All of it; `keys_are_given`: the image brings the keys that it is meant to be reached with."""
    yield from _ssh(system)
    if not keys_are_given:
        yield from _key(system)
    yield from _host_keys(system)
    yield from _hostname(system)
    yield from _console(system, entries)
    yield from _time(system)
    yield from _growth(system)


def _does(system: System, what: str) -> bool:
    return any(what in agent.does and system.starts(*agent.services) for agent in agents())


def _at_boot(system: System, pattern: str) -> Iterator[tuple[str, str]]:
    """What is run at boot and has this in it: path and text."""
    return ((path, text) for path, text in system.boot_texts.items() if re.search(pattern, text))


def _ssh(system: System) -> Iterator[Finding]:
    if not system.starts(*SSH_SERVICES):
        yield finding("no-ssh")


def _key(system: System) -> Iterator[Finding]:
    if _does(system, "key"):
        return
    found = [(path, text) for path, text in _at_boot(system, re.escape(METADATA)) if "public-keys" in text]
    if not found:
        yield finding("no-key")
        return
    path, text = found[0]
    if "ec2-metadata-token" not in text:
        yield finding("key-without-imdsv2", path)
    elif not _survives_without_token(text):
        yield finding("key-without-imdsv1", path)
    services = [other for place, other in system.boot_texts.items() if path in other and place.endswith(".service")]
    if services and not any(re.search(r"^Before=.*\bssh(d)?\b", unit, re.MULTILINE) for unit in services):
        yield finding("key-after-ssh", path)


def _survives_without_token(text: str) -> bool:
    """Whether the script goes on where it gets no token: it says what to do then, or does not stop at errors."""
    commands = re.sub(r"\\\n", " ", text).splitlines()
    asking = [line for line in commands if "api/token" in line and not line.lstrip().startswith("#")]
    stops = re.search(r"^\s*set -\w*e", text, re.MULTILINE)
    return not stops or any("||" in line or re.match(r"\s*(if|while|until)\b", line) for line in asking)


def _host_keys(system: System) -> Iterator[Finding]:
    """Debian's sshd does not make its keys by itself; most others' units and scripts do."""
    if not system.starts(*SSH_SERVICES) or _does(system, "host-keys") or system.starts("dropbear", "tinysshd"):
        return
    wanted = r"ssh-keygen\s+(-\w+\s+)*-A|sshd-keygen|sshd-gen-keys|sshdgenkeys|ssh-keygen -t|ssh_host_\w+_key"
    if not any(True for _ in _at_boot(system, wanted)):
        yield finding("no-host-keys-made")


def _hostname(system: System) -> Iterator[Finding]:
    name = (system.files.text("/etc/hostname") or "").strip()
    if name and not re.match(r"localhost\b", name):
        yield finding("fixed-hostname", "/etc/hostname", name=name[:64])
        return
    # These take the name that DHCP brings, which is that of the metadata.
    if _does(system, "hostname") or system.starts("systemd-networkd", "NetworkManager", "dhcpcd", "dhcpcd@"):
        return
    if not any("hostname" in text for _, text in _at_boot(system, re.escape(METADATA))):
        yield finding("no-hostname")


def _console(system: System, entries: list[BootEntry]) -> Iterator[Finding]:
    """systemd starts a prompt on every serial console that the kernel is told of, and on hvc0."""
    told = {word.removeprefix("console=").split(",")[0] for entry in entries for word in entry.arguments}
    consoles = ("ttyS0", "hvc0", "ttyAMA0")
    if entries and not told & set(consoles):
        yield finding("kernel-without-console", entries[0].menu)
    if system.has("/usr/lib/systemd/system-generators/systemd-getty-generator", "/lib/systemd/systemd"):
        if not told & set(consoles) and not system.starts("serial-getty@"):
            yield finding("no-getty")
        return
    inittab = "\n".join(text for _, text in system.texts("/etc/inittab", "/etc/init/*.conf"))
    has_line = re.search(r"getty.*\b(ttyS0|hvc0|ttyAMA0|console)\b|\b(ttyS0|hvc0|ttyAMA0).*getty", inittab)
    if not has_line and not system.starts(*(f"agetty.{console}" for console in consoles)):
        yield finding("no-getty")


def _time(system: System) -> Iterator[Finding]:
    if not system.starts(*TIME_SERVICES) and not _does(system, "time"):
        yield finding("no-time")
    elif not any(TIME in text or "/dev/ptp" in text for _, text in system.texts(*TIME_SETTINGS)):
        yield finding("time-from-elsewhere")


def _growth(system: System) -> Iterator[Finding]:
    if _does(system, "grow"):
        return
    grows_filesystem = any(mount.path == "/" and "x-systemd.growfs" in mount.options for mount in system.root.mounts)
    grows_partition = bool(system.files.glob("/{etc,usr/lib}/repart.d/*.conf")) or system.root.partition.number == 0
    if grows_filesystem and grows_partition:
        return
    wanted = r"\bgrowpart\b|\bresize2fs\b|\bxfs_growfs\b|filesystem resize|\bgrowroot\b"
    if any(True for _ in _at_boot(system, wanted)) or system.has(*GROWING_INITRAMFS):
        return
    yield finding("root-does-not-grow")
