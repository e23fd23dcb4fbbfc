"""What an audit says: the verdicts, the findings, and one of them whole."""

from textual import on
from textual.app import ComposeResult
from textual.containers import Container, Vertical, VerticalScroll
from textual.widgets import Input, OptionList, Static
from textual.widgets.option_list import Option

from screens.audit.findings import Filter, Row, detail, row_texts, verdict_line
from screens.dialogs import Reading
from screens.inputs import PRINTABLE, Entry, Rows
from screens.words import plain
from wizard.kernel.judge import Judged, by_finding, described


class Findings(Rows):
    """The list of them; Enter shows one in a window of its own."""


class Report(Vertical):
    """Verdicts on top, then the findings by severity, filtered, and the one under the cursor."""

    def __init__(self) -> None:
        super().__init__(classes="report")
        self.filter = Filter()
        self._rows: list[Row] = []
        self._shown: list[Row] = []
        self._judged: Judged | None = None

    def compose(self) -> ComposeResult:
        with VerticalScroll(classes="verdicts", can_focus=False):
            yield Static("", markup=False)
        yield Static("", classes="note", markup=False)
        yield Static("", classes="filter", markup=False)
        yield Entry("", placeholder="a part of an option's name, or of its reason", compact=True, restrict=PRINTABLE)
        with Container(classes="both"):
            yield Findings(markup=False, compact=True)
            with VerticalScroll(classes="detail"):
                yield Static("", markup=False)

    def on_mount(self) -> None:
        self.query_one(Entry).display = False
        self.note("reading…")

    @property
    def profiles(self) -> tuple[str, ...]:
        """What the kernel was judged for."""
        return tuple(one.profile for one in self._judged.verdicts) if self._judged else ()

    def take(self, judged: Judged, remarks: tuple[str, ...]) -> None:
        """Shows an audit; the cursor stays on the finding where it is, if that still stands."""
        self._judged = judged
        self._rows = [Row(finding, tuple(names)) for finding, names in by_finding(judged.verdicts).items()]
        if self.filter.profile not in (None, *self.profiles):
            self.filter = Filter(self.filter.severity, None, self.filter.text)
        lines = [f"{judged.subject.path}: {described(judged.subject)}"]
        lines += [verdict_line(verdict) for verdict in judged.verdicts]
        self.query_one(".verdicts Static", Static).update(plain("\n".join([*lines, *remarks])))
        self._list()

    def explain(self, card: str) -> None:
        """Shows why there is nothing to audit."""
        self.query_one(".verdicts Static", Static).update(plain(card))
        self.note("")

    def note(self, words: str) -> None:
        """A line on how fresh all this is."""
        self.query_one(".note", Static).update(plain(words))
        self.query_one(".note").display = bool(words)

    def narrow(self, wanted: Filter) -> None:
        """Shows other findings."""
        self.filter = wanted
        self._list()

    def begin(self) -> None:
        """Puts the cursor on the findings."""
        self.query_one(Findings).focus()

    @property
    def is_searching(self) -> bool:
        """Whether letters are being typed, and are no keys."""
        return bool(self.query_one(Entry).display)

    def search(self) -> None:
        """Opens the line in which one types."""
        self.query_one(Entry).display = True
        self.query_one(Entry).focus()

    def leave_search(self, *, forgets: bool) -> None:
        """Closes it; what was typed goes on narrowing, or is forgotten."""
        self.query_one(Entry).display = False
        if forgets:
            self.query_one(Entry).value = ""
        self.begin()

    def _list(self) -> None:
        rows = self.query_one(Findings)
        before = self._current
        place = rows.highlighted or 0
        self._shown = [row for row in self._rows if self.filter.lets_through(row)]
        rows.clear_options()
        rows.add_options([Option(plain(text)) for text in row_texts(self._shown, self.profiles)])
        if not self._shown:
            said = "None of the findings is like that." if self._rows else "Nothing is missing and nothing is too much."
            rows.add_option(Option(said, disabled=True))
        keys = [row.key for row in self._shown]
        same = keys.index(before.key) if before and before.key in keys else min(place, len(keys) - 1)
        rows.highlighted = same if keys else None
        self.query_one(".filter", Static).update(plain(self.filter.line(self._rows, self.profiles)))
        self._draw()

    @property
    def _current(self) -> Row | None:
        place = self.query_one(Findings).highlighted
        return self._shown[place] if place is not None and place < len(self._shown) else None

    def _draw(self) -> None:
        """The finding under the cursor, whole."""
        row = self._current
        text = detail(row, self._arch) if row else ""
        self.query_one(".detail Static", Static).update(plain(text))
        self.query_one(".detail").scroll_home(animate=False)

    @property
    def _arch(self) -> str | None:
        return self._judged.subject.arch if self._judged else None

    @on(OptionList.OptionHighlighted)
    def _looked_at(self, event: OptionList.OptionHighlighted) -> None:
        event.stop()
        self._draw()

    @on(OptionList.OptionSelected)
    def _wanted_whole(self, event: OptionList.OptionSelected) -> None:
        event.stop()
        if row := self._current:
            self.app.push_screen(Reading(row.finding.option, detail(row, self._arch)))

    @on(Input.Changed)
    def _typed(self, event: Input.Changed) -> None:
        event.stop()
        self.narrow(Filter(self.filter.severity, self.filter.profile, event.value.strip()))

    @on(Input.Submitted)
    def _searched(self, event: Input.Submitted) -> None:
        event.stop()
        self.leave_search(forgets=False)
        self.screen.refresh_bindings()
