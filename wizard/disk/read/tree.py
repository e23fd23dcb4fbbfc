"""Files by their paths, in one file system or in several that are mounted into each other."""

import re
import stat
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Protocol, TypeVar

from wizard.disk.read.source import Unreadable
from wizard.kernel.stream import Damaged, Stream

Found = TypeVar("Found")

MOST_LINKS = 40
"""As many symbolic links in one path as Linux follows (path_resolution(7))."""

MOST_FILE = 16 << 20
"""What `read` gives at most: the files that it is meant for are settings."""

MOST_NAMES = 500_000
"""So many names are kept, and so many a folder may have."""

MOST_BLIND = 50

LONGEST_PATH = 4096
"""As long as a path of Linux may be (PATH_MAX)."""


@dataclass(frozen=True, slots=True)
class Node:
    """A file, folder, link or device.

    key   tells it from every other in its file system
    mode  type and permissions, as stat(2) has them
    size  in bytes
    raw   for the file system's own use
    """

    key: tuple[int, ...]
    mode: int
    uid: int
    gid: int
    size: int
    raw: bytes = field(default=b"", repr=False, compare=False)

    @property
    def is_folder(self) -> bool:
        """Whether it is a directory."""
        return stat.S_ISDIR(self.mode)

    @property
    def is_file(self) -> bool:
        """Whether it is a regular file."""
        return stat.S_ISREG(self.mode)

    @property
    def is_link(self) -> bool:
        """Whether it is a symbolic link."""
        return stat.S_ISLNK(self.mode)


class Driver(Protocol):
    """What the reader of one kind of file system gives.  Every method may raise Unreadable."""

    folds_case: bool
    """Whether "BOOT" and "boot" are the same name."""

    def root(self) -> Node:
        """The top folder."""

    def node(self, key: tuple[int, ...]) -> Node:
        """What a folder's entry points to."""

    def entries(self, folder: Node) -> Iterator[tuple[str, tuple[int, ...]]]:
        """The names in a folder, without "." and "..", with the keys that they point to."""

    def content(self, file: Node) -> Iterator[bytes]:
        """A file's bytes, or a link's target, in pieces."""


@dataclass(frozen=True, slots=True)
class _Place:
    """A node, with the path where it really is and the file system that holds it."""

    path: str
    node: Node
    driver: Driver


