"""What the audit says of the chosen kernel."""

import textwrap
from collections.abc import Iterator
from pathlib import Path

from wizard import presets, questions
from wizard.explain import Failure
from wizard.kernel import subject
from wizard.kernel.audit import Finding, Verdict, audit
from wizard.kernel.config import KernelConfig
from wizard.kernel.profiles import profile
from wizard.preview.disk import layout_of
from wizard.preview.lines import bullet
from wizard.questions import Answers


def kernel(answers: Answers, width: int) -> Iterator[str]:
    """The lines for the Kernel screen.  Raises Failure while there is no kernel to judge."""
    name, config = _config(answers)
    where = questions.target_of(answers)
    # The question before the disk's: without an answer there, the default layout counts.
    root = layout_of(answers).root.filesystem
    kind = f"{'pv' if where.virtualization == 'paravirtual' else 'hvm'}-{where.arch}"
    judged = [audit(config, against) for against in (kind, f"rootfs-{root}")]
    yield from textwrap.wrap(name, width)
    for verdict in judged:
        yield from bullet(verdict_sentence(verdict), width)
    findings = {finding.option: finding for verdict in judged for finding in verdict.findings}
    for heading, severity in (
        ("Keeps it from booting", "boot"),
        ("Keeps it from being reached or seen", "access"),
        ("Better otherwise, but it boots", "recommended"),
    ):
        found = [finding for finding in findings.values() if finding.severity == severity]
        if found:
            yield from ("", heading)
        for finding in found:
            yield from _finding(finding, width)


def _config(answers: Answers) -> tuple[str, KernelConfig]:
    """What is known of the chosen kernel, with a line that says what it is."""
    if questions.value("kernel.source", answers) == "distro":
        where = questions.target_of(answers)
        distro = presets.load(f"distros/{questions.value('distro.name', answers)}")
        row = distro["kernels"][where.virtualization].get(where.arch)
        if row is None:
            raise Failure(
                "no-distro-kernel", distro=distro["title"], virtualization=where.virtualization, arch=where.arch
            )
        path = presets.ROOT / f"kernel/configs/{row['config']}.config"
        return f"{row['package']}, by its recorded configuration", subject.config_of(path)
    for place in ("kernel.config", "kernel.image"):
        if text := questions.value(place, answers):
            path = Path(text).expanduser()
            return f"your kernel, by {path.name}", subject.config_of(path)
    raise Failure("no-kernel-file-yet")


def verdict_sentence(verdict: Verdict) -> str:
    """A verdict in words."""
    where = f"As {profile(verdict.profile).title}"
    if verdict.profile.startswith("rootfs-"):
        where = f"With {verdict.profile.removeprefix('rootfs-')} as its root file system"
    if verdict.boots is False:
        return f"{where} it does NOT boot."
    if verdict.reachable is False:
        return f"{where} it comes up, but nobody can reach or see it."
    return f"{where} it is UNKNOWN whether it boots." if verdict.boots is None else f"{where} it boots."


def _finding(finding: Finding, width: int) -> Iterator[str]:
    yield f"{finding.option}: wanted {finding.wanted}, found {finding.found}"
    yield from textwrap.wrap(f"{finding.breaks}.", width, initial_indent="  ", subsequent_indent="  ")
