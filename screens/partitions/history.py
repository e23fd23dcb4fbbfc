"""What was done to a layout, to go back and forth in."""

from dataclasses import dataclass, replace

from wizard.disk.layout import Layout

Moment = tuple[Layout, int]
"""A layout, and the place of the partition that is looked at."""


@dataclass(frozen=True, slots=True)
class History:
    """The layout as it is, and as it was; `mark` names the field that is being typed into."""

    layout: Layout
    at: int = 0
    past: tuple[Moment, ...] = ()
    future: tuple[Moment, ...] = ()
    mark: str = ""

    def chose(self, at: int) -> "History":
        """Another partition is looked at."""
        return self if at == self.at else replace(self, at=at, mark="")

    def did(self, layout: Layout, at: int | None = None, mark: str = "") -> "History":
        """A change; what is typed into one field, letter by letter, is one change."""
        at = self.at if at is None else at
        if layout == self.layout:
            return replace(self, at=at)
        goes_on = bool(mark) and mark == self.mark
        past = self.past if goes_on else (*self.past, (self.layout, self.at))
        return History(layout, at, past, (), mark)

    def undone(self) -> "History":
        """One change back; the same when there is none."""
        if not self.past:
            return self
        (layout, at), now = self.past[-1], (self.layout, self.at)
        return History(layout, at, self.past[:-1], (now, *self.future))

    def redone(self) -> "History":
        """One change that was undone is done again."""
        if not self.future:
            return self
        (layout, at), now = self.future[0], (self.layout, self.at)
        return History(layout, at, (*self.past, now), self.future[1:])
