"""The files of a userland, wherever it lies: a folder, a tar archive, the layers of an image.  Nothing is unpacked."""

import stat
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path, PurePosixPath

from wizard.explain import Failure
from wizard.kernel.archive import Member, entries
from wizard.kernel.sniff import opened
from wizard.kernel.stream import Stream

MOST = 64 << 30
MOST_ENTRIES = 5_000_000
"""Of one archive: more than any userland has, and less than for ever."""

FOLDERS = ("boot", "lib/modules/*", "usr/lib/modules/*")
"""Where files count whose names are not known beforehand: those of the kernel."""

OPAQUE = ".wh..wh..opq"
WHITEOUT = ".wh."
"""Names in a layer that take something away from those below.  Source: OCI image specification, layer.md."""


def of_folder(folder: Path, names: Iterable[str]) -> Iterator[Member]:
    """Those of the named files that are there, and the kernel's.

    Links are not followed: in a userland that is not running, an absolute one leads into this machine's own files.
    """
    wanted = [folder / name for name in names]
    for pattern in FOLDERS:
        wanted += [path / name for path in sorted(folder.glob(pattern)) for name in _names_in(path, folder)]
    for path in dict.fromkeys(wanted):
        if _is_real_file(path, folder):
            yield path.relative_to(folder).as_posix(), opened(path)


def _names_in(path: Path, folder: Path) -> list[str]:
    if _has_link(path, folder) or not path.is_dir():
        return []
    return sorted(one.name for one in path.iterdir() if one.is_file())


def _is_real_file(path: Path, folder: Path) -> bool:
    try:
        return not _has_link(path, folder) and stat.S_ISREG(path.stat().st_mode)
    except OSError:
        return False


def _has_link(path: Path, folder: Path) -> bool:
    """Whether the path or a folder on the way to it is a link."""
    between = [path, *path.parents]
    return any(one.is_symlink() for one in between[: between.index(folder)])


def of_archive(path: Path, archive: Stream) -> Iterator[Member]:
    """The regular files of a tar archive.  Raises Failure "hostile-archive" for names that lead out of it."""
    for entry in entries(archive, MOST, MOST_ENTRIES):
        if entry.name.startswith("/") or ".." in PurePosixPath(entry.name).parts:
            raise Failure("hostile-archive", path=path, evidence=[entry.name])
        if entry.content:
            yield entry.name.removeprefix("./"), nullcontext(entry.content)


def of_layers(layers: Iterable[Callable[[], AbstractContextManager[Stream]]]) -> Iterator[Member]:
    """The regular files that are left when these layers lie on each other, the topmost given first."""
    hidden: set[str] = set()
    for layer in layers:
        below: set[str] = set()
        with layer() as archive:
            for entry in entries(archive, MOST, MOST_ENTRIES):
                below.update(_hides(entry.name.removeprefix("./")))
                name = entry.name.removeprefix("./").strip("/")
                if entry.content and WHITEOUT not in name and not _is_hidden(name, hidden):
                    yield name, nullcontext(entry.content)
        hidden |= below


def _hides(name: str) -> tuple[str, ...]:
    """What an entry of a layer takes away from those below: a path, and with a slash behind it all that is in one."""
    path = PurePosixPath(name)
    if path.name == OPAQUE:
        return (f"{path.parent}/",)
    if path.name.startswith(WHITEOUT):
        path = path.parent / path.name.removeprefix(WHITEOUT)
        return str(path), f"{path}/"
    return () if name.endswith("/") else (name, f"{name}/")


def _is_hidden(name: str, hidden: set[str]) -> bool:
    return name in hidden or any(f"{parent}/" in hidden for parent in PurePosixPath(name).parents)
