"""dnf's and zypper's families: the real ones install a miniature distribution from a signed mirror."""

import hashlib
import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from miniature import rpm as miniature
from miniature.mirror import EPOCH, Mirror, run, served, text, unpacked

from wizard.distro import distros
from wizard.distro.families import family
from wizard.distro.userland import UserKernel, Userland
from wizard.explain import Failure
from wizard.plan.actions import Run, Write
from wizard.recipe import Recipe

KERNEL = miniature.KERNEL

RPM_DISTROS = ["fedora", "rocky", "almalinux", "amazon", "opensuse-leap", "opensuse-tumbleweed"]
"""Every distribution of these families, to be looked at; the first and the last are installed."""


@dataclass(frozen=True, slots=True)
class Kind:
    """One distribution for each family: how it calls its kernel's package and its initramfs."""

    distro: str
    kernel: str
    initramfs: str
    database: str = "usr/lib/sysimage/rpm"


FEDORA = Kind("fedora", "kernel", f"initramfs-{KERNEL}.img")
OPENSUSE = Kind("opensuse-tumbleweed", "kernel-default", f"initrd-{KERNEL}")

both = pytest.mark.parametrize("kind", [FEDORA, OPENSUSE], ids=["dnf", "zypper"])


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> miniature.Repository:
    """A signed repository."""
    return miniature.repository(tmp_path_factory.mktemp("mini") / "repository", miniature.packages())


@pytest.fixture(scope="module")
def mirror(repository: miniature.Repository) -> Iterator[Mirror]:
    """That repository on a server."""
    with served(repository.folder) as mirror:
        yield mirror


def userland(
    kind: Kind, mirror: str, keys: miniature.Repository, packages: tuple[str, ...], own: UserKernel | None = None
) -> Userland:
    """A userland of the miniature: all is as in the preset but where its packages and its key are."""
    distro = distros.load(kind.distro)
    told = {
        "repositories": [{"id": "mini", "address": f"baseurl={mirror}/", "path": "", "signed_metadata": True}],
        "keys": {"all": [{"fingerprint": keys.keys.fingerprint, "address": keys.key_file.as_uri()}]},
    }
    recipe = Recipe.model_validate(
        {
            "name": "miniature",
            "target": {"region": "us-east-1", "arch": "x86_64"},
            "distro": {"name": kind.distro, "release": distro.releases[0]},
        }
    )
    return Userland(replace(distro, own={**distro.own, **told}), recipe, packages, own, EPOCH)


def build(wanted: Userland, place: Path, downloads: Path) -> None:
    run(family(wanted).bootstrap_step(wanted, {}), place, downloads)


EVERYTHING = ("chrony", "openssh-server", "selinux-policy-targeted")


@pytest.fixture(scope="module", params=[FEDORA, OPENSUSE], ids=["dnf", "zypper"])
def made(
    request: pytest.FixtureRequest,
    mirror: Mirror,
    repository: miniature.Repository,
    tmp_path_factory: pytest.TempPathFactory,
) -> tuple[Kind, list[Path], list[str]]:
    """Two builds of the same packages, and what the second one asked the mirror for."""
    kind = request.param
    folder = tmp_path_factory.mktemp(kind.distro)
    wanted = userland(kind, mirror.address, repository, (*EVERYTHING, kind.kernel))
    places = [folder / "first", folder / "second"]
    build(wanted, places[0], folder / "downloads")
    before = len(mirror.asked)
    build(wanted, places[1], folder / "downloads")
    return kind, places, mirror.asked[before:]


@pytest.mark.slow
def test_packages_are_installed_and_their_scripts_run_inside(made: tuple[Kind, list[Path], list[str]]) -> None:
    _, (place, _), _ = made
    there = unpacked(place)
    assert "usr/bin/sshd" in there
    chrony = there["var/lib/chrony"]
    assert (chrony.uid, chrony.gid, chrony.mode) == (999, 999, 0o750), "a user of sysusers.d has its files"
    assert there["usr/bin/chronyc"].mode == 0o4711
    assert "usr/share/doc/chrony/README" not in there


