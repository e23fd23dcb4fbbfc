"""The one stream that screens, prompts, the JSON output and the tests read: a file with one JSON object a line."""

import errno
import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

Event = dict[str, Any]

LAST = ("finished", "failed")
"""After one of these an attempt says nothing more."""

RESERVE_BYTES = 256 * 1024
"""Kept back on the disk, so that a full disk can still be told of."""


class EventLog:
    """Appends events to a file.  Each is one write, so that a reader never sees half a line of a live writer."""

    def __init__(self, path: Path) -> None:
        self._reserve = path.with_name("reserve")
        self._file = path.open("ab", buffering=0)
        if not _ends_with_newline(path):
            self._file.write(b"\n")
        _keep_back(self._reserve)

    def __call__(self, event: str, **facts: Any) -> None:
        """Records that something happened, with its time (seconds since 1970)."""
        record = {"event": event, "time": round(time.time(), 3), **facts}
        line = json.dumps(record, ensure_ascii=False).encode() + b"\n"
        try:
            self._write(line)
        except OSError as error:
            if error.errno not in (errno.ENOSPC, errno.EDQUOT) or not self._reserve.exists():
                raise
            self._reserve.unlink()
            self._write(b"\n" + line)

    def _write(self, line: bytes) -> None:
        if self._file.write(line) != len(line):
            raise OSError(errno.ENOSPC, "only a part of an event could be written", self._file.name)


def _keep_back(path: Path) -> None:
    """On a disk that is full already there is nothing to keep back; the first event will say so."""
    try:
        path.write_bytes(b"\0" * RESERVE_BYTES)
    except OSError:
        path.unlink(missing_ok=True)


def _ends_with_newline(path: Path) -> bool:
    """A writer that was killed may have left half a line."""
    with path.open("rb") as file:
        if file.seek(0, 2) == 0:
            return True
        file.seek(-1, 2)
        return file.read(1) == b"\n"


def read(path: Path, offset: int = 0) -> Iterator[tuple[Event, int]]:
    """The whole events from a place in the file, each with the place behind it; half a line at the end is for later."""
    if not path.exists():
        return
    with path.open("rb") as file:
        file.seek(offset)
        for line in file:
            if not line.endswith(b"\n"):
                return
            offset += len(line)
            try:
                event = json.loads(line)
            except ValueError:
                # Half a line of a writer that was killed: what it wanted to say is gone.
                continue
            yield event, offset
