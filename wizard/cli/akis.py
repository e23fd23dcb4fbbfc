"""`ami-wizard akis`: the table of PV-GRUB kernel ids."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields
from typing import Any

import click

from wizard.cli.output import card, print_json
from wizard.explain import Failure, explain
from wizard.targets.akis import Aki, best, matching, no_aki, why_not
from wizard.targets.live import Answer, compared
from wizard.targets.regions import paravirtual_regions, region_named

NOTES = """\
n: how many independent copies of Amazon's list hold the id.
EBS and S3 (instance store) images use the same ids.
{asked}{hint}"""

NOT_ASKED = "None was checked now: --live asks AWS."


@click.command()
@click.option("--region", metavar="R", help="Only this region, e.g. us-east-1.")
@click.option("--arch", type=click.Choice(["i386", "x86_64", "arm64"]), help="Only this architecture.")
@click.option(
    "--storage", type=click.Choice(["ebs", "s3"]), help="Where the AMI is kept; the ids are the same for both."
)
@click.option("--all", "everything", is_flag=True, help="Superseded versions too, each with why it is not the one.")
@click.option("--live", is_flag=True, help="Asks AWS for its own list, and marks each id: confirmed, new, gone.")
@click.option("--json", "as_json", is_flag=True, help="The table as JSON.")
def akis(region: str | None, arch: str | None, storage: str | None, everything: bool, live: bool, as_json: bool) -> int:
    """The PV-GRUB kernel ids (AKIs) that a paravirtual AMI names as its kernel.

    Without options: the one to use in each region for each architecture.
    """
    del storage  # accepted because people expect it to matter; see NOTES
    if region is not None:
        region_named(region)
    if arch == "arm64":
        return _nothing(region, arch, as_json)
    asked = _ask(region, arch) if live else Asked()
    rows = asked.added_to(matching(region, arch), arch)
    if not rows:
        return _nothing(region, arch, as_json)
    shown = rows if everything else _worth_showing(rows, asked)
    if as_json:
        print_json({"akis": [_as_dict(row, asked) for row in shown], **asked.as_dict()})
    else:
        click.echo(_table(shown, everything, asked))
    _tell_of_refusals(asked)
    return 1 if asked.refused and not asked.answers else 0


def _tell_of_refusals(asked: "Asked") -> None:
    """One card for each reason, with the regions that it kept from being asked."""
    for code in dict.fromkeys(failure.code for failure in asked.refused.values()):
        places = [place for place, failure in asked.refused.items() if failure.code == code]
        said = card(explain(asked.refused[places[0]]), 80)
        click.echo(f"\nNot checked against AWS: {', '.join(places)}.\n{said}", err=True)


@dataclass(frozen=True, slots=True)
class Asked:
    """What AWS said when it was asked just now: by region, its list or why there is none."""

    answers: Mapping[str, Answer] = field(default_factory=dict)
    refused: Mapping[str, Failure] = field(default_factory=dict)

    @property
    def marks(self) -> Mapping[str, str]:
        """Every id that was compared, with its mark."""
        return {aki: mark for answer in self.answers.values() for aki, mark in compared(answer).items()}

    def added_to(self, rows: list[Aki], arch: str | None) -> list[Aki]:
        """The rows, with what AWS lists beyond them."""
        known = {row.aki for row in rows}
        listed = (row for answer in self.answers.values() for row in answer.akis)
        return [*rows, *(row for row in listed if row.aki not in known and arch in (None, row.arch))]

    def as_dict(self) -> dict[str, Any]:
        """For JSON: when each region was asked, or the explanation of why it could not be; nothing without --live."""
        told: dict[str, Any] = {region: {"checked": answer.checked} for region, answer in self.answers.items()}
        told |= {region: {"checked": None, "error": explain(why).as_dict()} for region, why in self.refused.items()}
        return {"live": told} if told else {}


def _ask(region: str | None, arch: str | None) -> Asked:
    from wizard.cloud.akis import ask_all

    regions = [region] if region else sorted({row.region for row in matching(arch=arch)})
    said = ask_all(regions)
    return Asked(
        {place: answer for place, answer in said.items() if isinstance(answer, Answer)},
        {place: failure for place, failure in said.items() if isinstance(failure, Failure)},
    )


def _worth_showing(rows: Iterable[Aki], asked: Asked) -> list[Aki]:
    """The one to use of each place, and whatever AWS says otherwise."""
    chosen = best(rows, asked.marks)
    surprising = [row for row in rows if asked.marks.get(row.aki) in ("new", "changed") and row not in chosen]
    return [*chosen, *surprising]


def _nothing(region: str | None, arch: str | None, as_json: bool) -> int:
    explanation = explain(no_aki(region, arch))
    if as_json:
        print_json({"akis": [], "error": explanation.as_dict()})
    click.echo(card(explanation), err=True)
    return 1


def _as_dict(row: Aki, asked: Asked) -> dict[str, Any]:
    told = {field.name: getattr(row, field.name) for field in fields(row)}
    mark = asked.marks.get(row.aki)
    return {**told, "live": mark} if mark else told


def _table(rows: list[Aki], everything: bool, asked: Asked) -> str:
    """At most 80 columns where the reasons are short; the ids never move."""
    lines = [f"{'region':<15} {'arch':<6} {'ver.':<4} {'disk':<4} {'AKI':<12} {'n':>2}"]
    for row in rows:
        note = ", ".join(filter(None, [asked.marks.get(row.aki), _note(row, everything, asked)]))
        line = (
            f"{row.region:<15} {row.arch:<6} {row.version:<4} {row.device:<4} {row.aki:<12} {row.confidence:>2} {note}"
        )
        lines.append(line.rstrip())
    words = f"AWS was asked in {len(asked.answers)} of the regions just now." if asked.answers else NOT_ASKED
    return "\n".join([*lines, "", NOTES.format(asked=words, hint="" if everything else "  Older versions: --all")])


def _note(row: Aki, everything: bool, asked: Asked) -> str:
    unable = "" if row.region in paravirtual_regions() else "no paravirtual types here"
    if not everything:
        return unable
    reason = why_not(row, row.region, row.arch, marks=asked.marks)
    return reason.partition(":")[0].partition(",")[0] if reason else unable or "the one to use"
