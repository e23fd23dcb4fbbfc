"""What the answers cause, as plain text: shown beside the form of each screen, while the highlight moves."""

import textwrap
from collections.abc import Callable, Iterator

from wizard import host, questions
from wizard.explain import Failure, explain
from wizard.preview.disk import disk
from wizard.preview.distro import distro
from wizard.preview.kernel import kernel
from wizard.preview.lines import bullet
from wizard.preview.target import target
from wizard.questions import Answers


def preview(screen: str, answers: Answers, width: int = 60) -> str:
    """The text for one screen; lines are at most `width` long where that can be (fstab stands as it is).

    Never raises for answers that do not go together: it says what is wrong instead.
    """
    draw = _SCREENS.get(screen)
    if draw is None:
        return ""
    try:
        return "\n".join(draw(answers, width))
    except Failure as failure:
        return "\n".join(_failure(failure, width))


def _failure(failure: Failure, width: int) -> Iterator[str]:
    if failure.code == "bad-recipe":
        yield "This appears when the answers go together:"
        for line in failure.evidence:
            yield from bullet(line, width)
        return
    said = explain(failure)
    yield from textwrap.wrap(said.what, width)
    yield from textwrap.wrap(said.why, width)
    for line in (*said.evidence, *said.do):
        yield from bullet(line, width)


def _review(answers: Answers, width: int) -> Iterator[str]:
    import datetime

    from wizard.plan.build import Occasion, build_id, plan
    from wizard.plan.prose import prose

    recipe = questions.recipe(answers)
    today = datetime.datetime.now(datetime.UTC).date().isoformat()
    yield prose(plan(recipe, Occasion(build_id(recipe, practice=False), today)), width)


def missing_tools(answers: Answers) -> list[host.Tool]:
    """The programs that this machine lacks for the build; none while the answers do not make a recipe."""
    from wizard.plan.build import tools_of, tools_to_prove

    try:
        recipe = questions.recipe(answers)
        return host.missing([*tools_of(recipe), *tools_to_prove(recipe)])
    except Failure:
        return []


_SCREENS: dict[str, Callable[[Answers, int], Iterator[str]]] = {
    "target": target,
    "kernel": kernel,
    "disk": disk,
    "distro": distro,
    "review": _review,
}
