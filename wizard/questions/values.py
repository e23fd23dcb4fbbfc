"""The answers as they stand: what was said, and the defaults where nothing was."""

import contextlib
import functools
import json
from pathlib import Path
from typing import Any

from wizard.disk import own
from wizard.questions.kinds import Answers, Question
from wizard.recipe import Disk, Distro, Target, Volume

PARTITIONS = "disk.partitions"
"""Partitions of one's own, as the text that wizard/disk/own.py makes; they count where the layout is own.NAME."""

CARRIED = (
    *("target.encrypted", "target.kms_key", "target.upload"),
    *("distro.mirror", "system.ssh_authorized_keys", "system.locale"),
    *("bundle.prefix", "bundle.ec2_certificate"),
    *(f"volume.{key}" for key in Volume.model_fields),
)
"""Answers that no screen asks for, as their defaults serve nearly everyone; those of a recipe are carried along."""

LINES = ("system.ssh_authorized_keys",)
"""Of these, what has several values, one a line."""

NUMBERS = ("volume.ssh_port",)
"""Of these, what is a number."""

CARRIED_TABLES = ("publish", "launch", "prove")
"""The same for whole tables, and for what stands in none, as JSON."""


@functools.cache
def every() -> tuple[Question, ...]:
    """All questions in the order in which they are asked."""
    # The questions' own defaults and options need the values here.
    from wizard.questions import disk, distro, kernel, target

    return (*target.QUESTIONS, *kernel.QUESTIONS, *disk.QUESTIONS, *distro.QUESTIONS)


@functools.cache
def find(path: str) -> Question:
    """The question with that place in the recipe."""
    return next(one for one in every() if one.path == path)


def value(path: str, answers: Answers) -> str:
    """The answer, or what the default is as the other answers stand."""
    return answers[path] if path in answers else find(path).default(answers).value


def tables(answers: Answers, screen: str | None = None) -> dict[str, Any]:
    """The answers of one screen (None: of all) with all defaults as a recipe's tables, not checked yet."""
    built: dict[str, Any] = {}
    for question in every():
        if screen not in (None, question.screen) or not question.applies(answers):
            continue
        text = value(question.path, answers)
        if text == "" and question.kind != "list":
            continue
        table, _, key = question.path.rpartition(".")
        where = built.setdefault(table, {}) if table else built
        if question.path == "disk.layout" and text == own.NAME:
            where |= _own(answers)
        else:
            where[key] = _typed(question, text)
    for path in CARRIED if screen is None else ():
        if path in answers:
            table, _, key = path.partition(".")
            if table == "bundle" and value("target.storage", answers) != "s3":
                continue
            text = answers[path]
            typed = text.splitlines() if path in LINES else int(text) if path in NUMBERS else text
            built.setdefault(table, {})[key] = typed
    return built | ({} if screen else carried_tables(answers))


def carried_tables(answers: Answers) -> dict[str, Any]:
    """What no screen asks for and is carried whole; a draft may hold anything, so what cannot be right is left out."""
    found: dict[str, Any] = {}
    for name in CARRIED_TABLES:
        with contextlib.suppress(json.JSONDecodeError):
            table = json.loads(answers.get(name, "null"))
            found |= {name: table} if isinstance(table, bool if name == "prove" else dict) else {}
    return found


def target_of(answers: Answers) -> Target:
    """The target as the answers stand; what does not apply is left out."""
    return Target.model_validate(tables(answers, "target")["target"])


def distro_of(answers: Answers) -> Distro:
    """Which userland is meant: its name, and of one's own its place."""
    source = answers.get("distro.source")
    name = value("distro.name", answers)
    return Distro(name=name, source=_absolute(source) if source and name == "own" else None)


def disk_of(answers: Answers) -> Disk:
    """The layout as the answers stand; the size is left out, as it may not be a number yet."""
    name = value("disk.layout", answers)
    return Disk.model_validate(_own(answers) if name == own.NAME else {"layout": name})


def own_of(answers: Answers) -> Disk | None:
    """The partitions of one's own, whether they are what was chosen or only kept."""
    return own.loads(answers.get(PARTITIONS, ""))


def _own(answers: Answers) -> dict[str, Any]:
    kept = own_of(answers)
    return kept.model_dump(exclude_none=True, mode="json") if kept else {}


def _typed(question: Question, text: str) -> Any:
    if question.kind == "list":
        return text.split()
    if question.kind == "number":
        return int(text) if text.isascii() and text.isdigit() else text
    if question.kind == "path":
        return _absolute(text)
    return text


def _absolute(path: str) -> str:
    """A path as seen from where the user is; the recipe will lie somewhere else."""
    return str(Path(path).expanduser().absolute())
