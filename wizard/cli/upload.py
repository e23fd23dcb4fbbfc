"""`ami-wizard upload`: an image file to an EBS snapshot."""

import hashlib
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import click

from wizard.cli.output import print_json
from wizard.explain import Failure

if TYPE_CHECKING:
    from wizard.inspect.image import Inspection
    from wizard.run.uploads import Upload

STEP_PERCENT = 5
"""Progress is told in so many steps where nobody looks at a terminal."""


@click.command()
@click.argument("image", metavar="IMAGE", type=click.Path(path_type=Path))
@click.option("--region", metavar="R", help="Where the snapshot is to be.  Default: as AWS's own tools have it.")
@click.option("--practice", is_flag=True, help="Use the built-in practice cloud in place of AWS.")
@click.option("--json", "as_json", is_flag=True, help="The result as JSON on standard output.")
def upload(image: Path, region: str | None, practice: bool, as_json: bool) -> int:
    """Puts a raw disk image into a new EBS snapshot.

    Blocks of zeros and holes are not sent.  Run again after an interruption, it goes on where it stopped; run again
    after it finished, it gives the same snapshot.  `ami-wizard builds` lists it, `ami-wizard clean` removes it.  With
    --json: {"snapshot_id", "region", "image", "cost", "upload", "register", "warning"}.
    """
    from wizard.cloud.actions import perform
    from wizard.plan.actions import BUILD_TAG, UploadSnapshot
    from wizard.run.uploads import Facts

    place = image.resolve()
    where = _region(region)
    _check(place)
    found, warning = _inspected(place)
    if warning:
        click.echo(f"Warning: {warning}", err=True)
    work = _upload(place, where, practice=practice)
    work.settle(Facts(str(place), where, practice))
    tags = {"Name": place.name, BUILD_TAG: work.tag}
    action = UploadSnapshot(where, str(place), "snapshot-id", f"ami-wizard: {place.name}", tags)
    with work.hold(), work.cloud() as endpoint:
        # A journal is of the same bytes: a changed image has one of its own, and goes up as a difference.
        status = place.stat()
        journal = work.journal("snapshot", f"{status.st_size}-{status.st_mtime_ns}")
        try:
            said = perform(endpoint, action, work.folder, journal, _Teller(), lambda: False)
        except KeyboardInterrupt:
            click.echo("\nStopped. What was sent is kept; the same command goes on with it.", err=True)
            return 130
    snapshot_id, register = said["snapshot"], _register_command(found, where, said["snapshot"], place.stem)
    if as_json:
        facts = {"snapshot_id": snapshot_id, "region": where, "image": str(place), "cost": said["cost"]}
        print_json({**facts, "upload": work.id, "register": register, "warning": warning})
    else:
        click.echo(snapshot_id)
        click.echo(f"In {where}: {said['cost']}.", err=True)
        for line in _next_steps(snapshot_id, where, register, work, practice=practice):
            click.echo(line, err=True)
    return 0


def _next_steps(
    snapshot_id: str, region: str, register: str | None, work: "Upload", *, practice: bool
) -> Iterator[str]:
    from wizard.host import own_command

    volume = f"aws ec2 create-volume --region {region} --snapshot-id {snapshot_id} --availability-zone {region}a"
    yield f"Make an AMI of it:\n  {register}" if register else f"Make a volume of it:\n  {volume}"
    if practice:
        yield "  (as it would be in AWS, which knows nothing of the practice cloud's ids)"
    yield f"Remove it:\n  {own_command()} clean {work.id} --cloud"


def _inspected(image: Path) -> tuple["Inspection | None", str | None]:
    """What is in the image, and what a person should know before it goes up; nothing of it keeps it from going."""
    from wizard.inspect.image import inspect

    try:
        found = inspect(image)
    except Failure as failure:
        looks = failure.facts.get("looks", "something that cannot be read")
        return None, f"{image} looks like {looks}: no partition table in it, and no file system that we know."
    if not found.boots_by:
        return found, f"nothing was found in {image} that EC2 would start from; `ami-wizard inspect` says more."
    return found, None


def _register_command(found: "Inspection | None", region: str, snapshot_id: str, name: str) -> str | None:
    from wizard.inspect.registering import register_command

    try:
        return register_command(found, region, snapshot_id, name) if found else None
    except Failure:
        # No AKI there for an image that only PV-GRUB starts: it can still become a volume.
        return None


def _region(given: str | None) -> str:
    from wizard.plan.defaults import region_problem
    from wizard.targets.regions import default_region

    name = given or default_region()[0]
    if problem := region_problem(name):
        raise click.UsageError(
            f"--region: {problem.message}{f' Did you mean {problem.suggestion}?' if problem.suggestion else ''}"
        )
    return name


def _check(image: Path) -> None:
    """Raises Failure "no-image-file", and "not-a-raw-image" for what would become a volume of rubbish."""
    from wizard.disk.read.formats import refuse_other_formats
    from wizard.disk.read.source import Source, Work

    if image.is_dir():
        raise Failure("no-image-file", path=image, reason="it is a folder")
    try:
        with image.open("rb") as file:
            size = image.stat().st_size
            if size == 0:
                raise Failure("no-image-file", path=image, reason="it is empty")
            refuse_other_formats(image, Source(file.fileno(), 0, size, Work()))
    except OSError as error:
        raise Failure("no-image-file", path=image, reason=(error.strerror or str(error)).lower()) from error


def _upload(image: Path, region: str, *, practice: bool) -> "Upload":
    """Where the journal and the ledger of this upload lie: its own for each image, region and cloud."""
    from wizard import folders
    from wizard.run.uploads import Upload

    cloud = "practice" if practice else "aws"
    digest = hashlib.sha256(f"{cloud}\0{region}\0{image}".encode()).hexdigest()[:12]
    return Upload(folders.uploads() / f"upload-{digest}")


class _Teller:
    """Tells of the progress: on a terminal in one line that changes, elsewhere now and then."""

    def __init__(self) -> None:
        self._last = -1

    def __call__(self, done: int, total: int, parts: Mapping[str, int]) -> None:
        percent = 100 * done // total if total else 100
        is_terminal = sys.stderr.isatty()
        if percent == self._last or not (is_terminal or percent == 100 or percent >= self._last + STEP_PERCENT):
            return
        self._last = percent
        sent, there, again = (parts[name] for name in ("sent", "there", "retried"))
        words = f"{percent:3} %  {sent >> 20} MiB sent, {there >> 20} MiB there already"
        words += f", {again} sent again" if again else ""
        words += f", {parts['throttled']} slowed down by AWS" if parts["throttled"] else ""
        click.echo(f"\r{words}" if is_terminal else words, err=True, nl=not is_terminal or percent == 100)
