"""The guided build without screens: the same questions as prompts.

Two ways to ask: by questionary, with lists and completion; and by numbered lines and input(), for screen readers
(ACCESSIBLE=1) and terminals that cannot move the cursor (TERM=dumb).  Both only ask: what is asked, what Enter takes
and what will do is declared in wizard/questions.py.
"""

import os
import sys
import textwrap
import time
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from wizard import draft, questions
from wizard.explain import Failure, explain
from wizard.questions import Option, Question
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

Save = Callable[[Answers], None]
"""Keeps the answers so far."""

BACK = "back"
HELP = "?"
NOTHING = "-"
LONGEST_LIST = 40
"""A longer list is searched, not read out."""

WIDTH = 78


def run_prompts(answers: dict[str, str] | None, practice: bool) -> Recipe:
    """Asks every question, with the given answers filled in; shows the recipe and asks whether to start.

    Without any (None), it offers to go on with the draft.  Every answer is saved as the draft at once, and the draft
    goes when the user says start.  Raises Failure `not-a-terminal`; KeyboardInterrupt on Ctrl-C, Ctrl-D, and when the
    user does not want to start now.
    """
    if not sys.stdin.isatty():
        raise Failure("not-a-terminal")
    plain = _is_plain()
    try:
        given = offer_draft(_pick(plain)) if answers is None else answers
        return _until_started(
            numbered if plain else fancy, confirm_plainly if plain else confirm_fancily, given, practice
        )
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
    place = _pick(_is_plain())("Go on with an unfinished build, or begin a new one?", rows)
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


def _until_started(ask: Ask, confirm: Confirm, answers: Answers, practice: bool) -> Recipe:
    save = _saver()
    asked = interview(ask, answers, save=save)
    while True:
        recipe = questions.recipe(asked)
        print(f"\n{summary(asked)}\n")
        start = confirm(*start_question(recipe, practice))
        if start:
            draft.remove_used(asked)
            return recipe
        if start is False:
            raise KeyboardInterrupt
        asked = interview(ask, asked, from_the_end=True, save=save)


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
                print("\n".join(_wrapped(text) for text in (said.what, said.why, *said.do, *said.evidence)))
            told = True

    return save


def _is_plain() -> bool:
    return wants_plain(os.environ) or not sys.stdout.isatty()


def _pick(plain: bool) -> Pick:
    return pick_plainly if plain else pick_fancily


def wants_plain(environment: Mapping[str, str]) -> bool:
    """Whether to ask by numbered lines: the terminal cannot do more, or its user does not want more."""
    return environment.get("ACCESSIBLE", "") not in ("", "0") or environment.get("TERM") == "dumb"


def interview(ask: Ask, answers: Answers, *, from_the_end: bool = False, save: Save = draft.save) -> dict[str, str]:
    """The answers to all questions that apply, each one that will do together with the others; saved after each.

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
            print(_wrapped(f"{asked[place].label} no longer fits the other answers: {wrong[asked[place].path]}"))
        question = asked[place]
        default = question.default(given).value
        text = ask(question, given.get(question.path, default), given, f"{place + 1} of {len(asked)}")
        if text is None:
            place = max(place - 1, 0)
            continue
        given.pop(question.path, None)
        if text != default:
            given[question.path] = text
        save(given)
        place += 1


def applying(answers: Answers) -> list[Question]:
    """The questions that the answers so far leave to be asked, in order."""
    return [question for question in questions.QUESTIONS if question.applies(answers)]


def origin(question: Question, value: str, answers: Answers) -> str:
    """Where what Enter takes came from."""
    return "your answer" if question.path in answers else question.default(answers).origin if value else "left empty"


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
        "image there, which cost money until they are removed.",
        False,
    )


# Numbered lines.


def numbered(question: Question, value: str, answers: Answers, place: str) -> str | None:
    """Asks by plain lines; nothing is drawn over, no key is special."""
    print(f"\n{question.label}, question {place}")
    options = question.options(answers)
    shown = options if len(options) <= LONGEST_LIST else []
    _print_options(shown)
    if len(options) > LONGEST_LIST:
        print(f"{len(options)} choices: type one, or a part of it to see those that have it.")
    empties = f"; {NOTHING} empties it" if value and not options else ""
    taken = f"{value or 'nothing'} ({origin(question, value, answers)})"
    print(_wrapped(f"Enter takes {taken}{empties}; {HELP} explains; {BACK} goes back."))
    while True:
        text = _input()
        if text == BACK:
            return None
        if text == HELP:
            print(_wrapped(f"{question.help} Example: {question.example}"))
            continue
        if options:
            text, shown = _chosen(text or value, options, shown)
            if not text:
                continue
        else:
            text = "" if text == NOTHING else text or value
        wrong = questions.problem(question.path, text, answers)
        if wrong is None:
            return text
        print(_wrapped(f"That does not do: {wrong}"))


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


def _titled(option: Option) -> str:
    return f"{option.label}  {option.outdone or option.note}".rstrip()


def confirm_plainly(question: str, default: bool) -> bool | None:
    """Yes, no, or None to go back."""
    print(_wrapped(question))
    print(f"yes or no; Enter takes {'yes' if default else 'no'}; {BACK} goes back.")
    known = {"": default, "y": True, "yes": True, "n": False, "no": False, BACK: None}
    while (text := _input().lower()) not in known:
        print("Type yes, no or back.")
    return known[text]


def pick_plainly(question: str, rows: Sequence[str]) -> int:
    """The place of a row, chosen by its number or by how it begins."""
    print(_wrapped(question))
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


def _input() -> str:
    try:
        return input("> ").strip()
    except EOFError:
        raise KeyboardInterrupt from None


def _wrapped(text: str) -> str:
    return textwrap.fill(text, WIDTH, break_on_hyphens=False, break_long_words=False)


# Questionary.


def fancy(question: Question, value: str, answers: Answers, place: str) -> str | None:
    """Asks by a list to choose from, or a line to edit; the help stands above."""
    print(f"\n{_wrapped(question.help)}")
    message = f"[{place}] {question.label}"
    if question.kind == "choice":
        return _select(message, question, value, answers)
    return _line(message, question, value, answers)


def _select(message: str, question: Question, value: str, answers: Answers) -> str | None:
    import questionary

    options = question.options(answers)
    choices = [
        questionary.Choice(
            f"{option.label}  {option.outdone or option.note}".rstrip(),
            option.value,
            disabled=_brief(option.impossible) or None,
        )
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


def confirm_fancily(question: str, default: bool) -> bool | None:
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


def pick_fancily(question: str, rows: Sequence[str]) -> int:
    """The place of a row, chosen with the arrow keys."""
    import questionary

    choices = [questionary.Choice(row, str(place)) for place, row in enumerate(rows)]
    return int(questionary.select(question, choices, default="0", qmark="").unsafe_ask())
