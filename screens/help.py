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
Ctrl+P    a step that you have been at, by its name
F1        help for the question that you are at
Ctrl+C    quit; answers and builds are kept"""

BUILD_KEYS = """\
Up, Down  look at another step: its reason, its command, its output
l         the whole log of the step, to read and to search
c         copy the command that a failure's card names
Tab       from the steps to the output, or to the card's buttons
Ctrl+C    leave: the build can go on in the background, or stop and go on later

Each step runs as soon as those that it needs are finished. What is finished is kept on the disk: however the wizard
or the build ends, the next start goes on from there."""

DONE_KEYS = """\
Enter     closes the wizard
Ctrl+C    closes the wizard

The AMI stays where it is, and so does the build: `ami-wizard builds` lists both."""


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
    """The keys, and on the last screens what goes on."""
    return f"{TITLES[screen]}: the keys", {"build": BUILD_KEYS, "done": DONE_KEYS}.get(screen, KEYS)
