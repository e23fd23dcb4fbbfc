"""One question of a form: its label, its value, where the default came from, and what is wrong with it."""

from textual import events, on
from textual.app import ComposeResult
from textual.containers import Horizontal, Vertical
from textual.content import Content
from textual.widgets import Input, OptionList, Static
from textual.widgets.option_list import Option as Row

from screens.inputs import PRINTABLE, Choices, Entry
from screens.intents import Answered, Considered
from screens.words import plain
from wizard import questions
from wizard.questions import Answers, Question

LONG = 12
"""Lists with more options than this are narrowed down by typing."""


class Shut(Static, can_focus=True):
    """The value of a choice; focused, it makes its field open."""

    # Opening moves what is below: only once the button is up, or it would be let go of over something else.
    FOCUS_ON_CLICK = False

    def on_click(self) -> None:
        self.focus()


class Field(Vertical):
    """A question.  A choice shows one line, and its options while it has the focus."""

    def __init__(self, question: Question, answers: Answers) -> None:
        super().__init__(classes="field")
        self.question = question
        self._answers = answers
        self._options = question.options(answers)
        self._filter = ""
        self._problem: str | None = None

    def compose(self) -> ComposeResult:
        with Horizontal(classes="line"):
            yield Static(self.question.label, classes="label", markup=False)
            if self.question.kind == "choice":
                yield Shut("", classes="value", markup=False)
            else:
                hint = f"e.g. {self.question.example}"
                # An escape sequence that is pasted must not reach the terminal.
                yield Entry(self.value, compact=True, classes="value", placeholder=hint, restrict=PRINTABLE)
        if self.question.kind == "choice":
            yield Choices(markup=False, compact=True)
        yield Static("", classes="note", markup=False)

    def on_mount(self) -> None:
        self._fill_options()
        self.take(self._answers)

    @property
    def value(self) -> str:
        """The answer, or the default."""
        return questions.value(self.question.path, self._answers)

    @property
    def default(self) -> questions.Default:
        """What the default is now."""
        return self.question.default(self._answers)

    def take(self, answers: Answers) -> None:
        """Shows the answers as they are now; one that no longer goes together with the others is marked."""
        self._answers = answers
        self._options = self.question.options(answers)
        self.display = self.question.applies(answers)
        given = self.question.path in answers
        self._problem = questions.problem(self.question.path, self.value, answers) if given and self.display else None
        if self.question.kind == "choice":
            self.query_one(Shut).update(self._shown())
            if self.display:
                self._fill_options(keeps_place=self.has_class("-open"))
        elif not self.query_one(Entry).has_focus:
            self.query_one(Entry).value = self.value
        self._note()

    @property
    def considered(self) -> str:
        """The option that is looked at, or the answer."""
        row = self.query_one(Choices).highlighted_option if self.has_class("-open") else None
        return row.id if row and row.id else self.value

    def look_at(self, option: str) -> None:
        """Puts the highlight on an option that can be taken."""
        rows = self.query_one(Choices)
        if option in (row.id for row in rows.options if not row.disabled):
            rows.highlighted = rows.get_option_index(option)

    def focus_input(self) -> None:
        """Puts the cursor here."""
        self.query_one(Shut if self.question.kind == "choice" else Entry).focus()

    def set_open(self, is_open: bool) -> None:
        """Shows or hides the options; the form says so as the focus moves."""
        was_open = self.has_class("-open")
        self.set_class(is_open, "-open")
        if self.question.kind == "choice" and is_open != was_open:
            self._filter = ""
            self._fill_options()
            self.query_one(Shut).can_focus = not is_open
            if is_open:
                self.query_one(Choices).focus()
        self._note()

    def narrow_less(self) -> bool:
        """Drops what was typed to narrow the list; False when nothing was."""
        if not self._filter:
            return False
        self._filter = ""
        self._fill_options()
        self._note()
        return True

    def _shown(self) -> str:
        option = next((row for row in self._options if row.value == self.value), None)
        return plain(option.label if option else self.value)

    def _fill_options(self, *, keeps_place: bool = False) -> None:
        """Lists the options; the highlight is on the answer, or where it was."""
        if self.question.kind != "choice":
            return
        rows = self.query_one(Choices)
        looked_at = rows.highlighted_option.id if rows.highlighted_option and keeps_place else None
        rows.clear_options()
        found = questions.narrowed(self._options, self._filter)
        width = min(max((len(option.label) for option in found), default=0), 32)
        for option in found:
            mark = "●" if option.value == self.value else "✗" if option.impossible else " "
            text = plain(f"{mark} {option.label:<{width}}  {option.words}".rstrip())
            prompt = Content.styled(text, "$text-muted") if option.outdone else Content(text)
            rows.add_option(Row(prompt, id=option.value, disabled=bool(option.impossible)))
        values = [option.value for option in found if not option.impossible]
        wanted = looked_at if looked_at in values else self.value
        rows.highlighted = rows.get_option_index(wanted) if wanted in values else None
        if rows.highlighted is None:
            rows.action_first()

    def _note(self) -> None:
        """What is wrong comes first; else where the value came from."""
        note = self.query_one(".note", Static)
        self.set_class(self._problem is not None, "-wrong")
        if self._problem:
            note.update(plain(f"✗ {self._problem}"))
            return
        default = self.default
        label = next((one.label for one in self._options if one.value == default.value), default.value)
        words = [f"default: {label or 'empty'} ({default.origin})"]
        if self.question.kind == "choice" and len(self._options) > LONG:
            words.append(f"narrowed to “{self._filter}”" if self._filter else "type to narrow")
        note.update(plain(" · ".join(words)))

    def on_key(self, event: events.Key) -> None:
        """Typing narrows a long list."""
        if self.question.kind != "choice" or len(self._options) <= LONG:
            return
        if event.key == "backspace":
            self._filter = self._filter[:-1]
        elif event.is_printable and event.character:
            self._filter += event.character
        else:
            return
        event.stop()
        self._fill_options()
        self._note()

    @on(OptionList.OptionHighlighted)
    def _considered(self, event: OptionList.OptionHighlighted) -> None:
        event.stop()
        if self.has_class("-open") and event.option.id:
            self.post_message(Considered(self.question.path, event.option.id))

    @on(OptionList.OptionSelected)
    def _chosen(self, event: OptionList.OptionSelected) -> None:
        event.stop()
        if event.option.id:
            self.post_message(Answered(self.question.path, event.option.id, moves_on=True))

    @on(Input.Changed)
    def _typed(self, event: Input.Changed) -> None:
        event.stop()
        if questions.problem(self.question.path, event.value.strip(), self._answers) is None:
            self.post_message(Considered(self.question.path, event.value.strip()))

    @on(Input.Submitted)
    def _submitted(self, event: Input.Submitted) -> None:
        event.stop()
        self._check(event.value.strip(), moves_on=True)

    @on(Input.Blurred)
    def _blurred(self, event: Input.Blurred) -> None:
        event.stop()
        if event.value.strip() != self.value:
            self._check(event.value.strip(), moves_on=False)

    def _check(self, text: str, *, moves_on: bool) -> None:
        self._problem = questions.problem(self.question.path, text, self._answers)
        self._note()
        # What is wrong is drawn too: the preview would else go on showing what stood here before.
        told = Answered(self.question.path, text, moves_on=moves_on) if self._problem is None else None
        self.post_message(told or Considered(self.question.path, text))
