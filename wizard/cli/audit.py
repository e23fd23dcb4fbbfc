"""`ami-wizard audit`: will this kernel boot on EC2?"""

import shutil
import textwrap
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import click

from wizard.cli.output import print_json
from wizard.explain import Failure
from wizard.kernel.audit import SEVERITIES, Finding, Verdict, profiles_for
from wizard.kernel.audit import audit as audited
from wizard.kernel.profiles import instance_profiles, profile
from wizard.kernel.subject import Subject, known_of, read

HEADINGS = {
    "boot": "Keeps it from booting:",
    "access": "Keeps it from being reached or seen:",
    "recommended": "Recommended:",
}


@dataclass(frozen=True, slots=True)
class Judged:
    """A kernel and what was found about it."""

    subject: Subject
    verdicts: tuple[Verdict, ...]


@click.command()
@click.argument("files", metavar="FILE...", nargs=-1, type=click.Path(path_type=Path))
@click.option("--for", "wanted", metavar="PROFILE", help="pv-i386, pv-x86_64, hvm-x86_64 or hvm-arm64.")
@click.option("--json", "as_json", is_flag=True, help="The verdicts as JSON.")
@click.option(
    "--fix", "fixed", metavar="OUT", type=click.Path(path_type=Path), help="Write the kernel as PV-GRUB can load it."
)
def audit(files: tuple[Path, ...], wanted: str | None, as_json: bool, fixed: Path | None) -> int:
    """Says whether kernels will boot on EC2, from their configs or images.

    FILE is a .config, /boot/config-*, /proc/config.gz, a kernel image (bzImage, vmlinux, arm64 Image), a kernel build
    tree, or a folder, tar archive or Debian package with boot/ and lib/modules/.
    Without --for it is judged for every kind of instance of its own architecture.
    With --fix its image is unpacked and written to OUT as a gzipped ELF, which every PV-GRUB can load.
    """
    if not files:
        raise click.UsageError(
            "Which kernel?  Name a config or a kernel image, e.g.: ami-wizard audit /boot/config-$(uname -r)"
        )
    if wanted is not None and wanted not in profiles_for(None):
        raise Failure("unknown-profile", profile=wanted, known=", ".join(profiles_for(None)))
    if fixed and len(files) != 1:
        raise click.UsageError("--fix writes one kernel: name one FILE.")
    judged = [judge(path, wanted) for path in files]
    if as_json:
        print_json({"subjects": [as_dict(one) for one in judged]})
    else:
        width = min(max(shutil.get_terminal_size().columns, 40), 100)
        click.echo("\n\n".join(as_text(one, width) for one in judged))
    if fixed:
        _fix(judged[0].subject, fixed)
    # "Unknown" is not "nothing wrong": a script must not go on with it as if it were.
    return int(not all(verdict.boots and verdict.reachable for one in judged for verdict in one.verdicts))


def _fix(subject: Subject, target: Path) -> None:
    """Repacks the kernel and says how to look at the result."""
    from wizard.kernel.repack import repack

    if subject.image is None or not subject.image.path.is_file():
        raise Failure("nothing-to-repack", path=subject.path)
    if target.exists() and target.samefile(subject.image.path):
        raise click.UsageError(f"--fix would overwrite the kernel itself: give another name than {target}.")
    done = repack(subject.image, target)
    said = f"{target}: the same kernel as {done.kind}, packed with {done.compression}, {target.stat().st_size:,} bytes."
    click.echo(f"\n{said}\nAudit it: ami-wizard audit {target}", err=True)


def judge(path: Path, wanted: str | None) -> Judged:
    """Reads a kernel and audits it for one profile, or (None) for those of its own architecture."""
    subject = read(path)
    config = known_of(subject)
    names = (wanted,) if wanted else profiles_for(config.arch)
    if not names:
        known = ", ".join(one.arch for one in instance_profiles() if one.arch)
        raise Failure("unknown-kernel-arch", path=path, arch=config.arch, known=known)
    return Judged(subject, tuple(audited(config, name) for name in names))


