"""The questions about the disk."""

from wizard.disk.layout import load
from wizard.disk.layout import names as layout_names
from wizard.plan.defaults import default_layout, layout_unfit
from wizard.questions.kinds import Answers, Default, Option, Question, preset
from wizard.questions.values import target_of


def _layout_options(answers: Answers) -> list[Option]:
    where = target_of(answers)
    found = []
    for name in layout_names():
        layout = load(name)
        unfit = layout_unfit(where, layout)
        found.append(Option(name, name, layout.title, f"it {unfit}" if unfit else ""))
    first = default_layout(where)
    return sorted(found, key=lambda option: (bool(option.impossible), option.value != first, option.value))


def _default_layout(answers: Answers) -> Default:
    return Default(default_layout(target_of(answers)), "what this target starts from")


QUESTIONS = (
    Question("disk.layout", "disk", "choice", _default_layout, _layout_options),
    Question("disk.size_gib", "disk", "number", preset("")),
)
