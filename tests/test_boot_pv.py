"""Paravirtual images come up under a real Xen, their menu.lst read the way PV-GRUB reads it."""

from pathlib import Path
from typing import Any

import pytest
from boots import UNPROVED, check_layout, proved_build, verdict
from breaks import BREAKS, Break, agrees, proved
from real_builds import CLASSIC, digest

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def classic(world: Path) -> dict[str, Any]:
    """The image of 2011: paravirtual, ext3 /boot, btrfs root; proved."""
    return proved_build(world, CLASSIC.replace(UNPROVED, ""))


def test_the_classic_of_2011_starts_under_xen_takes_its_key_and_lets_us_in(
    classic: dict[str, Any], world: Path
) -> None:
    """Paravirtual, ext3 /boot with menu.lst, btrfs root, Debian's kernel as it is packed (xz)."""
    seen = verdict(world, "pv")
    assert seen["came_up"] is True
    assert seen["root"]["filesystem"] == "btrfs"
    assert seen["pv_grub"]["problems"] == []
    assert "hd0 1.04" in seen["pv_grub"]["able"]


@pytest.mark.parametrize("what", [one for one in BREAKS if one.is_quick and one.way == "pv"], ids=lambda one: one.name)
def test_an_image_that_is_broken_on_purpose_does_not_come_up_and_is_told_why(
    what: Break, classic: dict[str, Any], in_world: Path, tmp_path: Path
) -> None:
    image = Path(classic["image"])
    before = digest(image)
    proof = proved(image, what, tmp_path)
    assert agrees(proof, what), f"{proof.explanation}\n{proof.console.read_text(errors='replace')[-1500:]}"
    assert digest(image) == before


def test_a_disk_without_a_partition_table_starts_to_a_login_prompt(in_world: Path, tmp_path: Path) -> None:
    """The package is the classic's, so that they share one installation."""
    check_layout(in_world, tmp_path, "unpartitioned-ext4", "paravirtual", "pv", ["btrfs-progs"], ["xvda1"])
