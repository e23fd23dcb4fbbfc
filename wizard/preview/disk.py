"""The disk as the answers make it: its map, its partitions, its fstab."""

import textwrap
from collections.abc import Iterator

from wizard import questions
from wizard.disk.layout import DiskIds, Layout, Partition, fstab
from wizard.explain import Failure
from wizard.plan.build import identity
from wizard.plan.defaults import layout_of as layout_of_disk
from wizard.questions import Answers

ASSUMED_GIB = 4
"""What the map is drawn with when the size follows from the content."""

SMALLEST_BOX = 11


def disk(answers: Answers, width: int) -> Iterator[str]:
    """The lines for the Disk screen."""
    layout = layout_of(answers)
    size = questions.value("disk.size_gib", answers)
    gib = int(size) if size.isascii() and size.isdigit() and int(size) > 0 else ASSUMED_GIB
    size_words = f"{gib} GiB" if size else f"drawn for {ASSUMED_GIB} GiB: the size follows from the content"
    yield f"{layout.table.upper()} partition table, {size_words}"
    yield from partition_map(layout, gib * 1024, width)
    for part in layout.partitions:
        extent = f"{part.size_mib} MiB" if part.size_mib else "the rest"
        yield f"  {part.number:>2}  {part.name:<5} {part.filesystem:<10} {part.mount or 'not mounted':<12} {extent}"
    yield ""
    yield from textwrap.wrap(layout.why, width)
    yield ""
    yield "/etc/fstab"
    yield from fstab(layout, ids_of(answers)).splitlines()


def partition_map(layout: Layout, total_mib: int, width: int) -> list[str]:
    """The disk as boxes in their order on it, as wide as the partitions are large; none too small to name."""
    fixed = sum(part.size_mib or 0 for part in layout.partitions)
    room = max(width - len(layout.partitions) - 1, SMALLEST_BOX * len(layout.partitions))

    def wanted(part: Partition) -> int:
        mib = part.size_mib or max(total_mib - fixed, 1)
        return max(SMALLEST_BOX, round(room * mib / total_mib))

    boxes = [wanted(part) for part in layout.partitions]
    # The largest one gives what the small ones got too much.
    boxes[boxes.index(max(boxes))] -= sum(boxes) - room

    def row(left: str, between: str, right: str, cells: list[str]) -> str:
        return left + between.join(cells) + right

    names = [f" {part.name}".ljust(box)[:box] for part, box in zip(layout.partitions, boxes, strict=True)]
    systems = [f" {part.filesystem}".ljust(box)[:box] for part, box in zip(layout.partitions, boxes, strict=True)]
    edge = ["─" * box for box in boxes]
    return [row("┌", "┬", "┐", edge), row("│", "│", "│", names), row("│", "│", "│", systems), row("└", "┴", "┘", edge)]


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
