"""`ami-wizard akis`: the table of PV-GRUB kernel ids."""

from dataclasses import fields
from typing import Any

import click

from wizard.cli.output import card, print_json
from wizard.explain import explain
from wizard.targets.akis import Aki, best, matching, no_aki, why_not
from wizard.targets.regions import region_named, regions

NOTES = """\
n: how many independent copies of Amazon's list hold the id.
None was checked against live AWS.  EBS and S3 (instance store) images use the
same ids.{hint}"""


@click.command()
@click.option("--region", metavar="R", help="Only this region, e.g. us-east-1.")
@click.option("--arch", type=click.Choice(["i386", "x86_64", "arm64"]), help="Only this architecture.")
@click.option(
    "--storage", type=click.Choice(["ebs", "s3"]), help="Where the AMI is kept; the ids are the same for both."
)
@click.option("--all", "everything", is_flag=True, help="Superseded versions too, each with why it is not the one.")
@click.option("--json", "as_json", is_flag=True, help="The table as JSON.")
def akis(region: str | None, arch: str | None, storage: str | None, everything: bool, as_json: bool) -> int:
    """The PV-GRUB kernel ids (AKIs) that a paravirtual AMI names as its kernel.

    Without options: the one to use in each region for each architecture.
    """
    del storage  # accepted because people expect it to matter; see NOTES
    if region is not None:
        region_named(region)
    rows = matching(region, arch)
    if not rows:
        return _nothing(region, arch, as_json)
    shown = rows if everything else best(rows)
    if as_json:
        print_json({"akis": [_as_dict(row) for row in shown]})
    else:
        click.echo(_table(shown, everything))
    return 0


def _nothing(region: str | None, arch: str | None, as_json: bool) -> int:
    explanation = explain(no_aki(region, arch))
    if as_json:
        print_json({"akis": [], "error": explanation.as_dict()})
    click.echo(card(explanation), err=True)
    return 1


def _as_dict(row: Aki) -> dict[str, Any]:
    return {field.name: getattr(row, field.name) for field in fields(row)}


def _table(rows: list[Aki], everything: bool) -> str:
    """At most 80 columns."""
    unable = {row.name for row in regions() if not row.paravirtual}
    lines = [f"{'region':<15} {'arch':<6} {'ver.':<4} {'disk':<4} {'AKI':<12} {'n':>2}"]
    for row in rows:
        note = "no paravirtual types here" if row.region in unable else ""
        if everything:
            note = why_not(row, row.region, row.arch) or note or "the one to use"
        line = (
            f"{row.region:<15} {row.arch:<6} {row.version:<4} {row.device:<4} {row.aki:<12} {row.confidence:>2} {note}"
        )
        lines.append(line.rstrip())
    return "\n".join([*lines, "", NOTES.format(hint="" if everything else "  Older versions: --all")])
