"""Where a kernel usually lies on this machine, and whether one that was read has changed."""

import os
import re
from collections.abc import Iterator
from pathlib import Path

from wizard.kernel.collection import TREE_IMAGES, files_of, is_build_tree

MOST = 200

Stamp = tuple[tuple[int, int, int], ...]


def usual() -> Iterator[tuple[Path, str]]:
    """The files that are there, with what they are: the working directory's first, then the running kernel's."""
    running = os.uname().release
    found = [(Path(".config"), "the config in this folder")]
    found += [(Path(name), "the kernel that was built in this folder") for name in TREE_IMAGES]
    found += [
        (Path(f"/boot/config-{running}"), "the config of the kernel that runs here"),
        (Path(f"/boot/vmlinuz-{running}"), "the kernel that runs here"),
        (Path("/proc/config.gz"), "the config of the kernel that runs here"),
    ]
    known = {path for path, _ in found}
    others = sorted(path for pattern in ("config-*", "vmlinuz-*") for path in Path("/boot").glob(pattern))
    found += [(path, "installed here") for path in others if path not in known]
    return ((path, words) for path, words in found[:MOST] if _is_file(path))


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except OSError:  # a folder that this user may not look into
        return False


def typed(text: str) -> Path:
    """The path that somebody typed, "~" and all."""
    try:
        return Path(text.strip()).expanduser()
    except RuntimeError:  # there is no such user
        return Path(text.strip())


def beginning_with(text: str) -> list[str]:
    """The names that complete a path, folders with a slash behind them; at most MOST of them."""
    path = typed(text)
    folder, start = (path, "") if text.endswith("/") else (path.parent, path.name)
    try:
        names = sorted(entry.name + "/" * entry.is_dir() for entry in os.scandir(folder))
    except (OSError, ValueError):  # ValueError: a zero byte in the name
        return []
    before = text[: len(text) - len(start)]
    shown = [name for name in names if name.startswith(start) and (start.startswith(".") or _is_worth_it(name))]
    return [f"{before}{name}" for name in shown[:MOST]]


def _is_worth_it(name: str) -> bool:
    """Hidden files are asked for by their dot; a config is hidden and wanted."""
    return not name.startswith(".") or re.match(r"\.config", name) is not None


def stamp(path: Path) -> Stamp | None:
    """What becomes different when the kernel there is written anew; None while it is not there."""
    try:
        if not path.is_dir():
            return (_of(path),)
        names = (".config", *TREE_IMAGES) if is_build_tree(path) else [name for name, _ in files_of(path)]
        return tuple(_of(path / name) for name in names if (path / name).exists()) or None
    except OSError:
        return None


def _of(path: Path) -> tuple[int, int, int]:
    status = path.stat()
    return status.st_ino, status.st_size, status.st_mtime_ns