@pytest.mark.slow
def test_the_boot_files_are_where_the_menu_looks_for_them(made: tuple[Kind, list[Path], list[str]]) -> None:
    kind, (place, _), _ = made
    there = unpacked(place)
    assert there["boot/vmlinuz"].linkname == f"vmlinuz-{KERNEL}"
    assert there[f"boot/vmlinuz-{KERNEL}"].isfile()
    link = there["boot/initrd.img"].linkname
    assert (there[f"boot/{link}"].linkname or link) == kind.initramfs
    assert f"usr/lib/modules/{KERNEL}/modules.dep" in there
    made_by = text(place, f"boot/{kind.initramfs}")
    assert made_by.startswith(f"{KERNEL}: --force --no-hostonly\n")
    assert "ena" in made_by


@pytest.mark.slow
def test_nothing_in_it_is_of_one_machine_or_one_day(made: tuple[Kind, list[Path], list[str]]) -> None:
    _, (place, _), _ = made
    there = unpacked(place)
    assert max(member.mtime for member in there.values()) <= EPOCH
    assert text(place, "etc/machine-id") == ""
    for gone in ("etc/ssh/ssh_host_ed25519_key", "var/log/sshd", "var/cache/sshd", "var/lib/systemd/random-seed"):
        assert gone not in there
    assert not [path for path in there if str(place.parent).lstrip("/") in path], "no folder of this machine's"
    assert there["tmp"].mode == 0o1777
    assert not [path for path in there if path.startswith(("var/cache/", "var/log/")) and there[path].isfile()]


@pytest.mark.slow
def test_without_labels_selinux_forbids_nothing_until_it_has_set_them(made: tuple[Kind, list[Path], list[str]]) -> None:
    _, (place, _), _ = made
    assert "SELINUX=permissive" in text(place, "etc/selinux/config")
    assert ".autorelabel" in unpacked(place)


@pytest.mark.slow
def test_the_same_packages_give_the_same_bytes_and_are_fetched_once(made: tuple[Kind, list[Path], list[str]]) -> None:
    _, places, asked = made
    sums = {hashlib.sha256((place / "bootstrap/root.tar").read_bytes()).hexdigest() for place in places}
    assert len(sums) == 1
    assert not [path for path in asked if path.endswith(".rpm")]


@pytest.mark.slow
def test_rpms_database_tells_what_is_installed(made: tuple[Kind, list[Path], list[str]], tmp_path: Path) -> None:
    kind, (place, _), _ = made
    tree = unpack(place, tmp_path)
    assert [path.name for path in (tree / kind.database).iterdir()] == ["rpmdb.sqlite"]
    installed = miniature.run("rpm", "--root", str(tree), "--dbpath", f"/{kind.database}", "-qa", "--qf", "%{name}\\n")
    names = installed.decode().split()
    assert {*EVERYTHING, kind.kernel, "filesystem", "gpg-pubkey"} <= set(names)
    changed = subprocess.run(
        ["rpm", "--root", tree, "--dbpath", f"/{kind.database}", "-V", "--nomtime", "chrony", "systemd", "bash"],
        capture_output=True,
        text=True,
    )
    assert changed.stdout.split("\n") == ["missing   d /usr/share/doc/chrony/README", ""]


@pytest.mark.slow
def test_boot_files_follow_a_newer_kernel_and_its_removal(
    made: tuple[Kind, list[Path], list[str]], tmp_path: Path
) -> None:
    kind, (place, _), _ = made
    if kind is not FEDORA:
        pytest.skip("openSUSE's own scripts do this; the miniature has none of them")
    tree = unpack(place, tmp_path)
    newer = tree / "usr/lib/modules/7.0.0-1.mini"
    newer.mkdir()
    (newer / "vmlinuz").write_bytes(b"newer")
    inside = ["unshare", "--map-root-user", "--map-auto"] if os.geteuid() else []
    change = [*inside, "chroot", str(tree), "kernel-install"]
    miniature.run(*change, "add", newer.name, f"/usr/lib/modules/{newer.name}/vmlinuz")
    assert (tree / "boot/vmlinuz").read_bytes() == b"newer"
    assert str((tree / "boot/initrd.img").readlink()) == f"initramfs-{newer.name}.img"
    miniature.run(*change, "remove", newer.name)
    assert str((tree / "boot/vmlinuz").readlink()) == f"vmlinuz-{KERNEL}"
    assert str((tree / "boot/initrd.img").readlink()) == kind.initramfs
    assert not (tree / f"boot/vmlinuz-{newer.name}").exists()


