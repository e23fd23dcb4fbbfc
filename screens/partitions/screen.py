"""The editor: every change is drawn at once, and what is wrong with it is said while one types."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import ClassVar

from textual import on
from textual.app import ComposeResult, SystemCommand
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical, VerticalScroll
from textual.screen import Screen
from textual.widgets import Button, Footer, OptionList, Static
from textual.widgets.option_list import Option

from screens.dialogs import Ask, Reading
from screens.inputs import Choices
from screens.partitions.fields import Chosen, Fields, Typed
from screens.partitions.history import History
from screens.partitions.map import PartitionMap
from screens.partitions.words import KEYS, NAMES, TABLES, kinds, row_texts, step
from screens.safety import TooSmall
from screens.words import plain
from wizard.disk import edits
from wizard.disk.filesystems import filesystems
from wizard.disk.layout import Layout
from wizard.disk.rules import Refusal
from wizard.disk.sizes import said
from wizard.disk.typed import LABELS, typed


@dataclass(frozen=True, slots=True)
class Subject:
    """What is edited, and what it is judged by.

    layout    where it begins
    origin    what that is called
    starts    the kind of instance that it has to start, in words
    gib       how large a disk it is drawn for
    judge     what is wrong with a layout
    remark    what else is worth knowing of one
    fstab     its lines of /etc/fstab
    """

    layout: Layout
    origin: str
    starts: str
    virtualization: str
    gib: Callable[[Layout], int]
    judge: Callable[[Layout], Sequence[Refusal]]
    remark: Callable[[Layout], Sequence[str]]
    fstab: Callable[[Layout], Sequence[str]]


class PartitionsScreen(Screen[Layout]):
    """Gives the layout that is to be kept; None when nothing is."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("a,insert", "add", "Add"),
        Binding("d,delete", "remove", "Remove", show=False),
        Binding("u,ctrl+z", "undo", "Undo", show=False),
        Binding("r,ctrl+y", "redo", "Redo", show=False),
        Binding("ctrl+up,K", "move(-1)", "Up", show=False),
        Binding("ctrl+down,J", "move(1)", "Down", show=False),
        Binding("plus", "grow(1)", "Larger", show=False),
        Binding("minus", "grow(-1)", "Smaller", show=False),
        Binding("t", "table", "Table", show=False),
        Binding("f1", "help", "Help", show=False),
        Binding("ctrl+s", "keep", "Keep"),
        Binding("escape", "close", "Leave"),
    ]

    def __init__(self, subject: Subject) -> None:
        super().__init__(classes="partitions")
        self._subject = subject
        self.history = History(subject.layout)
        self._typed_wrong: dict[str, str] = {}

    @property
    def layout_now(self) -> Layout:
        """The layout as it stands."""
        return self.history.layout

    def compose(self) -> ComposeResult:
        words = f"Partitions, from {self._subject.origin}, for {self._subject.starts}"
        yield Static(plain(words), classes="title", markup=False)
        yield PartitionMap()
        yield Static("", classes="table", markup=False)
        with Horizontal(classes="both"):
            with Vertical(classes="edited"):
                yield Choices(markup=False, compact=True, classes="parts")
                yield Fields()
                with Horizontal(classes="buttons"):
                    for name, label in BUTTONS:
                        yield Button(label, id=name, compact=True, variant="primary" if name == "keep" else "default")
            with VerticalScroll(classes="said"):
                yield Static("", markup=False)
        yield Footer()
        yield TooSmall()

    def on_mount(self) -> None:
        self._show()
        self.query_one(".parts").focus()

    # What is shown

    def _take(self, history: History) -> None:
        """What was typed and did not do is forgotten with the partition that it was of."""
        if (history.at, len(history.layout.partitions)) != (self.history.at, len(self.history.layout.partitions)):
            self._typed_wrong = {}
        self.history = history
        self._show()

    def _show(self) -> None:
        layout, at = self.layout_now, self.history.at
        gib = self._subject.gib(layout)
        found = list(self._subject.judge(layout))
        self.query_one(PartitionMap).take(layout, at, gib * 1024)
        self.query_one(".table", Static).update(
            plain(f"{NAMES[layout.table]} (t changes it) · {gib} GiB · {_free(layout, gib)}")
        )
        self._fill_rows(found, gib)
        wrong = {one.field for one in found if one.at == at}
        self.query_one(Fields).take(layout, at, {*wrong, *self._typed_wrong}, self._keeps())
        self.query_one(".said Static", Static).update(plain("\n".join(self._words(found))))
        self.refresh_bindings()

    def _keeps(self) -> set[str]:
        """The fields whose text stays as it was typed: the one with the cursor, and what did not do."""
        focused = self.query_one(Fields).focused
        return {*self._typed_wrong, *([focused] if focused else [])}

    def _fill_rows(self, found: Sequence[Refusal], gib: int) -> None:
        rows = self.query_one(".parts", Choices)
        texts = row_texts(self.layout_now, {one.at for one in found}, gib * 1024)
        with rows.prevent(OptionList.OptionHighlighted):
            rows.clear_options()
            rows.add_options([Option(plain(text)) for text in texts])
            rows.highlighted = self.history.at

    def _words(self, found: Sequence[Refusal]) -> list[str]:
        """What is wrong, that of the chosen partition first; else that nothing is."""
        at, parts = self.history.at, self.layout_now.partitions
        lines = [f"✗ {LABELS[field]}: {reason}" for field, reason in self._typed_wrong.items()]
        for one in sorted(found, key=lambda one: one.at != at):
            whose = f"{parts[one.at].name}: " if one.at is not None else ""
            lines += [f"✗ {whose}{one.reason}"]
        fstab = ["", "/etc/fstab", *self._subject.fstab(self.layout_now)]
        right = [f"✓ It can be made, and starts {self._subject.starts}."] if not lines else []
        return [*lines, *right, *(f"· {remark}" for remark in self._subject.remark(self.layout_now)), *fstab]

    # What is done in the list, in the map and in the fields

    @on(OptionList.OptionHighlighted, ".parts")
    def _looked_at(self, event: OptionList.OptionHighlighted) -> None:
        event.stop()
        if event.option_index != self.history.at:
            self._take(self.history.chose(event.option_index))

    @on(OptionList.OptionSelected, ".parts")
    def _into_fields(self, event: OptionList.OptionSelected) -> None:
        event.stop()
        self.query_one(Fields).begin()

    @on(PartitionMap.Chosen)
    def _clicked(self, event: PartitionMap.Chosen) -> None:
        self._take(self.history.chose(event.at))

    @on(PartitionMap.Dragged)
    def _dragged(self, event: PartitionMap.Dragged) -> None:
        layout = edits.resize(self.layout_now, event.at, event.mib)
        self._take(self.history.did(layout, event.at, mark=f"drag {event.at}"))

    @on(Typed)
    def _typed(self, event: Typed) -> None:
        try:
            layout = typed(self.layout_now, self.history.at, event.field, event.text)
        except ValueError as error:
            self._typed_wrong[event.field] = str(error)
        else:
            self._typed_wrong.pop(event.field, None)
            self.history = self.history.did(layout, mark=event.field)
        self._show()

    @on(Chosen.Opened)
    def _choose_filesystem(self) -> None:
        self.app.push_screen(self._filesystems(), self._with_filesystem)

    def _filesystems(self) -> Ask:
        """Every kind, with what it is, or why it would not do here."""
        at = self.history.at
        now = self.layout_now.partitions[at].filesystem
        rows = []
        for name, kind in filesystems().items():
            judged = self._subject.judge(edits.with_filesystem(self.layout_now, at, name))
            wrong = next((one.reason for one in judged if one.at == at and one.field == "filesystem"), None)
            mark = "●" if name == now else "✗" if wrong else " "
            rows.append((name, f"{mark} {name:<10} {wrong or kind.what}"))
        rows.sort(key=lambda row: row[0] != now)
        return Ask("What is in it?", "What follows from it is filled in; everything can be undone.", rows)

    def _with_filesystem(self, name: str | None) -> None:
        if name:
            self._take(self.history.did(edits.with_filesystem(self.layout_now, self.history.at, name)))

    # Keys, buttons and commands

    @on(Button.Pressed)
    async def _pressed(self, event: Button.Pressed) -> None:
        event.stop()
        await self.run_action(ACTIONS[event.button.id or ""])

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:  # noqa: ARG002
        """Keys that would do nothing now are not shown."""
        match action:
            case "undo":
                return bool(self.history.past)
            case "redo":
                return bool(self.history.future)
            case "remove":
                return len(self.layout_now.partitions) > 1
        return True

    def action_add(self) -> None:
        """Asks what for, of what is often wanted."""
        found = edits.possible(self.layout_now, self._subject.virtualization)
        rows = [
            (str(place), f"{one.mount or one.filesystem:<10} {one.filesystem:<10} {one.what}")
            for place, one in enumerate(found)
        ]

        def add(key: str | None) -> None:
            if key:
                template = found[int(key)]
                self._take(self.history.did(*edits.add(self.layout_now, template, self._subject.virtualization)))

        self.app.push_screen(
            Ask("Add a partition", "It comes before the last one, a root behind it; all of it can be changed.", rows),
            add,
        )

    def action_remove(self) -> None:
        """Takes the chosen one away; undo brings it back."""
        layout = edits.remove(self.layout_now, self.history.at)
        self._take(self.history.did(layout, min(self.history.at, len(layout.partitions) - 1)))

    def action_move(self, by: int) -> None:
        """The chosen one further to the front or to the end of the disk."""
        self._take(self.history.did(*edits.move(self.layout_now, self.history.at, by)))

    def action_grow(self, direction: int) -> None:
        """The chosen one larger or smaller by an eighth or so."""
        part = self.layout_now.partitions[self.history.at]
        if part.size_mib is None:
            self.notify("It takes what the others leave: make one of them smaller.", markup=False)
            return
        layout = edits.resize(self.layout_now, self.history.at, step(part.size_mib, direction))
        self._take(self.history.did(layout))

    def action_undo(self) -> None:
        """One change back."""
        self._typed_wrong = {}
        self._take(self.history.undone())

    def action_redo(self) -> None:
        """One change on again."""
        self._typed_wrong = {}
        self._take(self.history.redone())

    def action_table(self) -> None:
        """Asks which partition table."""
        now = self.layout_now.table
        rows = [(name, f"{'●' if name == now else ' '} {words}") for name, words in TABLES.items()]

        def change(table: str | None) -> None:
            if table:
                self._take(self.history.did(edits.retable(self.layout_now, table)))

        self.app.push_screen(Ask("Which partition table?", "", rows), change)

    def action_help(self) -> None:
        self.app.push_screen(Reading("Partitions: the keys, and what they can hold", f"{KEYS}\n\n{kinds()}"))

    def action_keep(self) -> None:
        """Keeps the partitions; asks where they are not right yet."""
        wrong = len(self._typed_wrong) + len(self._subject.judge(self.layout_now))
        if not wrong:
            self._leave("keep")
            return
        text = f"{wrong} thing{'s are' if wrong > 1 else ' is'} not right yet. They can be kept; the build waits."
        self.app.push_screen(Ask("Keep them as they are?", text, [("", "Stay"), ("keep", "Keep them")]), self._leave)

    def action_close(self) -> None:
        """Out of a field; from the list it leaves, and asks when something was changed."""
        if self.query_one(Fields).has_focus_within:
            self.query_one(".parts").focus()
            return
        if self.layout_now == self._subject.layout:
            self._leave("drop")
            return
        answers = [("keep", "Keep the changes"), ("drop", "Drop the changes"), ("", "Stay")]
        self.app.push_screen(Ask("Leave the partitions?", "They were changed.", answers), self._leave)

    def _leave(self, answer: str | None) -> None:
        if answer == "keep":
            self.dismiss(self.layout_now)
        elif answer == "drop":
            self.dismiss(None)

    def commands(self) -> Iterable[SystemCommand]:
        """What the palette offers."""
        for words, more, action in COMMANDS:
            yield SystemCommand(words, more, partial(self.run_action, action))


