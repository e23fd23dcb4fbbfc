"""Help for a question, and for a screen that asks none."""

from collections.abc import Mapping

from wizard.flow import TITLES
from wizard.questions import Question

KEYS = """\
Enter     takes what is highlighted and goes on
Up, Down  move the highlight; the preview follows it
Tab       the next question; Shift+Tab the one before
Escape    the screen before
Ctrl+N    the next screen
Ctrl+P    any step, by its name
F1        help for the question that you are at
Ctrl+C    quit; answers and builds are kept"""


def field_help(question: Question, answers: Mapping[str, str]) -> tuple[str, str]:
    """A question's title and its help: what it is and why it matters, the default and its origin, an example."""
    default = question.default(answers)
    lines = [question.help, ""]
    lines.append(f"Now: {answers.get(question.path, default.value) or 'empty'}")
    lines.append(f"Default: {default.value or 'empty'} ({default.origin})")
    lines.append(f"Example: {question.example}")
    lines.append(f"In a recipe: {question.path}")
    return question.label, "\n".join(lines)


def screen_help(screen: str) -> tuple[str, str]:
    """The keys."""
    return f"{TITLES[screen]}: the keys", KEYS