def unpack(place: Path, to: Path) -> Path:
    """The root file system as a folder."""
    tree = to / "tree"
    tree.mkdir()
    subprocess.run(["tar", "-C", tree, "--exclude=./dev/*", "-xpf", place / "bootstrap/root.tar"], check=True)
    return tree


@both
@pytest.mark.slow
def test_the_users_own_kernel_is_taken_in_and_kept(
    kind: Kind, mirror: Mirror, repository: miniature.Repository, tmp_path: Path
) -> None:
    place, kernel = tmp_path / "build", tmp_path / "kernel"
    for folder in ("boot", "usr/lib/modules/6.1.0-mine"):
        (kernel / folder).mkdir(parents=True)
    (kernel / "boot/vmlinuz-6.1.0-mine").write_bytes(b"mine")
    (place / "kernel").mkdir(parents=True)
    subprocess.run(["tar", "-C", kernel, "-cf", place / "kernel/kernel.tar", "."], check=True)
    wanted = userland(kind, mirror.address, repository, ("dnf", "dracut"), UserKernel("6.1.0-mine", has_initramfs=True))
    build(wanted, place, tmp_path / "downloads")
    assert text(place, "boot/vmlinuz-6.1.0-mine") == "mine"
    there = unpacked(place)
    assert there["boot/vmlinuz"].linkname == "vmlinuz-6.1.0-mine"
    assert text(place, f"boot/{there['boot/initrd.img'].linkname}").startswith("6.1.0-mine: ")
    if kind is FEDORA:
        assert "excludepkgs=kernel,kernel-core," in text(place, "etc/dnf/dnf.conf")
    else:
        assert "solvable_name: kernel-default\n" in text(place, "etc/zypp/locks")


@dataclass(frozen=True, slots=True)
class Broken:
    """A copy of the repository in which something is wrong, and somebody else's key."""

    repository: miniature.Repository
    stranger: miniature.Keys

    @property
    def package(self) -> Path:
        return self.repository.package("filesystem")


def package_of_a_stranger(broken: Broken) -> None:
    miniature.run("rpmsign", "--delsign", str(broken.package))
    broken.stranger.sign([broken.package])
    broken.repository.index()


def package_unsigned(broken: Broken) -> None:
    miniature.run("rpmsign", "--delsign", str(broken.package))
    broken.repository.index()


def package_changed(broken: Broken) -> None:
    content = bytearray(broken.package.read_bytes())
    content[-20] ^= 1
    broken.package.write_bytes(content)


def lists_changed(broken: Broken) -> None:
    lists = broken.repository.folder / "repodata/repomd.xml"
    lists.write_text(lists.read_text().replace("<revision>", "<revision>1"))


def lists_of_a_stranger(broken: Broken) -> None:
    """The stranger's key lies where a package manager would find it."""
    lists = broken.repository.folder / "repodata/repomd.xml"
    signature = broken.stranger.gpg("--armor", "--detach-sign", "--output", "-", str(lists))
    lists.with_name("repomd.xml.asc").write_bytes(signature)
    lists.with_name("repomd.xml.key").write_bytes(broken.stranger.gpg("--armor", "--export"))


def key_of_a_stranger(broken: Broken) -> None:
    broken.repository.key_file.write_bytes(broken.stranger.gpg("--armor", "--export"))


