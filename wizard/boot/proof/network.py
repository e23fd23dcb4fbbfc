"""The guest's network: QEMU's own, in which the metadata service is a neighbour; and what was seen on it."""

import json
import shlex
import socket
import struct
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from wizard.boot.proof import metadata

SERVICE = "169.254.169.254"
ADDRESS = "169.254.169.15"
"""The guest's.  QEMU can only put a service into the guest's own network, so that is the link-local one."""

GATEWAY, RESOLVER, CLOCK = "169.254.169.1", "169.254.169.253", "169.254.169.123"
OF_EC2 = {SERVICE, ADDRESS, GATEWAY, RESOLVER, CLOCK}
"""Addresses that an image may look for; the clock is Amazon's time service."""

PACKET_BYTES = 400
"""How much of a packet is kept: the beginning tells what it is."""


@dataclass(frozen=True, slots=True)
class Wire:
    """What the guest did on its network.

    sought  addresses beside EC2's own services that it looked for in the link-local network
    """

    asked_for_address: bool
    got_address: bool
    sought: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Request:
    """One request to the metadata service."""

    method: str
    path: str
    status: int
    by_token: bool


def network(
    ssh_port: int, answers: Path, requests: Path, capture: Path, *, ssh_address: str = "127.0.0.1"
) -> list[str]:
    """QEMU's arguments for a network that leads to the metadata service and nowhere else, with ssh on a port of this
    machine; its packets go to a file."""
    service = shlex.join([sys.executable, "-I", metadata.__file__, str(answers), str(requests)])
    options = [
        "user,id=network,ipv6=off,restrict=on",
        f"net=169.254.169.0/24,host={GATEWAY},dns={RESOLVER}",
        f"dhcpstart={ADDRESS},hostfwd=tcp:{ssh_address}:{ssh_port}-:22",
        f"guestfwd=tcp:{SERVICE}:80-cmd:{_quoted(service)}",
    ]
    dump = f"filter-dump,id=dump,netdev=network,file={_quoted(str(capture))},maxlen={PACKET_BYTES}"
    return ["-netdev", ",".join(options), "-object", dump]


def free_port() -> int:
    """A port of 127.0.0.1 that nobody has."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _quoted(value: str) -> str:
    """A comma within a value of QEMU's options is written twice (qemu(1))."""
    return value.replace(",", ",,")


def requests_in(path: Path) -> tuple[Request, ...]:
    """What was asked of the metadata service so far."""
    if not path.exists():
        return ()
    lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
    return tuple(Request(**json.loads(line)) for line in lines if line.endswith("\n"))


def seen_on(capture: Path) -> Wire:
    """What the packets so far say of DHCP and ARP.

    Sources: RFC 2131 (ports 67 and 68); RFC 2132, option 53; RFC 826.
    """
    raw = capture.read_bytes() if capture.exists() else b""
    packets = list(_packets(raw))
    kinds = {kind for packet in packets if (kind := _dhcp(packet)) is not None}
    sought = {address for packet in packets if (address := _sought(packet)) is not None} - OF_EC2
    return Wire(bool(kinds & {DISCOVER, REQUEST}), ACKNOWLEDGED in kinds, tuple(sorted(sought)))


DISCOVER, REQUEST, ACKNOWLEDGED = 1, 3, 5
MAGIC = b"\x63\x82\x53\x63"
"""What DHCP's options begin with."""


def _packets(raw: bytes) -> Iterator[bytes]:
    """The packets of a capture file: after a header of 24 bytes, each behind its own of 16."""
    place = 24
    while place + 16 <= len(raw):
        (length,) = struct.unpack_from("<I", raw, place + 8)
        yield raw[place + 16 : place + 16 + length]
        place += 16 + length


def _dhcp(packet: bytes) -> int | None:
    """The kind of a DHCP message in an Ethernet frame; None for any other packet."""
    if packet[12:14] != b"\x08\x00" or packet[23:24] != b"\x11" or packet[34:38] not in (CLIENT, SERVER):
        return None
    options = packet.partition(MAGIC)[2]
    while len(options) > 2 and options[0] != 255:
        if options[0] == 53:
            return options[2]
        options = options[1:] if options[0] == 0 else options[2 + options[1] :]
    return None


def _sought(packet: bytes) -> str | None:
    """The address whose owner an ARP request asks for; None for any other packet."""
    if packet[12:14] != b"\x08\x06" or packet[20:22] != b"\x00\x01" or len(packet) < 42:
        return None
    return socket.inet_ntoa(packet[38:42])


CLIENT, SERVER = struct.pack(">HH", 68, 67), struct.pack(">HH", 67, 68)
