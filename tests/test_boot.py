"""The images come up: in machines like EC2's, started as EC2 starts them."""

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from breaks import BREAKS, Break, agrees, proved
from real_builds import CLASSIC, RECIPE, ami_wizard, build, digest, recipe_file

from wizard.boot.lab import machine
from wizard.boot.lab.bundle import xen_bundle
from wizard.boot.lab.run import Boot, boot
from wizard.boot.proof.image import is_bare

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def hvm(world: Path) -> dict[str, Any]:
    """The default image: HVM on x86_64, GPT, ext4; proved."""
    return proved_build(world, PROVED.format(name="boots"))


@pytest.fixture(scope="module")
def classic(world: Path) -> dict[str, Any]:
    """The image of 2011: paravirtual, ext3 /boot, btrfs root; proved."""
    return proved_build(world, CLASSIC.replace(UNPROVED, ""))


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


ATTEMPTS = 3
UNPROVED = "prove = false\n"
PROVED = RECIPE.replace(UNPROVED, "")


def verdict(world: Path, way: str) -> dict[str, Any]:
    """What the step that proved an image has left."""
    (path,) = world.glob(f"results/*/verdict-{way}.json")
    found: dict[str, Any] = json.loads(path.read_text())
    assert (path.parent / found["console"]).stat().st_size > 1000
    return found


@pytest.mark.parametrize("way", ["bios", "uefi"])
def test_the_image_starts_from_an_nvme_disk_takes_its_key_and_lets_us_in(
    hvm: dict[str, Any], way: str, world: Path
) -> None:
    """As on Nitro, by BIOS (SeaBIOS) and by UEFI (OVMF); the metadata service answers by version 2 alone."""
    seen = verdict(world, way)
    assert seen["came_up"] is True
    assert seen["root"]["device"].startswith("/dev/nvme0n1p")
    assert seen["root"]["filesystem"] == "ext4"
    assert "proof-units-failed" not in {finding["code"] for finding in seen["findings"]}


@pytest.mark.parametrize("what", [one for one in BREAKS if one.is_quick], ids=lambda one: one.name)
def test_an_image_that_is_broken_on_purpose_does_not_come_up_and_is_told_why(
    what: Break, hvm: dict[str, Any], classic: dict[str, Any], in_world: Path, tmp_path: Path
) -> None:
    image = Path((classic if what.way == "pv" else hvm)["image"])
    before = digest(image)
    proof = proved(image, what, tmp_path)
    assert agrees(proof, what), f"{proof.explanation}\n{proof.console.read_text(errors='replace')[-1500:]}"
    assert digest(image) == before


def started(image: Path, kind: str, folder: Path) -> Boot:
    """The image in a machine like EC2's ("bios", "uefi" or "pv"), until it asks for a login or has failed."""
    logs = machine.Logs(folder / f"{kind}-guest.log", folder / f"{kind}-lab.log")
    if kind == "pv":
        device = "xvda1" if is_bare(image) else "xvda"
        return boot(machine.paravirtual(xen_bundle(), image, logs, device=device), logs, until="login", timeout=400)
    variables = Path(shutil.copy(machine.OVMF_VARIABLES, folder / "vars.fd")) if kind == "uefi" else None
    return boot(machine.nvme(image, logs, uefi_variables=variables), logs, until="login", timeout=240)


OWN_KERNEL = """
[kernel]
source = "files"
image = "boot/vmlinuz-{release}"
config = "boot/config-{release}"
modules = "lib/modules/{release}"
"""


@pytest.fixture(scope="module")
def own(hvm: dict[str, Any], world: Path) -> tuple[Path, str]:
    """Debian's cloud kernel, taken out of its package as if one had built it, and its release."""
    package = next((world / "downloads").glob("linux-image-6*-cloud-amd64_*.deb"))
    folder = world / "own"
    subprocess.run(["dpkg-deb", "-x", package, folder], check=True)
    return folder, next((folder / "lib" / "modules").iterdir()).name


def test_a_kernel_of_ones_own_with_its_modules_starts_to_a_login_prompt(own: tuple[Path, str], world: Path) -> None:
    folder, release = own
    text = RECIPE.format(name="own-kernel") + OWN_KERNEL.format(release=release)
    made = build(folder, text, "--until", "image", home=world)
    seen = started(Path(made["image"]), "bios", world)
    assert seen.verdict.came_up, seen.console[-1500:]


def test_a_kernel_that_pv_grub_cannot_unpack_is_packed_again_and_starts_under_xen(
    own: tuple[Path, str], in_world: Path, tmp_path: Path
) -> None:
    """Packed with lz4 as Debian ships it, PV-GRUB stops; the plan's own step cures it.  (GRUB for Xen stands in.)"""
    folder, release = own
    pv = f'{RECIPE.format(name="own-pv")}virtualization = "paravirtual"\n{OWN_KERNEL.format(release=release)}'
    made = build(folder, pv, "--until", "image", home=in_world)
    seen = started(Path(made["image"]), "pv", tmp_path)
    assert seen.verdict.came_up, f"{seen.verdict}\n{seen.console[-1500:]}"
    left = build(
        folder, pv.replace("own-pv", "own-pv-as-it-is") + 'repack = "never"\n', "--until", "image", home=in_world
    )
    assert started(Path(left["image"]), "pv", tmp_path).verdict.came_up is False


def test_the_classic_of_2011_starts_under_xen_takes_its_key_and_lets_us_in(
    classic: dict[str, Any], world: Path
) -> None:
    """Paravirtual, ext3 /boot with menu.lst, btrfs root, Debian's kernel as it is packed (xz)."""
    seen = verdict(world, "pv")
    assert seen["came_up"] is True
    assert seen["root"]["filesystem"] == "btrfs"
    assert seen["pv_grub"]["problems"] == []
    assert "hd0 1.04" in seen["pv_grub"]["able"]


OF_A_LAYOUT = """
virtualization = "{virtualization}"
[disk]
layout = "{layout}"
[distro]
packages = {packages}
"""


@pytest.mark.parametrize(
    ("layout", "virtualization", "way", "packages", "signs"),
    [
        ("gpt-xfs", "hvm", "uefi", [], ["Finished .*restore-uncarried"]),
        ("gpt-split-swap", "hvm", "bios", [], ["Mounted .*var.mount", "Mounted .*home.mount", "Adding .* swap on"]),
        # The package is the classic's, so that they share one installation.
        ("unpartitioned-ext4", "paravirtual", "pv", ["btrfs-progs"], ["xvda1"]),
    ],
    ids=["gpt-xfs-uefi", "gpt-split-swap-bios", "unpartitioned-ext4-pv"],
)
def test_another_layout_starts_to_a_login_prompt(
    layout: str,
    virtualization: str,
    way: str,
    packages: list[str],
    signs: list[str],
    in_world: Path,
    tmp_path: Path,
) -> None:
    """A choice in which every file system, table and loader is once; `make matrix` boots all there are."""
    more = OF_A_LAYOUT.format(layout=layout, virtualization=virtualization, packages=json.dumps(packages))
    made = build(in_world, RECIPE.format(name=layout) + more, "--until", "image", home=in_world)
    seen = started(Path(made["image"]), way, tmp_path)
    assert seen.verdict.came_up, f"{seen.verdict}\n{seen.console[-1500:]}"
    for sign in signs:
        assert re.search(sign, seen.console), f"no {sign}\n{seen.console[-1500:]}"
