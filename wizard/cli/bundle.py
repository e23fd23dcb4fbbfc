"""`ami-wizard bundle`: an image file to S3, as the bundle of an S3-backed AMI."""

import hashlib
import re
import uuid
from pathlib import Path
from typing import TYPE_CHECKING

import click

from wizard.cli.output import print_json
from wizard.cli.upload import _check, _region, _Teller
from wizard.explain import Failure

if TYPE_CHECKING:
    from wizard.plan.actions import UploadBundle
    from wizard.run.journal import Journal
    from wizard.run.uploads import Upload

FILE = click.Path(path_type=Path)


@click.command()
@click.argument("image", metavar="IMAGE", type=FILE)
@click.argument("place", metavar="BUCKET/FOLDER")
@click.option("--certificate", metavar="FILE", type=FILE, required=True, help="Your account's X.509 certificate (PEM).")
@click.option("--private-key", metavar="FILE", type=FILE, required=True, help="The key that belongs to it (PEM).")
@click.option("--ec2-certificate", metavar="FILE", type=FILE, help="EC2's own, where it is not known of the region.")
@click.option("--region", metavar="R", help="The bucket's, and the AMI's.  Default: as AWS's own tools have it.")
@click.option("--arch", type=click.Choice(["i386", "x86_64"]), default="x86_64", show_default=True)
@click.option("--aki", metavar="AKI", default="", help="The kernel id that the AMI will name.")
@click.option(
    "--device",
    type=click.Choice(["sda1", "sda"]),
    default="sda1",
    show_default=True,
    help="What the image is in an instance: sda where it has a partition table.",
)
@click.option("--name", metavar="NAME", help="What its objects are called; a name of its own otherwise.")
@click.option("--practice", is_flag=True, help="Use the built-in practice cloud in place of AWS.")
@click.option("--json", "as_json", is_flag=True, help="The result as JSON on standard output.")
def bundle(
    image: Path,
    place: str,
    certificate: Path,
    private_key: Path,
    ec2_certificate: Path | None,
    region: str | None,
    arch: str,
    aki: str,
    device: str,
    name: str | None,
    practice: bool,
    as_json: bool,
) -> int:
    """Packs and encrypts a raw disk image for EC2 and puts it into S3.

    It prints where the manifest lies, by which RegisterImage takes it (--image-location).  Run again after an
    interruption, it goes on where it stopped.  `ami-wizard builds` lists it, `ami-wizard clean` removes it.  With
    --json: {"image_location", "region", "image", "cost", "upload"}.
    """
    from wizard.cloud.actions import perform
    from wizard.host import own_command
    from wizard.plan.actions import CheckBucket, UploadBundle
    from wizard.run.uploads import Facts

    source, where = image.resolve(), _region(region)
    bucket, folder = _place(place)
    if name and not re.fullmatch(r"[A-Za-z0-9_-][A-Za-z0-9._-]*", name):
        raise click.UsageError("--name: letters, digits and . _ - alone can stand there.")
    _check(source)
    work = _work(source, where, place, practice=practice)
    work.settle(Facts(str(source), where, practice))
    # A journal is of the same bytes: a changed image gets a bundle of its own, and no AMI loses the one that it has.
    status = source.stat()
    journal = work.journal("bundle", f"{status.st_size}-{status.st_mtime_ns}")
    action = UploadBundle(
        where,
        str(source),
        "image-location",
        bucket,
        folder,
        name or _name(journal.path.with_suffix(".name"), source),
        str(certificate),
        str(private_key),
        str(ec2_certificate or ""),
        arch,
        aki,
        {"ami": device, "root": "/dev/sda1"},
        int(status.st_mtime),
    )
    with work.hold(), work.cloud() as endpoint:
        _check_name(work, journal, action)
        try:
            perform(endpoint, CheckBucket(where, bucket), work.folder, journal, _Teller(), lambda: False)
            said = perform(endpoint, action, work.folder, journal, _Teller(), lambda: False)
        except KeyboardInterrupt:
            click.echo("\nStopped. What was sent is kept; the same command goes on with it.", err=True)
            return 130
    if as_json:
        told = {"image_location": action.location, "region": where, "image": str(source), "cost": said["cost"]}
        print_json({**told, "upload": work.id})
    else:
        click.echo(action.location)
        click.echo(f"In {where}: {said['cost']}.", err=True)
        click.echo(f"Remove it:\n  {own_command()} clean {work.id} --cloud", err=True)
    return 0


def _check_name(work: "Upload", journal: "Journal", action: "UploadBundle") -> None:
    """Raises name-taken-in-bucket where an earlier image's finished bundle has that name: an AMI may stand on it."""
    for other in work.journals():
        done = other.last("PutObject") if other != journal else None
        if done and (done["bucket"], done["base"]) == (action.bucket, action.base):
            raise Failure("name-taken-in-bucket", bucket=action.bucket, base=action.base)


def _place(text: str) -> tuple[str, str]:
    """The bucket and the folder in it, checked as those of a recipe are."""
    from pydantic import ValidationError

    from wizard.recipe import Bundle

    bucket, _, folder = text.removeprefix("s3://").rstrip("/").partition("/")
    try:
        Bundle(bucket=bucket, prefix=folder)
    except ValidationError as error:
        raise click.UsageError(f"{text!r} is not BUCKET/FOLDER, such as my-images/web.") from error
    return bucket, folder


def _work(image: Path, region: str, place: str, *, practice: bool) -> "Upload":
    """The upload of this image: its own for each image, place and cloud."""
    from wizard import folders
    from wizard.run.uploads import Upload

    cloud = "practice" if practice else "aws"
    digest = hashlib.sha256(f"{cloud}\0{region}\0{place}\0{image}".encode()).hexdigest()[:12]
    return Upload(folders.uploads() / f"bundle-{digest}")


def _name(kept: Path, image: Path) -> str:
    """What the objects are called: by the image, and so that nobody else's are called so; kept in a file."""
    from wizard.plan.cloud import folder_for

    if not kept.exists():
        kept.write_text(f"{folder_for(image.stem)}-{uuid.uuid4().hex[:8]}", encoding="ascii")
    return kept.read_text(encoding="ascii")
