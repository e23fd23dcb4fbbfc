"""The questions: each declared once, and rendered by the screens, the prompts and the numbered prompts alike."""

import json
from typing import Any

from wizard.disk import own
from wizard.plan.defaults import layout_of
from wizard.questions.kinds import Answers, Default, Option, Question, narrowed
from wizard.questions.values import (
    CARRIED,
    CARRIED_TABLES,
    LINES,
    PARTITIONS,
    carried_tables,
    disk_of,
    distro_of,
    every,
    find,
    own_of,
    tables,
    target_of,
    value,
)
from wizard.recipe import Recipe, from_answers, problems_of

__all__ = [
    "CARRIED",
    "PARTITIONS",
    "QUESTIONS",
    "Answers",
    "Default",
    "Option",
    "Question",
    "answers_of",
    "ask",
    "disk_of",
    "distro_of",
    "find",
    "invalid",
    "known",
    "narrowed",
    "own_of",
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
        if option.impossible or not option.opens:
            return option.impossible or None
        if own_of(answers) is None:
            return "There are no partitions of your own yet."
    tried = tables({**answers, path: text})
    places = (PARTITIONS, "disk.table") if question.kind == "choice" else (path,)
    wrong = next((found for found in problems_of(tried) if found.place.startswith(places)), None)
    return str(wrong).removeprefix(f"{wrong.place}: ") if wrong else None


def known(answers: Answers) -> dict[str, str]:
    """What of these answers can be shown and asked again: a file may hold anything.

    Left out are those that no question asks for, choices that are not offered, and characters that do not print.
    """
    kept = {PARTITIONS: answers[PARTITIONS]} if own_of(answers) else {}
    for question in QUESTIONS:
        text = answers.get(question.path)
        if text is None:
            continue
        text = "".join(letter for letter in text if letter.isprintable())
        options = {option.value: option for option in question.options(kept)} if question.kind == "choice" else {}
        is_there = text in options and (PARTITIONS in kept or not options[text].opens)
        if question.kind != "choice" or is_there:
            kept[question.path] = text
    carried = [*(path for path in CARRIED if path in answers), *carried_tables(answers)]
    return kept | {path: answers[path] for path in carried}


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
            part = getattr(part, key) if part is not None else None
        if part is not None:
            found[question.path] = " ".join(part) if question.kind == "list" else str(part)
    for path in CARRIED:
        table, _, key = path.partition(".")
        part = getattr(given, table)
        if part is None:
            continue
        carried = getattr(part, key)
        if carried and carried != type(part).model_fields[key].default:
            found[path] = "\n".join(carried) if path in LINES else str(carried)
    said = given.model_dump(exclude_none=True, exclude_defaults=True, include=set(CARRIED_TABLES), mode="json")
    found |= {name: json.dumps(table) for name, table in said.items()}
    if given.disk.partitions:
        found["disk.layout"] = own.NAME
        found[PARTITIONS] = own.dumps(layout_of(given.target, given.disk))
    return {path: text for path, text in found.items() if text != "" or path == "distro.packages"}
