"""The guided build without screens: the same questions as prompts.

Two ways to ask: by questionary, with lists and completion; and by numbered lines and input(), for screen readers
(ACCESSIBLE=1) and terminals that cannot move the cursor (TERM=dumb).  Both only ask: what is asked, what Enter takes
and what will do is declared in wizard/questions/.
"""

import os
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from wizard import draft, questions
from wizard.explain import Failure, explain
from wizard.plan.publish.prose import in_short
from wizard.prompts import fancy, numbered
from wizard.prompts.partitions import Line, divide
from wizard.prompts.words import opens, wrapped
from wizard.questions import Question
from wizard.recipe import Recipe

if TYPE_CHECKING:
    from wizard.run.builds import Build

Answers = Mapping[str, str]
Ask = Callable[[Question, str, Answers, str], str | None]
"""Asks one question: the question, what Enter takes, the answers so far, its place ("3 of 14").  None: one back."""

Confirm = Callable[[str, bool], bool | None]
"""Asks a question, Enter takes the second; gives yes, no, or None for one back."""

Pick = Callable[[str, Sequence[str]], int]
"""Asks which of some rows it is to be, Enter takes the first; gives its place, from 0."""


@dataclass(frozen=True, slots=True)
class Way:
    """One way to ask."""

    ask: Ask
    confirm: Confirm
    pick: Pick
    line: Line


Save = Callable[[Answers], None]
"""Keeps the answers so far."""

Own = Callable[[Answers], dict[str, str] | None]
"""Asks for partitions of one's own; gives the answers with them, None when another layout is wanted."""


def run_prompts(answers: dict[str, str] | None, practice: bool) -> Recipe:
    """Asks every question, with the given answers filled in; shows the recipe and asks whether to start.

    Without any (None), it offers to go on with the draft.  Every answer is saved as the draft at once, and the draft
    goes when the user says start.  Raises Failure `not-a-terminal`; KeyboardInterrupt on Ctrl-C, Ctrl-D, and when the
    user does not want to start now.
    """
    if not sys.stdin.isatty():
        raise Failure("not-a-terminal")
    way = _way()
    try:
        given = offer_draft(way.pick) if answers is None else answers
        return _until_started(way, given, practice)
    except KeyboardInterrupt:
        kept = f" Your answers are kept; go on with: {_again(practice)}" if draft.load() else ""
        print(f"\nNothing was started.{kept}")
        raise


def _again(practice: bool) -> str:
    return "ami-wizard new --plain --practice" if practice else "ami-wizard new --plain"


def offer_draft(pick: Pick) -> dict[str, str]:
    """The answers that were left last, if there are any and the user goes on with them; else none."""
    found = draft.load()
    answers = questions.known(found.answers) if found else {}
    if not (found and answers):
        return {}
    rows = ["yes, go on with them", "no, begin anew (the first new answer replaces them)"]
    goes_on = pick(f"Go on with the answers of {_ago(found.saved)}?", rows) == 0
    return answers if goes_on else {}


def choose_unfinished() -> "Build | None":
    """The unfinished build that the user goes on with; None for a new one, or when there is none to go on with."""
    from wizard.run.builds import all_builds

    unfinished = [build for build in all_builds() if build.state().state != "finished"]
    if not unfinished:
        return None
    rows = [*(_standing(build) for build in unfinished), "a new build"]
    place = _way().pick("Go on with an unfinished build, or begin a new one?", rows)
    return unfinished[place] if place < len(unfinished) else None


def _standing(build: "Build") -> str:
    """A build's name, its step, how long ago it stood there, and what exists in AWS."""
    from wizard.run.builds import resources

    where = build.state()
    step = f" at {where.step}" if where.step else ""
    moment = where.last["time"] if where.last else build.recipe_path.stat().st_mtime
    made = [f"{one['kind']} {one['id']} in {one['region']}" for one in resources(build)]
    cloud = "the practice cloud" if build.facts().practice else "AWS"
    return f"{build.id}: {where.state}{step}, {_ago(moment)}; in {cloud}: {', '.join(made) or 'nothing yet'}"


