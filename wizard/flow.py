"""The flow of the wizard as a pure state machine."""

from dataclasses import dataclass, replace

SCREENS = ("welcome", "target", "kernel", "disk", "distro", "review", "build", "done")
ASKING = ("target", "kernel", "disk", "distro", "review")
TITLES = {name: name.capitalize() for name in SCREENS}


@dataclass(frozen=True, slots=True)
class Flow:
    """Where the user is, and how far they have been."""

    current: str = "welcome"
    reached: str = "welcome"

    @property
    def position(self) -> int:
        """From 0."""
        return SCREENS.index(self.current)

    def next(self) -> "Flow":
        """One screen on; the last one stays."""
        return self.goto(SCREENS[min(self.position + 1, len(SCREENS) - 1)], force=True)

    def back(self) -> "Flow":
        """One screen back; a build that has started is not undone by going back."""
        if self.current in ("welcome", "build", "done"):
            return self
        return replace(self, current=SCREENS[self.position - 1])

    def can_go(self, screen: str) -> bool:
        """Jumps lead among the questions, and only to where one has been or to the next screen."""
        if self.current in ("build", "done") or screen in ("build", "done"):
            return False
        return SCREENS.index(screen) <= SCREENS.index(self.reached) + 1

    def goto(self, screen: str, *, force: bool = False) -> "Flow":
        """A jump; where it cannot lead, nothing changes."""
        if not (force or self.can_go(screen)):
            return self
        reached = max(self.reached, screen, key=SCREENS.index)
        return Flow(screen, reached)