def _free(layout: Layout, gib: int) -> str:
    rest = gib * 1024 - layout.partitions[-1].start_mib - layout.tail_mib
    return f"{said(rest)} for {layout.partitions[-1].name}" if rest > 0 else "nothing is left for the last one"


BUTTONS = (
    *(("add", "Add"), ("remove", "Remove"), ("up", "Up"), ("down", "Down"), ("undo", "Undo")),
    *(("keep", "Keep"), ("leave", "Leave")),
)
ACTIONS = {
    **{name: name for name in ("add", "remove", "undo", "keep")},
    **{"up": "move(-1)", "down": "move(1)", "leave": "close"},
}
COMMANDS = (
    ("Add a partition", "from what is often wanted", "add"),
    ("Remove the partition", "undo brings it back", "remove"),
    ("Move it to the front", "one place", "move(-1)"),
    ("Move it to the end", "one place", "move(1)"),
    ("Larger", "by an eighth or so", "grow(1)"),
    ("Smaller", "by an eighth or so", "grow(-1)"),
    ("Partition table", "GPT, MBR or none", "table"),
    ("Undo", "one change back", "undo"),
    ("Redo", "one change on again", "redo"),
    ("Keep", "back to the form with these partitions", "keep"),
    ("Leave", "asks whether to keep the changes", "close"),
)
