"""Gentoo: a stage of the same form as its own, signed with a key of the test's."""

import gzip
import os
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from kernels import RELEASE, bzimage, elf, tar
from miniature.contents import File, Folder
from miniature.mirror import EPOCH, run, served, text, unpacked
from miniature.published import Signer, archive, shell, signer

from wizard.distro import gentoo
from wizard.distro.userland import UserKernel, Userland, userland
from wizard.explain import Failure
from wizard.recipe import Recipe, problems_of

STAGE = "20260701T170105Z/stage3-amd64-systemd-20260701T170105Z.tar.xz"
LATEST = f"# Latest as of Wed, 01 Jul 2026 18:00:00 +0000\n# ts=1782928800\n{STAGE} 287654321\n"


@dataclass(frozen=True, slots=True)
class World:
    mirror: Path
    address: str
    signer: Signer

    @property
    def builds(self) -> Path:
        return self.mirror / "releases/amd64/autobuilds"


@pytest.fixture
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    folder = tmp_path_factory.mktemp("gentoo")
    key = signer(folder / "gpg")
    made = World(folder / "mirror", "", key)
    files = {**shell(), "dev": Folder(), "etc": Folder(), "etc/gentoo-release": File(b"Gentoo\n"), "lib": Folder()}
    key.sign(archive(made.builds / STAGE, files, "xz"))
    key.clearsign(made.builds / "latest-stage3-amd64-systemd.txt", LATEST)
    key.export(made.mirror / "keys")
    with served(made.mirror) as mirror:
        yield replace(made, address=mirror.address)


def wanted(world: World, kernel: UserKernel | None) -> Userland:
    distro = {"name": "gentoo", "mirror": world.address}
    target = {"region": "us-east-1", "arch": "x86_64"}
    recipe = Recipe.model_validate({"name": "gentoo", "target": target, "distro": distro})
    made = userland(recipe, ["ext4"], kernel, EPOCH)
    key = {"address": f"{world.address}/keys", "fingerprint": world.signer.fingerprint}
    own = {**made.distro.own, "keys": {"all": [key]}}
    return replace(made, distro=replace(made.distro, own=own))


def made(world: World, folder: Path) -> None:
    (folder / "kernel").mkdir()
    image = bzimage(gzip.compress(elf()))
    files = {f"boot/vmlinuz-{RELEASE}": image, f"usr/lib/modules/{RELEASE}/modules.builtin": b""}
    (folder / "kernel/kernel.tar").write_bytes(tar(files))
    run(gentoo.bootstrap_step(wanted(world, UserKernel(RELEASE, False)), {}), folder, folder / "downloads")


needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="other families' tests show that no root is needed")


@needs_root
def test_the_newest_stage_becomes_a_root_with_the_users_kernel(world: World, tmp_path: Path) -> None:
    made(world, tmp_path)
    files = unpacked(tmp_path)
    assert text(tmp_path, "etc/gentoo-release") == "Gentoo\n"
    assert files["boot/vmlinuz"].linkname == f"vmlinuz-{RELEASE}"
    assert f"lib/modules/{RELEASE}/modules.dep" in files


@needs_root
@pytest.mark.parametrize("wrong", ["the stage", "which is the newest"], ids=["stage", "newest"])
def test_what_has_no_good_signature_is_not_used(wrong: str, world: World, tmp_path: Path) -> None:
    if wrong == "the stage":
        path = world.builds / STAGE
        path.write_bytes(path.read_bytes() + b"\0")
    else:
        path = world.builds / "latest-stage3-amd64-systemd.txt"
        path.write_text(path.read_text().replace("20260701", "20200101"))
    with pytest.raises(Failure, match="bad-archive-signature"):
        made(world, tmp_path)
    assert not (tmp_path / "bootstrap/root.tar").exists()


@needs_root
def test_a_list_of_the_newest_without_a_signature_is_not_used(world: World, tmp_path: Path) -> None:
    (world.builds / "latest-stage3-amd64-systemd.txt").write_text(LATEST)
    with pytest.raises(Failure, match="bad-archive-signature"):
        made(world, tmp_path)


@needs_root
def test_what_stands_beside_the_signed_text_does_not_count(world: World, tmp_path: Path) -> None:
    path = world.builds / "latest-stage3-amd64-systemd.txt"
    path.write_text(f"{STAGE.replace('2026', '2020')} 1\n{path.read_text()}")
    made(world, tmp_path)
    assert [one.name for one in (tmp_path / "downloads/gentoo").glob("*.xz")] == [STAGE.rpartition("/")[2]]


def test_a_stage_needs_a_kernel_that_finds_its_root_by_itself(world: World) -> None:
    with pytest.raises(Failure, match="stage-needs-a-kernel"):
        gentoo.bootstrap_step(wanted(world, None), {})
    with pytest.raises(Failure, match="stage-makes-no-initramfs"):
        gentoo.bootstrap_step(wanted(world, UserKernel(RELEASE, True)), {})


def test_the_recipe_is_told_so_before() -> None:
    answers = {"name": "gentoo", "target": {"region": "us-east-1", "arch": "x86_64"}}
    found = list(problems_of({**answers, "distro": {"name": "gentoo", "packages": ["htop"]}}))
    assert [problem.place for problem in found] == ["distro.packages", "kernel.source"]
