"""Ends what the runner started, however the runner itself ended.

A runner that is killed by `kill -9` cannot clean up, and its children would go on.  So it forks a warden before
anything else, which does nothing but wait on a pipe: when the runner's end closes, the runner is gone, and the warden
kills the process groups that it was told of.
"""

import contextlib
import os
import signal


class Warden:
    """The runner's end of the pipe.  Make it before there are threads, locks or open files to inherit."""

    def __init__(self) -> None:
        reading, self._writing = os.pipe()
        if os.fork() == 0:
            _watch(reading)
        os.close(reading)

    def guard(self, group: int) -> None:
        """From now on this process group ends with the runner."""
        os.write(self._writing, f"+{group}\n".encode())

    def release(self, group: int) -> None:
        """The group has ended by itself."""
        os.write(self._writing, f"-{group}\n".encode())


def _watch(reading: int) -> None:
    """The warden's whole life; it never returns."""
    os.setsid()
    os.closerange(0, reading)
    os.closerange(reading + 1, 256)
    groups: set[int] = set()
    with os.fdopen(reading, "r") as pipe:
        for line in pipe:
            (groups.add if line[0] == "+" else groups.discard)(int(line[1:]))
    for group in groups:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(group, signal.SIGKILL)
    os._exit(0)
