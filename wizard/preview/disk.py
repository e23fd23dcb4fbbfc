"""The disk as the answers make it: its map, its partitions, its fstab."""

import textwrap
from collections.abc import Iterator

from wizard import questions
from wizard.disk.image import notes
from wizard.disk.layout import DiskIds, Layout, Partition, fstab
from wizard.disk.rules import Refusal, refusals
from wizard.distro.content import least_mib
from wizard.explain import Failure
from wizard.plan.build import identity
from wizard.plan.defaults import layout_of as layout_of_disk
from wizard.questions import Answers
from wizard.recipe import MOST_GIB

ASSUMED_GIB = 4

TABLES = {"gpt": "GPT partition table", "dos": "MBR partition table", "none": "No partition table"}


def disk(answers: Answers, width: int) -> Iterator[str]:
    """The lines for the Disk screen."""
    layout = layout_of(answers)
    given = given_gib(answers)
    gib = given or assumed_gib(layout)
    size_words = f"{gib} GiB" if given else f"drawn for {gib} GiB: the size follows from the content"
    table = TABLES[layout.table]
    yield f"{table}, {size_words}"
    yield from partition_map(layout, gib * 1024, width)
    for part in layout.partitions:
        extent = f"{part.size_mib} MiB" if part.size_mib else "the rest"
        number = part.number if layout.table != "none" else ""
        yield f"  {number:>2}  {part.name:<5} {part.filesystem:<10} {part.mount or 'not mounted':<12} {extent}"
    yield ""
    yield from textwrap.wrap(layout.why, width)
    for note in notes(layout):
        yield ""
        yield from textwrap.wrap(note, width)
    yield ""
    yield "/etc/fstab"
    yield from fstab(layout, ids_of(answers)).splitlines()


def given_gib(answers: Answers) -> int | None:
    """The disk's size as it was answered; None where it follows from the content."""
    size = questions.value("disk.size_gib", answers)
    return int(size) if size.isascii() and size.isdigit() and 0 < int(size) <= MOST_GIB else None


def assumed_gib(layout: Layout) -> int:
    """What the map is drawn with when the size follows from the content."""
    return max(ASSUMED_GIB, layout.partitions[-1].start_mib // 1024 + 2)


def refusals_of(layout: Layout, answers: Answers) -> list[Refusal]:
    """What is wrong with a layout of one's own for the target, the size and the content as they stand."""
    where = questions.target_of(answers)
    distro, source = questions.value("distro.name", answers), questions.value("kernel.source", answers)
    return list(refusals(layout, where, given_gib(answers), least_mib(distro, source, where.virtualization)))


def partition_map(layout: Layout, total_mib: int, width: int) -> list[str]:
    """The disk as boxes in their order on it, as wide as the partitions are large; none too small to name."""
    boxes = box_widths(layout, total_mib, width - len(layout.partitions) - 1)

    def row(left: str, between: str, right: str, cells: list[str]) -> str:
        return left + between.join(cells) + right

    names = [f" {part.name}".ljust(box)[:box] for part, box in zip(layout.partitions, boxes, strict=True)]
    systems = [f" {part.filesystem}".ljust(box)[:box] for part, box in zip(layout.partitions, boxes, strict=True)]
    edge = ["─" * box for box in boxes]
    return [row("┌", "┬", "┐", edge), row("│", "│", "│", names), row("│", "│", "│", systems), row("└", "┴", "┘", edge)]


def box_widths(layout: Layout, total_mib: int, room: int) -> list[int]:
    """How wide each box is: those too small for their names get what these need, the others share the rest to scale."""
    fixed = sum(part.size_mib or 0 for part in layout.partitions)
    mib = {part: part.size_mib or max(total_mib - fixed, 1) for part in layout.partitions}
    least = {part: max(len(part.name), len(part.filesystem)) + 2 for part in layout.partitions}
    boxes: dict[Partition, int] = {}
    rest = list(layout.partitions)
    while rest:
        share = (room - sum(boxes.values())) / sum(mib[part] for part in rest)
        small = [part for part in rest if mib[part] * share < least[part]]
        boxes |= {part: least[part] if small else round(mib[part] * share) for part in small or rest}
        rest = [part for part in rest if part not in boxes]
    widest = max(layout.partitions, key=lambda part: boxes[part])
    # What rounding took or gave; of boxes that do not fit at all, none is made smaller.
    boxes[widest] = max(boxes[widest] + room - sum(boxes.values()), least[widest])
    return [boxes[part] for part in layout.partitions]


def layout_of(answers: Answers) -> Layout:
    """The layout as the answers stand."""
    return layout_of_disk(questions.target_of(answers), questions.disk_of(answers))


def ids_of(answers: Answers) -> DiskIds:
    """The ids on the disk as the answers stand."""
    try:
        return DiskIds(identity(questions.recipe(answers)))
    except Failure:
        # Something else is not answered well yet; the ids will differ, the form is the same.
        return DiskIds("preview")
