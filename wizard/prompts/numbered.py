"""Asks by numbered lines and input(): for screen readers, and terminals that cannot move the cursor."""

import textwrap
from collections.abc import Callable, Mapping, Sequence

from wizard import questions
from wizard.prompts.words import BACK, HELP, LONGEST_LIST, NOTHING, WIDTH, opens, origin, wrapped
from wizard.questions import Option, Question

Answers = Mapping[str, str]


def ask(question: Question, value: str, answers: Answers, place: str) -> str | None:
    """Asks by plain lines; nothing is drawn over, no key is special."""
    print(f"\n{question.label}, question {place}")
    options = question.options(answers)
    shown = options if len(options) <= LONGEST_LIST else []
    _print_options(shown)
    if len(options) > LONGEST_LIST:
        print(f"{len(options)} choices: type one, or a part of it to see those that have it.")
    empties = f"; {NOTHING} empties it" if value and not options else ""
    taken = f"{value or 'nothing'} ({origin(question, value, answers)})"
    print(wrapped(f"Enter takes {taken}{empties}; {HELP} explains; {BACK} goes back."))
    while True:
        text = _input()
        if text == BACK:
            return None
        if text == HELP:
            print(wrapped(f"{question.help} Example: {question.example}"))
            continue
        if options:
            text, shown = _chosen(text or value, options, shown)
            if not text:
                continue
        else:
            text = "" if text == NOTHING else text or value
        wrong = None if opens(question, text, answers) else questions.problem(question.path, text, answers)
        if wrong is None:
            return text
        print(wrapped(f"That does not do: {wrong}"))


def _chosen(text: str, options: list[Option], shown: list[Option]) -> tuple[str, list[Option]]:
    """The option that a number, a name or a part of a name means ("" for none), and the list that numbers are of."""
    if text.isascii() and text.isdigit() and 1 <= int(text) <= len(shown):
        return shown[int(text) - 1].value, shown
    if any(option.value == text for option in options):
        return text, shown
    if text.isascii() and text.isdigit() and shown:
        print(f"There is no number {text} here: 1 to {len(shown)}, or a name.")
        return "", shown
    having = [option for option in options if text.lower() in f"{option.value} {option.label}".lower()]
    if len(having) == 1:
        return having[0].value, shown
    if not having or len(having) > LONGEST_LIST:
        print(f"{len(having) or 'no'} choices with {text!r} in them: type another part.")
        return "", shown
    _print_options(having)
    return "", having


def _print_options(options: list[Option]) -> None:
    for number, option in enumerate(options, start=1):
        print(
            textwrap.fill(
                f"{number:>3}. {_described(option)}", WIDTH, subsequent_indent="     ", break_on_hyphens=False
            )
        )


def _described(option: Option) -> str:
    name = option.value if option.label == option.value else f"{option.value}, {option.label}"
    note = f": {said}" if (said := option.outdone or option.note) else ""
    return f"{name}{note}" + (f" (not possible: {option.impossible})" if option.impossible else "")


def confirm(question: str, default: bool) -> bool | None:
    """Yes, no, or None to go back."""
    print(wrapped(question))
    print(f"yes or no; Enter takes {'yes' if default else 'no'}; {BACK} goes back.")
    known = {"": default, "y": True, "yes": True, "n": False, "no": False, BACK: None}
    while (text := _input().lower()) not in known:
        print("Type yes, no or back.")
    return known[text]


def pick(question: str, rows: Sequence[str]) -> int:
    """The place of a row, chosen by its number or by how it begins."""
    print(wrapped(question))
    for number, row in enumerate(rows, start=1):
        print(textwrap.fill(f"{number}. {row}", WIDTH, subsequent_indent="   ", break_on_hyphens=False))
    print("Enter takes 1; else type a number, or how a line begins.")
    while text := _input().lower():
        if text.isascii() and text.isdigit() and 1 <= int(text) <= len(rows):
            return int(text) - 1
        fitting = [place for place, row in enumerate(rows) if row.lower().startswith(text)]
        if len(fitting) == 1:
            return fitting[0]
        print(f"Type a number from 1 to {len(rows)}.")
    return 0


def line(question: str, value: str, wrong: Callable[[str], str | None]) -> str | None:
    """A line of text; None to leave it as it is."""
    print(wrapped(f"{question}. Enter takes {value or 'nothing'}; {NOTHING} empties it; {BACK} goes back."))
    while (text := _input()) != BACK:
        text = "" if text == NOTHING else text or value
        said = wrong(text)
        if said is None:
            return text
        print(wrapped(f"That does not do: {said}"))
    return None


def _input() -> str:
    try:
        return input("> ").strip()
    except EOFError:
        raise KeyboardInterrupt from None
