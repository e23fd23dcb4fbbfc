"""A partition's fields as text: what is shown of them, and what typing into one makes of the layout."""

from collections.abc import Mapping
from typing import Literal, TypeVar, get_args

from wizard.disk import edits
from wizard.disk.layout import Layout, Partition
from wizard.disk.sizes import parse_mib, written
from wizard.recipe import partition_problem

T = TypeVar("T")

Field = Literal["size_mib", "mount", "name", "label", "options", "number", "subvolumes"]

FIELDS: tuple[Field, ...] = get_args(Field)

LABELS: Mapping[str, str] = {
    "filesystem": "File system",
    "size_mib": "Size",
    "mount": "Mount point",
    "name": "Name",
    "label": "Label",
    "options": "Options",
    "number": "Number",
    "subvolumes": "Subvolumes",
}


def applies(layout: Layout, at: int, field: Field) -> bool:
    """Whether that partition has such a field: the last one has no size of its own, and only btrfs has subvolumes."""
    part = layout.partitions[at]
    match field:
        case "size_mib":
            return part is not layout.partitions[-1]
        case "subvolumes":
            return part.filesystem == "btrfs"
        case "mount":
            return part.filesystem not in ("swap", "bios-boot") or part.mount is not None
        case "options" | "label":
            return part.filesystem != "bios-boot"
        case "number":
            return layout.table != "none"
    return True


def shown(part: Partition, field: Field) -> str:
    """The field's value as it would be typed."""
    match field:
        case "size_mib":
            return written(part.size_mib) if part.size_mib else ""
        case "subvolumes":
            return " ".join(part.subvolumes)
        case "mount":
            return part.mount or ""
    return str(getattr(part, field))


def typed(layout: Layout, at: int, field: Field, text: str) -> Layout:
    """The layout with that text in that field.  Raises ValueError, with a sentence, where it cannot stand there."""
    text = text.strip()
    match field:
        case "size_mib":
            return edits.resize(layout, at, _checked(field, parse_mib(text)))
        case "number":
            return edits.with_number(layout, at, int(_checked(field, _whole(text))))
        case "mount":
            return edits.with_mount(layout, at, _checked(field, text) if text else None)
        case "name":
            return edits.with_name(layout, at, _checked(field, text))
        case "label":
            return edits.with_label(layout, at, _checked(field, text) if text else "")
        case "options":
            return edits.with_options(layout, at, _checked(field, text) if text else "")
        case "subvolumes":
            names = text.replace(",", " ").split()
            _checked(field, names)
            return edits.with_subvolumes(layout, at, names)


def _checked(field: Field, value: T) -> T:
    if wrong := partition_problem(field, value):
        raise ValueError(wrong)
    return value


def _whole(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) < 4):
        raise ValueError(f"{text!r} is no number; a right one is like 1.")
    return int(text)
