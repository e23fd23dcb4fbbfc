"""Real builds by the real command, for the long tests."""

import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

RECIPE = """\
name = "{name}"
prove = false
[target]
region = "us-east-1"
arch = "x86_64"
"""

CLASSIC = """\
name = "classic"
prove = false
[target]
region = "eu-west-1"
arch = "x86_64"
virtualization = "paravirtual"
[disk]
layout = "ext3-boot-btrfs-root"
size_gib = 2
"""


def ami_wizard(*arguments: str, home: Path | None = None) -> "subprocess.CompletedProcess[str]":
    environment = {**os.environ, **({"AMI_WIZARD_HOME": str(home)} if home else {})}
    command = [sys.executable, "-m", "wizard", *arguments]
    return subprocess.run(command, capture_output=True, text=True, env=environment, stdin=subprocess.DEVNULL)


def recipe_file(folder: Path, text: str) -> Path:
    path = folder / f"{hashlib.sha256(text.encode()).hexdigest()[:8]}.toml"
    path.write_text(text)
    return path


def build(folder: Path, text: str, *more: str, home: Path | None = None) -> dict[str, Any]:
    """Builds in practice; gives the last event."""
    done = ami_wizard("build", str(recipe_file(folder, text)), "--practice", "--json", *more, home=home)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    last: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    assert last["event"] == "finished"
    return last


def digest(path: Path) -> str:
    """SHA-256, as hex digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
