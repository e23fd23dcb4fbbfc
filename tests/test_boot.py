"""HVM images come up, from NVMe disks, by BIOS and by UEFI; and so do kernels of one's own, PV too."""

import json
from pathlib import Path
from typing import Any

import pytest
from boots import OWN_KERNEL, PROVED, check_layout, own_kernel, proved_build, started, verdict
from breaks import BREAKS, Break, agrees, proved
from real_builds import RECIPE, ami_wizard, build, digest

from wizard.kernel.image import read_image

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def hvm(world: Path) -> dict[str, Any]:
    """The default image: HVM on x86_64, GPT, ext4; proved."""
    return proved_build(world, PROVED.format(name="boots"))


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


@pytest.mark.parametrize("what", [one for one in BREAKS if one.is_quick and one.way != "pv"], ids=lambda one: one.name)
def test_an_image_that_is_broken_on_purpose_does_not_come_up_and_is_told_why(
    what: Break, hvm: dict[str, Any], in_world: Path, tmp_path: Path
) -> None:
    image = Path(hvm["image"])
    before = digest(image)
    proof = proved(image, what, tmp_path)
    assert agrees(proof, what), f"{proof.explanation}\n{proof.console.read_text(errors='replace')[-1500:]}"
    assert digest(image) == before


def test_a_kernel_of_ones_own_with_its_modules_starts_to_a_login_prompt(hvm: dict[str, Any], world: Path) -> None:
    folder, release = own_kernel(world)
    text = RECIPE.format(name="own-kernel") + OWN_KERNEL.format(release=release)
    made = build(folder, text, "--until", "image", home=world)
    seen = started(Path(made["image"]), "bios", world)
    assert seen.verdict.came_up, seen.console[-1500:]


def test_a_kernel_that_pv_grub_cannot_unpack_is_packed_again_and_starts_under_xen(
    hvm: dict[str, Any], in_world: Path, tmp_path: Path
) -> None:
    """Packed with lz4 as Debian ships it, PV-GRUB stops; the plan's own step cures it.  (GRUB for Xen stands in.)"""
    folder, release = own_kernel(in_world)
    pv = f'{RECIPE.format(name="own-pv")}virtualization = "paravirtual"\n{OWN_KERNEL.format(release=release)}'
    made = build(folder, pv, "--until", "image", home=in_world)
    seen = started(Path(made["image"]), "pv", tmp_path)
    assert seen.verdict.came_up, f"{seen.verdict}\n{seen.console[-1500:]}"
    assert kernel_of(folder / f"boot/vmlinuz-{release}") == "lz4"
    assert kernel_of(Path(made["image"])) == "gzip"


def kernel_of(path: Path) -> str:
    """How a kernel is packed, or the one in an image."""
    if path.suffix != ".img":
        return read_image(path).compression
    found: dict[str, str] = json.loads(ami_wizard("inspect", str(path), "--json").stdout)["kernel"]
    return found["compression"]


@pytest.mark.parametrize(
    ("layout", "way", "signs"),
    [
        ("gpt-xfs", "uefi", ["Finished .*restore-uncarried"]),
        ("gpt-split-swap", "bios", ["Mounted .*var.mount", "Mounted .*home.mount", "Adding .* swap on"]),
    ],
    ids=["gpt-xfs-uefi", "gpt-split-swap-bios"],
)
def test_another_layout_starts_to_a_login_prompt(
    layout: str, way: str, signs: list[str], in_world: Path, tmp_path: Path
) -> None:
    """A choice in which every file system, table and loader is once; `make matrix` boots all there are."""
    check_layout(in_world, tmp_path, layout, "hvm", way, [], signs)
