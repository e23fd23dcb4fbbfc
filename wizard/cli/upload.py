"""`ami-wizard upload`: an image file to an EBS snapshot."""

import hashlib
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

import click

from wizard.cli.output import print_json
from wizard.explain import Failure

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
    after it finished, it gives the same snapshot.  With --json: {"snapshot_id", "region", "image", "cost"}.
    """
    from wizard.cloud.actions import perform
    from wizard.plan.steps import BUILD_TAG, UploadSnapshot
    from wizard.run.journal import Journal

    place = image.resolve()
    where = _region(region)
    _check(place)
    work = _folder(place, where, practice=practice)
    tags = {"Name": place.name, BUILD_TAG: work.name}
    action = UploadSnapshot(where, str(place), "snapshot-id", f"ami-wizard: {place.name}", tags)
    with _alone(work, place), _endpoint(practice=practice) as endpoint:
        # A journal is of the same bytes: a changed image has one of its own, and goes up as a difference.
        status = place.stat()
        journal = Journal(work / f"snapshot-{status.st_size}-{status.st_mtime_ns}.jsonl")
        try:
            said = perform(endpoint, action, work, journal, _Teller(), lambda: False)
        except KeyboardInterrupt:
            click.echo("\nStopped. What was sent is kept; the same command goes on with it.", err=True)
            return 130
    if as_json:
        print_json({"snapshot_id": said["snapshot"], "region": where, "image": str(place), "cost": said["cost"]})
    else:
        click.echo(said["snapshot"])
        click.echo(f"In {where}: {said['cost']}.", err=True)
    return 0


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
    """Raises Failure "unreadable-file", and "not-a-raw-image" for what would become a volume of rubbish."""
    from wizard.disk.read.formats import refuse_other_formats
    from wizard.disk.read.source import Source, Work

    try:
        with image.open("rb") as file:
            size = image.stat().st_size
            if size == 0:
                raise Failure("unreadable-file", path=image, reason="it is empty")
            refuse_other_formats(image, Source(file.fileno(), 0, size, Work()))
    except OSError as error:
        raise Failure("unreadable-file", path=image, reason=error.strerror or error) from error


def _folder(image: Path, region: str, *, practice: bool) -> Path:
    """Where the journal and the ledger of this upload lie: its own for each image, region and cloud."""
    from wizard import folders

    cloud = "practice" if practice else "aws"
    digest = hashlib.sha256(f"{cloud}\0{region}\0{image}".encode()).hexdigest()[:12]
    folder = folders.uploads() / f"upload-{digest}"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


@contextmanager
def _alone(work: Path, image: Path) -> Iterator[None]:
    """Raises Failure "upload-is-running" where another process sends the same image."""
    from filelock import FileLock, Timeout

    lock = FileLock(work / "lock", timeout=0)
    try:
        lock.acquire()
    except Timeout as error:
        raise Failure("upload-is-running", path=image) from error
    try:
        yield
    finally:
        lock.release()


def _endpoint(*, practice: bool) -> Any:
    if not practice:
        return nullcontext(None)
    from wizard import folders
    from wizard.cloud.practice.process import practice_cloud

    return practice_cloud(folders.practice())


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
