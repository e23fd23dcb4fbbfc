"""`ami-wizard new`, and `ami-wizard` alone: the guided build."""

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from wizard.cli.build import go_on, practice_faults, wish_faults
from wizard.explain import Failure

if TYPE_CHECKING:
    from wizard.recipe import Recipe


@click.command(help="A new build, guided.")
@click.option("--practice", is_flag=True, help="Use the built-in practice cloud in place of AWS.")
@click.option("--plain", is_flag=True, help="Ask by prompts instead of screens.")
@click.option("--recipe", type=click.Path(path_type=Path), help="Fill in the answers from this recipe.")
@click.option("--preset", metavar="NAME", help="Fill in the answers from a recipe in presets/recipes.")
@click.option("--defaults", is_flag=True, help="Ask nothing: take every default (with --practice only).")
@practice_faults
def new(practice: bool, plain: bool, recipe: Path | None, preset: str | None, defaults: bool, faults: str) -> int:
    """The wizard with these answers filled in."""
    from wizard import questions
    from wizard import recipe as recipes

    wish_faults(faults, practice=practice)
    if recipe and preset:
        raise click.UsageError("--recipe and --preset both fill in the answers: give one of them")
    path = _preset(preset) if preset else recipe
    answers = questions.answers_of(recipes.load(path)) if path else None
    if defaults and not practice:
        raise click.UsageError("--defaults asks nothing, so it goes with --practice only; on AWS: build RECIPE --yes")
    if defaults:
        return _build(questions.recipe(answers or {}), practice=practice)
    if plain:
        return _prompt(answers, practice=practice)
    return open_wizard(practice=practice, answers=answers)


def open_wizard(*, practice: bool, answers: dict[str, str] | None = None, offer_unfinished: bool = False) -> int:
    """The screens, or the prompts where a terminal cannot show screens.  Raises Failure `not-a-terminal`."""
    from wizard import prompts

    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        raise Failure("not-a-terminal")
    if not prompts.wants_plain(os.environ):
        from screens import app

        return app.run(practice=practice, answers=answers, offer_unfinished=offer_unfinished)
    unfinished = prompts.choose_unfinished() if offer_unfinished else None
    return go_on(unfinished) if unfinished else _prompt(answers, practice=practice)


def _prompt(answers: dict[str, str] | None, *, practice: bool) -> int:
    from wizard import prompts

    return _build(prompts.run_prompts(answers, practice), practice=practice)


def _build(chosen: "Recipe", *, practice: bool) -> int:
    from wizard.run import builds

    made = builds.create(chosen, practice=practice)
    click.echo(f"Build {made.id}; its recipe is {made.recipe_path}", err=True)
    return go_on(made)


def _preset(name: str) -> Path:
    from wizard import presets

    known = presets.names("recipes")
    if name not in known:
        raise Failure("unknown-preset", name=name, known=", ".join(known))
    return presets.ROOT / "recipes" / f"{name}.toml"
