"""Finds or starts the practice cloud's server.  Cheap to import: neither boto3 nor moto.

Whoever uses the cloud holds a shared lock on FOLDER/users.lock, and the server ends once it can lock that file
for itself alone.  The kernel drops a lock with its process, so no death of a user leaves a server behind.
"""

import fcntl
import http.client
import json
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import wizard
from wizard.explain import Failure

USERS_LOCK = "users.lock"
START_LOCK = "start.lock"
SERVER_FILE = "server.json"
SERVER_LOG = "server.log"
HEALTH = "/practice/health"

PATIENCE = 30.0
"""Seconds that a server may take to answer after its start."""

LOG_LINES = 20


@contextmanager
def practice_cloud(folder: Path) -> Iterator[str]:
    """Gives the endpoint URL of the practice cloud kept in `folder`; it is there until the context ends.

    Processes that name the same folder share one server.  Fails with practice-cloud-did-not-start.
    """
    folder = folder.resolve()
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / USERS_LOCK).open("a") as users:
        with (folder / START_LOCK).open("a") as starting:
            fcntl.flock(starting, fcntl.LOCK_EX)
            # A server that is just ending holds this alone: wait until it has gone.
            fcntl.flock(users, fcntl.LOCK_SH)
            port = _healthy_port(folder) or _start(folder)
        yield f"http://127.0.0.1:{port}"


def _start(folder: Path) -> int:
    """Starts a server of its own session, so that Ctrl-C in a terminal does not reach it; gives its port."""
    with (folder / SERVER_LOG).open("wb") as log:
        server = subprocess.Popen(
            [sys.executable, "-m", "wizard.cloud.practice", str(folder)],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            cwd=Path(wizard.__file__).parent.parent,
            start_new_session=True,
        )
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline and server.poll() is None:
        if port := _healthy_port(folder):
            return port
        time.sleep(0.02)
    server.kill()
    raise _did_not_start(folder, server.wait())


def _did_not_start(folder: Path, status: int) -> Failure:
    lines = (folder / SERVER_LOG).read_text(errors="replace").splitlines()[-LOG_LINES:]
    return Failure("practice-cloud-did-not-start", evidence=lines, log=folder / SERVER_LOG, status=status)


def _healthy_port(folder: Path) -> int | None:
    """The port of the server that answers for this folder; a port may have got another owner since."""
    try:
        port: int = json.loads((folder / SERVER_FILE).read_text())["port"]
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
        connection.request("GET", HEALTH)
        said = json.load(connection.getresponse())
    except (OSError, ValueError, http.client.HTTPException):
        return None
    return port if said == {**said, "folder": str(folder)} else None
