"""The questions of one screen as a form, and what the answers cause beside it."""

from textual import events, on
from textual.app import ComposeResult
from textual.containers import Horizontal, Vertical, VerticalScroll
from textual.widget import Widget
from textual.widgets import Button, Static

from screens.background import in_background
from screens.field import Field
from screens.intents import Considered, WentBack, WentOn
from screens.words import plain
from wizard.questions import QUESTIONS, Answers


class Form(Vertical):
    """The fields of a screen, also those that do not apply now: they are hidden until they do."""

    def __init__(self, screen: str, answers: Answers) -> None:
        super().__init__(classes="form")
        self._questions = [question for question in QUESTIONS if question.screen == screen]
        self._answers = answers

    def compose(self) -> ComposeResult:
        for question in self._questions:
            yield Field(question, self._answers)

    def take(self, answers: Answers) -> None:
        """Shows the answers as they are now."""
        self._answers = answers
        for field in self.query(Field):
            field.take(answers)

    def focus_on(self, path: str | None = None) -> None:
        """Puts the cursor on a question; on the first without one."""
        fields = [field for field in self.query(Field) if field.display]
        wanted = next((field for field in fields if field.question.path == path), fields[0] if fields else None)
        if wanted:
            wanted.focus_input()

    def advance(self, path: str) -> bool:
        """Puts the cursor on the question after that one; False when it was the last."""
        fields = [field for field in self.query(Field) if field.display]
        paths = [field.question.path for field in fields]
        behind = fields[paths.index(path) + 1 :] if path in paths else []
        if behind:
            behind[0].focus_input()
        return bool(behind)

    def on_descendant_focus(self, event: events.DescendantFocus) -> None:
        """One field is open at a time."""
        for field in self.query(Field):
            field.set_open(field in event.widget.ancestors)

    @property
    def focused_field(self) -> Field | None:
        """The field that has the cursor."""
        return next((field for field in self.query(Field) if field.has_class("-open")), None)


class Preview(VerticalScroll):
    """What the answers cause."""

    def __init__(self, screen: str, answers: Answers) -> None:
        super().__init__(classes="preview")
        self._screen = screen
        self._answers = answers
        self._asked = 0

    def compose(self) -> ComposeResult:
        yield Static("", markup=False)

    def on_resize(self) -> None:
        self.draw(self._answers)

    def draw(self, answers: Answers) -> None:
        """Works the text out in the background: the user's own kernel may take a second to unpack."""
        self._answers = answers
        self._asked += 1
        mine, width = self._asked, max(self.scrollable_content_region.width - 2, 20)

        def text() -> str:
            from wizard.preview import preview

            return preview(self._screen, answers, width)

        def show(found: str) -> None:
            # The highlight may have moved on meanwhile.
            if mine == self._asked:
                self.query_one(Static).update(plain(found))

        in_background(self, text, show)


class Asking(Widget):
    """A screen that asks: its form, the preview, and the way on for the mouse."""

    def __init__(self, screen: str, answers: Answers, first: str | None = None) -> None:
        super().__init__(classes="view asking")
        self._screen = screen
        self._answers = answers
        self._first = first

    def compose(self) -> ComposeResult:
        with Vertical(classes="left"):
            with VerticalScroll(classes="questions", can_focus=False):
                yield Form(self._screen, self._answers)
                yield Static("", classes="asked", markup=False)
            yield buttons("Next", *MORE.get(self._screen, ()))
        yield Preview(self._screen, self._answers)

    def on_mount(self) -> None:
        self.query_one(Form).focus_on(self._first)

    def take(self, answers: Answers) -> None:
        """Shows the answers as they are now."""
        self._answers = answers
        self.query_one(Form).take(answers)
        self.query_one(Preview).draw(answers)

    def advance(self, path: str) -> None:
        """The next question, or the next screen."""
        if not self.query_one(Form).advance(path):
            self.post_message(WentOn())

    @on(Considered)
    def _preview(self, event: Considered) -> None:
        self.query_one(Preview).draw({**self._answers, event.path: event.text})

    async def on_button_pressed(self, event: Button.Pressed) -> None:
        if event.button.id in ("audit", "partitions"):
            await self.run_action(f"app.{event.button.id}")
            return
        self.post_message(WentBack() if event.button.id == "back" else WentOn())


MORE = {"kernel": (("audit", "Whole audit (F3)"),), "disk": (("partitions", "Edit partitions (F4)"),)}
"""What a screen has beside the ways back and on: the button's name and its words."""


def buttons(on: str, *others: tuple[str, str]) -> Horizontal:
    """The way back, the way on, and what else there is."""
    return Horizontal(
        Button("Back", id="back", compact=True),
        Button(on, id="next", compact=True, variant="primary"),
        *(Button(words, id=name, compact=True) for name, words in others),
        classes="buttons",
    )