def as_dict(judged: Judged) -> dict[str, Any]:
    """The shape in CONTRACT.md."""
    subject = judged.subject
    return {
        "path": str(subject.path),
        "kind": subject.kind,
        "arch": subject.arch,
        "version": subject.version,
        "compression": subject.image.compression if subject.image else None,
        "verdicts": {
            verdict.profile: {
                "boots": "unknown" if verdict.boots is None else verdict.boots,
                "reachable": "unknown" if verdict.reachable is None else verdict.reachable,
                "findings": [asdict(finding) for finding in verdict.findings],
            }
            for verdict in judged.verdicts
        },
    }


def as_text(judged: Judged, width: int) -> str:
    """For people: what it is, the verdicts, then what was found, the worst first."""
    subject = judged.subject
    lines = textwrap.wrap(f"{subject.path}: {_described(subject)}", width)
    for verdict in judged.verdicts:
        lines += textwrap.wrap(_sentence(verdict), width, initial_indent="  ", subsequent_indent="    ")
    fit = [verdict.profile for verdict in judged.verdicts if verdict.boots and verdict.reachable]
    if fit and len(fit) < len(judged.verdicts):
        lines += textwrap.wrap(f"For that alone: --for {fit[0]}", width, initial_indent="  ", subsequent_indent="  ")
    if not known_of(subject).complete:
        lines += textwrap.wrap(_why_unknown(subject), width, initial_indent="  ", subsequent_indent="  ")
    for severity in SEVERITIES:
        found = _by_finding(judged.verdicts, severity)
        if found:
            lines += ["", HEADINGS[severity]]
        for finding, names in found.items():
            lines += _finding(finding, names if len(judged.verdicts) > 1 else [], width)
    return "\n".join(lines)


def _by_finding(verdicts: tuple[Verdict, ...], severity: str) -> dict[Finding, list[str]]:
    """Each finding once, with the profiles that have it."""
    found: dict[Finding, list[str]] = {}
    for verdict in verdicts:
        for finding in verdict.findings:
            if finding.severity == severity:
                found.setdefault(finding, []).append(verdict.profile)
    return found


def _finding(finding: Finding, names: list[str], width: int) -> list[str]:
    where = f"  [{', '.join(names)}]" if names else ""
    head = f"{finding.option}: wanted {finding.wanted}, found {finding.found}{where}"
    lines = textwrap.wrap(head, width, initial_indent="  ", subsequent_indent="    ", break_on_hyphens=False)
    texts = [f"{finding.breaks}."]
    if finding.severity != "recommended":
        texts = [f"What breaks: {finding.breaks}.", f"Why: {finding.why}.", f"Source: {finding.source}"]
    for text in texts:
        lines += textwrap.wrap(text, width, initial_indent="    ", subsequent_indent="      ", break_on_hyphens=False)
    return lines


def _sentence(verdict: Verdict) -> str:
    where = f"{verdict.profile}: as {profile(verdict.profile).title}"
    if verdict.boots is False:
        return f"{where} it does NOT boot."
    if verdict.reachable is False:
        comes_up = "it boots" if verdict.boots else "it may boot"
        return f"{where} {comes_up}, but nobody can reach or see it."
    if verdict.boots is None:
        return f"{where} it is UNKNOWN whether it boots."
    return f"{where} it boots and can be reached."


def _described(subject: Subject) -> str:
    words = [f"Linux {subject.version or 'of unknown version'}", subject.arch or "architecture unknown"]
    if subject.image is None:
        return ", ".join(["a kernel config", *words])
    return ", ".join([f"a kernel image ({subject.image.kind})", *words, f"compression {subject.image.compression}"])


def _why_unknown(subject: Subject) -> str:
    if subject.image and not subject.image.config and not subject.config:
        return (
            f"{subject.image.no_config} Audit the config that it was built from, e.g. /boot/config-{subject.version}."
        )
    return "The config is empty or cut off: what it does not mention is unknown. Copy it again, whole."
