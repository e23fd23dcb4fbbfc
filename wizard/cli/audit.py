"""`ami-wizard audit`: will this kernel boot on EC2?"""

import shutil
import textwrap
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import click

from wizard.cli import fragments
from wizard.cli.output import print_json
from wizard.explain import Failure
from wizard.kernel.audit import SEVERITIES, Finding, Verdict, profiles_for
from wizard.kernel.audit import audit as audited
from wizard.kernel.config import KernelConfig
from wizard.kernel.image import KernelImage
from wizard.kernel.profiles import instance_profiles, profile
from wizard.kernel.subject import known_of, read

HEADINGS = {
    "boot": "Keeps it from booting:",
    "access": "Keeps it from being reached or seen:",
    "recommended": "Recommended:",
}


@dataclass(frozen=True, slots=True)
class Subject:
    """One file and what was found about it."""

    path: Path
    content: KernelConfig | KernelImage
    verdicts: tuple[Verdict, ...]


@click.command()
@click.argument("files", metavar="FILE...", nargs=-1, type=click.Path(path_type=Path))
@click.option("--for", "wanted", metavar="PROFILE", help="pv-i386, pv-x86_64, hvm-x86_64 or hvm-arm64.")
@click.option("--json", "as_json", is_flag=True, help="The verdicts as JSON.")
@click.option("--fragment", metavar="OUT", help="Write the options that mend it, for merge_config.sh; - prints them.")
def audit(files: tuple[Path, ...], wanted: str | None, as_json: bool, fragment: str | None) -> int:
    """Says whether kernels will boot on EC2, from their configs or images.

    FILE is a .config, /boot/config-*, /proc/config.gz, or a kernel image (bzImage, vmlinux, arm64 Image).
    Without --for it is judged for every kind of instance of its own architecture.
    With --fragment the options that it lacks are written to OUT, as the kernel's merge_config.sh takes them.
    """
    if not files:
        raise click.UsageError(
            "Which kernel?  Name a config or a kernel image, e.g.: ami-wizard audit /boot/config-$(uname -r)"
        )
    if wanted is not None and wanted not in profiles_for(None):
        raise Failure("unknown-profile", profile=wanted, known=", ".join(profiles_for(None)))
    fragments.check_usage(fragment, files, as_json)
    subjects = [judge(path, wanted) for path in files]
    if as_json:
        print_json({"subjects": [as_dict(subject) for subject in subjects]})
    else:
        width = min(max(shutil.get_terminal_size().columns, 40), 100)
        click.echo("\n\n".join(as_text(subject, width) for subject in subjects), err=fragment == "-")
    if fragment:
        fragments.write(fragment, known_of(subjects[0].content), subjects[0].verdicts)
    # "Unknown" is not "nothing wrong": a script must not go on with it as if it were.
    return int(not all(verdict.boots and verdict.reachable for subject in subjects for verdict in subject.verdicts))


def judge(path: Path, wanted: str | None) -> Subject:
    """Reads a file and audits it for one profile, or (None) for those of its own architecture."""
    content = read(path)
    config = known_of(content)
    names = (wanted,) if wanted else profiles_for(content.arch)
    if not names:
        known = ", ".join(one.arch for one in instance_profiles() if one.arch)
        raise Failure("unknown-kernel-arch", path=path, arch=content.arch, known=known)
    return Subject(path, content, tuple(audited(config, name) for name in names))


def as_dict(subject: Subject) -> dict[str, Any]:
    """The shape in CONTRACT.md."""
    content = subject.content
    is_image = isinstance(content, KernelImage)
    return {
        "path": str(subject.path),
        "kind": "image" if is_image else "config",
        "arch": content.arch,
        "version": _version(content),
        "compression": content.compression if isinstance(content, KernelImage) else None,
        "verdicts": {
            verdict.profile: {
                "boots": "unknown" if verdict.boots is None else verdict.boots,
                "reachable": "unknown" if verdict.reachable is None else verdict.reachable,
                "findings": [asdict(finding) for finding in verdict.findings],
            }
            for verdict in subject.verdicts
        },
    }


def as_text(subject: Subject, width: int) -> str:
    """For people: what it is, the verdicts, then what was found, the worst first."""
    lines = textwrap.wrap(f"{subject.path}: {_described(subject.content)}", width)
    for verdict in subject.verdicts:
        lines += textwrap.wrap(_sentence(verdict), width, initial_indent="  ", subsequent_indent="    ")
    fit = [verdict.profile for verdict in subject.verdicts if verdict.boots and verdict.reachable]
    if fit and len(fit) < len(subject.verdicts):
        lines += textwrap.wrap(f"For that alone: --for {fit[0]}", width, initial_indent="  ", subsequent_indent="  ")
    if _is_incomplete(subject.content):
        lines += textwrap.wrap(_why_unknown(subject.content), width, initial_indent="  ", subsequent_indent="  ")
    for severity in SEVERITIES:
        found = _by_finding(subject.verdicts, severity)
        if found:
            lines += ["", HEADINGS[severity]]
        for finding, names in found.items():
            lines += _finding(finding, names if len(subject.verdicts) > 1 else [], width)
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


def _described(content: KernelConfig | KernelImage) -> str:
    words = [f"Linux {_version(content) or 'of unknown version'}", content.arch or "architecture unknown"]
    if isinstance(content, KernelConfig):
        return ", ".join(["a kernel config", *words])
    return ", ".join([f"a kernel image ({content.kind})", *words, f"compression {content.compression}"])


def _version(content: KernelConfig | KernelImage) -> str | None:
    if isinstance(content, KernelImage):
        return content.version
    return ".".join(map(str, content.version)) if content.version else None


def _is_incomplete(content: KernelConfig | KernelImage) -> bool:
    return not known_of(content).complete


def _why_unknown(content: KernelConfig | KernelImage) -> str:
    if isinstance(content, KernelImage) and content.config is None:
        return f"{content.no_config} Audit the config that it was built from, e.g. /boot/config-{content.version}."
    return "The config is empty or cut off: what it does not mention is unknown. Copy it again, whole."
