"""How long it takes to start and to audit."""

import hashlib
import os
import pty
import select
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from wizard import presets

RUNS = 7
WIZARD = [sys.executable, "-m", "wizard"]


def main() -> None:
    """Prints one line a figure: minimum, median and maximum of several runs."""
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        os.environ["AMI_WIZARD_HOME"] = folder
        for name, command in _commands(home).items():
            report(name, lambda command=command: _seconds(command))  # type: ignore[misc]
        _audit_alone(home / "config")
        report("first paint", _first_paint)


def _commands(folder: Path) -> dict[str, list[str]]:
    """Ours, and of the other kernel checkers those that are on this machine's PATH."""
    config, image = _long_config(folder), _kernel_with_config(folder)
    commands = {
        "--version": [*WIZARD, "--version"],
        "--help": [*WIZARD, "--help"],
        "akis --json": [*WIZARD, "akis", "--json"],
        "audit, 12,000 lines": [*WIZARD, "audit", str(config)],
        "audit, IKCONFIG image": [*WIZARD, "audit", str(image)],
    }
    if shutil.which("check-config.sh"):
        commands["moby check-config.sh"] = ["check-config.sh", str(config)]
    if shutil.which("kernel-hardening-checker"):
        commands["kernel-hardening-checker"] = ["kernel-hardening-checker", "-c", str(config)]
    return commands


def _audit_alone(path: Path) -> None:
    """Reading and judging in a process that is warm, as a screen does it at every change of the file."""
    from wizard.kernel.judge import judge

    def once() -> float:
        started = time.perf_counter()
        judge(path)
        return time.perf_counter() - started

    once()
    report("the audit itself", once)


def _kernel_with_config(folder: Path) -> Path:
    """A zstd bzImage of 24 MiB, as large as Debian's, with a config inside."""
    from kernels import PACKINGS, bzimage, elf

    filling = b"".join(hashlib.sha256(str(number).encode()).digest() * 4 for number in range(200_000))
    path = folder / "bzImage"
    path.write_bytes(bzimage(PACKINGS["zstd"](elf(config=(folder / "config").read_text()) + filling)))
    return path


def report(name: str, measure: Callable[[], float]) -> None:
    """Several runs of one measurement, in milliseconds."""
    figures = sorted(measure() * 1000 for _ in range(RUNS))
    print(f"{name:25} min {figures[0]:6.0f}  median {statistics.median(figures):6.0f}  max {figures[-1]:6.0f} ms")


def _seconds(command: list[str]) -> float:
    started = time.perf_counter()
    subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False)
    return time.perf_counter() - started


def _long_config(folder: Path) -> Path:
    """A recorded config, filled up to 12,000 lines."""
    recorded = (presets.ROOT / "kernel/configs/debian-bookworm-amd64.config").read_text(encoding="utf-8")
    lines = recorded.splitlines()
    lines += [f"CONFIG_FILLING_{number}=m" for number in range(12_000 - len(lines))]
    path = folder / "config"
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def _first_paint() -> float:
    """Seconds from the start of the process until the first screen stands in a terminal of 80 by 24."""
    started = time.perf_counter()
    pid, terminal = pty.fork()
    if pid == 0:
        os.environ.update(TERM="xterm-256color", COLUMNS="80", LINES="24")
        os.execv(sys.executable, [*WIZARD, "--practice"])
    said = b""
    while b"Welcome" not in said and time.perf_counter() - started < 20:
        if select.select([terminal], [], [], 0.1)[0]:
            said += os.read(terminal, 65536)
    taken = time.perf_counter() - started
    os.kill(pid, 9)
    os.waitpid(pid, 0)
    os.close(terminal)
    return taken
