"""Asks by questionary, with lists and completion."""

import textwrap
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from wizard import questions
from wizard.prompts.words import BACK, WIDTH, origin, wrapped
from wizard.questions import Option, Question

Answers = Mapping[str, str]


def _titled(option: Option) -> str:
    return f"{option.label}  {option.outdone or option.note}".rstrip()


def ask(question: Question, value: str, answers: Answers, place: str) -> str | None:
    """Asks by a list to choose from, or a line to edit; the help stands above."""
    print(f"\n{wrapped(question.help)}")
    message = f"[{place}] {question.label}"
    if question.kind == "choice":
        return _select(message, question, value, answers)
    return _line(message, question, value, answers)


def _select(message: str, question: Question, value: str, answers: Answers) -> str | None:
    import questionary

    options = question.options(answers)
    for option in options:
        # A list has one line for each: what does not fit there stands above it.
        if _brief(option.impossible) != option.impossible:
            print(wrapped(f"✗ {option.label}: {option.impossible}"))
    choices = [
        questionary.Choice(_titled(option), option.value, disabled=_brief(option.impossible) or None)
        for option in options
    ]
    choices.append(questionary.Choice(f"({BACK})", BACK))
    possible = [option.value for option in options if not option.impossible]
    first = value if value in possible else next(iter(possible), BACK)
    source = f": {origin(question, value, answers)}" if first == value else ""
    is_long = len(options) > 9
    taken = questionary.select(
        message,
        choices,
        default=first,
        instruction=f"({'type to search, ' if is_long else ''}Enter takes {first}{source})",
        use_search_filter=is_long,
        use_jk_keys=False,
        qmark="",
    ).unsafe_ask()
    return None if taken == BACK else str(taken)


def _brief(reason: str) -> str:
    return textwrap.shorten(reason, WIDTH - 20, placeholder=" …")


def _line(message: str, question: Question, value: str, answers: Answers) -> str | None:
    import questionary

    def check(text: str) -> bool | str:
        if text.strip() == BACK:
            return True
        wrong = questions.problem(question.path, text.strip(), answers)
        return True if wrong is None else wrong

    options: dict[str, Any] = {"default": value, "validate": check, "qmark": ""}
    if question.kind == "path":
        asked = questionary.path(f"{message} (or {BACK}):", **options)
    else:
        hint = f"({origin(question, value, answers)}; example: {question.example}; {BACK} goes back)"
        asked = questionary.text(message, instruction=hint, **options)
    text = str(asked.unsafe_ask()).strip()
    return None if text == BACK else text


def confirm(question: str, default: bool) -> bool | None:
    """Yes, no, or None to go back."""
    import questionary

    answer = questionary.select(
        question,
        [
            questionary.Choice("yes, start", "yes"),
            questionary.Choice("no, not now", "no"),
            questionary.Choice(f"({BACK})", BACK),
        ],
        default="yes" if default else "no",
        qmark="",
    ).unsafe_ask()
    return {"yes": True, "no": False, BACK: None}[str(answer)]


def line(question: str, value: str, wrong: Callable[[str], str | None]) -> str | None:
    """A line of text; None to leave it as it is."""
    import questionary

    def check(text: str) -> bool | str:
        said = None if text.strip() == BACK else wrong(text)
        return True if said is None else said

    hint = f"({BACK} leaves it as it is)"
    asked = questionary.text(f"{question}:", instruction=hint, default=value, validate=check, qmark="")
    text = str(asked.unsafe_ask()).strip()
    return None if text == BACK else text


def pick(question: str, rows: Sequence[str]) -> int:
    """The place of a row, chosen with the arrow keys."""
    import questionary

    choices = [questionary.Choice(row, str(place)) for place, row in enumerate(rows)]
    return int(questionary.select(question, choices, default="0", qmark="").unsafe_ask())
