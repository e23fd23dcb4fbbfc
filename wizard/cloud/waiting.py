"""Doing much at once, and being patient, in ways that can be stopped."""

import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Executor, Future
from itertools import islice
from queue import SimpleQueue
from typing import TypeVar

from wizard.explain import Failure

Item = TypeVar("Item")
Result = TypeVar("Result")

Asked = Callable[[], bool]
"""Says whether the user wants to stop."""

GLANCE = 0.1
"""Seconds between two looks whether to stop."""


class Cancelled(Exception):
    """The user asked to stop.  What was done is written down, and the next run goes on from there."""


def never() -> bool:
    return False


def as_ready(pool: Executor, work: Callable[[Item], Result], items: Iterable[Item], at_once: int) -> Iterator[Result]:
    """Works on the items in the pool, at most `at_once` under way; gives the results in the order they get ready."""
    ready: SimpleQueue[Future[Result]] = SimpleQueue()
    left = iter(items)

    def begin(count: int) -> int:
        begun = [pool.submit(work, item) for item in islice(left, count)]
        for future in begun:
            future.add_done_callback(ready.put)
        return len(begun)

    running = begin(at_once)
    while running:
        yield ready.get().result()
        running += begin(1) - 1


def rest(seconds: float, cancelled: Asked) -> None:
    """Sleeps, but not a moment longer than the user wants to wait.  Raises Cancelled."""
    until = time.monotonic() + seconds
    while True:
        if cancelled():
            raise Cancelled
        left = until - time.monotonic()
        if left <= 0:
            return
        time.sleep(min(GLANCE, left))


def until(look: Callable[[], Result | None], patience: float, late: Failure, cancelled: Asked = never) -> Result:
    """Looks again and again, with growing pauses up to 5 s, until there is something to give.

    Raises `late` after `patience` seconds, and Cancelled.
    """
    deadline = time.monotonic() + patience
    pause = 0.1
    while (found := look()) is None:
        if time.monotonic() > deadline:
            raise late
        rest(pause, cancelled)
        pause = min(1.5 * pause, 5.0)
    return found
