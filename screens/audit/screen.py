"""The audit screen: which kernel, what is said of it, and what can be done about it."""

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import ClassVar

from textual import events, on
from textual.app import ComposeResult, SystemCommand
from textual.binding import Binding, BindingType
from textual.screen import Screen
from textual.widgets import Footer

from screens.audit.chooser import Chooser, KernelNamed
from screens.audit.cure import beside, can_repack, fragment_of, repacked_name
from screens.audit.report import Report
from screens.background import in_background
from screens.dialogs import AskFile, Reading
from screens.safety import TooSmall
from wizard.explain import Failure, explain
from wizard.files import write_atomically
from wizard.kernel.audit import Start
from wizard.kernel.judge import Judged
from wizard.kernel.places import Stamp, stamp
from wizard.kernel.repack import repack

EVERY_SECONDS = 1.0
"""How often it is looked whether the kernel was written anew."""

FRAGMENT = "kernel-fragment.config"

KEYS = """\
Up, Down  another finding, shown whole
Enter     the finding in a window of its own
v         all severities, or one of them
p         all kinds of instances, or one
/         narrows the list; Escape undoes it
c         copies the options that mend it
s         saves them, for merge_config.sh
r         packs the kernel again for PV-GRUB
o         another kernel
Ctrl+P    all of these, by their names
Ctrl+C    quit

A kernel that is written anew is read again by itself."""


@dataclass(frozen=True, slots=True)
class Look:
    """What was found: the verdicts, how the kernel is started, and what else there is to say."""

    judged: Judged
    start: Start
    remarks: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Source:
    """Where an audit comes from: how it is made (raises Failure), and the files whose change is watched."""

    look: Callable[[], Look]
    files: tuple[Path, ...]

    def stamps(self) -> tuple[Stamp | None, ...]:
        """What becomes different when one of the files changes."""
        return tuple(stamp(path) for path in self.files)


Answer = tuple[tuple[Stamp | None, ...], Look | Failure]


