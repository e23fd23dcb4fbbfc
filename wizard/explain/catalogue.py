"""The failure catalogue: presets/failures/*.toml, read into explanations.

An entry is a table named by its code:

    [no-space]
    what = "The disk ran full."
    why = "…"
    do = ["…", "…"]
    recognise = [{ program = "mmdebstrap", pattern = "No space left on device" }]

`recognise` lists what a program's output says when this happened; `program` may be left out.
Named groups of the pattern become facts, which fill the `{placeholders}`.
"""

import errno
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from wizard import presets
from wizard.explain.failure import Explanation, Failure


@dataclass(frozen=True, slots=True)
class Entry:
    """One failure that we know."""

    code: str
    what: str
    why: str
    do: tuple[str, ...]
    signs: tuple[tuple[str | None, re.Pattern[str]], ...] = ()


@cache
def entries() -> Mapping[str, Entry]:
    """Every known failure by its code; the files in alphabetical order, the entries as written."""
    found: dict[str, Entry] = {}
    for name in presets.names("failures"):
        for code, table in presets.load(f"failures/{name}").items():
            signs = tuple(
                (sign.get("program"), re.compile(sign["pattern"], re.MULTILINE)) for sign in table.get("recognise", ())
            )
            found[code] = Entry(code, table["what"], table["why"], tuple(table["do"]), signs)
    return found


def explain(error: BaseException) -> Explanation:
    """The card for an error: its catalogue entry, or the generic one with whatever is known."""
    failure = error if isinstance(error, Failure) else _as_failure(error)
    if failure is not None and failure.code in entries():
        entry = entries()[failure.code]
        facts = _Facts(failure.facts)
        return Explanation(
            entry.code,
            entry.what.format_map(facts),
            entry.why.format_map(facts),
            tuple(_as_typed_here(line.format_map(facts)) for line in entry.do),
            failure.evidence,
        )
    generic = entries()["unexpected"]
    said = f"{type(error).__name__}: {error}".rstrip(": ")
    evidence = failure.evidence if failure is not None else ()
    return Explanation(generic.code, generic.what, generic.why, generic.do, (said, *evidence))


def recognise(program: str, output: str, **facts: object) -> Failure | None:
    """The known failure that a program's output speaks of; None when the catalogue has no entry for it.

    The first entry with a sign in the output is taken; the failure's evidence is the line that gave it away.
    """
    for entry in entries().values():
        for wanted, pattern in entry.signs:
            if wanted is not None and wanted != program:
                continue
            if match := pattern.search(output):
                line = output[output.rfind("\n", 0, match.start()) + 1 :].split("\n", 1)[0]
                named = {name: value for name, value in match.groupdict().items() if value is not None}
                return Failure(entry.code, evidence=[line.strip()], **{"program": program, **facts, **named})
    return None


def _as_typed_here(advice: str) -> str:
    """Advice with this very program called as the user's shell finds it."""
    from wizard.host import own_command

    return advice.replace("`ami-wizard ", f"`{own_command()} ")


def _as_failure(error: BaseException) -> Failure | None:
    """What the operating system refused us, wherever it was met."""
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
        return Failure("no-space", evidence=[str(error)])
    if isinstance(error, OSError) and _is_of_home(error):
        return Failure("unusable-home", where=os.environ["AMI_WIZARD_HOME"], evidence=[str(error)])
    if isinstance(error, PermissionError):
        return Failure("permission-denied", evidence=[str(error)], program="ami-wizard")
    return None


def _is_of_home(error: OSError) -> bool:
    home = os.environ.get("AMI_WIZARD_HOME")
    return bool(home) and str(error.filename or "").startswith(str(home)) and not Path(str(home)).is_dir()


class _Facts(dict[str, str]):
    """A fact that nobody gave must not turn an explanation into a second failure."""

    def __missing__(self, key: str) -> str:
        return f"({key} not known)"
