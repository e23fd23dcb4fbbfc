"""Arch's family: the real pacman installs a miniature Arch Linux from a signed mirror."""

import gzip
import http.server
import os
import subprocess
import tarfile
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

import kernels
import pytest
from miniature import contents
from miniature import pacman as arch
from miniature.contents import Package

from wizard.distro import pacman
from wizard.distro.userland import Userland, userland
from wizard.plan.script import PRELUDE
from wizard.plan.steps import Run, Write
from wizard.recipe import Recipe
from wizard.run.commands import command_failure

EPOCH = 1686355200

pytestmark = pytest.mark.slow


class Files(http.server.SimpleHTTPRequestHandler):
    """A web server that remembers what it was asked for."""

    asked: list[str]

    def do_GET(self) -> None:
        self.asked.append(self.path)
        super().do_GET()

    def log_message(self, *_: object) -> None:
        pass


@dataclass(frozen=True, slots=True)
class Mirror:
    """A mirror on loopback, with the keys that its packages are signed with."""

    folder: Path
    keys: arch.Keys
    keyring: Path
    address: str
    asked: list[str] = field(default_factory=list)

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
def mirror(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mirror]:
    """Everything that presets/distros/arch.toml asks for, as small packages."""
    # GnuPG's socket needs a short path.
    home = tmp_path_factory.mktemp("k")
    keys = arch.distribution_keys(home / "g")
    keyring = arch.keyring(keys, home / "keyring")
    folder = home / "mirror"
    arch.repository(folder, "core", [*packages(), arch.keyring_package(keyring)], keys)
    arch.repository(folder, "extra", [Package("vim", depends=("base",))], keys)
    asked: list[str] = []
    handler = type("Served", (Files,), {"asked": asked})
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), lambda *given: handler(*given, directory=str(folder)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield Mirror(folder, keys, keyring, f"http://127.0.0.1:{server.server_port}", asked)
    server.shutdown()
    keys.end()


def wanted(mirror: Mirror, *more: str, address: str = "", **own: object) -> Userland:
    recipe = Recipe.model_validate(
        {
            "name": "arch",
            "target": {"region": "us-east-1", "arch": "x86_64"},
            "distro": {
                "name": "arch",
                "release": "rolling",
                "mirror": address or mirror.address,
                "packages": more,
            },
        }
    )
    found = userland(recipe, ["ext4"], None, EPOCH)
    told = {**found.distro.own, "keyrings": [str(mirror.keyring)], "keyring": "miniature", **own}
    return replace(found, distro=replace(found.distro, own=told))


def run(userland: Userland, place: Path, downloads: Path) -> list[str]:
    """Runs the step as a build does; gives what was said.  Raises the Failure that the build would."""
    (place / "bootstrap").mkdir(parents=True)
    said: list[str] = []
    environment = {
        **os.environ,
        "DOWNLOADS": str(downloads),
        "TMPDIR": "/nowhere",
        "TZ": "UTC",
        "LC_ALL": "C.UTF-8",
        "SOURCE_DATE_EPOCH": str(EPOCH),
    }
    for action in pacman.bootstrap_step(userland, {}).actions:
        match action:
            case Write(path, text):
                (place / path).parent.mkdir(parents=True, exist_ok=True)
                (place / path).write_text(text)
            case Run(command):
                done = subprocess.run(
                    ["bash", "-euo", "pipefail", "-c", f"umask 022\n{PRELUDE}\n{command}"],
                    cwd=place,
                    env=environment,
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.PIPE,
                    stderr=subprocess.STDOUT,
                    text=True,
                )
                said += done.stdout.splitlines()
                if done.returncode:
                    print(done.stdout)
                    raise command_failure(command, done.returncode, said[-40:], place / "log")
    return said


@pytest.fixture(scope="module")
def made(mirror: Mirror, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a build that went well."""
    place = tmp_path_factory.mktemp("made")
    print("\n".join(run(wanted(mirror, "vim"), place, tmp_path_factory.mktemp("downloads"))))
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
