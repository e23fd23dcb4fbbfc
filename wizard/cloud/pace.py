"""How many requests may be under way at once: as many as AWS bears, found out while sending."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

FLOOR = 12
"""Never fewer.  A limit without a floor starves where throttling does not follow our own rate: 148 s in place of 8
(measured against a practice cloud that did so)."""

LESS = 0.7
"""What is left of the limit after AWS said "too many"."""

ROUND = 0.5
"""Seconds for which one cut is enough: the requests that were under way with it say the same once more."""


class Pace:
    """A limit that grows by one with every round of requests that went well, and shrinks by a share when throttled."""

    def __init__(self, most: int) -> None:
        self.limit = float(most)
        self._most = most
        self._under_way = 0
        self._cut = float("-inf")
        self._changed = threading.Condition()

    @contextmanager
    def turn(self) -> Iterator[None]:
        """Waits until one more request may be under way, and counts it while it is."""
        with self._changed:
            self._changed.wait_for(lambda: self._under_way < int(self.limit))
            self._under_way += 1
        try:
            yield
        finally:
            with self._changed:
                self._under_way -= 1
                self._changed.notify()

    def went_well(self) -> None:
        """A request was answered."""
        with self._changed:
            self.limit = min(self._most, self.limit + 1 / self.limit)

    def throttled(self) -> None:
        """A request was refused because there are too many."""
        with self._changed:
            now = time.monotonic()
            if now - self._cut >= ROUND:
                self._cut = now
                self.limit = max(FLOOR, self.limit * LESS)
