"""Arch's family: the real pacman installs a miniature Arch Linux from a signed mirror."""

import gzip
import os
import shutil
import signal
import subprocess
import tarfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import kernels
import pytest
from miniature import contents
from miniature import pacman as arch
from miniature.contents import Package
from miniature.mirror import EPOCH, Mirror, begun, run, served
from real_builds import digest
from users import USERS, open_folder

from wizard.distro import distros, pacman
from wizard.distro.userland import UserKernel, Userland, userland
from wizard.explain import Failure, explain
from wizard.plan.build import Occasion, plan
from wizard.plan.script import script
from wizard.recipe import Recipe

pytestmark = pytest.mark.slow


@dataclass(frozen=True, slots=True)
class Source:
    """A mirror with the keys that its packages are signed with."""

    folder: Path
    keys: arch.Keys
    keyring: Path
    mirror: Mirror

    def package(self, name: str) -> Path:
        return next(self.folder.glob(f"*/os/x86_64/{name}-[0-9]*.zst"))


def packages() -> list[Package]:
    base = Package("base", depends=("busybox", "archlinux-keyring", "pacman"))
    wanted = ("openssh", "curl", "e2fsprogs", "btrfs-progs")
    key = 'echo "made in $(id -u)" > /etc/installed-by; echo secret > /etc/machine-id; date > /etc/ssh/ssh_host_rsa_key'
    openssh = Package("openssh", files={"etc/ssh": contents.Folder()}, depends=("base",), installed=key)
    return [
        contents.filesystem(),
        contents.busybox(),
        base,
        Package("pacman", files={"etc/pacman.d/mirrorlist": contents.File(b"#Server = none\n")}, depends=("busybox",)),
        openssh,
        *contents.names_only([name for name in wanted if name != "openssh"], ("base",)),
        *arch.kernel_packages(kernels.elf()),
    ]


@pytest.fixture(scope="module")
def source() -> Iterator[Source]:
    """Everything that presets/distros/arch.toml asks for, as small packages."""
    with open_folder() as home:
        yield from _source(home)


def _source(home: Path) -> Iterator[Source]:
    keys = arch.distribution_keys(home / "g")
    newest = arch.keyring(keys, home / "newest")
    keyring = arch.keyring(keys, home / "keyring", ["Master", arch.PACKAGER, arch.RETIRED])
    folder = home / "mirror"
    arch.repository(folder, "core", [*packages(), arch.keyring_package(newest)], keys)
    arch.repository(folder, "extra", [Package("vim", depends=("base",))], keys, arch.NEWCOMER)
    with served(folder) as mirror:
        yield Source(folder, keys, keyring, mirror)
    keys.end()


def wanted(source: Source, *more: str, address: str = "", kernel: UserKernel | None = None) -> Userland:
    recipe = Recipe.model_validate(
        {
            "name": "arch",
            "target": {"region": "us-east-1", "arch": "x86_64"},
            "distro": {
                "name": "arch",
                "release": "rolling",
                "mirror": address or source.mirror.address,
                "packages": more,
            },
        }
    )
    found = userland(recipe, ["ext4"], kernel, EPOCH)
    told = {**found.distro.own, "keyrings": [str(source.keyring)], "keyring": "miniature"}
    return replace(found, distro=replace(found.distro, own=told))


def install(asked: Userland, place: Path, downloads: Path, user: str | None = None) -> None:
    run(pacman.bootstrap_step(asked, {}), place, downloads, user)


