"""How far away the regions are, so that the near ones can be offered first."""

import contextlib
import datetime
import json
import socket
import time
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from wizard import folders
from wizard.files import write_atomically
from wizard.targets.regions import Region

SUFFIX = {"aws": "amazonaws.com", "aws-us-gov": "amazonaws.com", "aws-cn": "amazonaws.com.cn"}
"""Of the hosts of EC2, by partition.  Source: botocore's endpoints.json, `dnsSuffix`."""

PATIENCE_SECONDS = 2.0
THREADS = 16
FRESH_DAYS = 7

Probe = Callable[[str], float]
"""Seconds that it takes to reach a host.  Raises OSError when it cannot be reached."""


def connect(host: str) -> float:
    """The time of one TCP handshake with the host's port 443, without looking up its name; nothing is sent."""
    family, kind, proto, _, address = socket.getaddrinfo(host, 443, type=socket.SOCK_STREAM)[0]
    with socket.socket(family, kind, proto) as line:
        line.settimeout(PATIENCE_SECONDS)
        started = time.monotonic()
        line.connect(address)
        return time.monotonic() - started


def measure(among: Iterable[Region], probe: Probe = connect) -> dict[str, int]:
    """Milliseconds to each region that answers, and keeps them for `measured`."""

    def look(region: Region) -> tuple[str, int | None]:
        try:
            return region.name, round(probe(f"ec2.{region.name}.{SUFFIX[region.partition]}") * 1000)
        except OSError:
            return region.name, None

    with ThreadPoolExecutor(THREADS) as pool:
        found = {name: taken for name, taken in pool.map(look, among) if taken is not None}
    if found:
        with contextlib.suppress(OSError):
            _path().parent.mkdir(parents=True, exist_ok=True)
            write_atomically(_path(), json.dumps({"measured": _now().isoformat(), "milliseconds": found}))
    return found


def measured() -> Mapping[str, int]:
    """Milliseconds by region as they were last measured; none when that is more than a week ago."""
    try:
        kept = json.loads(_path().read_text(encoding="utf-8"))
        age = _now() - datetime.datetime.fromisoformat(kept["measured"])
        found = {str(name): int(taken) for name, taken in kept["milliseconds"].items()}
    except (OSError, ValueError, TypeError, KeyError, AttributeError):
        return {}
    return found if age < datetime.timedelta(days=FRESH_DAYS) else {}


def _now() -> datetime.datetime:
    return datetime.datetime.now(datetime.UTC)


def _path() -> Path:
    return folders.answers() / "latency.json"