class Tree:
    """Files by absolute paths.

    What is not there gives None or nothing.  So does what cannot be read, but it is kept in `blind`, path and reason,
    so that "nothing found" is never said of what nobody could look at.
    """

    def __init__(self, mounts: Mapping[str, Driver]) -> None:
        self.blind: dict[str, str] = {}
        self._mounts = {path.rstrip("/") or "/": driver for path, driver in mounts.items()}
        self._names: dict[tuple[int, tuple[int, ...]], dict[str, tuple[int, ...]]] = {}
        self._kept = 0

    def stat(self, path: str, *, follow: bool = True) -> Node | None:
        """What is there; with `follow`, where the link leads."""
        place = self._looking(path, lambda: self._resolve(path, follow))
        return place.node if place else None

    def real_path(self, path: str) -> str | None:
        """The path behind all links."""
        place = self._looking(path, lambda: self._resolve(path, True))
        return place.path if place else None

    def identity(self, path: str) -> Hashable:
        """What tells the file there from every other, under whatever path it is met; None when there is none."""
        place = self._looking(path, lambda: self._resolve(path, True))
        return (id(place.driver), place.node.key) if place else None

    def read(self, path: str, most: int = MOST_FILE) -> bytes | None:
        """A regular file's content.  One larger than `most` bytes counts as unreadable."""

        def all_of() -> bytes | None:
            place = self._resolve(path, True)
            if place is None or not place.node.is_file:
                return None
            if place.node.size > most:
                raise Unreadable(f"it has {place.node.size} bytes, which is too many for what it is")
            return b"".join(place.driver.content(place.node))

        return self._looking(path, all_of)

    def text(self, path: str) -> str | None:
        """A regular file's content as text, whatever bytes are in it."""
        data = self.read(path)
        return None if data is None else data.decode("utf-8", "replace")

    def target(self, path: str) -> str | None:
        """Where a symbolic link points to, as it is written there."""

        def written() -> str | None:
            place = self._resolve(path, False)
            return _target(place) if place and place.node.is_link else None

        return self._looking(path, written)

    def stream(self, path: str) -> Stream | None:
        """A regular file's content, to be read once; where it cannot be read on it ends, with `damage`."""
        place = self._looking(path, lambda: self._resolve(path, True))
        if place is None or not place.node.is_file:
            return None
        return Stream(self._noting(path, place.driver.content(place.node)), place.node.size)

    def names(self, path: str) -> list[str]:
        """What a folder holds, sorted."""

        def listed() -> list[str] | None:
            place = self._resolve(path, True)
            return sorted(self._listing(place)) if place and place.node.is_folder else None

        return self._looking(path, listed) or []

    def glob(self, pattern: str) -> list[str]:
        """The paths that fit, sorted; "*", "?" and {a,b} stand for parts of one name."""
        found = [""]
        for part in re.split(r"/(?![^{}]*\})", pattern.strip("/")):
            if re.search(r"[*?{]", part):
                fits = _name_pattern(part)
                found = [f"{path}/{name}" for path in found for name in self.names(path or "/") if fits(name)]
            else:
                found = [f"{path}/{part}" for path in found]
        return [path for path in found if self.stat(path, follow=False)]

    def walk(self, top: str = "/") -> Iterator[tuple[str, Node]]:
        """Everything below a folder, folders before what is in them; links are not followed."""
        start = self._looking(top, lambda: self._resolve(top, True))
        seen: set[tuple[int, tuple[int, ...]]] = set()
        waiting = [start] if start and start.node.is_folder else []
        while waiting:
            folder = waiting.pop()
            if (id(folder.driver), folder.node.key) in seen:
                continue
            seen.add((id(folder.driver), folder.node.key))
            inner = []
            for place in self._inside(folder):
                yield place.path, place.node
                inner += [place] if place.node.is_folder else []
            waiting += reversed(inner)

    def _inside(self, folder: _Place) -> Iterator[_Place]:
        """What a folder holds, as far as it can be read."""
        names = self._looking(folder.path, lambda: sorted(self._listing(folder))) or []
        for name in names:
            path = _joined(folder.path, name)
            if len(path) > LONGEST_PATH:
                self._note(folder.path, Unreadable("what is in it has longer paths than Linux allows"))
                return
            place = self._looking(path, partial(self._child, folder, name))
            if place:
                yield place

    def _looking(self, path: str, look: Callable[[], Found | None]) -> Found | None:
        try:
            return look()
        except Unreadable as error:
            self._note(path, error)
            return None

    def _note(self, path: str, error: Unreadable) -> None:
        if len(self.blind) < MOST_BLIND:
            self.blind[path] = str(error)

    def _noting(self, path: str, pieces: Iterable[bytes]) -> Iterator[bytes]:
        try:
            yield from pieces
        except Unreadable as error:
            self._note(path, error)
            raise Damaged(str(error)) from error

    def _resolve(self, path: str, follow: bool) -> _Place | None:
        """Walks a path, name by name."""
        driver = self._mounts["/"]
        top = [_Place("/", driver.root(), driver)]
        stack, links = list(top), 0
        waiting = _parts(path)
        while waiting:
            name = waiting.pop()
            if name == "..":
                stack = stack[:-1] or list(top)
                continue
            place = self._child(stack[-1], name) if stack[-1].node.is_folder else None
            if place is None:
                return None
            if place.node.is_link and (follow or waiting):
                links += 1
                if links > MOST_LINKS:
                    return None
                target = _target(place)
                if target.startswith("/"):
                    stack = list(top)
                waiting += _parts(target)
                continue
            stack.append(place)
        return stack[-1]

    def _child(self, folder: _Place, name: str) -> _Place | None:
        names = self._listing(folder)
        if name not in names and folder.driver.folds_case:
            name = next((other for other in names if other.casefold() == name.casefold()), name)
        if name not in names:
            return None
        path = _joined(folder.path, name)
        if mounted := self._mounts.get(path):
            return _Place(path, mounted.root(), mounted)
        return _Place(path, folder.driver.node(names[name]), folder.driver)

    def _listing(self, folder: _Place) -> dict[str, tuple[int, ...]]:
        key = id(folder.driver), folder.node.key
        if key not in self._names:
            listed: dict[str, tuple[int, ...]] = {}
            for name, target in folder.driver.entries(folder.node):
                if name and "/" not in name and "\0" not in name:
                    listed.setdefault(name, target)
                if len(listed) > MOST_NAMES:
                    raise Unreadable(f"the folder has more than {MOST_NAMES:,} entries")
            self._kept += len(listed) + 1
            if self._kept > MOST_NAMES:
                self._names.clear()
                self._kept = len(listed)
            self._names[key] = listed
        return self._names[key]


def path_pattern(pattern: str) -> "re.Pattern[str]":
    """A pattern for whole paths: "*" and "?" stay within a name, "**" does not, {a,b} is one of both."""
    pieces = {"**/": "(?:.*/)?", "**": ".*", "*": "[^/]*", "?": "[^/]", "{": "(?:", "}": ")"}
    written, depth = "", 0
    for part in re.split(r"(\*\*/|\*\*|[*?{},])", pattern):
        depth += {"{": 1, "}": -1}.get(part, 0)
        written += "|" if part == "," and depth else pieces.get(part, re.escape(part))
    return re.compile(written, re.DOTALL)


def _name_pattern(pattern: str) -> Callable[[str], bool]:
    compiled = path_pattern(pattern)
    return lambda name: compiled.fullmatch(name) is not None


def _parts(path: str) -> list[str]:
    """The names of a path, the last one first."""
    return [name for name in reversed(path.split("/")) if name not in ("", ".")]


def _joined(folder: str, name: str) -> str:
    return f"{folder.rstrip('/')}/{name}"


def _target(place: _Place) -> str:
    if place.node.size > 4096:
        raise Unreadable("a symbolic link is longer than any may be")
    return b"".join(place.driver.content(place.node)).decode("utf-8", "surrogateescape")
