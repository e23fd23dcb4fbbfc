"""Images built and started as the long tests need them."""

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

from real_builds import RECIPE, ami_wizard, build, recipe_file

from wizard.boot.lab import machine
from wizard.boot.lab.bundle import xen_bundle
from wizard.boot.lab.run import Boot, boot
from wizard.boot.proof.image import is_bare

ATTEMPTS = 3
UNPROVED = "prove = false\n"
PROVED = RECIPE.replace(UNPROVED, "")


OWN_KERNEL = """
[kernel]
source = "files"
image = "boot/vmlinuz-{release}"
config = "boot/config-{release}"
modules = "lib/modules/{release}"
"""

OF_A_LAYOUT = """
virtualization = "{virtualization}"
[disk]
layout = "{layout}"
[distro]
packages = {packages}
"""


def proved_build(world: Path, text: str) -> dict[str, Any]:
    """A build up to its proof, gone on with where this machine was too busy to tell; gives the last event."""
    for _ in range(ATTEMPTS):
        recipe = str(recipe_file(world, text))
        done = ami_wizard("build", recipe, "--practice", "--json", "--until", "prove", home=world)
        last: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
        if last["event"] == "finished":
            return last
        assert last["explanation"]["code"] == "proof-too-slow", done.stderr[-3000:]
    raise AssertionError(f"too busy {ATTEMPTS} times")


def verdict(world: Path, way: str) -> dict[str, Any]:
    """What the step that proved an image has left."""
    (path,) = world.glob(f"results/*/verdict-{way}.json")
    found: dict[str, Any] = json.loads(path.read_text())
    assert (path.parent / found["console"]).stat().st_size > 1000
    return found


def started(image: Path, kind: str, folder: Path) -> Boot:
    """The image in a machine like EC2's ("bios", "uefi" or "pv"), until it asks for a login or has failed."""
    logs = machine.Logs(folder / f"{kind}-guest.log", folder / f"{kind}-lab.log")
    if kind == "pv":
        device = "xvda1" if is_bare(image) else "xvda"
        return boot(machine.paravirtual(xen_bundle(), image, logs, device=device), logs, until="login", timeout=400)
    variables = Path(shutil.copy(machine.OVMF_VARIABLES, folder / "vars.fd")) if kind == "uefi" else None
    return boot(machine.nvme(image, logs, uefi_variables=variables), logs, until="login", timeout=240)


def own_kernel(world: Path) -> tuple[Path, str]:
    """Debian's cloud kernel, taken out of its package as if one had built it, and its release."""
    package = next((world / "downloads").rglob("linux-image-6*-cloud-amd64_*.deb"))
    folder = world / "own"
    subprocess.run(["dpkg-deb", "-x", package, folder], check=True)
    return folder, next((folder / "lib" / "modules").iterdir()).name


def check_layout(
    world: Path, folder: Path, layout: str, virtualization: str, way: str, packages: list[str], signs: list[str]
) -> None:
    """Builds an image of that layout and starts it: it asks for a login, and its console shows the signs."""
    more = OF_A_LAYOUT.format(layout=layout, virtualization=virtualization, packages=json.dumps(packages))
    made = build(world, RECIPE.format(name=layout) + more, "--until", "image", home=world)
    seen = started(Path(made["image"]), way, folder)
    assert seen.verdict.came_up, f"{seen.verdict}\n{seen.console[-1500:]}"
    for sign in signs:
        assert re.search(sign, seen.console), f"no {sign}\n{seen.console[-1500:]}"
