"""The wizard on the screen: which view is shown, the answers, and the way in and out."""

import contextlib
from collections.abc import Iterable, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar

from textual.app import ComposeResult, SystemCommand
from textual.binding import Binding, BindingType
from textual.containers import Container, Horizontal, Vertical
from textual.screen import ModalScreen, Screen
from textual.widget import Widget
from textual.widgets import Footer, Static

from screens import intents
from screens.meanwhile import Lookups, begin_ahead
from screens.safety import MIDDLE, SafeApp, TooSmall
from screens.sidebar import Sidebar, position_line
from screens.words import plain
from wizard import draft
from wizard.flow import ASKING, TITLES, Flow

if TYPE_CHECKING:
    from screens.building import Engine
    from screens.field import Field
    from wizard.disk.layout import Layout
    from wizard.run.builds import Build


class Wizard(SafeApp):
    """Holds the answers and the flow; views post what the user means to do (screens/intents.py)."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "back", "Back", tooltip="the screen before"),
        Binding("ctrl+n", "next", "Next", tooltip="the next screen"),
        Binding("f1", "help", "Help", tooltip="what this question means"),
        Binding("f3", "audit", "Audit", show=False, tooltip="everything that the audit says of this kernel"),
        Binding("f4", "partitions", "Partitions", show=False, tooltip="divide the disk yourself"),
        Binding("ctrl+c,ctrl+q", "leave", "Quit", priority=True),
    ]

    def __init__(
        self,
        *,
        practice: bool,
        answers: Mapping[str, str] | None = None,
        build: "Build | None" = None,
        offer_unfinished: bool = False,
        engine: "Engine | None" = None,
        looks_ahead: bool = False,
    ) -> None:
        super().__init__()
        self.practice = practice
        self.answers = _known(answers)
        self.build = build
        self.flow = Flow("build", "build") if build else Flow()
        self.stops_build = False
        self._engine = engine
        self._looks_ahead = looks_ahead
        self._lookups = Lookups(self, self._note_lookups)
        self._offers = offer_unfinished
        self._given = answers is not None

    def compose(self) -> ComposeResult:
        with Horizontal(id="room"):
            yield Sidebar()
            with Vertical(id="main"):
                yield Static("", id="position", markup=False)
                yield Container(id="content")
        yield Footer()
        yield TooSmall()

    async def on_mount(self) -> None:
        await self._show(self._first_view())

    def on_resize(self) -> None:
        self.call_later(self._mark_position)

    # The views

    def _first_view(self) -> Widget:
        if self.build:
            return self._building(self.build)
        from screens.welcome import Welcome

        found = None if self._given else draft.load()
        return Welcome(practice=self.practice, draft=found, offer_unfinished=self._offers)

    def _view(self, first: str | None = None) -> Widget:
        if self.flow.current == "review":
            from screens.review import Review

            return Review(self.answers, practice=self.practice, first=first)
        if self.flow.current in ASKING:
            from screens.form import Asking

            return Asking(self.flow.current, self.answers, first)
        return self._first_view()

    def _building(self, build: "Build") -> Widget:
        from screens.building import Building, Engine

        return Building(build, self._engine or Engine(), watches=build.is_running())

    async def _show(self, view: Widget) -> None:
        self._mark_position()
        self.refresh_bindings()
        content = self.query_one("#content")
        await content.remove_children()
        if self._looks_ahead:
            self.call_later(self._meanwhile)
        # The last thing: a quick Enter may end the app as soon as the view is there.
        await content.mount(view)

    def _meanwhile(self) -> None:
        if self.flow.current == "review":
            begin_ahead(self, self.answers, self._note_ahead)
        elif self.flow.current == "target" and not self.practice:
            self._lookups.about(self.answers)

    def last_duty(self) -> None:
        """What was begun for answers that nobody will give goes too; a build goes on."""
        if self.build is None or self.stops_build:
            from wizard.run import ahead

            ahead.end()

    def _note_lookups(self, words: str) -> None:
        for line in self.query(".asked").results(Static):
            line.update(plain(words))
        for view in self.query(".asking"):
            view.take(self.answers)  # type: ignore[attr-defined]

    def _note_ahead(self, has_begun: bool) -> None:
        for line in self.query(".ahead").results(Static):
            line.update("Meanwhile the userland is being fetched and installed already." if has_begun else "")

    def _mark_position(self) -> None:
        cloud = "practice cloud" if self.practice else "AWS"
        line = position_line(self.flow, cloud, is_narrow=self.size.width < MIDDLE)
        self.query_one("#position", Static).update(line)
        self.query_one(Sidebar).take(self.flow, self._wrong_screens())

    def _wrong_screens(self) -> set[str]:
        if not self.answers:
            return set()
        from wizard import questions

        wrong = questions.invalid(self.answers)
        return {question.screen for question in questions.QUESTIONS if question.path in wrong}

    # What the user means to do

    def on_answered(self, message: intents.Answered) -> None:
        """Keeps the answer; one that is the default is left to follow from the others."""
        from wizard import questions

        if message.path == "disk.layout" and self._wants_editor(message.text):
            self._edit_partitions(message.text)
            return
        default = questions.find(message.path).default(self.answers)
        before = dict(self.answers)
        if message.text == default.value:
            self.answers.pop(message.path, None)
        else:
            self.answers[message.path] = message.text
        if self.answers != before:
            self._save()
        self._mark_position()
        if self._looks_ahead:
            self._meanwhile()
        for view in self.query(".asking"):
            view.take(self.answers)  # type: ignore[attr-defined]
            if message.moves_on:
                view.advance(message.path)  # type: ignore[attr-defined]

    def _wants_editor(self, layout: str) -> bool:
        """Whether that is partitions of one's own which are not there yet, or not right."""
        from wizard import questions

        option = next((one for one in questions.find("disk.layout").options(self.answers) if one.value == layout), None)
        return bool(option and option.opens and questions.problem("disk.layout", layout, self.answers))

    def _edit_partitions(self, layout: str) -> None:
        """The editor over the form; it begins with that layout, or with the default where there is none yet."""
        from screens.partitions.chosen import view
        from wizard import questions

        if self._wants_editor(layout) and questions.own_of(self.answers) is None:
            layout = questions.find("disk.layout").default(self.answers).value
        self.push_screen(view(dict(self.answers), layout), partial(self._edited_partitions, layout))

    def _edited_partitions(self, begun: str, layout: "Layout | None") -> None:
        from screens.partitions.chosen import replaces_own
        from wizard import questions
        from wizard.disk import own

        if layout is None:
            return
        if begun != own.NAME and questions.own_of(self.answers):
            self.push_screen(replaces_own(), lambda answer: self._keep_partitions(layout) if answer == "yes" else None)
        else:
            self._keep_partitions(layout)

    def _keep_partitions(self, layout: "Layout") -> None:
        from wizard import questions
        from wizard.disk import own

        self.answers |= {"disk.layout": own.NAME, questions.PARTITIONS: own.dumps(layout)}
        self._save()
        self._mark_position()
        for view in self.query(".asking"):
            view.take(self.answers)  # type: ignore[attr-defined]
        self._layout_field().look_at(own.NAME)

    def _layout_field(self) -> "Field":
        from screens.field import Field

        return next(one for one in self.query(Field) if one.question.path == "disk.layout")

    async def on_began(self, message: intents.Began) -> None:
        found = draft.load()
        if message.afresh:
            draft.remove()
        elif found and not self._given:
            self.answers = _known(found.answers)
        await self._go(self.flow.next())

    async def on_resumed(self, message: intents.Resumed) -> None:
        self.practice = message.build.facts().practice
        await self._start(message.build)

    async def on_went_on(self) -> None:
        if self.flow.current == "review":
            self._confirm()
        elif self.flow.current in ("welcome", *ASKING):
            await self._go(self.flow.next())

    async def on_went_back(self) -> None:
        await self._go(self.flow.back())

    async def on_went_to(self, message: intents.WentTo) -> None:
        await self._go(self.flow.goto(message.screen), message.path)

    async def _go(self, flow: Flow, path: str | None = None) -> None:
        if flow == self.flow and path is None:
            return
        self.flow = flow
        await self._show(self._view(path))

    async def on_build_finished(self, message: intents.BuildFinished) -> None:
        from screens.done import Done, done_text, next_lines

        assert self.build is not None
        self.flow = self.flow.goto("done", force=True)
        then = next_lines(message.facts, self.build.recipe())
        await self._show(Done(done_text(message.facts, message.took, then, practice=self.practice)))

    async def on_edited_answers(self) -> None:
        """Back among the questions, with the answers of the build that failed."""
        from wizard import questions

        assert self.build is not None
        self.answers = questions.known(questions.answers_of(self.build.recipe()))
        self._save()
        self.flow = Flow("review", "review")
        await self._show(self._view())

    def on_left(self) -> None:
        self.exit(0)

    def _save(self) -> None:
        from wizard.explain import Failure, explain

        try:
            draft.save(self.answers)
        except OSError as error:
            said = explain(Failure("cannot-save-draft", where=draft.path(), evidence=[str(error)]))
            self.notify(f"{said.what} {said.why}", severity="warning", markup=False)

    # The point of no return

    def _confirm(self) -> None:
        from screens.confirm import confirmation
        from screens.review import blockers
        from wizard.preview import missing_tools

        if blockers(self.answers):
            self.notify("Something stands in the way: see the top of this screen.", severity="warning", markup=False)
            return
        if missing := missing_tools(self.answers):
            names = ", ".join(tool.name for tool in missing)
            self.notify(f"This machine lacks {names}: install what is missing first.", severity="warning", markup=False)
            return
        self.push_screen(confirmation(self.answers, practice=self.practice), self._confirmed)

    async def _confirmed(self, answer: str | None) -> None:
        from wizard import questions
        from wizard.explain import Failure, explain
        from wizard.run import builds

        if answer != "yes":
            return
        try:
            build = builds.create(questions.recipe(self.answers), practice=self.practice)
        except Failure as failure:
            said = explain(failure)
            self._read(said.what, "\n\n".join([said.why, *said.do, *said.evidence]))
            return
        draft.remove()
        await self._start(build)

    async def _start(self, build: "Build") -> None:
        self.build = build
        self.flow = self.flow.goto("build", force=True)
        await self._show(self._building(build))

    # Keys and commands

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:  # noqa: ARG002
        """Keys that would do nothing now are not shown."""
        if action in ("back", "next", "audit", "partitions") and len(self.screen_stack) > 1:
            return False
        if action == "audit":
            return self.flow.current == "kernel"
        if action == "partitions":
            return self.flow.current == "disk"
        if action == "back":
            return self.flow.back() != self.flow
        if action == "next":
            return self.flow.current in ("welcome", *ASKING)
        return True

    async def action_back(self) -> None:
        field = self._focused_field()
        if field is None or not field.narrow_less():
            await self._go(self.flow.back())

    async def action_next(self) -> None:
        await self.on_went_on()

    def action_audit(self) -> None:
        """All that the audit says of the chosen kernel, over the form."""
        from screens.audit.chosen import view

        self.push_screen(view(dict(self.answers)))

    def action_partitions(self) -> None:
        """The editor, beginning with the layout that is looked at."""
        self._edit_partitions(self._layout_field().considered)

    async def action_go(self, screen: str) -> None:
        """A jump to a step, if it can lead there now."""
        await self._go(self.flow.goto(screen))

    def action_help(self) -> None:
        from screens.help import field_help, screen_help

        field = self._focused_field()
        title, text = field_help(field.question, self.answers) if field else screen_help(self.flow.current)
        self._read(title, text)

    def _read(self, title: str, text: str) -> None:
        from screens.dialogs import Reading

        self.push_screen(Reading(title, text))

    def _focused_field(self) -> Any:
        if self.flow.current not in ASKING or len(self.screen_stack) > 1:
            return None
        from screens.form import Form

        return next((form.focused_field for form in self.query(Form)), None)

    def action_leave(self) -> None:
        """Asks before it leaves; in a window over the screen it only closes that."""
        if isinstance(self.screen, ModalScreen):
            self.screen.dismiss(None)
            return
        from screens.building import Building
        from screens.confirm import quit_question

        view = next(iter(self.query(Building)), None)
        is_busy = view is not None and view.is_running
        self.push_screen(quit_question(is_busy=is_busy, watches=bool(view and view.watches)), self._leaving)

    def _leaving(self, answer: str | None) -> None:
        self.stops_build = answer == "stop"
        if answer in ("leave", "stop"):
            self.exit(0)

    def get_system_commands(self, screen: Screen[Any]) -> Iterable[SystemCommand]:
        """The palette: every step that one may go to, help, quit; over the form, what is possible there."""
        if screen is not self.default_screen:
            yield from getattr(screen, "commands", tuple)()
            return
        for name in TITLES:
            if self.flow.can_go(name) and name != self.flow.current:
                yield SystemCommand(f"Go to {TITLES[name]}", "later answers are kept", partial(self.action_go, name))
        if self.flow.current == "kernel":
            yield SystemCommand("Audit", "everything that the audit says of this kernel", self.action_audit)
        if self.flow.current == "disk":
            yield SystemCommand("Edit the partitions", "divide the disk yourself", self.action_partitions)
        yield SystemCommand("Help", "what this question means", self.action_help)
        yield SystemCommand("Quit", "answers and builds are kept", self.action_leave)


def _known(answers: Mapping[str, str] | None) -> dict[str, str]:
    if not answers:
        return {}
    from wizard import questions

    return questions.known(answers)


def run(
    *,
    practice: bool,
    answers: dict[str, str] | None = None,
    build: "Build | None" = None,
    offer_unfinished: bool = False,
) -> int:
    """Opens the wizard: from answers (None: from the draft, if one is kept), or on a build that stands.

    Gives the exit code: 0 done or left in order, 1 after a crash (explained), 130 interrupted.  The last two lines
    that it prints say where things stand and how to go on.
    """
    from screens.farewell import farewell

    app = Wizard(practice=practice, answers=answers, build=build, offer_unfinished=offer_unfinished, looks_ahead=True)
    code = app.run()
    app.last_duty()
    if app.stops_build and app.build:
        from wizard.run import client

        print("Stopping…", flush=True)
        client.stop(app.build)
    # After a hang-up there is nobody to tell.
    with contextlib.suppress(OSError):
        print(farewell(app.build, has_draft=draft.load() is not None, practice=app.practice), flush=True)
    return 1 if code is None else code
