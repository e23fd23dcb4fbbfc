"""The fields of one partition: a line of text each, and its content, which is chosen from a list."""

from collections.abc import Collection
from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Grid, Horizontal
from textual.message import Message
from textual.widgets import Input, Static

from screens.inputs import PRINTABLE, Entry
from screens.words import plain
from wizard.disk.layout import Layout
from wizard.disk.typed import FIELDS, LABELS, Field, applies, shown
from wizard.recipe import EXAMPLES


class Chosen(Static, can_focus=True):
    """A value that Enter or a click changes by a list."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("enter,space", "open", "Choose")]

    class Opened(Message):
        """The list is wanted."""

    def on_click(self) -> None:
        self.focus()
        self.action_open()

    def action_open(self) -> None:
        self.post_message(self.Opened())


class Typed(Message):
    """Something was typed into a field."""

    def __init__(self, field: Field, text: str) -> None:
        self.field, self.text = field, text
        super().__init__()


class Fields(Grid):
    """All of them, also those that the partition does not have: these cannot be typed into."""

    def __init__(self) -> None:
        super().__init__(classes="fields")

    def compose(self) -> ComposeResult:
        with Horizontal(id="filesystem", classes="cell"):
            yield Static(LABELS["filesystem"], classes="label", markup=False)
            yield Chosen("", classes="value", markup=False)
        for field in FIELDS:
            with Horizontal(id=field, classes="cell"):
                yield Static(LABELS[field], classes="label", markup=False)
                yield Entry("", compact=True, classes="value", restrict=PRINTABLE, name=field)

    def take(self, layout: Layout, at: int, wrong: Collection[str], keeps: Collection[str]) -> None:
        """Shows a partition; `wrong` are the fields to mark, `keeps` those whose text is left as it was typed."""
        part = layout.partitions[at]
        self.query_one(Chosen).update(plain(f"{part.filesystem} ▾"))
        for field in FIELDS:
            entry = self.query_one(f"#{field} Entry", Entry)
            has_it = applies(layout, at, field)
            entry.disabled = not has_it
            entry.placeholder = _hint(layout, at, field) if has_it else _instead(field)
            if field not in keeps:
                self._show(entry, shown(part, field) if has_it else "")
        for name in ("filesystem", *FIELDS):
            is_wrong = name in wrong
            cell = self.query_one(f"#{name}")
            cell.set_class(is_wrong, "-wrong")
            words = LABELS[name]
            cell.query_one(".label", Static).update(f"✗ {words}" if is_wrong else words)

    def _show(self, entry: Entry, text: str) -> None:
        if entry.value.strip() != text:
            with entry.prevent(Input.Changed):
                entry.value = plain(text)

    @property
    def focused(self) -> str | None:
        """The field that has the cursor."""
        return next((cell.id for cell in self.query(".cell") if cell.has_focus_within), None)

    def begin(self) -> None:
        """Puts the cursor on the first one."""
        self.query_one(Chosen).focus()

    @on(Input.Changed)
    def _typed(self, event: Input.Changed) -> None:
        event.stop()
        self.post_message(Typed(event.input.name, event.value))  # type: ignore[arg-type]

    @on(Input.Submitted)
    def _submitted(self, event: Input.Submitted) -> None:
        """Enter goes on to the next field."""
        event.stop()
        self.screen.focus_next()


def _hint(layout: Layout, at: int, field: Field) -> str:
    """What stands in an empty field."""
    if field == "label":
        return layout.partitions[at].name
    return "512M, 1.5G" if field == "size_mib" else f"e.g. {EXAMPLES.get(f'disk.partitions.{field}', '1')}"


def _instead(field: Field) -> str:
    """What stands in a field that the partition does not have."""
    if field == "size_mib":
        return "the rest of the disk"
    if field == "subvolumes":
        return "btrfs only"
    return "not mounted" if field == "mount" else "none"
