"""A log to read, from its end, and to search."""

from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.screen import ModalScreen
from textual.widgets import Footer, Input, Log, Static

from screens.inputs import PRINTABLE, Entry
from screens.words import plain

MOST_LINES = 5000


class LogView(ModalScreen[None]):
    """A window with the last lines of a log; / searches, n and N go on to the next and the one before."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("slash", "find", "Find"),
        Binding("n", "next", "Next"),
        Binding("N", "previous", "Previous", key_display="N"),
        Binding("escape", "close", "Close", priority=True),
        Binding("q,f1,ctrl+c", "dismiss", "Close", show=False),
    ]

    def __init__(self, title: str, text: str) -> None:
        super().__init__()
        self._title = title
        self._lines = [plain(line) for line in text.splitlines()[-MOST_LINES:]]
        self._wanted = ""
        self._at = len(self._lines)

    def compose(self) -> ComposeResult:
        with Vertical(classes="dialog -large"):
            yield Static(plain(self._title), classes="title", markup=False)
            yield Log(max_lines=MOST_LINES)
            yield Entry("", placeholder="text to find", compact=True, restrict=PRINTABLE, classes="find")
            yield Static("", classes="found", markup=False)
        yield Footer(show_command_palette=False)

    def on_mount(self) -> None:
        self.query_one(".find").display = False
        log = self.query_one(Log)
        log.write_lines(self._lines)
        log.focus()

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:  # noqa: ARG002
        """Letters are letters while one types."""
        if action in ("find", "next", "previous"):
            return not self.query_one(".find").display and (action == "find" or bool(self._wanted))
        return True

    def action_find(self) -> None:
        """Asks for the text."""
        self.query_one(".find").display = True
        self.query_one(".find").focus()
        self.refresh_bindings()

    def action_close(self) -> None:
        """Out of the search first, then out of the window."""
        if self.query_one(".find").display:
            self._leave_search()
        else:
            self.dismiss(None)

    @on(Input.Submitted, ".find")
    def _search(self, event: Input.Submitted) -> None:
        event.stop()
        self._wanted = event.value.strip().lower()
        self._at = len(self._lines)
        self._leave_search()
        self.action_previous()

    def _leave_search(self) -> None:
        self.query_one(".find").display = False
        self.query_one(Log).focus()
        self.refresh_bindings()

    def action_next(self) -> None:
        """The next line with the text."""
        self._show(next((place for place in self._places() if place > self._at), None))

    def action_previous(self) -> None:
        """The line with the text before this one; at first the last of all."""
        self._show(next((place for place in reversed(self._places()) if place < self._at), None))

    def _places(self) -> list[int]:
        return [place for place, line in enumerate(self._lines) if self._wanted and self._wanted in line.lower()]

    def _show(self, place: int | None) -> None:
        places = self._places()
        if place is None:
            words = (
                "no more of them that way" if places else f"“{self._wanted}” is not in this log" if self._wanted else ""
            )
            self.query_one(".found", Static).update(plain(words))
            return
        self._at = place
        self.query_one(Log).scroll_to(y=max(0, place - 3), animate=False)
        count = f"{places.index(place) + 1} of {len(places)}"
        self.query_one(".found", Static).update(plain(f"line {place + 1}, {count}: {self._lines[place]}"))
