"""Partitions of one's own by prompts: what is on the disk, what to change, one line each."""

from collections.abc import Callable, Sequence

from wizard import questions
from wizard.disk import edits, own
from wizard.disk.filesystems import filesystems
from wizard.disk.layout import Layout
from wizard.disk.rules import Refusal
from wizard.disk.sizes import said
from wizard.disk.typed import FIELDS, LABELS, Field, applies, shown, typed
from wizard.preview.disk import TABLES, layout_of, refusals_of
from wizard.prompts.words import wrapped
from wizard.questions import Answers

Pick = Callable[[str, Sequence[str]], int]
Line = Callable[[str, str, Callable[[str], str | None]], str | None]
"""Asks for a line of text: the question, what Enter takes, what is wrong with an answer.  None: not now."""


def divide(pick: Pick, line: Line, answers: Answers) -> dict[str, str] | None:
    """The answers with partitions of one's own, which are right; None when the user chooses another layout instead.

    It begins with those that there are, or with the layout that was answered before.
    """
    past = [_beginning(pick, answers)]
    virtualization = questions.target_of(answers).virtualization
    while True:
        layout = past[-1]
        wrong = refusals_of(layout, answers)
        print(f"\n{_described(layout)}")
        for one in wrong:
            print(wrapped(f"! {_sentence(layout, one)}"))
        rows = ["change something else" if wrong else "keep these partitions and go on"]
        rows += [f"change {part.number}, {part.name}" for part in layout.partitions]
        rows += ["add a partition", "another partition table", "undo the last change", "leave them: another layout"]
        chosen = pick("What next?", rows) - 1
        ways = len(layout.partitions)
        if chosen == -1:
            if not wrong:
                return {**answers, "disk.layout": own.NAME, questions.PARTITIONS: own.dumps(layout)}
            print("They cannot be kept yet; what is wrong is said above.")
        elif chosen < ways:
            past.append(_changed(pick, line, layout, chosen))
        elif chosen == ways:
            past.append(_added(pick, layout, virtualization))
        elif chosen == ways + 1:
            past.append(_retabled(pick, layout))
        elif chosen == ways + 2:
            past = past[:-1] or past
        else:
            return None


def _beginning(pick: Pick, answers: Answers) -> Layout:
    """The partitions that there are; else a preset's."""
    if questions.own_of(answers):
        layout = layout_of({**answers, "disk.layout": own.NAME})
    else:
        options = [one for one in questions.find("disk.layout").options(answers) if not (one.impossible or one.opens)]
        place = pick("Which layout do you begin with?", [f"{one.value}: {one.note}" for one in options])
        layout = layout_of({**answers, "disk.layout": options[place].value})
    return own.made_of(layout.table, layout.partitions)


def _described(layout: Layout) -> str:
    lines = [TABLES[layout.table]]
    for part in layout.partitions:
        size = said(part.size_mib) if part.size_mib else "the rest of the disk"
        lines.append(f"  {part.number}, {part.name}: {part.filesystem}, {part.mount or 'not mounted'}, {size}")
    return "\n".join(lines)


def _sentence(layout: Layout, one: Refusal) -> str:
    return one.reason if one.at is None else f"{layout.partitions[one.at].name}: {one.reason}"


def _changed(pick: Pick, line: Line, layout: Layout, at: int) -> Layout:
    part = layout.partitions[at]
    fields = [field for field in FIELDS if applies(layout, at, field)]
    rows = ["nothing", f"content: {part.filesystem}"]
    rows += [f"{LABELS[field].lower()}: {shown(part, field) or 'none'}" for field in fields]
    rows += ["move it to the front", "move it to the end", "remove it"]
    chosen = pick(f"What of {part.name}?", rows) - 2
    if chosen == -2:
        return layout
    if chosen == -1:
        return _refilled(pick, layout, at)
    if chosen < len(fields):
        return _retyped(line, layout, at, fields[chosen])
    last = {0: edits.move(layout, at, -1)[0], 1: edits.move(layout, at, 1)[0], 2: edits.remove(layout, at)}
    return last[chosen - len(fields)]


def _refilled(pick: Pick, layout: Layout, at: int) -> Layout:
    now = layout.partitions[at].filesystem
    names = sorted(filesystems(), key=lambda name: name != now)
    place = pick("What is in it?", [f"{name}: {filesystems()[name].what}" for name in names])
    return edits.with_filesystem(layout, at, names[place])


def _retyped(line: Line, layout: Layout, at: int, field: Field) -> Layout:
    def wrong(text: str) -> str | None:
        try:
            typed(layout, at, field, text)
        except ValueError as error:
            return str(error)
        return None

    text = line(f"{LABELS[field]} of {layout.partitions[at].name}", shown(layout.partitions[at], field), wrong)
    return layout if text is None else typed(layout, at, field, text)


def _added(pick: Pick, layout: Layout, virtualization: str) -> Layout:
    found = edits.possible(layout, virtualization)
    place = pick("What for?", ["nothing", *(f"{one.mount or one.filesystem}: {one.what}" for one in found)])
    return layout if place == 0 else edits.add(layout, found[place - 1], virtualization)[0]


def _retabled(pick: Pick, layout: Layout) -> Layout:
    names = sorted(TABLES, key=lambda name: name != layout.table)
    return edits.retable(layout, names[pick("Which partition table?", [TABLES[name] for name in names])])
