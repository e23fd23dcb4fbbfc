"""A miniature of the distributions that install rpm packages: packages, keys and repositories as their own have them.

Beside busybox they hold programs of this machine's whose part in an installation is not played by others:
systemd's kernel-install (a script for bash) and systemd-sysusers.
"""

import os
import re
import shutil
import subprocess
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from miniature.contents import File, Folder, Link, Package, busybox, filesystem, script

EPOCH = 1600000000
"""When everything was built."""

KERNEL = "6.6.6-1.mini"

OWNERS = {"var/lib/chrony": "chrony,chrony", "usr/bin/chronyc": "root,chrony"}
"""Whose files are not root's."""

DRACUT = """\
# Stands in for dracut: what it makes tells how it was called.
options=
while [ "${1#-}" != "$1" ]; do options="$options $1"; shift; done
{ echo "$2:$options"; cat /etc/dracut.conf.d/*.conf; } > "$1"
"""

SPEC = """\
Name: miniature
Version: 1
Release: 1.mini
Summary: A distribution of a few packages
License: MIT
%define debug_package %{nil}
%define __os_install_post %{nil}
%define _build_id_links none
%define _binary_payload w1.gzdio
%define use_source_date_epoch_as_buildtime 1
%description
A distribution of a few packages.
%install
cp -a @TREE@/. %{buildroot}
"""


def packages() -> list[Package]:
    """Fedora's kind of distribution: the names are its own."""
    image = f"usr/lib/modules/{KERNEL}/vmlinuz"
    modules: dict[str, File | Link | Folder] = {f"usr/lib/modules/{KERNEL}": Folder(), image: File(bytes(4096))}
    posttrans = f"kernel-install add {KERNEL} /usr/lib/modules/{KERNEL}/vmlinuz"
    private = "mkdir -p /var/lib/systemd; date +%N > /var/lib/systemd/random-seed; date +%N > /etc/machine-id"
    keys = "mkdir -p /etc/ssh; date +%N > /etc/ssh/ssh_host_ed25519_key; date > /var/log/sshd; date > /var/cache/sshd"
    return [
        filesystem(),
        _without_rpm(busybox()),
        Package("bash", files=_of_this_machine("bash"), depends=("busybox",)),
        Package("dnf", files={"etc/dnf": Folder(), "etc/dnf/dnf.conf": File(b"[main]\n")}, depends=("busybox",)),
        Package(
            "systemd",
            files={
                **_of_this_machine("kernel-install", "systemd-id128", "systemd-sysusers"),
                "usr/lib/sysusers.d": Folder(),
                "usr/lib/kernel/install.d": Folder(),
            },
            depends=("bash",),
            installed=private,
        ),
        Package(
            "chrony",
            files={
                "usr/lib/sysusers.d/chrony.conf": File(b"u chrony - - /var/lib/chrony\n"),
                "var/lib/chrony": Folder(0o750),
                "usr/bin/chronyc": File(b"#!/bin/sh\n", 0o4711),
                "usr/share/doc/chrony/README": File(b"A manual.\n"),
            },
            depends=("systemd",),
        ),
        Package("openssh-server", files={"usr/bin/sshd": script("true")}, depends=("systemd",), installed=keys),
        Package(
            "selinux-policy-targeted",
            files={"etc/selinux/config": File(b"SELINUX=enforcing\nSELINUXTYPE=targeted\n")},
            depends=("filesystem",),
        ),
        Package("dracut", files={"usr/bin/dracut": script(DRACUT)}, depends=("busybox",)),
        Package("kernel", depends=("kernel-core",)),
        Package("kernel-core", "6.6.6", modules, ("dracut", "systemd"), posttrans),
        Package(
            "kernel-default",
            "6.6.6",
            modules,
            ("dracut", "busybox"),
            # As openSUSE's own scripts leave it where there is no /etc/fstab yet.
            f"ln -sf ../usr/lib/modules/{KERNEL}/vmlinuz /boot/vmlinuz-{KERNEL}",
        ),
    ]


@dataclass(frozen=True, slots=True)
class Keys:
    """A GnuPG folder with one key, made here."""

    home: Path

    @property
    def fingerprint(self) -> str:
        """The key's fingerprint."""
        lines = self.gpg("--with-colons", "--list-keys").decode().splitlines()
        return next(line.split(":")[9] for line in lines if line.startswith("fpr"))

    def gpg(self, *arguments: str) -> bytes:
        """What gpg answers."""
        return run("gpg", "--homedir", str(self.home), "--batch", "--yes", "--quiet", *arguments)

    def sign(self, files: Iterable[Path]) -> None:
        """Signs packages in place."""
        options = [f"__gpg {shutil.which('gpg')}", f"_gpg_path {self.home}", f"_gpg_name {self.fingerprint}"]
        run("rpmsign", "--addsign", *(word for option in options for word in ("-D", option)), *map(str, files))


