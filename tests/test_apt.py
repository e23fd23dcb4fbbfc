"""Ubuntu's way: the real mmdebstrap and apt on a miniature signed repository that is not Debian's."""

import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from miniature import apt
from miniature.mirror import EPOCH, run, served, text, unpacked
from real_builds import RECIPE, build

from wizard.distro import distros
from wizard.distro.debian import KERNEL_LINKS, OWN_KERNEL_LINKS
from wizard.distro.families import family
from wizard.distro.userland import Userland
from wizard.explain import Failure
from wizard.plan.script import PRELUDE
from wizard.recipe import from_answers

pytestmark = pytest.mark.slow

KERNEL = "6.8.0-1-aws"


@dataclass(frozen=True, slots=True)
class Server:
    """Where the repository is served, and who signed it."""

    address: str
    key: apt.Key


@pytest.fixture(scope="module")
def server(world: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """The packages of a real userland, with a kernel of Ubuntu's name beside them."""
    build(world, RECIPE.format(name="packages"), "--until", "bootstrap", home=world)
    folder = tmp_path_factory.mktemp("ubuntu")
    install = f"linux-update-symlinks install {KERNEL} /boot/vmlinuz-{KERNEL}"
    kernel = apt.package(
        folder,
        "linux-image-aws",
        {f"boot/vmlinuz-{KERNEL}": "a kernel", f"boot/initrd.img-{KERNEL}": "its initramfs"},
        depends="linux-base",
        postinst=install,
    )
    signer = apt.key(folder / "gnupg", "Miniature Ubuntu")
    debs = [deb for deb in sorted((world / "downloads/apt").rglob("*.deb")) if not deb.name.startswith("linux-image")]
    apt.repository(folder / "repository", [*newest(debs), kernel], signer)
    with served(folder / "repository") as mirror:
        yield Server(mirror.address, signer)


def newest(debs: list[Path]) -> list[Path]:
    """One file for each package: a machine that has built on several days holds older ones too."""
    by_name = {deb.name.partition("_")[0]: deb for deb in sorted(debs, key=lambda deb: deb.stat().st_mtime)}
    return sorted(by_name.values())


def ubuntu(server: Server, key: apt.Key) -> Userland:
    """As in the preset, but for where its packages and its key are."""
    recipe = from_answers(
        {
            "name": "miniature",
            "target": {"region": "us-east-1", "arch": "x86_64"},
            "distro": {"name": "ubuntu", "release": "noble", "mirror": server.address},
        }
    )
    distro = distros.of(recipe)
    keys = {"all": [{"fingerprint": key.fingerprint, "address": key.public.as_uri()}]}
    told = replace(distro, own={**distro.own, "keys": keys})
    return Userland(told, recipe, ("linux-base", "linux-image-aws"), None, EPOCH)


def bootstrap(wanted: Userland, folder: Path) -> Path:
    step = family(wanted).bootstrap_step(wanted, {})
    run(step, folder / "work", folder / "downloads", temporary=tempfile.gettempdir())
    return folder / "work"


@pytest.fixture(scope="module")
def made(server: Server, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The step's folder after a build, which has left this machine's own packages alone."""
    before = of_this_machine()
    folder = bootstrap(ubuntu(server, server.key), tmp_path_factory.mktemp("made"))
    assert of_this_machine() == before
    return folder


def of_this_machine() -> set[Path]:
    """Its own apt's lists and packages."""
    return {path for folder in ("/var/lib/apt/lists", "/var/cache/apt") for path in Path(folder).rglob("*")}


def test_the_menu_finds_the_kernel_of_the_package(made: Path) -> None:
    there = unpacked(made)
    assert there["boot/vmlinuz"].linkname == f"vmlinuz-{KERNEL}"
    assert there["boot/initrd.img"].linkname == f"initrd.img-{KERNEL}"


def test_the_image_goes_on_to_ask_the_servers_it_came_from(made: Path, server: Server) -> None:
    assert text(made, "etc/apt/sources.list").split() == ["deb", server.address, "noble", "main", "universe"]


def test_no_lists_no_logs_no_old_copies_and_no_password_are_left(made: Path) -> None:
    folders = ("var/log/", "var/lib/apt/lists/", "var/cache/apt/", "tmp/", "run/")
    left = {
        path
        for path, entry in unpacked(made).items()
        # apt's locks are empty files, made anew by whoever uses it next.
        if entry.isfile()
        and entry.size
        and (path.startswith(folders) or path.endswith(("-old", "shadow-", ".dpkg-dist")))
    }
    assert left == set()
    assert {line.split(":")[1] for line in text(made, "etc/shadow").splitlines()} <= {"*", "!", "!*"}


def test_a_repository_that_another_key_signed_is_refused(server: Server, tmp_path: Path) -> None:
    stranger = apt.key(tmp_path / "stranger", "Stranger")
    with pytest.raises(Failure) as failure:
        bootstrap(ubuntu(server, stranger), tmp_path)
    assert failure.value.code == "bad-signature"


def test_a_key_that_is_not_the_one_we_know_is_not_taken(server: Server, tmp_path: Path) -> None:
    stranger = apt.key(tmp_path / "stranger", "Stranger")
    with pytest.raises(Failure) as failure:
        bootstrap(ubuntu(server, replace(stranger, fingerprint=server.key.fingerprint)), tmp_path)
    assert "is not the key" in str(failure.value.evidence)
    assert not list((tmp_path / "downloads" / "keys").iterdir()), "what was fetched is not kept"


@pytest.mark.parametrize(
    ("told", "started"),
    [(OWN_KERNEL_LINKS, "vmlinuz-mine"), (KERNEL_LINKS, f"vmlinuz-{KERNEL}")],
    ids=["own", "distribution's"],
)
def test_a_kernel_package_that_comes_later_takes_the_boot_link_only_from_its_own_kind(
    told: str, started: str, made: Path, tmp_path: Path
) -> None:
    """Debian's own linux-update-symlinks, told by the /etc/kernel-img.conf that we write."""
    (tmp_path / "kernel-img.conf").write_text(told)
    inside = f"""
{PRELUDE}
mkdir tree
as_root tar -C tree -xf {made}/bootstrap/root.tar --exclude='./dev/*'
as_root cp kernel-img.conf tree/etc/kernel-img.conf
as_root touch tree/boot/vmlinuz-mine tree/boot/initrd.img-mine
as_root ln -sf vmlinuz-mine tree/boot/vmlinuz
as_root chroot tree linux-update-symlinks install {KERNEL} /boot/vmlinuz-{KERNEL}
readlink tree/boot/vmlinuz
as_root rm -rf tree
"""
    done = subprocess.run(["bash", "-euc", inside], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == started
