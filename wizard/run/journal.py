"""The journal: what was asked of AWS, written down before it is asked, and what came back.

Append-only, one JSON record a line, on the disk before the call returns.  A crash can tear the last line alone;
readers leave a torn line out, and the next record starts on a line of its own.
"""

import json
import os
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

Kind = Literal["asked", "answered"]
Record = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Journal:
    """The journal in the file at `path`, which need not exist yet.

    A record is `{"kind", "operation", "at"}` with the parameters or the result beside; `at` is ISO 8601 in UTC.
    """

    path: Path

    def asked(self, operation: str, **params: Any) -> None:
        """To be called before the operation, with all that is needed to ask for it again or to find what it made."""
        self._append("asked", operation, params)

    def answered(self, operation: str, **result: Any) -> None:
        self._append("answered", operation, result)

    def records(self) -> list[Record]:
        """Every whole record, the oldest first."""
        return [json.loads(line) for line in whole_lines(self.path)]

    def last(self, operation: str, kind: Kind = "answered") -> Record | None:
        """The newest record of an operation."""
        found = (item for item in reversed(self.records()) if (item["operation"], item["kind"]) == (operation, kind))
        return next(found, None)

    def _append(self, kind: Kind, operation: str, facts: Record) -> None:
        record = {"kind": kind, "operation": operation, "at": datetime.now(UTC).isoformat(), **facts}
        is_new = not self.path.exists()
        append_lines(self.path, [json.dumps(record, ensure_ascii=False)])
        if is_new:
            _sync_folder(self.path.parent)


def is_fresh(record: Record, seconds: float) -> bool:
    """Whether it is younger than so many seconds: so new that AWS may not show everywhere what came of it."""
    return (datetime.now(UTC) - datetime.fromisoformat(record["at"])).total_seconds() < seconds


def whole_lines(path: Path) -> list[str]:
    """The lines of an append-only file; a last one that a crash tore is left out."""
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        return []
    # Not splitlines: that also splits at characters which may stand inside a record, such as U+2028.
    return data.decode(errors="replace").split("\n")[:-1]


def append_lines(path: Path, lines: Iterable[str]) -> None:
    """Adds lines and waits until they are on the disk.  A torn last line is cut off first."""
    with path.open("a+b") as file:
        _cut_torn_line(file.fileno())
        file.write("".join(f"{line}\n" for line in lines).encode())
        file.flush()
        os.fsync(file.fileno())


def _cut_torn_line(fd: int) -> None:
    end = size = os.fstat(fd).st_size
    while end > 0 and os.pread(fd, 1, end - 1) != b"\n":
        end -= 1
    if end < size:
        os.ftruncate(fd, end)


def _sync_folder(folder: Path) -> None:
    """A new file is there after a power cut only if its folder was written too."""
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
