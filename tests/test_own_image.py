"""A disk that no preset describes is made as the recipe says."""

from pathlib import Path

import pytest
from read_image import MIB, cut_out, out, partitions
from test_image import SMALL_USERLAND, run

from wizard.plan.actions import Run
from wizard.plan.build import Occasion, plan
from wizard.plan.defaults import layout_of
from wizard.plan.steps import Plan, Step
from wizard.recipe import from_answers

pytestmark = pytest.mark.slow

DISK = {
    "size_gib": 2,
    "table": "gpt",
    "partitions": [
        {"number": 7, "filesystem": "vfat", "mount": "/boot/efi", "size_mib": 40},
        {"filesystem": "ext2", "mount": "/boot", "size_mib": 49, "label": "kernels"},
        {"filesystem": "swap", "size_mib": 65},
        {"filesystem": "xfs", "mount": "/srv", "size_mib": 300},
        {"number": 1, "filesystem": "ext4", "mount": "/", "options": "noatime"},
    ],
}


def test_an_image_has_the_partitions_of_the_recipe_and_a_table_that_is_whole(tmp_path: Path) -> None:
    """It starts by UEFI alone: on such a GPT there is no place for GRUB's sectors, and none are written."""
    recipe = from_answers(
        {
            "name": "own-disk",
            "target": {"region": "us-east-1", "arch": "x86_64", "boot_mode": "uefi"},
            "disk": DISK,
        }
    )
    real = plan(recipe, Occasion("test", "2026-01-01")).until("image")
    userland = Step("bootstrap", "small", "a test", (Run(SMALL_USERLAND),))
    image = run(
        Plan("test", tuple(userland if one.id == "bootstrap" else one for one in real.steps), real.epoch), tmp_path
    )
    layout = layout_of(recipe.target, recipe.disk)
    assert "No errors detected" in out("sfdisk", "--verify", str(image))
    found = {one["name"]: one for one in partitions(image)}
    assert set(found) == {"esp", "boot", "swap", "srv", "root"}
    for part in layout.partitions:
        told = found[part.name]
        assert str(told["node"]).endswith(f"img{part.number}")
        assert told["start"] == part.start_mib * MIB // 512
        assert part.size_mib in (None, int(told["size"]) * 512 // MIB)
        kind = out("blkid", "-p", "-o", "value", "-s", "TYPE", str(cut_out(image, part, layout, tmp_path)))
        assert kind.strip() == part.filesystem
    assert out("blkid", "-p", "-o", "value", "-s", "LABEL", str(tmp_path / "boot")).strip() == "kernels"
    assert "vmlinuz-1" in out("debugfs", "-R", "ls -p /", str(tmp_path / "boot"))
