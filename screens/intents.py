"""What a user means to do.  Views post these; the app acts on them."""

from typing import TYPE_CHECKING

from textual.message import Message

if TYPE_CHECKING:
    from wizard.run.builds import Build


class Answered(Message):
    """An answer was given; with `moves_on` the next question is wanted."""

    def __init__(self, path: str, text: str, *, moves_on: bool) -> None:
        self.path, self.text, self.moves_on = path, text, moves_on
        super().__init__()


class Considered(Message):
    """An answer is looked at, and not given yet."""

    def __init__(self, path: str, text: str) -> None:
        self.path, self.text = path, text
        super().__init__()


class Began(Message):
    """The questions are to be asked, from the answers so far or afresh."""

    def __init__(self, *, afresh: bool) -> None:
        self.afresh = afresh
        super().__init__()


class Resumed(Message):
    """A build that stands is to go on."""

    def __init__(self, build: "Build") -> None:
        self.build = build
        super().__init__()


class WentOn(Message):
    """The next screen is wanted."""


class WentBack(Message):
    """The screen before is wanted."""


class WentTo(Message):
    """Another screen is wanted, there perhaps one question."""

    def __init__(self, screen: str, path: str | None = None) -> None:
        self.screen, self.path = screen, path
        super().__init__()


class EditedAnswers(Message):
    """A build that failed is to be made with other answers."""


class BuildFinished(Message):
    """The build is done; `took` are its steps and how long each took."""

    def __init__(self, facts: dict[str, str], took: tuple[tuple[str, str], ...]) -> None:
        self.facts, self.took = facts, took
        super().__init__()


class Left(Message):
    """The program is to end."""
