"""`ami-wizard audit`: will this kernel boot on EC2?"""

import shutil
import sys
import textwrap
from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click

from wizard.cli import fragments
from wizard.cli.output import card, print_json
from wizard.explain import Failure, explain
from wizard.kernel.audit import SEVERITIES, Finding, Start, profiles_for
from wizard.kernel.judge import Judged, by_finding, described, judge, sentence
from wizard.kernel.subject import Subject, known_of

HEADINGS = {
    "boot": "Keeps it from booting:",
    "access": "Keeps it from being reached or seen:",
    "recommended": "Recommended:",
}

NO_INITRAMFS = "none"


@click.command()
@click.argument("files", metavar="FILE...", nargs=-1, type=click.Path(path_type=Path))
@click.option("--for", "wanted", metavar="PROFILE", help="pv-i386, pv-x86_64, hvm-x86_64 or hvm-arm64.")
@click.option("--aki", metavar="AKI", help="The PV-GRUB that loads it: an id, or a version such as 1.03.")
@click.option("--layout", metavar="NAME", help="The disk's layout, by its name in presets/layouts.")
@click.option("--boot-mode", type=click.Choice(["legacy-bios", "uefi", "uefi-preferred"]), help="How HVM starts it.")
@click.option("--initramfs", metavar="FILE", help=f"Looks which modules it holds; {NO_INITRAMFS!r} for none at all.")
@click.option("--json", "as_json", is_flag=True, help="The verdicts as JSON.")
@click.option("--fragment", metavar="OUT", help="Write the options that mend it, for merge_config.sh; - prints them.")
@click.option(
    "--fix", "fixed", metavar="OUT", type=click.Path(path_type=Path), help="Write the kernel as PV-GRUB can load it."
)
def audit(
    files: tuple[Path, ...],
    wanted: str | None,
    aki: str | None,
    layout: str | None,
    boot_mode: str | None,
    initramfs: str | None,
    as_json: bool,
    fixed: Path | None,
    fragment: str | None,
) -> int:
    """Says whether kernels will boot on EC2, from their configs or images.

    FILE is a .config, /boot/config-*, /proc/config.gz, a kernel image (bzImage, vmlinux, arm64 Image), a kernel build
    tree, or a folder, tar archive or Debian package with boot/ and lib/modules/.  Without any, in a terminal, the
    audit opens as a screen.
    Without --for it is judged for every kind of instance of its own architecture.
    With --fix its image is unpacked and written to OUT as a gzipped ELF, which every PV-GRUB can load.
    With --fragment the options that it lacks are written to OUT, as the kernel's merge_config.sh takes them.
    """
    if wanted is not None and wanted not in profiles_for(None):
        raise Failure("unknown-profile", profile=wanted, known=", ".join(profiles_for(None)))
    start = _start(aki, layout, boot_mode, initramfs)
    if not files:
        return _on_screen(wanted, start, as_json)
    if fixed and len(files) != 1:
        raise click.UsageError("--fix writes one kernel: name one FILE.")
    fragments.check_usage(fragment, files, as_json)
    judged, unread = _judge_all(files, wanted, start)
    if not judged:
        raise unread[0]
    if as_json:
        errors = {"errors": [explain(failure).as_dict() for failure in unread]} if unread else {}
        print_json({"subjects": [as_dict(one) for one in judged], **errors})
    else:
        width = min(max(shutil.get_terminal_size().columns, 40), 100)
        click.echo("\n\n".join(as_text(one, width) for one in judged), err=fragment == "-")
    for failure in unread:
        click.echo(f"\n{card(explain(failure))}", err=True)
    if unread:
        return 2
    if fragment:
        fragments.write(fragment, known_of(judged[0].subject), judged[0].verdicts, start)
    if fixed:
        _fix(judged[0].subject, fixed)
    # "Unknown" is not "nothing wrong": a script must not go on with it as if it were.
    return int(not all(one.is_fit for one in judged))


def _judge_all(files: Iterable[Path], wanted: str | None, start: Start) -> tuple[list[Judged], list[Failure]]:
    """The verdicts, and why there is none on the others: one bad file takes nothing from the good ones."""
    judged: list[Judged] = []
    unread: list[Failure] = []
    for path in files:
        try:
            judged.append(judge(path, wanted, start))
        except Failure as failure:
            unread.append(failure)
    return judged, unread


def _on_screen(wanted: str | None, start: Start, as_json: bool) -> int:
    if as_json or not (sys.stdin.isatty() and sys.stdout.isatty()):
        raise click.UsageError(
            "Which kernel?  Name a config or a kernel image, e.g.: ami-wizard audit /boot/config-$(uname -r)"
        )
    from screens.audit import run

    return run(wanted, start)


def _start(aki: str | None, layout: str | None, boot_mode: str | None, initramfs: str | None) -> Start:
    """What was said of how the kernel will be started."""
    root = table = None
    if layout:
        from wizard.disk.layout import load, names

        if layout not in names():
            raise click.UsageError(f"There is no layout {layout}; there are {', '.join(names())}.")
        root, table = load(layout).root.filesystem, load(layout).table
    return Start(_modules(initramfs), _pv_grub(aki) if aki else None, root, table, boot_mode)


def _modules(initramfs: str | None) -> frozenset[str] | None:
    if initramfs is None:
        return None
    if initramfs == NO_INITRAMFS:
        return frozenset()
    from wizard.kernel.initramfs import modules_in

    return modules_in(Path(initramfs))


def _pv_grub(aki: str) -> str:
    """The version that an id or a version names."""
    from wizard.targets.akis import named
    from wizard.targets.pvgrub import versions

    known = [name for row in versions() for name in row.versions]
    version = row.version if (row := named(aki)) else aki
    if version not in known:
        raise click.UsageError(f"{aki} is no AKI that is known, and no version of PV-GRUB ({', '.join(known)}).")
    return version


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


def as_dict(judged: Judged) -> dict[str, Any]:
    """The verdicts, and beside them what the verdict rests on or lacks."""
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
                "initramfs_must_hold": list(verdict.provided),
                "unknown_because": verdict.unknown or None,
            }
            for verdict in judged.verdicts
        },
    }


def as_text(judged: Judged, width: int) -> str:
    """For people: what it is, the verdicts, then what was found, the worst first."""
    subject = judged.subject
    lines = textwrap.wrap(f"{subject.path}: {described(subject)}", width)
    for verdict in judged.verdicts:
        lines += textwrap.wrap(sentence(verdict), width, initial_indent="  ", subsequent_indent="    ")
    fit = [verdict.profile for verdict in judged.verdicts if verdict.boots and verdict.reachable]
    if fit and len(fit) < len(judged.verdicts):
        lines += _indented(f"For that alone: --for {fit[0]}", width)
    for unknown in dict.fromkeys(verdict.unknown for verdict in judged.verdicts if verdict.unknown):
        lines += _indented(unknown, width)
    every = by_finding(judged.verdicts)
    for severity in SEVERITIES:
        found = {finding: names for finding, names in every.items() if finding.severity == severity}
        if found:
            lines += ["", HEADINGS[severity]]
        for finding, names in found.items():
            lines += _finding(finding, names if len(judged.verdicts) > 1 else [], width)
    return "\n".join(lines)


def _indented(text: str, width: int) -> list[str]:
    return textwrap.wrap(text, width, initial_indent="  ", subsequent_indent="  ")


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