def keys(home: Path, name: str) -> Keys:
    """A new key."""
    home.mkdir(mode=0o700)
    made = Keys(home)
    made.gpg(
        "--passphrase", "", "--quick-generate-key", f"{name} <{name.lower()}@miniature.invalid>", "rsa2048", "sign"
    )
    return made


@dataclass(frozen=True, slots=True)
class Repository:
    """A repository's folder, and the key by which its packages and its lists are known."""

    folder: Path
    keys: Keys

    @property
    def key_file(self) -> Path:
        """The public key."""
        return self.folder / "key.asc"

    def package(self, name: str) -> Path:
        """A package's file."""
        return next(self.folder.glob(f"{name}-[0-9]*.rpm"))

    def index(self) -> None:
        """Writes the lists and signs them."""
        run("createrepo_c", "--quiet", str(self.folder))
        lists = self.folder / "repodata/repomd.xml"
        lists.with_suffix(".xml.asc").write_bytes(
            self.keys.gpg("--armor", "--detach-sign", "--output", "-", str(lists))
        )


def repository(folder: Path, wanted: Sequence[Package]) -> Repository:
    """Builds, signs and lists packages."""
    folder.mkdir()
    made = Repository(folder, keys(folder.parent / f"{folder.name}-keys", "Miniature"))
    build(folder, wanted)
    made.keys.sign(folder.glob("*.rpm"))
    made.key_file.write_bytes(made.keys.gpg("--armor", "--export"))
    made.index()
    return made


def build(folder: Path, wanted: Sequence[Package]) -> None:
    """Unsigned packages."""
    work = folder.parent / f"{folder.name}-work"
    tree = work / "tree"
    for package in wanted:
        _write(tree, package.files)
    spec = work / "miniature.spec"
    spec.write_text(SPEC.replace("@TREE@", str(tree)) + "".join(map(_section, wanted)))
    options = [f"_topdir {work}", f"_rpmdir {folder}", "_rpmfilename %%{NAME}-%%{VERSION}-%%{RELEASE}.%%{ARCH}.rpm"]
    environment = {**os.environ, "HOME": str(work), "SOURCE_DATE_EPOCH": str(EPOCH)}
    words = (word for option in options for word in ("-D", option))
    run("rpmbuild", "-bb", "--quiet", *words, str(spec), env=environment)
    shutil.rmtree(work)


def run(*command: str, env: Mapping[str, str] | None = None) -> bytes:
    """A program's output."""
    done = subprocess.run(command, env=env, capture_output=True, stdin=subprocess.DEVNULL, check=False)
    assert done.returncode == 0, (command, done.stdout[-2000:], done.stderr[-4000:])
    return done.stdout


def _without_rpm(package: Package) -> Package:
    """The system has no rpm of its own; that of busybox is none."""
    return replace(package, files={path: file for path, file in package.files.items() if path != "usr/bin/rpm"})


def _section(package: Package) -> str:
    name = package.name
    scriptlet = f"%posttrans -n {name}\n{package.installed}\n" if package.installed else ""
    return "\n".join(
        [
            f"%package -n {name}",
            f"Version: {package.version}",
            "Summary: One of a few packages",
            "AutoReqProv: no",
            *(["Provides: /bin/sh"] if name == "busybox" else []),
            *(f"Requires: {other}" for other in package.depends),
            f"%description -n {name}",
            "One of a few packages.",
            f"{scriptlet}%files -n {name}",
            *(_line(path, content) for path, content in package.files.items()),
            "",
        ]
    )


def _line(path: str, content: File | Link | Folder) -> str:
    if isinstance(content, Link):
        return f"/{path}"
    kind = "%dir " if isinstance(content, Folder) else "%doc " if "/doc/" in path else ""
    return f"{kind}%attr({content.mode:o},{OWNERS.get(path, 'root,root')}) /{path}"


def _write(tree: Path, files: Mapping[str, File | Link | Folder]) -> None:
    for path, content in files.items():
        target = tree / path
        target.parent.mkdir(parents=True, exist_ok=True)
        match content:
            case Folder():
                target.mkdir(exist_ok=True)
            case Link():
                target.symlink_to(content.target)
            case File():
                target.write_bytes(content.content)


def _of_this_machine(*programs: str) -> dict[str, File | Link | Folder]:
    """Programs, with the libraries that they ask for."""
    files: dict[str, File | Link | Folder] = {}
    for program in programs:
        where = shutil.which(program)
        assert where, program
        content = Path(where).read_bytes()
        files[f"usr/bin/{program}"] = File(content, 0o755)
        if content.startswith(b"\x7fELF"):
            libraries = [word for word in run("ldd", where).decode().split() if word.startswith("/")]
            # Every folder for libraries is usr/lib here.
            places = {re.sub("^/(usr/)?lib(64)?/", "usr/lib/", library): library for library in libraries}
            files.update({place: File(Path(library).read_bytes(), 0o755) for place, library in places.items()})
    return files
