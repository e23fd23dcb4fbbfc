"""A list and a line of text as all screens have them."""

from typing import ClassVar

from textual.binding import Binding, BindingType
from textual.geometry import Offset
from textual.widgets import Input, OptionList

PRINTABLE = r"[^\x00-\x1f\x7f-\x9f]*"


class Rows(OptionList):
    """A list to look at, with the terminal's cursor on the row that is looked at."""

    def on_option_list_option_highlighted(self) -> None:
        """The terminal's cursor goes along: screen readers and braille displays read where it is."""
        if self.has_focus and self.highlighted is not None:
            line = self._index_to_line.get(self.highlighted, 0) - self.scroll_offset.y
            self.app.cursor_position = self.content_region.offset + Offset(0, line)


class Choices(Rows):
    """A list of choices that shows in the footer what Enter does."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("enter", "select", "Accept")]


class Entry(Input):
    """A line of text that shows in the footer what Enter does."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("enter", "submit", "Accept")]
