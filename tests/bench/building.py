"""A Debian image by ours, its packages fetched before, beside plain mmdebstrap into a folder and mkfs of that."""

import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from wizard import host

RUNS = 3
RECIPE = 'name = "bench"\nprove = false\n[target]\nregion = "us-east-1"\narch = "x86_64"\n'
IMAGE_GIB = 2


def main() -> None:
    """Prints the best of several runs of each, which take turns."""
    with tempfile.TemporaryDirectory(prefix="ami-wizard-bench-") as folder:
        home = Path(folder)
        recipe = home / "recipe.toml"
        recipe.write_text(RECIPE)
        packages = _packages(recipe)
        # The first fills the cache of packages, from which both take them.
        _ours(home, recipe)
        times = [(_ours(home, recipe), _plain(home, packages)) for _ in range(RUNS)]
    ours, plain = (min(figures) for figures in zip(*times, strict=True))
    print(f"Debian image: ours {ours:.1f} s, mmdebstrap and mke2fs {plain:.1f} s, {ours / plain:.2f} times as long")


def _packages(recipe: Path) -> str:
    """What our plan installs, with commas between."""
    said = subprocess.run(
        [sys.executable, "-m", "wizard", "plan", str(recipe), "--json"], capture_output=True, text=True, check=True
    ).stdout
    found = re.search(r"--include=([^\s\\\"]+)", said)
    assert found, "the plan names no packages"
    return found[1]


def _ours(home: Path, recipe: Path) -> float:
    """Seconds from the command to the image and its checksum, with nothing kept but packages."""
    for name in ("builds", "results"):
        shutil.rmtree(home / "wizard" / name, ignore_errors=True)
    command = [sys.executable, "-m", "wizard", "build", str(recipe), "--practice", "--until", "image", "--json"]
    return _seconds(command, AMI_WIZARD_HOME=str(home / "wizard"))


def _plain(home: Path, packages: str) -> float:
    """Seconds of the two commands that one would type."""
    root, image, cache = home / "root", home / "plain.img", home / "wizard/downloads/apt/debian-bookworm-amd64"
    shutil.rmtree(root, ignore_errors=True)
    image.unlink(missing_ok=True)
    install = [
        *("mmdebstrap", "--variant=minbase", f"--include={packages}", "--skip=download/empty"),
        *("--setup-hook=mkdir -p $1/var/cache/apt/archives", f"--setup-hook=sync-in {cache} /var/cache/apt/archives"),
        *("bookworm", str(root)),
    ]
    make = ["mke2fs", "-q", "-t", "ext4", "-d", str(root), str(image), f"{IMAGE_GIB}G"]
    return _seconds(install) + _seconds(make)


def _seconds(command: list[str], **environment: str) -> float:
    started = time.monotonic()
    done = subprocess.run(
        command,
        env={**os.environ, "PATH": host.SEARCH_PATH, **environment},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return time.monotonic() - started
