"""The parts of the local Xen machine, made from Debian's packages when they are first needed.

Nothing is installed and no privilege is used: packages are downloaded, unpacked into a folder, and what is needed of
them goes into one initramfs.  The result lies in the cache, under a key that follows from the packages and from our
own files.
"""

import gzip
import hashlib
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from wizard import folders, host, presets
from wizard.explain import Failure

SCRIPTS = {"dom0-init": "init", "dom0-block": "etc/xen/scripts/block", "dom0-vif": "etc/xen/scripts/vif"}
OWN_FILES = ("bundle.toml", "pvgrub.cfg", *SCRIPTS)
LIBRARY_FOLDERS = ("lib/x86_64-linux-gnu", "usr/lib/x86_64-linux-gnu")
TOOLS = ("apt-get", "dpkg-deb", "grub-mkimage", "cpio")


@dataclass(frozen=True, slots=True)
class Bundle:
    """What QEMU is given: the hypervisor, and dom0 as a kernel and its initramfs, which holds the guest's loader."""

    xen: Path
    kernel: Path
    initramfs: Path


def xen_bundle() -> Bundle:
    """The bundle, made when it is not there yet (some seconds, and 80 MB of packages).

    Raises Failure "missing-programs", "lab-packages" when Debian's packages cannot be had, "lab-bundle" when they
    do not hold what we look for.
    """
    host.require(TOOLS)
    parts = presets.load("lab/bundle")
    ours = f"xen-{_own_key()}"
    try:
        packages = _packages(parts)
    except Failure:
        # Without package lists nobody knows whether there are newer packages: what was made of others does it too.
        if others := sorted(folders.lab().glob(f"{ours}-*"), key=lambda path: path.stat().st_mtime):
            return _bundle(others[-1])
        raise
    folder = folders.lab() / f"{ours}-{hashlib.sha256(repr(sorted(packages)).encode()).hexdigest()[:12]}"
    if not folder.exists():
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder.parent, prefix="making-") as work:
            made = _make(Path(work), packages, parts)
            # Somebody else may have made the same meanwhile: theirs is as good.
            if not folder.exists():
                made.rename(folder)
    return _bundle(folder)


def _bundle(folder: Path) -> Bundle:
    return Bundle(folder / "xen", folder / "vmlinuz", folder / "dom0.cpio.gz")


def _packages(parts: dict[str, Any]) -> dict[str, str]:
    """The packages to download: file name, with its version, → name."""
    depends = _run(["apt-cache", "depends", "--important", parts["kernel_metapackage"]]).stdout
    kernel = re.search(r"Depends: (linux-image-\S+)", depends)
    if kernel is None:
        raise Failure("lab-packages", evidence=[f"{parts['kernel_metapackage']} depends on no kernel"])
    names = [kernel[1], *parts["packages"]]
    lines = _run(["apt-get", "download", "--print-uris", *names]).stdout.splitlines()
    files = [line.split()[1] for line in lines if line.startswith("'")]
    return {file: file.split("_")[0] for file in sorted(files)}


def _own_key() -> str:
    """Of what we add to the packages, and of how it is put together."""
    known = hashlib.sha256()
    for name in OWN_FILES:
        known.update((presets.ROOT / "lab" / name).read_bytes())
    known.update(Path(__file__).read_bytes())
    return known.hexdigest()[:12]


def _make(work: Path, packages: dict[str, str], parts: dict[str, Any]) -> Path:
    _download(work, packages)
    unpacked, made = work / "unpacked", work / "made"
    made.mkdir()
    for archive in work.glob("*.deb"):
        _run(["dpkg-deb", "-x", str(archive), str(unpacked)])
    (xen,) = unpacked.glob("boot/xen-*.gz")
    (kernel,) = unpacked.glob("boot/vmlinuz-*")
    (made / "xen").write_bytes(gzip.decompress(xen.read_bytes()))
    shutil.copy(kernel, made / "vmlinuz")
    (made / "packages").write_text("".join(f"{file}\n" for file in packages))
    root = work / "root"
    _dom0(root, unpacked, parts)
    _loader(root / "pvgrub", work, unpacked, parts["grub_modules"])
    pack = "find . | LC_ALL=C sort | cpio --quiet -o -H newc --owner 0:0 | gzip -1 -n"
    with (made / "dom0.cpio.gz").open("wb") as archive_file:
        subprocess.run(["bash", "-euo", "pipefail", "-c", pack], cwd=root, stdout=archive_file, check=True)
    return made


