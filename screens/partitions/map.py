"""The disk to scale; a click chooses a partition, and dragging its right edge makes it larger or smaller."""

from itertools import accumulate

from textual import events
from textual.content import Content
from textual.message import Message
from textual.widgets import Static

from screens.words import plain
from wizard.disk.layout import Layout
from wizard.preview.disk import box_widths, partition_map


class PartitionMap(Static):
    """Boxes in the order of the disk, the chosen one marked and reversed."""

    class Chosen(Message):
        """A partition was clicked."""

        def __init__(self, at: int) -> None:
            self.at = at
            super().__init__()

    class Dragged(Message):
        """A partition's right edge was dragged: it is to have so many MiB."""

        def __init__(self, at: int, mib: int) -> None:
            self.at, self.mib = at, mib
            super().__init__()

    def __init__(self) -> None:
        super().__init__("", classes="map", markup=False)
        self._layout: Layout | None = None
        self._at = 0
        self._total_mib = 1
        self._drag: tuple[int, int, int] | None = None

    def take(self, layout: Layout, at: int, total_mib: int) -> None:
        """Shows the layout on a disk of that size."""
        self._layout, self._at, self._total_mib = layout, at, total_mib
        self._draw()

    def on_resize(self) -> None:
        self._draw()

    def _draw(self) -> None:
        if self._layout is None or self.size.width == 0:
            return
        edges = self._edges()
        begin, end = edges[self._at] + 1, edges[self._at + 1]
        lines = []
        for row, line in enumerate(partition_map(self._layout, self._total_mib, self.size.width)):
            marked = f"{line[:begin]}▸{line[begin + 1 :]}" if row == 1 else line
            content = Content(plain(marked))
            lines.append(content.stylize("bold reverse", begin, end) if row in (1, 2) else content)
        self.update(Content("\n").join(lines))

    def _edges(self) -> list[int]:
        """The columns of the lines between the boxes, the outer ones too."""
        assert self._layout
        widths = box_widths(self._layout, self._total_mib, self.size.width - len(self._layout.partitions) - 1)
        return [0, *accumulate(width + 1 for width in widths)]

    def on_mouse_down(self, event: events.MouseDown) -> None:
        """On an edge it begins to drag, in a box it chooses."""
        if self._layout is None:
            return
        edges = self._edges()
        if event.x in edges[1:-1]:
            at = edges.index(event.x) - 1
            self._drag = (at, event.screen_x, self._layout.partitions[at].size_mib or 1)
            self.capture_mouse()
        elif event.x < edges[-1]:
            at = max(place for place, edge in enumerate(edges[:-1]) if edge <= event.x)
            self.post_message(self.Chosen(at))

    def on_mouse_move(self, event: events.MouseMove) -> None:
        """As wide as it is dragged, in steps of a column."""
        if self._drag is None:
            return
        at, begun_at, mib = self._drag
        columns = event.screen_x - begun_at
        self.post_message(self.Dragged(at, max(1, mib + round(columns * self._total_mib / max(self.size.width, 1)))))

    def on_mouse_up(self) -> None:
        """The edge stays where it is let go."""
        if self._drag is not None:
            self._drag = None
            self.release_mouse()
