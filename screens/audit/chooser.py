"""Which kernel?  A path that completes itself, the usual places, and what is wrong with what was given."""

from pathlib import Path

from textual import events, on
from textual.app import ComposeResult
from textual.containers import Vertical, VerticalScroll
from textual.message import Message
from textual.widgets import Input, OptionList, Static
from textual.widgets.option_list import Option

from screens.background import in_background
from screens.inputs import PRINTABLE, Choices, Entry
from screens.words import plain
from wizard.kernel.places import beginning_with, typed, usual

WORDS = """\
Name a kernel config (.config, /boot/config-VERSION, /proc/config.gz), a kernel image (bzImage, vmlinuz, vmlinux, \
arm64 Image), or where they lie together: a build tree, a folder, a tar archive or a Debian package."""


class KernelNamed(Message):
    """A kernel was named, to be audited."""

    def __init__(self, path: Path) -> None:
        self.path = path
        super().__init__()


class Chooser(Vertical):
    """A line for the path; below it what lies in the usual places, or what continues the path."""

    def __init__(self) -> None:
        super().__init__(classes="chooser")
        self._asked = 0
        self._offers: list[str] = []

    def compose(self) -> ComposeResult:
        yield Static("Will this kernel boot on EC2?", classes="title", markup=False)
        yield Static(WORDS, classes="words", markup=False)
        yield Entry("", placeholder="the path of a kernel or its config", compact=True, restrict=PRINTABLE)
        yield Static("", classes="hint", markup=False)
        yield Choices(markup=False, compact=True)
        with VerticalScroll(classes="card"):
            yield Static("", markup=False)

    def on_mount(self) -> None:
        self.explain("")
        self._offer()

    def begin(self) -> None:
        """Puts the cursor where one types."""
        self.query_one(Entry).focus()

    def explain(self, card: str) -> None:
        """Shows why what was named is no kernel; "" when nothing is wrong."""
        self.query_one(".card").display = bool(card)
        self.query_one(".card Static", Static).update(plain(card))
        self.query_one(".card").scroll_home(animate=False)

    def _offer(self) -> None:
        """Works out beside the screen what there is: a folder may lie on a slow disk."""
        self._asked += 1
        mine, text = self._asked, self.query_one(Entry).value

        def offers() -> list[tuple[str, str]]:
            return (
                [(name, "") for name in beginning_with(text) if name != text]
                if text
                else [(str(p), w) for p, w in usual()]
            )

        def show(found: list[tuple[str, str]]) -> None:
            # More may have been typed meanwhile.
            if mine == self._asked:
                self._show(found)

        in_background(self, offers, show)

    def _show(self, found: list[tuple[str, str]]) -> None:
        self._offers = [name for name, _ in found]
        width = min(max((len(name) for name, _ in found), default=0), 50)
        rows = self.query_one(Choices)
        rows.clear_options()
        rows.add_options([Option(plain(f"{name:<{width}}  {words}".rstrip())) for name, words in found])
        rows.display = bool(found)
        if found:
            rows.highlighted = 0
        self.query_one(".hint", Static).update(plain(_hint(self.query_one(Entry).value, self._offers)))

    def on_key(self, event: events.Key) -> None:
        """Down leads from the line to the list, and up out of it again."""
        rows, line = self.query_one(Choices), self.query_one(Entry)
        if event.key == "down" and line.has_focus and self._offers:
            rows.focus()
        elif event.key == "up" and rows.has_focus and rows.highlighted == 0:
            line.focus()
        else:
            return
        event.stop()
        event.prevent_default()

    @on(Input.Changed)
    def _typed(self, event: Input.Changed) -> None:
        event.stop()
        self._offer()

    @on(Input.Submitted)
    def _named(self, event: Input.Submitted) -> None:
        event.stop()
        if event.value.strip():
            self.post_message(KernelNamed(typed(event.value)))
        elif self._offers:
            self._take(self._offers[0])

    @on(OptionList.OptionSelected)
    def _selected(self, event: OptionList.OptionSelected) -> None:
        event.stop()
        self._take(self._offers[event.option_index])

    def _take(self, name: str) -> None:
        """A folder is opened, a file is audited."""
        line = self.query_one(Entry)
        line.value = plain(name)
        line.cursor_position = len(line.value)
        if name.endswith("/"):
            line.focus()
        else:
            self.post_message(KernelNamed(typed(name)))


def _hint(text: str, offers: list[str]) -> str:
    """What Enter and Down do now."""
    if not text:
        return f"Enter audits {offers[0]} · Down goes to the list · or type a path" if offers else "Type its path."
    enter = "Enter audits this folder" if text.endswith("/") else "Enter audits it"
    return f"{enter} · Down goes to what begins so" if offers else f"{enter} · nothing begins so"
