"""Waiting for the screen in tests: as long as it takes on a busy machine, and no longer."""

import threading
import time
from collections.abc import Callable
from typing import Any

from textual.pilot import Pilot

from screens.background import BESIDE

PATIENCE_SECONDS = 30


async def wait_for(pilot: Pilot[Any], what: Callable[[], bool]) -> None:
    """Until it has come about."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not what():
        assert time.monotonic() < deadline, f"it did not come about within {PATIENCE_SECONDS} s"
        await pilot.pause(0.03)


async def settle(pilot: Pilot[Any]) -> None:
    """Until what was asked for beside the screen has arrived and is drawn."""
    await pilot.pause()
    await wait_for(pilot, lambda: not any(thread.name == BESIDE for thread in threading.enumerate()))
    await pilot.pause()
    await pilot.pause()
