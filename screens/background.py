"""Slow things beside the screen, in threads that never hold up the exit."""

import contextlib
import threading
from collections.abc import Callable
from typing import TypeVar

from textual.message_pump import MessagePump

T = TypeVar("T")

BESIDE = "beside the screen"
"""The name of the threads, for whoever wants to know whether any is still at work."""


def in_background(owner: MessagePump, work: Callable[[], T], then: Callable[[T], None]) -> None:
    """Does the work in a daemon thread and hands its result to `then`, on the screen's side, if the owner still lives.

    Textual's own thread workers would make a quit wait for them.  An error of the work is raised in the owner, where
    the app explains it.
    """

    def run() -> None:
        try:
            result = work()
        except Exception as error:  # noqa: BLE001  carried over to the screen's side, and raised there
            tell(owner, _raise, error)
            return
        tell(owner, then, result)

    threading.Thread(target=run, name=BESIDE, daemon=True).start()


def tell(owner: MessagePump, then: Callable[[T], None], result: T) -> bool:
    """Calls `then(result)` on the screen's side, from any thread; False when nobody is there any more."""
    with contextlib.suppress(RuntimeError):
        # The loop may end between the look and the call: then there is nobody to tell.
        return owner.call_later(then, result)
    return False


def _raise(error: Exception) -> None:
    raise error