class AuditScreen(Screen[None]):
    """One kernel's audit.  With `choose` it asks which kernel; without, it shows the one it is given."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("c", "copy", "Copy fragment"),
        Binding("s", "save", "Save fragment", show=False),
        Binding("r", "repack", "Repack"),
        Binding("o", "other", "Other file"),
        Binding("v", "severity", "Severity", show=False),
        Binding("p", "profile", "Profile", show=False),
        Binding("slash", "find", "Find", show=False),
        Binding("f1", "help", "Help"),
        Binding("escape", "close", "Back"),
    ]

    def __init__(self, source: Source | None, choose: Callable[[Path], Source] | None = None) -> None:
        super().__init__(classes="audit")
        self.found: Look | None = None
        self._source = source
        self._choose = choose
        self._asked = 0
        self._stamps: tuple[Stamp | None, ...] = ()
        self._is_looking = False
        self._can_repack = False
        self._is_repacking = False

    def compose(self) -> ComposeResult:
        if self._choose:
            yield Chooser()
        yield Report()
        yield Footer()
        yield TooSmall()

    def on_mount(self) -> None:
        self._show(is_choosing=self._source is None)
        self.set_interval(EVERY_SECONDS, self._watch)
        if self._source:
            self._read(self._source)

    def _show(self, *, is_choosing: bool) -> None:
        report = self.query_one(Report)
        report.display = not is_choosing
        for chooser in self.query(Chooser):
            chooser.explain("")
            chooser.display = is_choosing
        (self.query_one(Chooser) if is_choosing else report).begin()
        self.refresh_bindings()

    # Reading, and reading again

    def _read(self, source: Source, said: str = "") -> None:
        """Audits beside the screen; `said` is the note for an audit that went well."""
        self._asked += 1
        mine = self._asked

        def look() -> Answer:
            stamps = source.stamps()
            try:
                return stamps, source.look()
            except Failure as failure:
                return stamps, failure

        def then(answer: Answer) -> None:
            if mine == self._asked:
                self._take(source, answer, said)

        in_background(self, look, then)

    def _take(self, source: Source, answer: Answer, said: str) -> None:
        stamps, found = answer
        is_again = source is self._source and self.found is not None
        if isinstance(found, Failure):
            self._refuse(source, stamps, found, is_again=is_again)
            return
        self._source, self._stamps, self.found = source, stamps, found
        self._can_repack = self._choose is not None and can_repack(found.judged, found.start)
        self.query_one(Report).take(found.judged, found.remarks)
        self.query_one(Report).note(said)
        if not is_again:
            self._show(is_choosing=False)
        self.refresh_bindings()

    def _refuse(self, source: Source, stamps: tuple[Stamp | None, ...], failure: Failure, *, is_again: bool) -> None:
        """A wrong file is explained where it was named; one that went wrong meanwhile leaves what stands here."""
        from wizard.cli.output import card

        said = explain(failure)
        text = f"✗ {card(said, max(self.size.width - 8, 40))}"
        if self._choose and not is_again:
            self.query_one(Chooser).explain(text)
            return
        self._source, self._stamps = source, stamps
        if is_again:
            self.query_one(Report).note(f"! changed, but not to be read at {_now()}: {said.what}")
        else:
            self.query_one(Report).explain(text)

    def _watch(self) -> None:
        """Looks whether the kernel changed, one look at a time."""
        source = self._source
        if self._is_looking or source is None or not source.files or not self.query_one(Report).display:
            return
        self._is_looking = True
        in_background(self, source.stamps, partial(self._compare, source))

    def _compare(self, source: Source, stamps: tuple[Stamp | None, ...]) -> None:
        self._is_looking = False
        if source is not self._source or stamps == self._stamps:
            return
        self._stamps = stamps
        if None in stamps:
            self.query_one(Report).note(f"! gone at {_now()}: this is what was said before")
        else:
            self._read(source, f"changed, read again at {_now()}")

    @on(KernelNamed)
    def _named(self, event: KernelNamed) -> None:
        event.stop()
        assert self._choose
        self.query_one(Chooser).explain(f"Reading {event.path}…")
        self._read(self._choose(event.path))

    # Keys and commands

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:  # noqa: ARG002
        """Keys that would do nothing now are not shown."""
        if not self.is_mounted:
            return True
        report = self.query_one(Report)
        has_report = self.found is not None and bool(report.display)
        match action:
            case "severity" | "find":
                return has_report and not report.is_searching
            case "profile":
                return has_report and not report.is_searching and len(report.profiles) > 1
            case "copy" | "save":
                return has_report and self._has_findings()
            case "repack":
                return has_report and self._can_repack and not self._is_repacking
            case "other":
                return has_report and self._choose is not None
            case "close":
                return self._choose is None or report.is_searching or (not report.display and self.found is not None)
        return True

    def _has_findings(self) -> bool:
        return self.found is not None and any(verdict.findings for verdict in self.found.judged.verdicts)

    def commands(self) -> Iterable[SystemCommand]:
        """What the palette offers."""
        names = {
            "copy": ("Copy the fragment", "the config options that mend this kernel"),
            "save": ("Save the fragment", "to a file, for merge_config.sh"),
            "repack": ("Repack the kernel", "so that PV-GRUB can load it"),
            "find": ("Find", "type to narrow the findings"),
            "severity": ("Next severity", "all, boot, access, recommended"),
            "profile": ("Next kind of instance", "all of them, or one"),
            "other": ("Another kernel", "names another file"),
            "help": ("Help", "the keys"),
        }
        for action, (title, words) in names.items():
            if self.check_action(action, ()):
                yield SystemCommand(title, words, getattr(self, f"action_{action}"))

    def action_severity(self) -> None:
        """The next severity alone, or all."""
        self.query_one(Report).narrow(self.query_one(Report).filter.next_severity())

    def action_profile(self) -> None:
        """The next kind of instance alone, or all."""
        report = self.query_one(Report)
        report.narrow(report.filter.next_profile(report.profiles))

    def action_find(self) -> None:
        """Typing narrows the list."""
        self.query_one(Report).search()
        self.refresh_bindings()

    def on_click(self, event: events.Click) -> None:
        """A click on the line of severities shows the next one."""
        if event.widget and event.widget.has_class("filter"):
            self.action_severity()

    def action_other(self) -> None:
        """Asks for another kernel."""
        self._show(is_choosing=True)

    def action_close(self) -> None:
        """Out of the search, out of the choice, out of the screen."""
        if self.query_one(Report).is_searching:
            self.query_one(Report).leave_search(forgets=True)
            self.refresh_bindings()
        elif self._choose:
            self._show(is_choosing=False)
        else:
            self.dismiss(None)

    def action_help(self) -> None:
        """The keys."""
        self.app.push_screen(Reading("Audit: the keys", KEYS))

    # What mends the kernel

    def _fragment(self) -> str | None:
        """The fragment; None where there is none, which is said."""
        assert self.found
        try:
            text = fragment_of(self.found.judged, self.found.start, self.query_one(Report).filter.profile)
        except Failure as failure:
            self._say(failure)
            return None
        if not text:
            self.notify("No option has to be changed.", markup=False)
        return text or None

    def action_copy(self) -> None:
        """Copies the fragment by the terminal's own means (OSC 52)."""
        if text := self._fragment():
            self.app.copy_to_clipboard(text)
            self.notify(f"Copied a fragment of {len(text.splitlines())} lines. s saves it to a file.", markup=False)

    def action_save(self) -> None:
        """Asks where the fragment goes, and writes it there."""
        if text := self._fragment():
            assert self.found
            name = beside(self.found.judged, FRAGMENT)
            question = AskFile("Save the fragment", "For scripts/kconfig/merge_config.sh.", name, self._forbidden)
            self.app.push_screen(question, partial(self._save, text))

    def _forbidden(self, path: Path) -> str:
        assert self.found
        subject = self.found.judged.subject
        taken = [subject.path, *([subject.image.path] if subject.image else [])]
        is_own = path.exists() and any(one.exists() and path.samefile(one) for one in taken)
        return "That is the kernel itself, or its config: give another name." if is_own else ""

    def _save(self, text: str, path: Path | None) -> None:
        if path is None:
            return
        try:
            write_atomically(path, text)
        except OSError as error:
            self._say(Failure("unwritable-file", path=path, reason=error.strerror or error))
            return
        self.notify(f"Saved: {path}", markup=False)

    def action_repack(self) -> None:
        """Asks where the kernel goes that is packed again."""
        assert self.found
        text = "The same kernel, unpacked and written as a gzipped ELF, which every PV-GRUB can load."
        question = AskFile("Pack the kernel again", text, repacked_name(self.found.judged), self._forbidden)
        self.app.push_screen(question, self._repack)

    def _repack(self, target: Path | None) -> None:
        """Beside the screen; then the result is audited."""
        image = self.found.judged.subject.image if self.found else None
        if target is None or image is None:
            return
        self._is_repacking = True
        self.refresh_bindings()
        self.query_one(Report).note(f"packing {image.path.name} again…")

        def work() -> Path | Failure:
            try:
                return repack(image, target).path
            except Failure as failure:
                return failure

        in_background(self, work, self._repacked)

    def _repacked(self, done: Path | Failure) -> None:
        self._is_repacking = False
        self.refresh_bindings()
        if isinstance(done, Failure):
            self.query_one(Report).note("")
            self._say(done)
            return
        assert self._choose
        self._read(self._choose(done), f"packed again at {_now()}: this is the new kernel")

    def _say(self, failure: Failure) -> None:
        from wizard.cli.output import card

        self.app.push_screen(Reading("It did not work", card(explain(failure), 64)))


def _now() -> str:
    return time.strftime("%H:%M:%S")