def _download(work: Path, packages: dict[str, str]) -> None:
    """Into a folder of its own, where apt's own user may write when we are root."""
    if os.geteuid() == 0:
        work.chmod(0o777)
    # By name and version, so that what is fetched is what the key was made of.
    wanted = [f"{name}={_version(file)}" for file, name in packages.items()]
    _run(["apt-get", "download", "-q", *wanted], cwd=work)


def _version(file: str) -> str:
    """The version in a package's file name, where apt writes a colon as %3a."""
    return file.split("_")[1].replace("%3a", ":")


def _dom0(root: Path, unpacked: Path, parts: dict[str, Any]) -> None:
    """dom0's whole userland."""
    for folder in ("bin", "dev", "proc", "sys", "run", "etc/xen/scripts", "var/log", "lib", "lib64", "modules"):
        (root / folder).mkdir(parents=True)
    (root / "var/run").symlink_to("/run")
    shutil.copy(_one(unpacked, "**/busybox"), root / "bin/busybox")
    for name in parts["busybox_programs"]:
        (root / "bin" / name).symlink_to("busybox")
    for name in parts["xen_programs"]:
        shutil.copy(_one(unpacked, f"usr/lib/xen-*/bin/{name}"), root / "bin")
    shutil.copy(_one(unpacked, "usr/bin/xenstore"), root / "bin")
    for name in ("read", "write"):
        (root / f"bin/xenstore-{name}").symlink_to("xenstore")
    for pattern in parts["libraries"]:
        for library in _found(unpacked, [f"{folder}/{pattern}" for folder in LIBRARY_FOLDERS]):
            shutil.copy(library, root / "lib")
    shutil.copy(_one(unpacked, "lib/x86_64-linux-gnu/ld-linux-x86-64.so.2"), root / "lib64")
    _modules(root / "modules", unpacked, parts["modules"])
    for name, place in SCRIPTS.items():
        shutil.copy(presets.ROOT / "lab" / name, root / place)
        (root / place).chmod(0o755)
    (root / "etc/xen/xl.conf").write_text('autoballoon="off"\n')


def _modules(place: Path, unpacked: Path, wanted: Sequence[str]) -> None:
    """Kernel modules, and in `order` the order to load them in: each names in .modinfo those that it depends on."""
    files = {path.stem.replace("-", "_"): path for path in unpacked.glob("lib/modules/*/kernel/**/*.ko")}
    order: list[str] = []

    def add(name: str) -> None:
        path = files.get(name.replace("-", "_"))
        if path is None:
            raise Failure("lab-bundle", evidence=[f"no module {name}"])
        if path.name in order:
            return
        depends = re.search(rb"\0depends=([^\0]*)\0", path.read_bytes())
        for other in depends[1].decode().split(",") if depends and depends[1] else []:
            add(other)
        shutil.copy(path, place)
        order.append(path.name)

    for name in wanted:
        add(name)
    (place / "order").write_text("".join(f"{name}\n" for name in order))


def _loader(made: Path, work: Path, unpacked: Path, modules: Sequence[str]) -> None:
    """GRUB as a program that Xen starts as a guest's kernel; its menu finder lies in a memory disk inside it."""
    tree = work / "memdisk"
    (tree / "boot/grub").mkdir(parents=True)
    shutil.copy(presets.ROOT / "lab/pvgrub.cfg", tree / "boot/grub/grub.cfg")
    _run(["tar", "-C", str(tree), "-cf", str(work / "memdisk.tar"), "boot"])
    folder = str(_one(unpacked, "usr/lib/grub/x86_64-xen"))
    form = ["-O", "x86_64-xen", "-d", folder, "-p", "(memdisk)/boot/grub", "-m", str(work / "memdisk.tar")]
    _run(["grub-mkimage", *form, "-o", str(made), *modules])


def _one(folder: Path, pattern: str) -> Path:
    return _found(folder, [pattern])[0]


def _found(folder: Path, patterns: Iterable[str]) -> list[Path]:
    found = [path for pattern in patterns for path in sorted(folder.glob(pattern))]
    if not found:
        raise Failure("lab-bundle", evidence=[f"nothing matches {' or '.join(patterns)}"])
    return found


def _run(command: list[str], cwd: Path | None = None) -> "subprocess.CompletedProcess[str]":
    """Raises Failure "lab-packages" with what the program said."""
    environment = {**os.environ, "PATH": host.SEARCH_PATH, "LC_ALL": "C"}
    done = subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        said = [line for line in done.stderr.splitlines() if line.strip()][-5:]
        raise Failure("lab-packages", evidence=[" ".join(command[:3]), *said])
    return done
