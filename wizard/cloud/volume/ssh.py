"""How ssh is called: one connection, never a question, and a host key that is known from somewhere."""

import ipaddress
import re
from pathlib import Path

from botocore.exceptions import BotoCoreError, ClientError

from wizard.cloud.session import Client
from wizard.cloud.volume.instance import Instance
from wizard.explain import Failure
from wizard.plan.actions import FarEnd

USUAL_USER = "ec2-user"
"""Of Amazon Linux, RHEL, Fedora's cloud images and SUSE; others have their own.  Source: EC2 User Guide, "Default
user names"."""

OPTIONS = {
    # Nobody is there to answer a question, and a dead connection has to be noticed.
    "BatchMode": "yes",
    "ConnectTimeout": "20",
    "ServerAliveInterval": "15",
    "ServerAliveCountMax": "4",
    # Not a connection of the user's that other work goes through.
    "ControlPath": "none",
    "ClearAllForwardings": "yes",
    "ForwardAgent": "no",
}

KEYS_ON_CONSOLE = re.compile(r"-----BEGIN SSH HOST KEY KEYS-----(.*?)-----END SSH HOST KEY KEYS-----", re.DOTALL)
"""How cloud-init shows an instance's host keys at its first boot."""

HOST_KEY = re.compile(r"\b((?:ssh|ecdsa|sk)-[a-z0-9@.-]+) (AAAA[A-Za-z0-9+/]+=*)")


def ssh_command(far_end: FarEnd, instance: Instance, known_hosts: Path) -> list[str]:
    """The command up to what is to be run there.  Raises "instance-without-address".

    The host key is looked up by the instance's id in a file of this build: an address gets new owners.  Where the file
    knows the instance only its keys are taken; where it does not, the first key is taken and kept.
    """
    options = {
        **OPTIONS,
        "HostKeyAlias": instance.id,
        "UserKnownHostsFile": f'"{known_hosts}"',
        "GlobalKnownHostsFile": "/dev/null",
        "HashKnownHosts": "no",
        "StrictHostKeyChecking": "yes" if _knows(known_hosts, instance) else "accept-new",
        "Compression": "no" if _is_near(_host(far_end, instance)) else "yes",
        **({"IdentitiesOnly": "yes"} if far_end.ssh_key else {}),
    }
    return [
        "ssh",
        "-T",
        *(word for name, value in options.items() for word in ("-o", f"{name}={value}")),
        *(("-i", far_end.ssh_key) if far_end.ssh_key else ()),
        *(("-p", str(far_end.ssh_port)) if far_end.ssh_port else ()),
        "--",
        far_end.ssh or f"{USUAL_USER}@{instance.address}",
    ]


def learn_host_keys(ec2: Client, instance: Instance, known_hosts: Path) -> str:
    """Writes down the host keys that the instance showed on its console; gives what it will be known by: "build"
    where the file knows it, "console", or "first sight" where there is no console with keys, or no leave to look.
    """
    if _knows(known_hosts, instance):
        return "build"
    try:
        said = ec2.get_console_output(InstanceId=instance.id).get("Output") or ""
    except (ClientError, BotoCoreError):
        return "first sight"
    shown = KEYS_ON_CONSOLE.search(said)
    keys = HOST_KEY.findall(shown[1]) if shown else []
    with known_hosts.open("a", encoding="ascii") as file:
        file.writelines(f"{instance.id} {kind} {key}\n" for kind, key in keys)
    return "console" if keys else "first sight"


def _knows(known_hosts: Path, instance: Instance) -> bool:
    lines = known_hosts.read_text(encoding="utf-8").splitlines() if known_hosts.exists() else []
    return any(line.startswith(f"{instance.id} ") for line in lines)


def _host(far_end: FarEnd, instance: Instance) -> str:
    host = far_end.ssh.rpartition("@")[2] or instance.address
    if not host:
        raise Failure("instance-without-address", instance=instance.id)
    return host


def _is_near(host: str) -> bool:
    """Whether packing would only cost time: in a network of one's own, which is faster than zlib is."""
    try:
        return ipaddress.ip_address(host).is_private
    except ValueError:
        return False
