"""Crashes are explained, signals leave the terminal as it was, colours are optional and readable."""

import asyncio
import os
import select
import shutil
import signal
import threading
import traceback
from collections.abc import Callable
from pathlib import Path

from textual.app import App
from textual.theme import Theme

from wizard.explain import Failure, explain

GONE = select.POLLHUP | select.POLLERR | select.POLLNVAL

# Every pair of text and ground has a contrast of at least 4.5 (tests/test_screens_safety.py measures it).
THEME = Theme(
    name="ami-wizard",
    primary="#2b66a8",
    secondary="#1f4f86",
    accent="#8ec7ff",
    success="#63d297",
    warning="#f0bd5e",
    error="#ff8f8f",
    foreground="#e6eaf0",
    background="#12161c",
    surface="#1a2029",
    panel="#222a35",
    dark=True,
    variables={
        "text-muted": "#b3bdc9",
        "text-disabled": "#a3adba",
        "text-primary": "#8ec7ff",
        "block-cursor-background": "#2b66a8",
        "block-cursor-foreground": "#ffffff",
        "block-cursor-blurred-background": "#2f3a48",
        "block-cursor-blurred-foreground": "#e6eaf0",
        "input-cursor-background": "#e6eaf0",
        "button-color-foreground": "#ffffff",
        "footer-key-foreground": "#8ec7ff",
        "footer-description-foreground": "#e6eaf0",
        "footer-background": "#222a35",
    },
)


def honour_no_color() -> bool:
    """Whether colours are unwanted.  An empty NO_COLOR means nothing (no-color.org), but Textual takes it for a yes."""
    if os.environ.get("NO_COLOR") == "":
        del os.environ["NO_COLOR"]
    return "NO_COLOR" in os.environ


def leave_on_signals(app: App[int]) -> None:
    """SIGTERM, SIGHUP and SIGINT end the app in order: the terminal is restored and the way on is printed."""
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT):
        loop.add_signal_handler(number, lambda: app.exit(130))


def leave_when_hung_up(last_duty: Callable[[], None], terminal: int = 0) -> None:
    """Ends this process once its terminal is gone, whatever else it is doing.

    Whoever was started by make is never told (make keeps the signal to itself), and Textual waits for ever for a
    terminal that takes no output any more.  Answers and builds are on the disk at every moment; there is nobody to
    say a last word to.
    """

    def wait() -> None:
        poll = select.poll()
        poll.register(terminal, 0)
        while not any(mask & GONE for _, mask in poll.poll()):
            continue
        try:
            last_duty()
        finally:
            os._exit(130)

    threading.Thread(target=wait, daemon=True).start()


def crash_text(error: BaseException) -> str:
    """What is printed after a crash: an explanation and the places in the code, never a variable's value."""
    from wizard.cli.output import card

    width = min(shutil.get_terminal_size().columns, 100)
    if isinstance(error, Failure):
        return card(explain(error), width)
    frames = traceback.extract_tb(error.__traceback__)[-4:]
    places = [f"{Path(frame.filename).name}:{frame.lineno} in {frame.name}" for frame in frames]
    return card(explain(Failure("screens-crashed", evidence=[f"{type(error).__name__}: {error}", *places])), width)
