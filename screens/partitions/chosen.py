"""The editor for the answers of the wizard: where it begins, what it is judged by, and what becomes an answer."""

from collections.abc import Sequence

from screens.dialogs import Ask
from screens.partitions.screen import PartitionsScreen, Subject
from wizard import questions
from wizard.disk import own
from wizard.disk.layout import DiskIds, Layout, fstab
from wizard.disk.rules import Refusal, remarks
from wizard.preview.disk import assumed_gib, given_gib, layout_of, refusals_of
from wizard.questions import Answers


def view(answers: Answers, name: str) -> PartitionsScreen:
    """The editor, beginning with the layout of that name."""
    begun = {**answers, "disk.layout": name}
    where = questions.target_of(answers)
    gib = given_gib(answers)

    def judge(layout: Layout) -> Sequence[Refusal]:
        return refusals_of(layout, answers)

    mode = f" by {where.boot_mode}" if where.boot_mode else ""
    starts = f"{where.virtualization} {where.arch} instances{mode}"
    layout = layout_of(begun)
    subject = Subject(
        own.made_of(layout.table, layout.partitions),
        "what you had" if name == own.NAME else name,
        starts,
        where.virtualization,
        lambda one: gib or assumed_gib(one),
        judge,
        lambda one: list(remarks(one, where)),
        lambda one: fstab(one, DiskIds("preview")).splitlines()[1:],
    )
    return PartitionsScreen(subject)


def replaces_own() -> Ask:
    """Before other partitions of one's own are lost."""
    text = "You have partitions of your own from before. There is room for one such layout only."
    return Ask("Replace them?", text, [("", "No, keep those of before"), ("yes", "Yes, take the new ones")])
