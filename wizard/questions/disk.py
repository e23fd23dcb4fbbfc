"""The questions about the disk."""

from wizard.disk import own
from wizard.disk.layout import load
from wizard.disk.layout import names as layout_names
from wizard.plan.defaults import default_layout, layout_unfit
from wizard.questions.kinds import Answers, Default, Option, Question, preset
from wizard.questions.values import own_of, target_of


def _layout_options(answers: Answers) -> list[Option]:
    where = target_of(answers)
    found = []
    for name in layout_names():
        layout = load(name)
        unfit = layout_unfit(where, layout)
        found.append(Option(name, name, layout.title, f"it {unfit}" if unfit else ""))
    kept = own_of(answers)
    count = len(kept.partitions or ()) if kept else 0
    words = (
        f"{count} partition{'s' * (count > 1)} of your own" if kept else "partitions of your own: begin with a preset"
    )
    found.append(Option(own.NAME, own.NAME, words, opens=True))
    first = default_layout(where)
    return sorted(found, key=lambda one: (bool(one.impossible), one.value != first, one.opens, one.value))


def _default_layout(answers: Answers) -> Default:
    return Default(default_layout(target_of(answers)), "what this target starts from")


QUESTIONS = (
    Question("disk.layout", "disk", "choice", _default_layout, _layout_options),
    Question("disk.size_gib", "disk", "number", preset("")),
)
