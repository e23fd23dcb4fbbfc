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

from rich.text import Text
from textual.app import App
from textual.theme import Theme
from textual.widgets import Static

from wizard.explain import Failure, explain

SMALLEST, MIDDLE, WIDE = (60, 20), 100, 130

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


class SafeApp(App[int]):
    """What every app here has: the theme, the layouts by size, and ends that leave the terminal as it was."""

    TITLE = "ami-wizard"
    CSS_PATH = Path(__file__).with_name("wizard.tcss")
    HORIZONTAL_BREAKPOINTS = [  # noqa: RUF012  Textual declares it
        (0, "-small"),
        (SMALLEST[0], "-narrow"),
        (MIDDLE, "-middle"),
        (WIDE, "-wide"),
    ]
    VERTICAL_BREAKPOINTS = [(0, "-flat"), (SMALLEST[1], "-tall")]  # noqa: RUF012  as above

    def __init__(self) -> None:
        is_plain = honour_no_color()
        # Textual picks its filter now, by this: the one for ANSI removes colours, the other only makes them grey.
        super().__init__(ansi_color=is_plain)
        self.register_theme(THEME)
        self.theme = "ansi-dark" if is_plain else THEME.name

    async def on_mount(self) -> None:
        if not self.is_headless:
            leave_on_signals(self)
            leave_when_hung_up(self.last_duty)

    def last_duty(self) -> None:
        """What has to be done yet when the terminal is gone."""

    def _handle_exception(self, error: Exception) -> None:
        """Textual would print every local variable, secrets included: an explanation is printed instead."""
        self._return_code = 1
        if self._exception is None:
            self._exception = error
            self._exception_event.set()
            self._exit_renderables.append(Text(crash_text(error)))
        self._close_messages_no_wait()


class TooSmall(Static):
    """Covers a screen that is smaller than it was laid out for, and says so."""

    def __init__(self) -> None:
        words = f"Too small: {SMALLEST[0]}x{SMALLEST[1]} is needed. Nothing is lost."
        super().__init__(words, classes="too-small", markup=False)


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
