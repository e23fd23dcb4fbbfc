"""Uploads side by side: ours and other tools', to one practice cloud, by the commands that people use."""

import hashlib
import http.client
import json
import os
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from wizard.cloud.practice.faults import wish
from wizard.cloud.practice.process import HEALTH, practice_cloud

MIB = 1 << 20
BLOCK = 512 << 10
OURS = f"{shlex.quote(sys.executable)} -m wizard upload {{image}} --region us-east-1 --json"
MODELS = ("delay=0", "delay=20", "delay=100", "delay=20,rate", "delay=20,throttle")
LIMIT_SECONDS = 400
RUNS = 3


@dataclass(frozen=True, slots=True)
class Run:
    """One upload.  `seconds`: until the last block was taken, as not every tool waits for the snapshot."""

    puts: int
    refused: int
    wire_mib: int
    seconds: float
    cpu_seconds: float
    peak_mib: int
    ended: str


def main(peers: Mapping[str, str], models: Sequence[str] = MODELS, runs: int = RUNS) -> None:
    """Prints a table: the best of several runs of each tool, the tools taking turns."""
    tools = {"ami-wizard": OURS, **peers}
    print("| image | cloud | tool | blocks | refused | MiB sent | s | CPU s | peak MiB | ended |")
    print("| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |", flush=True)
    with tempfile.TemporaryDirectory(prefix="ami-wizard-bench-") as folder:
        home = Path(folder)
        for name, image in _images(home):
            for model in models:
                for tool, run in _best(home, image, model, tools, runs).items():
                    _print(name, model, tool, run)
            for tool, command in tools.items():
                _print(name, "delay=20, killed at half", tool, _killed_at_half(home, image, command))
            image.unlink()


def _print(image: str, model: str, tool: str, run: Run) -> None:
    figures = f"{run.seconds:.1f} | {run.cpu_seconds:.1f} | {run.peak_mib}"
    print(f"| {image} | {model} | {tool} | {run.puts} | {run.refused} | {run.wire_mib} | {figures} | {run.ended} |")
    sys.stdout.flush()


def _images(home: Path) -> Iterator[tuple[str, Path]]:
    """1 GiB of data in pieces with 512 MiB of written zeros in 8 GiB; and 1 GiB without a gap."""
    sparse = home / "sparse.img"
    with sparse.open("wb") as file:
        for piece in range(64):
            file.seek(piece * 128 * MIB)
            file.write(_noise(piece, 16 * MIB))
            file.write(bytes(8 * MIB))
        file.truncate(8192 * MIB)
    yield "sparse, 1 of 8 GiB", sparse
    dense = home / "dense.img"
    with dense.open("wb") as file:
        for piece in range(64):
            file.write(_noise(piece, 16 * MIB))
    yield "dense, 1 GiB", dense


def _noise(seed: int, size: int) -> bytes:
    """Bytes without a pattern, the same in every run."""
    return hashlib.shake_128(seed.to_bytes(4)).digest(size)


def _best(home: Path, image: Path, model: str, tools: Mapping[str, str], runs: int) -> dict[str, Run]:
    found: dict[str, list[Run]] = {tool: [] for tool in tools}
    for _ in range(runs):
        for tool, command in tools.items():
            with _cloud(home, model) as endpoint:
                found[tool].append(_once(home, endpoint, command, image))
    return {tool: min(all_of, key=lambda run: (run.ended != "well", run.seconds)) for tool, all_of in found.items()}


@contextmanager
def _cloud(home: Path, model: str) -> Iterator[str]:
    """A practice cloud that nobody used yet; gives its address."""
    folder = Path(tempfile.mkdtemp(dir=home))
    wish(folder, model)
    shutil.rmtree(home / "wizard", ignore_errors=True)
    with practice_cloud(folder) as endpoint:
        yield endpoint
    # Its server looks once a second whether anybody is left.
    time.sleep(2.5)
    shutil.rmtree(folder)


def _start(home: Path, endpoint: str, command: str, image: Path) -> "subprocess.Popen[bytes]":
    environment = {
        **os.environ,
        "AMI_WIZARD_HOME": str(home / "wizard"),
        "AWS_ENDPOINT_URL": endpoint,
        "AWS_ACCESS_KEY_ID": "practice",
        "AWS_SECRET_ACCESS_KEY": "practice",
        "AWS_REGION": "us-east-1",
        "AWS_DEFAULT_REGION": "us-east-1",
    }
    words = [word.replace("{image}", str(image)) for word in shlex.split(command)]
    with (home / "said").open("wb") as said:
        return subprocess.Popen(
            words, stdin=subprocess.DEVNULL, stdout=said, stderr=said, env=environment, start_new_session=True
        )


def _once(home: Path, endpoint: str, command: str, image: Path) -> Run:
    started = time.monotonic()
    process = _start(home, endpoint, command, image)
    status, usage = _wait(process)
    counts = _counts(endpoint)
    ended = f"stopped after {LIMIT_SECONDS} s" if status is None else "well" if status == 0 else f"with {status}"
    return Run(
        counts["puts"],
        counts["refused"],
        counts["body_bytes"] // MIB,
        counts["last_put"] - started,
        usage.ru_utime + usage.ru_stime,
        usage.ru_maxrss // 1024,
        ended,
    )


def _wait(process: "subprocess.Popen[bytes]") -> tuple[int | None, Any]:
    """Exit status (None: it had to be killed) and what it used."""
    deadline, killed = time.monotonic() + LIMIT_SECONDS, False
    while True:
        pid, status, usage = os.wait4(process.pid, os.WNOHANG)
        if pid:
            process.returncode = os.waitstatus_to_exitcode(status)
            return (None if killed else process.returncode), usage
        if not killed and time.monotonic() > deadline:
            os.killpg(process.pid, signal.SIGKILL)
            killed = True
        time.sleep(0.02)


def _killed_at_half(home: Path, image: Path, command: str) -> Run:
    """Killed when half of the blocks were taken, and started again: what comes of it in all."""
    half = sum(1 for _ in _data_blocks(image)) // 2
    with _cloud(home, "delay=20") as endpoint:
        first = _start(home, endpoint, command, image)
        while _counts(endpoint)["puts"] < half and first.poll() is None:
            time.sleep(0.02)
        # A tool that gives up by itself is gone before.
        with suppress(ProcessLookupError):
            os.killpg(first.pid, signal.SIGKILL)
        first.wait()
        return _once(home, endpoint, command, image)


def _data_blocks(image: Path) -> Iterator[int]:
    """The blocks that are not all zeros."""
    zeros = bytes(BLOCK)
    with image.open("rb") as file:
        for index in range(image.stat().st_size // BLOCK):
            if file.read(BLOCK) != zeros:
                yield index


def _counts(endpoint: str) -> dict[str, Any]:
    connection = http.client.HTTPConnection(endpoint.removeprefix("http://"), timeout=30)
    try:
        connection.request("GET", HEALTH)
        found: dict[str, Any] = json.loads(connection.getresponse().read())["traffic"]
    finally:
        connection.close()
    return found
