"""What pacman is told, without running it."""

from pathlib import Path

import pytest

from wizard.distro import distros, pacman
from wizard.distro.userland import UserKernel, Userland, userland
from wizard.plan.actions import Run, Write
from wizard.recipe import Recipe

EPOCH = 1686355200
OWN = distros.load("arch").own


def wanted(kernel: UserKernel | None = None, **distro: object) -> Userland:
    recipe = Recipe.model_validate(
        {
            "name": "arch",
            "target": {"region": "us-east-1", "arch": "x86_64"},
            "distro": {"name": "arch", "release": "rolling", **distro},
        }
    )
    return userland(recipe, ["ext4"], kernel, EPOCH)


def commands(asked: Userland) -> str:
    return "\n".join(action.command for action in pacman.bootstrap_step(asked, {}).actions if isinstance(action, Run))


def test_every_package_must_be_signed_and_nothing_of_this_machines_pacman_is_read() -> None:
    told = pacman.config(wanted())
    assert "SigLevel = Required DatabaseOptional TrustedOnly\n" in told
    assert "Include" not in told
    assert "HookDir = bootstrap/root/" in told
    for line in commands(wanted()).splitlines():
        if line.strip().startswith("pacman "):
            assert '--config bootstrap/pacman.conf --gpgdir "$GNUPGHOME"' in line


def test_the_archive_of_a_day_is_a_mirror_like_any_other() -> None:
    day = "https://archive.archlinux.org/repos/2024/05/01"
    assert pacman.config(wanted(mirror=day)).count(f"Server = {day}/$repo/os/$arch\n") == 2


@pytest.mark.parametrize(
    ("mirrorlist", "servers"),
    [
        ("# nothing\n", ["https://geo.mirror.pkgbuild.com/$repo/os/$arch"]),
        ("Server = http://near.example/$repo/os/$arch\n", ["http://near.example/$repo/os/$arch"]),
        ("#Server = http://off.example/$repo/os/$arch\n", ["https://geo.mirror.pkgbuild.com/$repo/os/$arch"]),
        # Arch Linux ARM's: another distribution with other keys.
        ("Server = http://arm.example/$arch/$repo\n", ["https://geo.mirror.pkgbuild.com/$repo/os/$arch"]),
    ],
)
def test_a_machine_that_runs_arch_lends_its_own_mirrors(tmp_path: Path, mirrorlist: str, servers: list[str]) -> None:
    (tmp_path / "mirrorlist").write_text(mirrorlist)
    assert pacman.servers(None, OWN, tmp_path / "mirrorlist") == servers


def test_the_users_kernel_has_a_preset_so_that_upgrades_of_mkinitcpio_make_its_initramfs_anew() -> None:
    step = pacman.bootstrap_step(wanted(UserKernel("6.1.0", has_initramfs=True)), {})
    (preset,) = [one.text for one in step.actions if isinstance(one, Write) and one.path.endswith(".preset")]
    assert preset.splitlines()[0] == 'ALL_kver="6.1.0"'
    assert "linux" not in step_packages(wanted(UserKernel("6.1.0", has_initramfs=True)))
    assert step.needs == ("kernel",)


def test_a_kernel_that_needs_no_initramfs_brings_no_tool_for_one() -> None:
    asked = wanted(UserKernel("6.1.0", has_initramfs=False))
    assert "mkinitcpio" not in step_packages(asked)
    assert "mkinitcpio" not in commands(asked)
    assert "initrd.img" not in commands(asked)


def step_packages(asked: Userland) -> list[str]:
    """What the installing line names."""
    line = next(line for line in commands(asked).splitlines() if line.startswith("into bootstrap/root -S "))
    return line.split()[3:]
