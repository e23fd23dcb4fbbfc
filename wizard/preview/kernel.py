"""What the audit says of the chosen kernel."""

import textwrap
from collections.abc import Iterator
from dataclasses import dataclass, replace

from wizard import questions
from wizard.kernel.audit import Finding, Start, Verdict
from wizard.kernel.judge import described, sentence
from wizard.kernel.subject import Subject
from wizard.plan import kernel as kernels
from wizard.preview.disk import layout_of
from wizard.preview.lines import bullet
from wizard.questions import Answers
from wizard.recipe import Kernel
from wizard.targets.target import consequences

HEADINGS = (
    ("Keeps it from booting", "boot"),
    ("Keeps it from being reached or seen", "access"),
    ("Better otherwise, but it boots", "recommended"),
)


@dataclass(frozen=True, slots=True)
class Chosen:
    """The chosen kernel and what the audit says of it.

    start         how it will be started
    packed_again  the packing that its PV-GRUB cannot unpack, and that PV-GRUB's version; None when it is left as it is
    """

    given: Subject
    verdict: Verdict
    start: Start
    packed_again: tuple[str, str] | None


def chosen(answers: Answers) -> Chosen:
    """The audit of the kernel as it will be installed and started.  Raises Failure while there is none to judge."""
    # The disk is asked for after the kernel: without an answer there, the default layout counts.
    where, layout = questions.target_of(answers), layout_of(answers)
    outcome = consequences(where, layout.table, layout.boot_modes)
    files = Kernel.model_validate(questions.tables(answers, "kernel")["kernel"])
    given = kernels.chosen(files, questions.distro_of(answers), where)
    loader = kernels.loader_of(where, outcome)
    packs = kernels.packs_again(given.image, loader, files.repack)
    start = kernels.start_of(where, layout, outcome)
    (verdict,) = kernels.verdict(given, packs, outcome, start).verdicts
    packing = (given.image.compression, loader.versions[0]) if packs and given.image and loader else None
    return Chosen(given, verdict, start, packing)


def kernel(answers: Answers, width: int) -> Iterator[str]:
    """The lines for the Kernel screen.  Raises Failure while there is no kernel to judge."""
    found = chosen(answers)
    is_recorded = questions.value("kernel.source", answers) == "distro"
    name = f"{found.given.path}, by its recorded config" if is_recorded else found.given.path.name
    yield from textwrap.wrap(f"{name}: {described(found.given)}", width)
    yield from bullet(sentence(replace(found.verdict, provided=()), with_name=False), width)
    for remark in remarks(found):
        yield from bullet(remark, width)
    yield from _findings(found.verdict, width)


def remarks(found: Chosen) -> Iterator[str]:
    """What is done to the kernel so that the verdict holds, and what would have to be known for one."""
    if found.verdict.provided:
        yield f"Its initramfs is made here, with {', '.join(found.verdict.provided)} in it."
    if found.verdict.unknown:
        yield found.verdict.unknown
    if found.packed_again:
        packing, version = found.packed_again
        yield f"It will be packed again with gzip: PV-GRUB {version} cannot unpack {packing}."


def _findings(verdict: Verdict, width: int) -> Iterator[str]:
    for heading, severity in HEADINGS:
        found = [finding for finding in verdict.findings if finding.severity == severity]
        if found:
            yield from ("", heading)
        for finding in found:
            yield from _finding(finding, width)


def _finding(finding: Finding, width: int) -> Iterator[str]:
    yield f"{finding.option}: wanted {finding.wanted}, found {finding.found}"
    yield from textwrap.wrap(f"{finding.breaks}.", width, initial_indent="  ", subsequent_indent="  ")


def warning(answers: Answers) -> str:
    """What the audit holds against the chosen kernel, for the last look before the build; empty when it is fit.

    Raises Failure while there is no kernel to judge.
    """
    verdict = chosen(answers).verdict
    return "" if verdict.boots and verdict.reachable else sentence(verdict, with_name=False)
