"""What AWS itself says of the AKIs: the last answer, kept with its date, held against the preset's table.

Asking is wizard/cloud/akis.py's.  Here is what everybody else may know of it, without a network.
"""

import contextlib
import datetime
import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

from wizard import folders
from wizard.files import write_atomically
from wizard.targets.akis import Aki, matching

Mark = Literal["confirmed", "changed", "new", "gone"]
"""confirmed  AWS lists the id under the same name
changed    AWS lists the id under another name
new        AWS lists an id that the preset does not know
gone       the preset knows an id that AWS does not list"""


@dataclass(frozen=True, slots=True)
class Answer:
    """What AWS listed in a region, and when (ISO 8601, UTC)."""

    region: str
    checked: str
    akis: tuple[Aki, ...]

    @property
    def day(self) -> str:
        """The date of it."""
        return self.checked[:10]


def compared(answer: Answer) -> dict[str, Mark]:
    """Every id of the region, of the preset or of AWS, with its mark."""
    ours = {row.aki: row for row in matching(answer.region)}
    theirs = {row.aki: row for row in answer.akis}
    marks: dict[str, Mark] = {}
    for aki in {**ours, **theirs}:
        if aki not in theirs:
            marks[aki] = "gone"
        elif aki not in ours:
            marks[aki] = "new"
        else:
            marks[aki] = "confirmed" if ours[aki].image_name == theirs[aki].image_name else "changed"
    return marks


def listed(region: str) -> tuple[Aki, ...]:
    """The ids that AWS listed in the region when it was last asked; none when it never was."""
    answer = last(region)
    return answer.akis if answer else ()


def last(region: str) -> Answer | None:
    """AWS's last answer for a region; None when there is none, or none that can be read."""
    try:
        kept = json.loads(_path(region).read_text(encoding="utf-8"))
        rows = tuple(Aki(**{**row, "sources": tuple(row["sources"])}) for row in kept["akis"])
        return Answer(region, str(kept["checked"]), rows)
    except (OSError, ValueError, TypeError, KeyError):
        return None


def keep(region: str, rows: Iterable[Aki]) -> Answer:
    """Writes down what AWS has just listed; where that cannot be, it is as if nobody had asked, the next time."""
    answer = Answer(region, datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"), tuple(rows))
    path = _path(region)
    with contextlib.suppress(OSError):
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(path, json.dumps({"checked": answer.checked, "akis": [asdict(row) for row in answer.akis]}))
    return answer


def marks(region: str) -> Mapping[str, Mark]:
    """The marks by AWS's last answer; none when it never was asked."""
    answer = last(region)
    return compared(answer) if answer else {}


def _path(region: str) -> Path:
    return folders.answers() / f"akis-{region}.json"
