"""A build as it runs: its steps, the output of one, and the card when it fails."""

import os
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from textual import on
from textual.app import ComposeResult, SuspendNotSupported
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.widget import Widget
from textual.widgets import Button, Log, OptionList, Static
from textual.widgets.option_list import Option

from screens.background import in_background, tell
from screens.card import Card
from screens.dialogs import Ask
from screens.inputs import Rows
from screens.intents import BuildFinished, EditedAnswers, Left
from screens.logview import LogView
from screens.track import LINES, StepTrack, Track, parts_line, progress_line, row, take_all, times
from screens.words import plain
from wizard import folders
from wizard.explain import Failure, explain
from wizard.run import client
from wizard.run.builds import Build
from wizard.run.events import LAST, Event
from wizard.run.store import Store

LOG_BYTES = 1 << 20
"""As much of a step's log is read for the pager; the file holds all of it."""


@dataclass(frozen=True, slots=True)
class Engine:
    """What the screen asks of a runner; tests bring one of their own."""

    start: Callable[[Build], int] = client.start
    follow: Callable[[Build, int], Iterator[Event | None]] = client.follow
    stop: Callable[[Build], None] = client.stop


class Building(Widget):
    """Follows a build's events; holds nothing of it that is not in them."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("l", "open_log", "Whole log")]

    def __init__(self, build: Build, engine: Engine, *, watches: bool) -> None:
        super().__init__(classes="view building")
        self.build = build
        self.watches = watches
        self.track = Track()
        self._engine = engine
        self._shown: str | None = None
        self._gone = threading.Event()

    def compose(self) -> ComposeResult:
        yield Rows(markup=False, compact=True, classes="steps")
        with Vertical(classes="details"):
            yield Static("", classes="why", markup=False)
            yield Static("starting…", classes="progress", markup=False)
            yield Log(max_lines=LINES)
            yield Card()

    def on_mount(self) -> None:
        self.query_one(Card).display = False
        self.query_one(".steps", Rows).focus()
        self.set_interval(1, self._draw)
        self.begin()

    def on_unmount(self) -> None:
        self._gone.set()

    @property
    def is_running(self) -> bool:
        """Whether there is something that a quit would leave behind or stop."""
        return self.track.state == "running"

    def begin(self) -> None:
        """Starts or joins the build and follows it, beside the screen."""
        self.track = Track()
        self.query_one(Card).display = False
        self.query_one(Log).display = True
        in_background(self, self._follow, lambda _: None)

    def _follow(self) -> None:
        """In a thread: hands over what is new, at most as often as `follow` pauses (20 times a second)."""
        try:
            offset = self.build.attempt_begins() if self.watches else self._engine.start(self.build)
        except Failure as failure:
            tell(self, self._refused, failure)
            return
        batch: list[Event] = []
        for event in self._engine.follow(self.build, offset):
            if self._gone.is_set():
                return
            if event is not None:
                batch.append(event)
            if batch and (event is None or event["event"] in LAST):
                tell(self, self._took, batch)
                batch = []

    def _took(self, events: list[Event]) -> None:
        self.track = take_all(self.track, events)
        if any(event["event"] == "started" for event in events):
            self._list_steps()
        self._follow_current()
        new = [
            plain(line)
            for event in events
            if event["event"] == "output" and event["step"] == self._shown
            for line in event["lines"]
        ]
        self.query_one(Log).write_lines(new[-LINES:])
        self._draw()
        if self.track.state == "failed" and self.track.explanation:
            self._fail()
        elif self.track.state == "finished":
            self.app.bell()
            facts = {key: str(value) for key, value in self.track.facts.items() if key not in ("event", "time")}
            self.post_message(BuildFinished(facts, times(self.track)))

    def _list_steps(self) -> None:
        rows = self.query_one(".steps", Rows)
        rows.clear_options()
        rows.add_options([Option(row(step, time.time()), id=step.id) for step in self.track.steps])
        self._shown = None

    def _follow_current(self) -> None:
        """While the highlight is on the step that runs, it goes along with it."""
        current = self.track.current
        if current is None or current.id == self._shown:
            return
        shown = self.track.step(self._shown) if self._shown else None
        if shown is None or shown.state in ("finished", "reused") or self.track.state == "failed":
            self._show_step(current)

    def _show_step(self, step: StepTrack) -> None:
        self._shown = step.id
        rows = self.query_one(".steps", Rows)
        rows.highlighted = [one.id for one in self.track.steps].index(step.id)
        log = self.query_one(Log)
        log.clear()
        log.write_lines(step.lines, scroll_end=True)
        self._draw()

    def _draw(self) -> None:
        now = time.time()
        rows = self.query_one(".steps", Rows)
        for index, step in enumerate(self.track.steps):
            rows.replace_option_prompt_at_index(index, plain(row(step, now)))
        if step_shown := self.track.step(self._shown or ""):
            first = step_shown.command.partition("\n")[0]
            command = f"\n{'' if first.startswith('AWS ') else '$ '}{first}" if first else ""
            self.query_one(".why", Static).update(plain(f"{step_shown.why}{command}"))
            words = "\n".join(filter(None, [progress_line(step_shown, now), parts_line(step_shown)]))
            watching = "watching only · " if self.watches else ""
            self.query_one(".progress", Static).update(plain(f"{watching}{words}"))

    def _fail(self) -> None:
        assert self.track.explanation is not None
        self.app.bell()
        self.query_one(Log).display = False
        card = self.query_one(Card)
        card.display = True
        card.take(self.track.explanation, self.build.id)

    def _refused(self, failure: Failure) -> None:
        if failure.code == "build-is-running":
            who = failure.facts.get("holder", "another process")
            text = f"Process {who} works on {self.build.id} already. Two cannot, but you can watch it."
            self.app.push_screen(
                Ask("It is running already", text, [("watch", "Watch it"), ("", "Leave it alone")]), self._held
            )
            return
        self.track = Track(state="failed", explanation=explain(failure).as_dict())
        self._fail()

    def _held(self, answer: str | None) -> None:
        if answer == "watch":
            self.watches = True
            self.begin()
        else:
            self.post_message(Left())

    @on(OptionList.OptionHighlighted, ".steps")
    def _looked_at(self, event: OptionList.OptionHighlighted) -> None:
        event.stop()
        step = self.track.step(event.option.id or "")
        if step and step.id != self._shown:
            self._show_step(step)

    @on(Button.Pressed)
    def _pressed(self, event: Button.Pressed) -> None:
        event.stop()
        match event.button.id:
            case "retry":
                self.watches = False
                self.query_one(".steps", Rows).focus()
                self.begin()
            case "edit":
                self.post_message(EditedAnswers())
            case "shell":
                self._open_shell()
            case "log":
                self.action_open_log()
            case "leave":
                self.post_message(Left())

    def _log_of(self, step: str) -> Path:
        """Where the step's output goes; what was begun ahead of the build, or by another one, writes elsewhere."""
        own = self.build.logs / f"{step}.log"
        track = self.track.step(step)
        elsewhere = Store(folders.results()).said(track.key) if track and track.key and not own.exists() else None
        return elsewhere or own

    def _open_shell(self) -> None:
        """A shell where the step works: what is there can be looked at, and tried by hand."""
        step = self.track.current
        place = self.build.work / step.id if step else self.build.work
        folder = place if place.is_dir() else self.build.folder
        try:
            with self.app.suspend():
                print(f"A shell in {folder}; leave it with exit to come back.", flush=True)
                subprocess.run([os.environ.get("SHELL") or "/bin/sh"], cwd=folder, check=False)
        except (SuspendNotSupported, OSError) as error:
            self.notify(f"No shell can be opened from here ({error}): cd {folder}", severity="warning", markup=False)

    def action_open_log(self) -> None:
        """The log of the step that is shown, as the file has it."""
        step = self._shown or (self.track.current.id if self.track.current else "runner")
        path = self._log_of(step)
        try:
            with path.open("rb") as file:
                file.seek(max(0, path.stat().st_size - LOG_BYTES))
                text = file.read().decode(errors="replace")
        except OSError as error:
            text = f"There is no log yet: {error}"
        self.app.push_screen(LogView(str(path), text))