def _ago(moment: float) -> str:
    import humanize

    return humanize.naturaltime(time.time() - moment)


def _until_started(way: Way, answers: Answers, practice: bool) -> Recipe:
    save, own = _saver(), partial(divide, way.pick, way.line)
    asked = interview(way.ask, answers, save=save, own=own)
    while True:
        recipe = questions.recipe(asked)
        print(f"\n{summary(asked)}\n")
        start = way.confirm(*start_question(recipe, practice))
        if start:
            draft.remove_used(asked)
            return recipe
        if start is False:
            raise KeyboardInterrupt
        asked = interview(way.ask, asked, from_the_end=True, save=save, own=own)


def _saver() -> Save:
    """Saves the draft.  When that cannot be done it says so once, and the questions go on."""
    told = False

    def save(answers: Answers) -> None:
        nonlocal told
        try:
            draft.save(answers)
        except OSError as error:
            if not told:
                said = explain(Failure("cannot-save-draft", where=draft.path(), evidence=[str(error)]))
                print("\n".join(wrapped(text) for text in (said.what, said.why, *said.do, *said.evidence)))
            told = True

    return save


def _way() -> Way:
    """How this terminal is asked."""
    if wants_plain(os.environ) or not sys.stdout.isatty():
        return Way(numbered.ask, numbered.confirm, numbered.pick, numbered.line)
    return Way(fancy.ask, fancy.confirm, fancy.pick, fancy.line)


def wants_plain(environment: Mapping[str, str]) -> bool:
    """Whether to ask by numbered lines: the terminal cannot do more, or its user does not want more."""
    return environment.get("ACCESSIBLE", "") not in ("", "0") or environment.get("TERM") == "dumb"


def interview(
    ask: Ask, answers: Answers, *, from_the_end: bool = False, save: Save = draft.save, own: Own | None = None
) -> dict[str, str]:
    """The answers to all questions that apply, each one that will do together with the others; saved after each.

    `own` asks for what stands behind a choice that stands for more than one answer; without it, that is not asked.

    An answer that is what the default is anyway is not kept, so that it follows when another answer changes.
    """
    given = dict(answers)
    place = len(applying(given)) - 1 if from_the_end else 0
    while True:
        asked = applying(given)
        if place == len(asked):
            wrong = questions.invalid(given)
            if not wrong:
                return given
            place = min(index for index, question in enumerate(asked) if question.path in wrong)
            print(wrapped(f"{asked[place].label} no longer fits the other answers: {wrong[asked[place].path]}"))
        question = asked[place]
        default = question.default(given).value
        text = ask(question, given.get(question.path, default), given, f"{place + 1} of {len(asked)}")
        if text is None:
            place = max(place - 1, 0)
            continue
        if own and opens(question, text, given):
            if more := own(given):
                given = more
                save(given)
                place += 1
            continue
        given.pop(question.path, None)
        if text != default:
            given[question.path] = text
        save(given)
        place += 1


def applying(answers: Answers) -> list[Question]:
    """The questions that the answers so far leave to be asked, in order."""
    return [question for question in questions.QUESTIONS if question.applies(answers)]


def summary(answers: Answers) -> str:
    """Every answer on a line, as it will be used."""
    rows = [(question.label, questions.value(question.path, answers)) for question in applying(answers)]
    return "\n".join(f"  {label + ':':<18} {text or '(left empty)'}" for label, text in rows)


def start_question(recipe: Recipe, practice: bool) -> tuple[str, bool]:
    """The last question and what Enter takes: on real AWS, where things cost money, no."""
    if practice:
        return "Start the build? It stays on this machine, in the practice cloud.", True
    return (
        f"Make the AMI “{recipe.name}” in {recipe.target.region}, in your AWS account? It makes a snapshot and an "
        f"image there, which cost money until they are removed.{in_short(recipe.publish)}",
        False,
    )
