"""Windows over the screen: a question with few answers, and a text to read."""

from collections.abc import Sequence
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical, VerticalScroll
from textual.screen import ModalScreen
from textual.widgets import Footer, OptionList, Static
from textual.widgets.option_list import Option

from screens.inputs import Choices
from screens.words import plain


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
