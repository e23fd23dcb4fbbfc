"""What the boot loaders of an image start: GRUB (both), the Boot Loader Specification, and extlinux."""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from wizard.boot import legacy_menu
from wizard.disk.read import Root, Tree

GRUB_CFG = ("/boot/grub/grub.cfg", "/boot/grub2/grub.cfg")
GRUB_ENV = ("/boot/grub/grubenv", "/boot/grub2/grubenv")
MENU_LST = ("/boot/grub/menu.lst", "/boot/boot/grub/menu.lst", "/boot/grub/grub.conf")
ENTRIES = ("/boot/loader/entries/*.conf", "/efi/loader/entries/*.conf", "/boot/efi/loader/entries/*.conf")
EXTLINUX = ("/boot/extlinux.conf", "/boot/extlinux/extlinux.conf", "/boot/syslinux/syslinux.cfg")


@dataclass(frozen=True, slots=True)
class BootEntry:
    """What is started when nobody chooses; `kernel` and `initrds` as paths of the running system, None if not there.

    loader  "pv-grub", "grub", "bls" or "extlinux"
    menu    the file that says so
    """

    loader: str
    menu: str
    written: str
    kernel: str | None
    initrds: tuple[tuple[str, str | None], ...]
    arguments: tuple[str, ...]

    def argument(self, name: str) -> str | None:
        """The value of the last `name=value`."""
        values = [word.partition("=")[2] for word in self.arguments if word.startswith(f"{name}=")]
        return values[-1] if values else None


def boot_entries(root: Root) -> list[BootEntry]:
    """The default entry of each menu that is there; of a menu that lists its entries as files, all."""
    files = root.files
    found = [entry for look in (_menu_lst, _grub_cfg, _entry_files, _extlinux) for entry in look(files)]
    return list(dict.fromkeys(found))


def _entry(files: Tree, loader: str, menu: str, kernel: str, initrds: list[str], arguments: str) -> BootEntry:
    places = tuple((initrd, _found(files, initrd)) for initrd in initrds)
    return BootEntry(loader, menu, kernel, _found(files, kernel), places, tuple(arguments.split()))


def _found(files: Tree, written: str) -> str | None:
    """Where a loader's path is in the running system: it counts from the top of the file system that it reads."""
    inner = re.sub(r"^\([^)]*\)", "", written)
    for folder in ("", "/boot", "/boot/efi", "/efi"):
        path = f"{folder}/{inner.lstrip('/')}"
        if (node := files.stat(path)) and node.is_file:
            return path
    return None


def _menu_lst(files: Tree) -> Iterator[BootEntry]:
    seen = set[str | None]()
    for path in MENU_LST:
        real = files.real_path(path)
        text = files.text(path)
        if text is None or real in seen:
            continue
        seen.add(real)
        chosen = legacy_menu.parse(text).chosen
        if chosen and chosen.kernel:
            initrds = [chosen.initrd] if chosen.initrd else []
            yield _entry(files, "pv-grub", path, chosen.kernel, initrds, chosen.arguments)


def _grub_cfg(files: Tree) -> Iterator[BootEntry]:
    """The first `linux` line and the `initrd` behind it: a menu that chooses another one is rare on servers."""
    for path in GRUB_CFG:
        kernel: str | None = None
        arguments, initrds = "", list[str]()
        for line in (files.text(path) or "").splitlines():
            words = line.split()
            if not words:
                continue
            if re.fullmatch(r"linux(16|efi)?", words[0]) and len(words) > 1:
                if kernel is not None:
                    break
                kernel, arguments = words[1], " ".join(words[2:])
            elif re.fullmatch(r"initrd(16|efi)?", words[0]) and kernel is not None and not initrds:
                initrds = words[1:]
        if kernel is not None:
            yield _entry(files, "grub", path, kernel, initrds, arguments)


def _entry_files(files: Tree) -> Iterator[BootEntry]:
    """Source: the Boot Loader Specification; Fedora's blscfg takes $kernelopts and the like from grubenv."""
    known = {}
    for path in GRUB_ENV:
        for line in (files.text(path) or "").splitlines():
            name, equals, value = line.partition("=")
            if equals and not name.startswith("#"):
                known[name] = value
    for path in (path for pattern in ENTRIES for path in files.glob(pattern)):
        kernel, arguments, initrds = "", "", list[str]()
        for line in (files.text(path) or "").splitlines():
            name, _, value = line.strip().partition(" ")
            value = re.sub(r"\$\{?(\w+)\}?", lambda variable: known.get(variable[1], ""), value).strip()
            if name == "linux":
                kernel = value
            elif name == "initrd":
                initrds += value.split()
            elif name == "options":
                arguments += f" {value}"
        if kernel:
            yield _entry(files, "bls", path, kernel, initrds, arguments)


def _extlinux(files: Tree) -> Iterator[BootEntry]:
    for path in EXTLINUX:
        said: dict[str, str] = {}
        for line in (files.text(path) or "").splitlines():
            name, _, value = line.strip().partition(" ")
            if name.lower() in ("linux", "kernel", "append", "initrd"):
                said.setdefault(name.lower(), value.strip())
        folder = path.rpartition("/")[0]
        kernel, *initrds = [
            one if one.startswith("/") else f"{folder}/{one}"
            for one in (said.get("linux") or said.get("kernel", ""), *said.get("initrd", "").split(","))
        ]
        if said.get("linux") or said.get("kernel"):
            yield _entry(files, "extlinux", path, kernel, initrds if "initrd" in said else [], said.get("append", ""))


def searched_uuids(files: Tree) -> Iterator[tuple[str, str]]:
    """The file systems that GRUB's menu looks for by UUID: the menu's path, the UUID."""
    for path in GRUB_CFG:
        for line in (files.text(path) or "").splitlines():
            words = line.split()
            if words[:1] == ["search"] and any(word in ("--fs-uuid", "-u") for word in words):
                yield path, words[-1]
