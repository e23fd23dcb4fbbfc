"""What a question is: its words, its options, its default."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from wizard import presets

Answers = Mapping[str, str]
"""What was answered so far: the answer's place in the recipe to its text."""


@dataclass(frozen=True, slots=True)
class Option:
    """One choice.

    note        what it is, in a few words
    impossible  why it cannot be taken now; empty when it can
    outdone     why another one is better; empty when none is
    opens       whether it stands for more than one answer, which have an editor of their own
    """

    value: str
    label: str
    note: str = ""
    impossible: str = ""
    outdone: str = ""
    opens: bool = False

    @property
    def words(self) -> str:
        """What stands behind the label."""
        return self.impossible or self.outdone or self.note


@dataclass(frozen=True, slots=True)
class Default:
    """What Enter takes, and where it came from."""

    value: str
    origin: str


def narrowed(options: Iterable[Option], text: str) -> list[Option]:
    """The options in which every word of the text stands somewhere, whatever its case; all for an empty text."""
    wanted = text.lower().split()
    return [option for option in options if all(word in _said(option) for word in wanted)]


def _said(option: Option) -> str:
    return f"{option.value} {option.label} {option.note} {option.impossible} {option.outdone}".lower()


def _always(_answers: Answers) -> bool:
    return True


def _anything(_answers: Answers) -> list[Option]:
    return []


@dataclass(frozen=True, slots=True)
class Question:
    """One question; `path` is its place in the recipe, `screen` the step of the flow that asks it."""

    path: str
    screen: str
    kind: Literal["choice", "text", "path", "list", "number"]
    default: Callable[[Answers], Default]
    options: Callable[[Answers], list[Option]] = _anything
    applies: Callable[[Answers], bool] = _always

    @property
    def label(self) -> str:
        """A few words."""
        return str(_words(self.path)["label"])

    @property
    def help(self) -> str:
        """What it is and why it matters."""
        return str(_words(self.path)["help"])

    @property
    def example(self) -> str:
        """An answer that makes sense."""
        return str(_words(self.path)["example"])


def _words(path: str) -> dict[str, Any]:
    words: dict[str, Any] = presets.load("questions")[path]
    return words


def preset(value: str) -> Callable[[Answers], Default]:
    """A default that is the same whatever else was answered."""
    return lambda _answers: Default(value, "preset")