@pytest.fixture(scope="module")
def made(source: Source, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a build that went well."""
    place = tmp_path_factory.mktemp("made")
    install(wanted(source, "vim"), place, tmp_path_factory.mktemp("downloads"))
    return place


def contents_of(place: Path) -> tuple[dict[str, tarfile.TarInfo], dict[str, bytes]]:
    """What lies in a root.tar: every member, and the text of its files."""
    with tarfile.open(place / "bootstrap/root.tar") as tar:
        members = {member.name.removeprefix("./"): member for member in tar.getmembers()}
        files = {
            name: found.read() for name, one in members.items() if one.isfile() and (found := tar.extractfile(one))
        }
    return members, files


def test_a_miniature_arch_linux_is_installed_with_its_scripts_and_hooks(made: Path) -> None:
    members, files = contents_of(made)
    assert files["etc/installed-by"] == b"made in 0\n"
    assert files["boot/vmlinuz-linux"] == kernels.elf()
    assert b"HOOKS=(base udev" in gzip.decompress(files["boot/initramfs-linux.img"])
    assert members["boot/vmlinuz"].linkname == "vmlinuz-linux"
    assert members["boot/initrd.img"].linkname == "initramfs-linux.img"
    assert "var/lib/pacman/local/vim-1.0-1" in members


def tampered(source: Source, folder: Path, how: str, name: str = "vim") -> Source:
    """The mirror with one package that must not be used."""
    shutil.copytree(source.folder, folder)
    other = replace(source, folder=folder, mirror=Mirror(folder.as_uri(), []))
    package = other.package(name)
    signature = Path(f"{package}.sig")
    match how:
        case "stranger":
            signature.unlink()
            source.keys.add("Stranger <stranger@miniature.invalid>")
            arch.sign(package, source.keys, "stranger@")
        case "newcomer":
            signature.unlink()
            arch.sign(package, source.keys, arch.NEWCOMER)
        case "expired":
            signature.unlink()
            arch.sign(package, source.keys, arch.RETIRED, at=arch.EPOCH + 7200)
        case "unsigned":
            signature.unlink()
            return other
        case "gone":
            package.unlink()
            return other
        case "truncated":
            package.write_bytes(package.read_bytes()[:100])
            return other
        case "altered":
            arch.package_file(Package(name, files={"usr/bin/back-door": contents.script("")}), package.parent)
    arch.repo_add(package.parent, package.parents[2].name, [package])
    return other


@pytest.mark.parametrize(
    ("how", "code"),
    [
        ("stranger", "bad-signature"),
        ("expired", "bad-signature"),
        ("unsigned", "bad-signature"),
        ("altered", "damaged-package"),
        ("truncated", "damaged-package"),
        ("gone", "mirror-out-of-sync"),
    ],
)
def test_a_package_that_is_not_as_it_was_signed_is_refused(source: Source, tmp_path: Path, how: str, code: str) -> None:
    other = tampered(source, tmp_path / "mirror", how)
    with pytest.raises(Failure) as raised:
        install(wanted(other, "vim"), tmp_path / "work", tmp_path / "downloads")
    assert raised.value.code == code
    assert not (tmp_path / "work/bootstrap/root.tar").exists()


def test_a_packager_who_is_newer_than_this_machines_keys_is_known_from_the_mirrors_own_keyring(
    made: Path, source: Source
) -> None:
    """vim is signed by one whom only the keyring package knows."""
    shown = source.keys.gpg("--show-keys", f"{source.keyring}.gpg")
    assert "Packager" in shown
    assert "Newcomer" not in shown
    assert "var/lib/pacman/local/vim-1.0-1" in contents_of(made)[0]


def test_keys_too_old_to_know_who_signed_the_keyring_are_told_so(source: Source, tmp_path: Path) -> None:
    other = tampered(source, tmp_path / "mirror", "newcomer", "archlinux-keyring")
    with pytest.raises(Failure) as raised:
        install(wanted(other), tmp_path / "work", tmp_path / "downloads")
    assert raised.value.code == "bad-signature"
    assert any("/usr/share/pacman/keyrings" in line for line in explain(raised.value).do)


def test_a_package_that_does_not_exist_is_named(source: Source, tmp_path: Path) -> None:
    with pytest.raises(Failure) as raised:
        install(wanted(source, "vmi"), tmp_path / "work", tmp_path / "downloads")
    assert raised.value.code == "unknown-package"
    assert raised.value.facts["package"] == "vmi"


@pytest.mark.parametrize(
    ("address", "code"),
    [
        pytest.param("http://127.0.0.1:9", "mirror-unreachable", id="nobody listens"),
        pytest.param("http://miniature.invalid", "no-network", id="no such name"),
        pytest.param("{address}/archlinux", "no-such-release", id="not there"),
    ],
)
def test_a_mirror_that_does_not_serve_is_explained(source: Source, tmp_path: Path, address: str, code: str) -> None:
    with pytest.raises(Failure) as raised:
        install(
            wanted(source, address=address.format(address=source.mirror.address)),
            tmp_path / "work",
            tmp_path / "downloads",
        )
    assert raised.value.code == code


def test_nothing_in_it_is_one_machines_own(made: Path) -> None:
    members, files = contents_of(made)
    assert files["etc/shadow"].startswith(b"root:*:")
    assert not [name for name in members if "gnupg" in name or "ssh_host" in name or "pacman/sync" in name]
    assert not {"etc/machine-id", "var/log/pacman.log"} & members.keys()
    assert not [name for name in members if name.startswith(("var/cache/", "dev/", "run/", "proc/", "tmp/"))]
    assert f"%INSTALLDATE%\n{EPOCH}\n".encode() in files["var/lib/pacman/local/vim-1.0-1/desc"]
    assert max(member.mtime for member in members.values()) <= EPOCH


def test_the_instance_makes_the_key_of_its_own_pacman_and_asks_the_same_mirror(made: Path, source: Source) -> None:
    members, files = contents_of(made)
    wants = members["etc/systemd/system/multi-user.target.wants/pacman-init.service"]
    assert wants.linkname == "../pacman-init.service"
    assert b"pacman-key --init" in files["etc/systemd/system/pacman-init.service"]
    assert files["etc/pacman.d/mirrorlist"].decode() == f"Server = {source.mirror.address}/$repo/os/$arch\n"


@pytest.mark.parametrize("user", USERS)
def test_the_same_packages_give_the_same_bytes_whoever_installs_them(made: Path, source: Source, user: str) -> None:
    with open_folder() as folder:
        install(wanted(source, "vim"), folder / "work", folder / "downloads", user)
        assert digest(folder / "work/bootstrap/root.tar") == digest(made / "bootstrap/root.tar")


def test_after_a_kill_what_was_fetched_is_not_fetched_again(source: Source, tmp_path: Path) -> None:
    downloads = tmp_path / "downloads"
    source.mirror.stops_in.append("vim-1.0-1-x86_64.pkg.tar.zst")
    process = begun(pacman.bootstrap_step(wanted(source, "vim"), {}), tmp_path / "first", downloads)
    try:
        deadline = time.monotonic() + 120
        while len(list(downloads.glob("pacman/*.sig"))) < 10:
            assert time.monotonic() < deadline, "not everything but vim was fetched"
            time.sleep(0.1)
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
    source.mirror.stops_in.clear()
    source.mirror.goes_on.set()
    assert str(tmp_path) not in Path("/proc/self/mountinfo").read_text()
    source.mirror.asked.clear()
    install(wanted(source, "vim"), tmp_path / "second", downloads)
    fetched = {Path(path).name.split("-1.0")[0] for path in source.mirror.asked if path.endswith(".zst")}
    assert fetched == {"vim"}


def test_the_users_own_kernel_is_taken_in_and_gets_an_initramfs_by_the_distributions_tool(
    source: Source, tmp_path: Path
) -> None:
    kernel = UserKernel(kernels.RELEASE, has_initramfs=True)
    stage(tmp_path / "work/kernel", kernel.release)
    install(wanted(source, kernel=kernel), tmp_path / "work", tmp_path / "downloads")
    members, files = contents_of(tmp_path / "work")
    assert members["boot/vmlinuz"].linkname == f"vmlinuz-{kernel.release}"
    assert members["boot/initrd.img"].linkname == f"initramfs-{kernel.release}.img"
    assert kernel.release.encode() in gzip.decompress(files[f"boot/initramfs-{kernel.release}.img"])
    assert f"usr/lib/modules/{kernel.release}/modules.dep" in members
    assert not [name for name in members if "vmlinuz-linux" in name or name.startswith("var/lib/pacman/local/linux-")]


def stage(folder: Path, release: str) -> None:
    """kernel/kernel.tar, as the plan's step before leaves it."""
    modules = folder / "tree/usr/lib/modules" / release
    modules.mkdir(parents=True)
    (folder / "tree/boot").mkdir()
    (folder / f"tree/boot/vmlinuz-{release}").write_bytes(kernels.elf())
    (modules / "modules.order").write_text("")
    (modules / "modules.builtin").write_text("kernel/drivers/block/xen-blkfront.ko\n")
    subprocess.run(["tar", "-C", folder / "tree", "-cf", folder / "kernel.tar", "."], check=True)


def test_the_whole_plan_makes_an_image_of_it(source: Source, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = wanted(source)
    monkeypatch.setattr(distros, "load", lambda _: asked.distro)
    (tmp_path / "script").write_text(script(plan(asked.recipe, Occasion("arch", "today"))))
    done = subprocess.run(
        ["bash", "script", "--image-only"],
        cwd=tmp_path,
        env={**os.environ, "DOWNLOADS": str(tmp_path / "downloads")},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    print(done.stdout)
    assert done.returncode == 0
    assert (tmp_path / "image/disk.img").stat().st_blocks > 0
