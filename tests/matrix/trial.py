"""One image built and one image booted, both by the real command."""

import json
import os
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from .cells import Cell

RECIPE = """\
name = "matrix-{layout}-{virtualization}"
prove = false
[target]
region = "us-east-1"
arch = "x86_64"
virtualization = "{virtualization}"
[disk]
layout = "{layout}"
[distro]
packages = ["iputils-ping"]
"""
"""With a program that has file capabilities, which not every maker carries."""


@dataclass(frozen=True, slots=True)
class Image:
    """A built image: how long its assembly took, and how large it is."""

    path: Path
    seconds: float
    gib: int
    stored_mib: int


def built(cell: Cell) -> Image:
    """The cell's image.  Raises RuntimeError with what the build said last."""
    with tempfile.TemporaryDirectory() as folder:
        recipe = Path(folder) / "recipe.toml"
        recipe.write_text(RECIPE.format(layout=cell.layout, virtualization=cell.virtualization))
        command = [sys.executable, "-m", "wizard", "build", str(recipe), "--practice", "--json", "--until", "image"]
        done = subprocess.run(command, capture_output=True, text=True, stdin=subprocess.DEVNULL)
    events = [json.loads(line) for line in done.stdout.splitlines()]
    if done.returncode:
        raise RuntimeError(done.stdout[-2000:] + done.stderr[-2000:])
    took = [event["seconds"] for event in events if event.get("step") == "image" and "seconds" in event]
    path = Path(events[-1]["image"])
    status = path.stat()
    return Image(path, took[-1], status.st_size >> 30, status.st_blocks * 512 >> 20)


def booted(cell: Cell, image: Path) -> tuple[bool | None, str, float]:
    """Whether it was proved to come up (None: could not tell), what was wrong, and after how many seconds.

    Raises RuntimeError where there was no proof at all.
    """
    command = [sys.executable, "-m", "wizard", "prove", str(image), "--as", cell.way, "--json"]
    done = subprocess.run(command, capture_output=True, text=True, stdin=subprocess.DEVNULL)
    proof = json.loads(done.stdout or "{}")
    if "came_up" not in proof:
        raise RuntimeError(done.stdout[-2000:] + done.stderr[-2000:])
    wrong = [proof["explanation"], *proof.get("findings", ())]
    came_up = {"unknown": None}.get(proof["came_up"], proof["came_up"])
    return came_up, ", ".join(one["code"] for one in wrong if one), float(proof["seconds"])


def remove(image: Path) -> None:
    """Makes room: the result is made again when somebody wants it."""
    shutil.rmtree(image.parent)


def load() -> str:
    """How busy the machine is, beside what it runs on: times are only worth something together with that."""
    return f"{os.cpu_count()} CPUs, load {os.getloadavg()[1]:.0f}"
