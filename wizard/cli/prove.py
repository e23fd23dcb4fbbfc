"""`ami-wizard prove`."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from wizard.cli.output import card, print_json
from wizard.explain import Failure

if TYPE_CHECKING:
    from wizard.boot.proof.prove import Proof
    from wizard.plan.actions import Way


@click.command(help="Boots an image on this machine the way EC2 would, and says whether it came up.")
@click.argument("image", type=click.Path(path_type=Path))
@click.option("--as", "way", type=click.Choice(["pv", "bios", "uefi"]), help="One way only; otherwise all that it has.")
@click.option("--aki", metavar="AKI", help="Hold a paravirtual image against this PV-GRUB.")
@click.option("--json", "as_json", is_flag=True, help="The verdict as JSON.")
def prove(image: Path, way: "Way | None", aki: str | None, as_json: bool) -> int:
    """Starts the image in each way that it has; nothing is written to it.  Exit code 0 only when nothing was wrong."""
    from wizard import folders
    from wizard.boot.proof.image import starts
    from wizard.boot.proof.prove import Observer, Trial
    from wizard.boot.proof.prove import prove as prove_image
    from wizard.run.warden import Warden

    warden = Warden()
    found, pvgrub = starts(image), _pvgrub(aki) if aki else ""
    proofs = []
    for one in (way,) if way else found.ways:
        trial = Trial(image, one, found.arch, pvgrub=pvgrub)
        click.echo(trial.announcement(), err=True)
        console = folders.proofs() / f"{image.absolute().parent.name}-{image.stem}-{one}.log"
        proofs.append(prove_image(trial, console, Observer(_show, guard=warden)))
        click.echo(f"\n{in_words(proofs[-1])}\n", err=True)
    if as_json:
        print_json(as_dict(proofs))
    return 0 if all(proof.came_up and not proof.findings for proof in proofs) else 1


def as_dict(proofs: "list[Proof]") -> dict[str, Any]:
    """The worst of the proofs; all of them in `proofs`."""
    worst = min(proofs, key=lambda proof: ((False, None, True).index(proof.came_up), not proof.findings))
    return {**worst.as_dict(), "proofs": [proof.as_dict() for proof in proofs]}


def in_words(proof: "Proof") -> str:
    """The verdict for people: its one line, then an explanation for everything that is wrong."""
    verdict = {True: "Came up", False: "DID NOT COME UP", None: "COULD NOT TELL"}[proof.came_up]
    lines = [f"{verdict} ({proof.way}, {proof.how}, {proof.seconds} s)."]
    if proof.inside:
        inside = proof.inside
        lines.append(
            f"Linux {inside.kernel}; root {inside.root} ({inside.filesystem}); address, key and ssh as on EC2."
        )
    if proof.pvgrub:
        lines.append(f"PV-GRUBs that read it: {', '.join(proof.pvgrub.able) or 'none'}.")
    explanations = [*([proof.explanation] if proof.explanation else []), *proof.findings]
    lines += [f"\n{card(explanation)}" for explanation in explanations]
    lines.append(f"\nConsole: {proof.console}")
    return "\n".join(lines)


def _pvgrub(aki: str) -> str:
    """The device and version of an AKI.  Raises Failure "unknown-aki"."""
    from wizard.targets import akis

    row = akis.named(aki)
    if row is None:
        raise Failure("unknown-aki", aki=aki)
    return f"{row.device} {row.version}"


def _show(text: str) -> None:
    sys.stderr.write(text)
    sys.stderr.flush()
