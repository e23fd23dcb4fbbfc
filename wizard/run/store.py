"""Results: what a finished step left, under its key, there as a whole or not at all."""

import json
import os
import shutil
import time
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock

MARK = ".result.json"


@dataclass(frozen=True, slots=True)
class Store:
    """The folder of all results; shared by all builds of this user."""

    folder: Path

    def find(self, key: str) -> Path | None:
        """The folder of the result under that key; None when there is none."""
        path = self.folder / key
        return path if (path / MARK).exists() else None

    def claim(self, key: str) -> FileLock:
        """The right to make the result under that key; whoever does not get it waits and finds the result."""
        return FileLock(self._claims() / key)

    def say_where(self, key: str, log: Path) -> None:
        """Where the output of whoever makes that result can be read."""
        (self._claims() / f"{key}.log").write_text(str(log), encoding="utf-8")

    def said(self, key: str) -> Path | None:
        """The log of whoever makes, or last made, that result."""
        path = self._claims() / f"{key}.log"
        return Path(path.read_text(encoding="utf-8")) if path.exists() else None

    def _claims(self) -> Path:
        claims = self.folder / ".claims"
        claims.mkdir(parents=True, exist_ok=True)
        return claims

    def publish(self, key: str, made: Path, *, step: str, seconds: float) -> Path:
        """Takes a finished step's folder in: written out to the disk first, then renamed to its key.

        If someone else published the same key meanwhile, theirs is kept: the same key means the same content.
        """
        mark = {"step": step, "seconds": round(seconds, 1), "finished": time.time()}
        (made / MARK).write_text(json.dumps(mark), encoding="utf-8")
        self.folder.mkdir(parents=True, exist_ok=True)
        _flush(made)
        target = self.folder / key
        if not (target / MARK).exists():
            # Without its mark it is what somebody left who deleted half of the cache.
            shutil.rmtree(target, ignore_errors=True)
            made.rename(target)
            _fsync(self.folder)
        return target

    def seconds(self, key: str) -> float | None:
        """How long the step took that left this result."""
        path = self.find(key)
        return float(json.loads((path / MARK).read_text(encoding="utf-8"))["seconds"]) if path else None


def _flush(folder: Path) -> None:
    for path in folder.rglob("*"):
        if path.is_file() and not path.is_symlink():
            _fsync(path)
    _fsync(folder)


def _fsync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
