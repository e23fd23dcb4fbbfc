"""The questions: each declared once, and rendered by the screens, the prompts and the numbered prompts alike."""

from typing import Any

from wizard.questions.kinds import Answers, Default, Option, Question, narrowed
from wizard.questions.values import CARRIED, LINES, distro_of, every, find, tables, target_of, value
from wizard.recipe import Recipe, from_answers, problems_of

__all__ = [
    "CARRIED",
    "QUESTIONS",
    "Answers",
    "Default",
    "Option",
    "Question",
    "answers_of",
    "ask",
    "distro_of",
    "find",
    "invalid",
    "known",
    "narrowed",
    "problem",
    "recipe",
    "tables",
    "target_of",
    "value",
]

QUESTIONS = every()
"""In the order in which they are asked."""


def ask(screen: str, answers: Answers) -> list[Question]:
    """The questions of a screen that apply, in order."""
    return [question for question in QUESTIONS if question.screen == screen and question.applies(answers)]


def problem(path: str, text: str, answers: Answers) -> str | None:
    """What is wrong with an answer, in words; None when it will do.  The other answers are taken as they are."""
    question = find(path)
    if question.kind == "choice":
        option = next((option for option in question.options(answers) if option.value == text), None)
        if option is None:
            return f"{text!r} is not one of the choices."
        return option.impossible or None
    tried = tables({**answers, path: text})
    wrong = next((found for found in problems_of(tried) if found.place.startswith(path)), None)
    return str(wrong).removeprefix(f"{wrong.place}: ") if wrong else None


def known(answers: Answers) -> dict[str, str]:
    """What of these answers can be shown and asked again: a file may hold anything.

    Left out are those that no question asks for, choices that are not offered, and characters that do not print.
    """
    kept: dict[str, str] = {}
    for question in QUESTIONS:
        text = answers.get(question.path)
        if text is None:
            continue
        text = "".join(letter for letter in text if letter.isprintable())
        if question.kind != "choice" or text in (option.value for option in question.options(kept)):
            kept[question.path] = text
    return kept | {path: answers[path] for path in CARRIED if path in answers}


def invalid(answers: Answers) -> dict[str, str]:
    """The answers that no longer go together with the others: place and reason.  They are kept, and marked."""
    found = {}
    for question in QUESTIONS:
        if question.path in answers and question.applies(answers):
            reason = problem(question.path, answers[question.path], answers)
            if reason:
                found[question.path] = reason
    return found


def recipe(answers: Answers) -> Recipe:
    """The checked recipe.  Raises Failure `bad-recipe`."""
    return from_answers(tables(answers))


def answers_of(given: Recipe) -> dict[str, str]:
    """A recipe's answers, to fill in the questions with."""
    found = {}
    for question in QUESTIONS:
        part: Any = given
        for key in question.path.split("."):
            part = getattr(part, key)
        if part is not None:
            found[question.path] = " ".join(part) if question.kind == "list" else str(part)
    for path in CARRIED:
        table, _, key = path.partition(".")
        part = getattr(given, table)
        carried = getattr(part, key)
        if carried and carried != type(part).model_fields[key].default:
            found[path] = "\n".join(carried) if path in LINES else str(carried)
    return {path: text for path, text in found.items() if text != "" or path == "distro.packages"}
