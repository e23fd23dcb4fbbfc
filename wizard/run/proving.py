"""Carries out the step that proves an image: every way, one after the other."""

import json
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

from wizard.boot.lab.run import Guard
from wizard.boot.proof.image import GrubCheck, check_for_pvgrub
from wizard.boot.proof.prove import Observer, Proof, Trial, prove
from wizard.explain import Failure
from wizard.plan.actions import ProveImage


def prove_all(
    action: ProveImage, work: Path, said: Callable[[list[str]], None], stop: Callable[[], bool], guard: Guard
) -> None:
    """Leaves each way's console and verdict in the action's folder.

    Raises the Failure of the first proof that did not come up or could not tell, and what `prove` raises.  What else
    a proof has found is only said.
    """
    if not action.ways:
        _check(action, work, said)
    for way in action.ways:
        trial = Trial(work / action.image, way, action.arch, action.allows_imds_v1, action.pvgrub)
        said([trial.announcement()])
        lines = _Lines(said)
        console = work / action.saves / f"console-{way}.log"
        proof = prove(trial, console, Observer(lines, stop, guard))
        lines.end()
        verdict = work / action.saves / f"verdict-{way}.json"
        verdict.write_text(json.dumps(proof.as_dict() | {"console": console.name}), encoding="utf-8")
        if proof.failure is not None:
            failure = proof.failure
            raise Failure(failure.code, evidence=[*failure.evidence, f"console: {console}"], **failure.facts)
        said(_in_words(proof))


def _check(action: ProveImage, work: Path, said: Callable[[list[str]], None]) -> None:
    """Of an image that cannot be started here, what PV-GRUB makes of it."""
    grub = check_for_pvgrub(work / action.image, action.pvgrub)
    (work / action.saves / "pv-grub.json").write_text(json.dumps(asdict(grub)), encoding="utf-8")
    if not grub.is_fine:
        raise Failure(
            "proof-not-for-pvgrub",
            evidence=grub.problems,
            grub=f"PV-GRUB {grub.asked}",
            able=", ".join(grub.able) or "none",
        )
    said([_readers(grub)])


def _readers(grub: GrubCheck) -> str:
    return f"PV-GRUBs that read it: {', '.join(grub.able)}."


def _in_words(proof: Proof) -> list[str]:
    return [
        f"Came up ({proof.way}, {proof.how}) in {proof.seconds} s.",
        *([_readers(proof.pvgrub)] if proof.pvgrub else []),
        *(f"{finding.what} {' '.join(finding.evidence)}" for finding in proof.findings),
    ]


class _Lines:
    """Text in pieces → whole lines."""

    def __init__(self, said: Callable[[list[str]], None]) -> None:
        self._said, self._rest = said, ""

    def __call__(self, text: str) -> None:
        *lines, self._rest = (self._rest + text).split("\n")
        if lines:
            self._said(lines)

    def end(self) -> None:
        """What stood on the last line."""
        if self._rest:
            self._said([self._rest])
