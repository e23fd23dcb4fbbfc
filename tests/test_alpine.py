"""Alpine: its archive, its signature and every check of them are real; its apk is a stand-in that notes what it hears.

No package of Debian or PyPI has the real apk.  It was tried by hand, on signed packages: 2.14.10 and 3.0.6.
"""

import os
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from miniature.contents import File, Folder
from miniature.mirror import EPOCH, run, served, text, unpacked
from miniature.published import Signer, archive, shell, signer

from wizard.distro import alpine, distros
from wizard.distro.userland import UserKernel, Userland, userland
from wizard.explain import Failure
from wizard.recipe import Recipe

MINIROOTFS = "v3.24/releases/x86_64/alpine-minirootfs-3.24.2-x86_64.tar.gz"

APK = b"""\
#!/bin/sh
echo "$*" >> /apk-was-told
[ -d /etc/apk/cache ] && [ -e /dev/null ] && [ -s /etc/apk/repositories ] || exit 1
touch /etc/apk/cache/fetched.apk
mkdir -p /boot
for name in "$@"; do case $name in linux-virt)
  echo kernel > /boot/vmlinuz-virt
  . /etc/mkinitfs/mkinitfs.conf
  echo "$features" > /boot/initramfs-virt ;;
esac; done
"""


@dataclass(frozen=True, slots=True)
class World:
    mirror: Path
    address: str
    signer: Signer


@pytest.fixture
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    folder = tmp_path_factory.mktemp("alpine")
    files = {
        **shell("mkdir", "touch"),
        "dev": Folder(),
        "etc": Folder(),
        "etc/apk": Folder(),
        "etc/shadow": File(b"root:*::0:::::\n", 0o640),
        "sbin": Folder(),
        "sbin/apk": File(APK, 0o755),
    }
    key = signer(folder / "gpg")
    key.export(folder / "mirror/key.asc")
    key.sign(archive(folder / "mirror" / MINIROOTFS, files))
    with served(folder / "mirror") as mirror:
        yield World(folder / "mirror", mirror.address, key)


def wanted(world: World, kernel: UserKernel | None = None) -> Userland:
    recipe = Recipe.model_validate(
        {
            "name": "alpine",
            "target": {"region": "us-east-1", "arch": "x86_64"},
            "distro": {"name": "alpine", "mirror": world.address, "packages": ["htop"]},
        }
    )
    made = userland(recipe, ["ext4"], kernel, EPOCH)
    key = {"address": f"{world.address}/key.asc", "fingerprint": world.signer.fingerprint}
    own = {**made.distro.own, "keys": {"all": [key]}}
    return replace(made, distro=replace(made.distro, own=own))


def made(asked: Userland, folder: Path) -> None:
    run(alpine.bootstrap_step(asked, {}), folder, folder / "downloads")


needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="other families' tests show that no root is needed")


@needs_root
def test_the_signed_archive_becomes_a_root_that_its_own_apk_fills(world: World, tmp_path: Path) -> None:
    made(wanted(world), tmp_path)
    told = text(tmp_path, "apk-was-told").splitlines()
    assert told[0] == "--no-progress --update-cache upgrade"
    assert told[1].startswith("--no-progress add ")
    assert {"htop", "linux-virt", "mkinitfs", "openssh", "e2fsprogs"} <= set(told[1].split())
    files = unpacked(tmp_path)
    assert files["boot/vmlinuz"].linkname == "vmlinuz-virt"
    assert files["boot/initrd.img"].linkname == "initramfs-virt"
    assert "ec2" in text(tmp_path, "boot/initramfs-virt")
    assert text(tmp_path, "etc/apk/repositories").splitlines() == [
        f"{world.address}/v3.24/{n}" for n in ("main", "community")
    ]
    assert "etc/apk/cache" not in files
    assert "etc/resolv.conf" not in files


@needs_root
def test_what_was_fetched_once_is_not_fetched_again(world: World, tmp_path: Path) -> None:
    made(wanted(world), tmp_path)
    assert (tmp_path / "downloads/alpine/3.24-x86_64/packages/fetched.apk").exists()
    for path in world.mirror.rglob("*"):
        if path.is_file():
            path.unlink()
    made(wanted(world), tmp_path)


@needs_root
@pytest.mark.parametrize("wrong", ["altered", "another-key", "another-key-with-the-right-one-beside"])
def test_an_archive_without_the_right_signature_is_not_used(wrong: str, world: World, tmp_path: Path) -> None:
    path = world.mirror / MINIROOTFS
    if wrong == "altered":
        path.write_bytes(path.read_bytes() + b"\0")
    else:
        other = signer(tmp_path / "other")
        other.sign(path)
        other.export(tmp_path / "other.asc")
        right = (world.mirror / "key.asc").read_bytes() if "beside" in wrong else b""
        (world.mirror / "key.asc").write_bytes((tmp_path / "other.asc").read_bytes() + right)
    code = "not-the-key-of-the-distribution" if wrong == "another-key" else "bad-archive-signature"
    with pytest.raises(Failure, match=code):
        made(wanted(world), tmp_path)
    assert not (tmp_path / "bootstrap/root.tar").exists()
    assert not list((tmp_path / "downloads").rglob("*.tar.gz")), "next time it is fetched anew"


@needs_root
def test_a_release_that_the_mirror_lacks_is_explained(world: World, tmp_path: Path) -> None:
    (world.mirror / MINIROOTFS).unlink()
    with pytest.raises(Failure, match="no-such-file-on-mirror"):
        made(wanted(world), tmp_path)


@needs_root
def test_a_kernel_that_no_package_brought_is_missed_at_once(world: World, tmp_path: Path) -> None:
    with pytest.raises(Failure) as caught:
        made(replace(wanted(world), packages=("alpine-base",)), tmp_path)
    assert "there is no /boot/vmlinuz" in "\n".join(caught.value.evidence)


def test_only_openrc_services_that_are_named_are_switched_on() -> None:
    system = distros.load("alpine").system
    assert {"devfs", "mdev", "hwdrivers"} <= set(system.services["sysinit"])
    assert (system.network, system.ssh, system.time) == ("networking", "sshd", "chronyd")
