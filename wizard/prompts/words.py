"""What both ways to ask say in the same words."""

import textwrap
from collections.abc import Mapping

from wizard.questions import Question

BACK = "back"
HELP = "?"
NOTHING = "-"
LONGEST_LIST = 40
"""A longer list is searched, not read out."""

WIDTH = 78


def origin(question: Question, value: str, answers: Mapping[str, str]) -> str:
    """Where what Enter takes came from."""
    return "your answer" if question.path in answers else question.default(answers).origin if value else "left empty"


def opens(question: Question, value: str, answers: Mapping[str, str]) -> bool:
    """Whether a choice stands for more than one answer, which are asked for next."""
    return question.kind == "choice" and any(
        option.opens for option in question.options(answers) if option.value == value
    )


def wrapped(text: str) -> str:
    """The text in lines of a terminal."""
    return textwrap.fill(text, WIDTH, break_on_hyphens=False, break_long_words=False)
