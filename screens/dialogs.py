"""Windows over the screen: a question with few answers, a file to write, and a text to read."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical, VerticalScroll
from textual.screen import ModalScreen
from textual.widgets import Footer, Input, OptionList, Static
from textual.widgets.option_list import Option

from screens.inputs import PRINTABLE, Choices, Entry
from screens.words import plain
from wizard.kernel.places import typed


class Ask(ModalScreen[str]):
    """A question; gives the key of the chosen answer, "" for none of them.  The first answer has the focus."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "dismiss('')", "Cancel", priority=True),
        Binding("ctrl+c", "dismiss('')", "Cancel", priority=True, show=False),
    ]

    def __init__(self, title: str, text: str, answers: Sequence[tuple[str, str]]) -> None:
        super().__init__()
        self._title, self._text, self._answers = title, text, answers

    def compose(self) -> ComposeResult:
        with Vertical(classes="dialog"):
            yield Static(plain(self._title), classes="title", markup=False)
            with VerticalScroll(classes="words", can_focus=False):
                yield Static(plain(self._text), markup=False)
            yield Choices(*(Option(plain(label), id=key) for key, label in self._answers), markup=False, compact=True)
        yield Footer(show_command_palette=False)

    def on_mount(self) -> None:
        self.query_one(Choices).focus()

    def on_option_list_option_selected(self, event: OptionList.OptionSelected) -> None:
        self.dismiss(event.option.id or "")


class AskFile(ModalScreen[Path]):
    """The name of a file to write.  One that is there already is replaced only after a second Enter.

    `forbidden` says why a name cannot be taken; "" where it can.
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "dismiss", "Cancel", priority=True),
        Binding("ctrl+c", "dismiss", "Cancel", priority=True, show=False),
    ]

    def __init__(self, title: str, text: str, name: Path, forbidden: Callable[[Path], str]) -> None:
        super().__init__()
        self._title, self._text, self._file, self._forbidden = title, text, name, forbidden
        self._warned: Path | None = None

    def compose(self) -> ComposeResult:
        with Vertical(classes="dialog"):
            yield Static(plain(self._title), classes="title", markup=False)
            yield Static(plain(self._text), classes="words", markup=False)
            yield Entry(plain(str(self._file)), compact=True, restrict=PRINTABLE, classes="name")
            yield Static("", classes="problem", markup=False)
        yield Footer(show_command_palette=False)

    def on_mount(self) -> None:
        self.query_one(Entry).focus()

    @on(Input.Submitted)
    def _named(self, event: Input.Submitted) -> None:
        event.stop()
        path = typed(event.value)
        try:
            problem = self._problem(path, event.value)
        except OSError as error:
            problem = f"{error.strerror or error}."
        if problem:
            self.query_one(".problem", Static).update(plain(f"✗ {problem}"))
        else:
            self.dismiss(path)

    def _problem(self, path: Path, text: str) -> str:
        if not text.strip() or path.is_dir():
            return "Give the name of a file."
        if not path.parent.is_dir():
            return f"There is no folder {path.parent}."
        if why := self._forbidden(path):
            return why
        if path.exists() and path != self._warned:
            self._warned = path
            return "It is there already. Enter once more replaces it."
        return ""


class Reading(ModalScreen[None]):
    """A text to read, plain, from the beginning."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "dismiss", "Close", priority=True),
        Binding("enter,q,f1,ctrl+c", "dismiss", "Close", priority=True, show=False),
    ]

    def __init__(self, title: str, text: str) -> None:
        super().__init__()
        self._title, self._text = title, text

    def compose(self) -> ComposeResult:
        with Vertical(classes="dialog"):
            yield Static(plain(self._title), classes="title", markup=False)
            with VerticalScroll(classes="words"):
                yield Static(plain(self._text), markup=False)
        yield Footer(show_command_palette=False)

    def on_mount(self) -> None:
        self.query_one(VerticalScroll).focus()
