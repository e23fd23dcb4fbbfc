"""Text of a given width: lists, tables, shortened names."""

import textwrap
from collections.abc import Iterator


def bullet(text: str, width: int) -> list[str]:
    """A point of a list."""
    return textwrap.wrap(text, width, initial_indent="• ", subsequent_indent="  ")


def facts(rows: list[tuple[str, str]], width: int) -> Iterator[str]:
    """Names and what is told of them, in two columns."""
    column = max(len(name) for name, _ in rows) + 2
    for name, text in rows:
        yield from textwrap.wrap(
            text,
            max(width, column + 20),
            initial_indent=f"{name:<{column}}",
            subsequent_indent=" " * column,
            break_on_hyphens=False,
        )


def shortened(names: list[str], most: int = 24) -> str:
    """The first of many names, and how many more there are."""
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more
