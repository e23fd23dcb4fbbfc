"""Sizes as people write them, in whole MiB, so that every partition begins at one."""

import re
from fractions import Fraction
from math import ceil

UNITS = {"": 1, "m": 1, "g": 1024, "t": 1024 * 1024}
_FORM = re.compile(r"(\d{1,9}(?:[.,]\d{1,6})?)\s*(?:([mgt])(?:i?b)?)?", re.ASCII | re.IGNORECASE)

EXAMPLES = "512, 512M, 1.5G"


def parse_mib(text: str) -> int:
    """The MiB that a size means, rounded up: "512" and "512M" are 512, "1.5 GiB" is 1536.

    MB and GB are taken as MiB and GiB, as partitioning tools do.  Raises ValueError, with a sentence.
    """
    found = _FORM.fullmatch(text.strip())
    if not found:
        raise ValueError(f"{text.strip()!r} is no size; write it as {EXAMPLES}.")
    number, unit = found.groups()
    mib = ceil(Fraction(number.replace(",", ".")) * UNITS[(unit or "").lower()])
    if mib < 1:
        raise ValueError("A partition has 1 MiB at least.")
    return mib


def written(mib: int) -> str:
    """The size as `parse_mib` reads it, and as short as it is exact: "512M", "1.5G"."""
    for unit, count in (("T", UNITS["t"]), ("G", UNITS["g"])):
        if mib >= count and mib * 4 % count == 0:
            return f"{mib / count:g}{unit}"
    return f"{mib}M"


def said(mib: int) -> str:
    """The size for people: "64 MiB", "3.9 GiB"."""
    if mib < 1024:
        return f"{mib} MiB"
    return f"{mib / 1024:.1f} GiB".replace(".0 ", " ")
