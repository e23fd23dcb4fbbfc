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


def wrapped(text: str) -> str:
    """The text in lines of a terminal."""
    return textwrap.fill(text, WIDTH, break_on_hyphens=False, break_long_words=False)
