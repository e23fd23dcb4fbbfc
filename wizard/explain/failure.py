"""The typed error of this project, and the explanation that a person is shown for it."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Explanation:
    """What happened, why, what to do next, and the evidence; `code` is stable kebab-case."""

    code: str
    what: str
    why: str
    do: tuple[str, ...]
    evidence: tuple[str, ...] = ()

    def as_dict(self) -> dict[str, Any]:
        """The shape that every explanation has in JSON."""
        return {
            "code": self.code,
            "what": self.what,
            "why": self.why,
            "do": list(self.do),
            "evidence": list(self.evidence),
        }


class Failure(Exception):
    """Raised where something is known to be wrong, with what is known about it.

    `code` names an entry in presets/failures/; `facts` fill its `{placeholders}`; `evidence` is shown
    as it is: lines of output, a path, an answer of AWS.
    """

    def __init__(self, code: str, *, evidence: Sequence[str] = (), **facts: object) -> None:
        self.code = code
        self.facts = {name: str(value) for name, value in facts.items()}
        self.evidence = tuple(evidence)
        super().__init__(f"{code}: {self.facts}" if facts else code)