def package_gone(broken: Broken) -> None:
    broken.package.unlink()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("kind", "breaks", "code"),
    [
        (FEDORA, package_of_a_stranger, "bad-signature"),
        (OPENSUSE, package_of_a_stranger, "bad-signature"),
        (FEDORA, package_unsigned, "bad-signature"),
        (OPENSUSE, package_unsigned, "bad-signature"),
        (FEDORA, lists_changed, "bad-signature"),
        (OPENSUSE, lists_of_a_stranger, "bad-signature"),
        (OPENSUSE, package_changed, "damaged-package"),
        (FEDORA, key_of_a_stranger, "not-the-key-of-the-distribution"),
        (FEDORA, package_gone, "mirror-out-of-sync"),
    ],
    ids=lambda value: value.distro if isinstance(value, Kind) else getattr(value, "__name__", value),
)
def test_what_cannot_be_trusted_is_refused_and_explained(
    kind: Kind,
    breaks: Callable[[Broken], None],
    code: str,
    repository: miniature.Repository,
    stranger: miniature.Keys,
    tmp_path: Path,
) -> None:
    fingerprint = repository.keys.fingerprint
    copy = miniature.Repository(tmp_path / "repository", repository.keys)
    shutil.copytree(repository.folder, copy.folder)
    breaks(Broken(copy, stranger))
    with served(copy.folder) as mirror:
        wanted = userland(kind, mirror.address, copy, ("filesystem",))
        with pytest.raises(Failure) as raised:
            build(wanted, tmp_path / "build", tmp_path / "downloads")
    assert raised.value.code == code
    assert not (tmp_path / "build/bootstrap/root.tar").exists()
    assert raised.value.facts.get("fingerprint", fingerprint) == fingerprint


@pytest.fixture(scope="module")
def stranger(tmp_path_factory: pytest.TempPathFactory) -> miniature.Keys:
    """Somebody else's key."""
    return miniature.keys(tmp_path_factory.mktemp("stranger") / "keys", "Stranger")


@both
@pytest.mark.slow
def test_a_misspelt_package_is_named(
    kind: Kind, mirror: Mirror, repository: miniature.Repository, tmp_path: Path
) -> None:
    wanted = userland(kind, mirror.address, repository, ("filesystem", "no-such-thing"))
    with pytest.raises(Failure) as raised:
        build(wanted, tmp_path / "build", tmp_path / "downloads")
    assert (raised.value.code, raised.value.facts["package"]) == ("unknown-package", "no-such-thing")


@pytest.mark.parametrize("name", RPM_DISTROS)
def test_every_release_has_keys_and_checks_every_package(name: str) -> None:
    distro = distros.load(name)
    for release in distro.releases:
        recipe = Recipe.model_validate(
            {
                "name": "mini",
                "target": {"region": "us-east-1", "arch": "x86_64"},
                "distro": {"name": name, "release": release},
            }
        )
        wanted = Userland(distro, recipe, ("kernel",), None, EPOCH)
        step = family(wanted).bootstrap_step(wanted, {})
        files = {action.path: action.text for action in step.actions if isinstance(action, Write)}
        repositories = files["bootstrap/repos/distribution.repo"].split("\n\n")
        assert all("gpgcheck=1\n" in repository for repository in repositories)
        commands = "\n".join(action.command for action in step.actions if isinstance(action, Run))
        assert "bootstrap/keys/*.asc" in commands
        assert "gpg --homedir bootstrap/gnupg" in commands


@pytest.mark.parametrize("name", RPM_DISTROS)
def test_a_recipes_mirror_takes_the_place_of_the_distributions(name: str) -> None:
    distro = distros.load(name)
    recipe = Recipe.model_validate(
        {
            "name": "mini",
            "target": {"region": "us-east-1", "arch": "x86_64"},
            "distro": {"name": name, "release": distro.releases[0], "mirror": "http://mirror.example.org/linux/"},
        }
    )
    wanted = Userland(distro, recipe, ("kernel",), None, EPOCH)
    writes = [action for action in family(wanted).bootstrap_step(wanted, {}).actions if isinstance(action, Write)]
    lines = next(action.text for action in writes if action.path.endswith(".repo")).splitlines()
    sources = [line for line in lines if line.partition("=")[0] in ("baseurl", "metalink", "mirrorlist")]
    assert len(sources) == len(distro.own["repositories"])
    assert all(line.startswith("baseurl=http://mirror.example.org/linux/") for line in sources)
