"""Recipe files: TOML read, checked and written."""

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import tomlkit

from wizard.explain import Failure
from wizard.recipe.paths import with_absolute_paths
from wizard.recipe.problems import problems_of
from wizard.recipe.tables import Recipe


def load(path: Path) -> Recipe:
    """Reads and checks a recipe file; relative paths in it are taken from its folder.

    Raises Failure: `unreadable-recipe`, `bad-recipe` (every problem at once, as evidence).
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise Failure("unreadable-recipe", path=path, evidence=[str(error)]) from error
    try:
        answers = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise Failure("bad-recipe", path=path, count=1, evidence=[f"not TOML: {error}"]) from error
    return from_answers(answers, folder=path.resolve().parent, path=path)


def from_answers(answers: Mapping[str, Any], folder: Path | None = None, path: Path | None = None) -> Recipe:
    """A checked recipe from plain tables.  Raises Failure `bad-recipe` with every problem at once."""
    problems = list(problems_of(answers, folder))
    if problems:
        where = path or "these answers"
        raise Failure("bad-recipe", path=where, count=len(problems), evidence=[str(problem) for problem in problems])
    return with_absolute_paths(Recipe.model_validate(answers), folder)


def dumps(recipe: Recipe) -> str:
    """The recipe as TOML: every answer that was given or taken by default, tables in the order of the screens."""
    document = tomlkit.document()
    for key, value in recipe.model_dump(exclude_none=True, mode="json").items():
        document[key] = value
    return tomlkit.dumps(document)
