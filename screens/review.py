"""The review: what stands in the way, the AMI's name, what the machine lacks, and the plan."""

import shlex
import subprocess
from collections.abc import Callable

from textual import on
from textual.app import ComposeResult, SuspendNotSupported
from textual.containers import VerticalScroll
from textual.widget import Widget
from textual.widgets import Button, OptionList, Static
from textual.widgets.option_list import Option

from screens.background import in_background
from screens.dialogs import Ask
from screens.form import Form, Preview, buttons
from screens.inputs import Choices
from screens.intents import Considered, WentBack, WentOn, WentTo
from screens.words import plain
from wizard import host, questions
from wizard.flow import TITLES
from wizard.questions import Answers
from wizard.recipe import Problem


class InstallWanted(Widget):
    """The programs that this machine lacks, and the way to get them."""

    def __init__(self, installed: Callable[[], None]) -> None:
        super().__init__(classes="missing")
        self._installed = installed
        self._command = ""

    def compose(self) -> ComposeResult:
        yield Static("", markup=False)
        yield Button("Install them", id="install", compact=True)

    def on_mount(self) -> None:
        self.display = False

    def take(self, missing: list[host.Tool]) -> None:
        """Shows them; nothing when there are none."""
        self.display = bool(missing)
        self._command = host.install_command(missing) if missing else ""
        lines = [f"✗ {tool.name} ({tool.package}): {tool.why}" for tool in missing]
        self.query_one(Static).update(plain("\n".join(["This machine lacks:", *lines, self._command])))
        self.query_one(Button).display = host.can_install()

    def on_button_pressed(self, event: Button.Pressed) -> None:
        event.stop()
        question = Ask("Install them?", f"This will run:\n\n{self._command}", [("yes", "Yes"), ("", "No")])
        self.app.push_screen(question, self._install)

    def _install(self, answer: str | None) -> None:
        """In the plain terminal, where sudo can ask for a password and the output is seen as it is."""
        if answer != "yes":
            return
        try:
            with self.app.suspend():
                code = subprocess.run(shlex.split(self._command), check=False).returncode
        except (SuspendNotSupported, OSError):
            self.notify(f"It cannot be run from here. Run it yourself: {self._command}", markup=False)
            return
        if code != 0:
            self.notify(f"The command ended with {code}. Run it yourself to see why.", severity="error", markup=False)
        self._installed()


class Review(Widget):
    """The last screen before something happens."""

    def __init__(self, answers: Answers, *, practice: bool, first: str | None = None) -> None:
        super().__init__(classes="view asking review")
        self._answers = answers
        self._practice = practice
        self._first = first
        self._blockers: list[Problem] = []

    def compose(self) -> ComposeResult:
        with VerticalScroll(classes="left", can_focus=False):
            yield Choices(markup=False, compact=True, classes="blockers")
            yield Form("review", self._answers)
            yield Static("", classes="warned", markup=False)
            yield Static("", classes="identity", markup=False)
            yield Static("", classes="ahead", markup=False)
            yield InstallWanted(self.look_for_tools)
            yield buttons("Build")
        yield Preview("review", self._answers)

    def on_mount(self) -> None:
        self.take(self._answers)
        self._ask_who()
        if self.query_one(".blockers").display and self._first is None:
            self.query_one(".blockers").focus()
        else:
            self.query_one(Form).focus_on(self._first)

    def take(self, answers: Answers) -> None:
        """Shows the answers as they are now."""
        self._answers = answers
        self.query_one(Form).take(answers)
        self.query_one(Preview).draw(answers)
        found = blockers(answers)
        rows = self.query_one(".blockers", Choices)
        rows.display = bool(found)
        rows.clear_options()
        rows.add_options([Option(plain(f"! {label(one)}: {one.message}")) for one in found])
        self._blockers = found
        rows.action_first()
        in_background(
            self, lambda: audit_says(answers), lambda words: self.query_one(".warned", Static).update(plain(words))
        )
        self.look_for_tools()

    def _warn(self, words: str) -> None:
        self.query_one(".warned", Static).update(plain(words))

    def look_for_tools(self) -> None:
        """What the machine lacks, as it is now."""

        def missing() -> list[host.Tool]:
            from wizard.preview import missing_tools

            return missing_tools(self._answers)

        in_background(self, missing, self.query_one(InstallWanted).take)

    def advance(self, path: str) -> None:
        """The next question, or the point of no return."""
        if not self.query_one(Form).advance(path):
            self.post_message(WentOn())

    def _ask_who(self) -> None:
        line = self.query_one(".identity", Static)
        if self._practice:
            line.update("Account: the practice cloud on this machine; nothing costs")
            return
        line.update("Account: asking AWS…")
        region = questions.value("target.region", self._answers)
        in_background(self, lambda: who(region), lambda words: line.update(plain(words)))

    @on(OptionList.OptionSelected, ".blockers")
    def _jump(self, event: OptionList.OptionSelected) -> None:
        event.stop()
        question = question_at(self._blockers[event.option_index].place)
        if question:
            self.post_message(WentTo(question.screen, question.path))

    @on(Considered)
    def _preview(self, event: Considered) -> None:
        self.query_one(Preview).draw({**self._answers, event.path: event.text})

    @on(Button.Pressed, "#back, #next")
    def _moved(self, event: Button.Pressed) -> None:
        self.post_message(WentBack() if event.button.id == "back" else WentOn())


def blockers(answers: Answers) -> list[Problem]:
    """Everything that keeps these answers from being a recipe, also across screens."""
    from wizard.recipe import problems_of

    found = list(problems_of(questions.tables(answers)))
    # A choice that opens what is not there yet never gets into a recipe, which would be whole without it.
    told = {question.path for one in found if (question := question_at(one.place))}
    return found + [Problem(path, reason) for path, reason in questions.invalid(answers).items() if path not in told]


def audit_says(answers: Answers) -> str:
    """What the kernel's audit warns of; nothing when the kernel is fit, or when there is none to judge yet."""
    from wizard.explain import Failure, explain
    from wizard.preview.kernel import warning

    try:
        said = warning(answers)
    except Failure as failure:
        said = "" if failure.code == "no-kernel-file-yet" else explain(failure).what
    return f"! The kernel: {said}" if said else ""


def question_at(place: str) -> questions.Question | None:
    """The question whose answer a place in the recipe is; partitions of one's own are a layout."""
    if place.startswith((questions.PARTITIONS, "disk.table")):
        place = "disk.layout"
    return next((one for one in questions.QUESTIONS if place == one.path or place.startswith(f"{one.path}.")), None)


def label(problem: Problem) -> str:
    """Where a problem is, in the words of the screens."""
    question = question_at(problem.place)
    return f"{TITLES[question.screen]}, {question.label}" if question else problem.place


def who(region: str) -> str:
    """Who AWS takes us for, or why that is not known; nobody is stopped by it."""
    from wizard.cloud.session import identity
    from wizard.explain import Failure, explain

    try:
        found = identity(region, None)
    except Failure as failure:
        said = explain(failure)
        if said.code == "no-network-to-aws":
            return f"Account: not checked (offline): {said.what}"
        return f"Account: {said.what} {said.do[0]}"
    ends = f", until {found.until}" if found.until else ""
    return f"Account: {found.account} as {found.arn}, by {found.source}{ends}"
