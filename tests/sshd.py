"""A real ssh server on loopback, as a far end of the tests: its own keys, its own port, nothing of this machine's."""

import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

PATIENCE_SECONDS = 30


@dataclass(frozen=True)
class Server:
    """Where it listens, and the key that it lets in."""

    folder: Path
    port: int
    key: Path

    @property
    def host_key(self) -> str:
        """Its public host key: kind and key."""
        return " ".join((self.folder / "host_key.pub").read_text().split()[:2])


@contextmanager
def running(folder: Path, environment: Mapping[str, str]) -> Iterator[Server]:
    """A server whose sessions have this environment; it ends with the context, and so do its sessions."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in ("host_key", "key"):
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", folder / name], check=True)
    shutil.copy(folder / "key.pub", folder / "authorized_keys")
    port = free_port()
    lines = {
        "ListenAddress": f"127.0.0.1:{port}",
        "HostKey": folder / "host_key",
        "AuthorizedKeysFile": folder / "authorized_keys",
        "PidFile": "none",
        "UsePAM": "no",
        "StrictModes": "no",
        "PasswordAuthentication": "no",
        "KbdInteractiveAuthentication": "no",
        "PermitRootLogin": "prohibit-password",
        "SetEnv": " ".join(f'{name}="{value}"' for name, value in environment.items()) or "TESTED=yes",
    }
    (folder / "config").write_text("".join(f"{name} {value}\n" for name, value in lines.items()))
    if os.geteuid() == 0:
        # The package leaves this to systemd.
        Path("/run/sshd").mkdir(exist_ok=True)
    with (folder / "log").open("wb") as log:
        command = [shutil.which("sshd", path="/usr/sbin:/sbin") or "sshd", "-D", "-e", "-f", str(folder / "config")]
        server = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
    try:
        _wait_for(server, port, folder / "log")
        yield Server(folder, port, folder / "key")
    finally:
        server.terminate()
        server.wait()


def free_port() -> int:
    """A port of loopback that nobody listens on now."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


def _wait_for(server: "subprocess.Popen[bytes]", port: int, log: Path) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < deadline and server.poll() is None:
        with socket.socket() as one:
            if one.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.02)
    raise AssertionError(f"sshd did not start: {log.read_text(errors='replace')}")
