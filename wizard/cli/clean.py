"""`ami-wizard clean`."""

import sys
from typing import TYPE_CHECKING

import click

from wizard.explain import Failure

if TYPE_CHECKING:
    from wizard.run.remove import Maker


@click.command(help="Removes the local files of a build or an upload; with --cloud also what it made in AWS.")
@click.argument("build")
@click.option("--cloud", is_flag=True, help="Also remove its AMI, copies and parameters, and what they were made from.")
@click.option("--yes", is_flag=True, help="Do not ask.")
def clean(build: str, cloud: bool, yes: bool) -> int:
    """Shows what will go, asks, and removes it: the AMI before its snapshots, the files last."""
    from wizard.run import builds, uploads

    if upload := uploads.find(build):
        with upload.hold():
            return _clean(upload, cloud=cloud, yes=yes)
    found = builds.find(build)
    if found.is_running():
        raise Failure("not-removed-while-running", build=found.id, holder=found.holder() or "unknown")
    return _clean(found, cloud=cloud, yes=yes)


def _clean(found: "Maker", *, cloud: bool, yes: bool) -> int:
    from wizard.run import builds, remove

    made = remove.found_in_cloud(found) if cloud else []
    for resource in made:
        click.echo(f"{resource['kind']} {resource['id']} in {resource['region']}", err=True)
    kind = "build" if isinstance(found, builds.Build) else "upload"
    click.echo(f"files of the {kind} {found.id}", err=True)
    if not cloud and builds.resources(found):
        click.echo(
            "What it made in AWS stays, and nothing here will know of it: --cloud would remove it too.", err=True
        )
    if not yes and not _confirmed(found.id, cloud=cloud):
        return 1
    if cloud:
        # Before the files: only they know what there is to remove, should AWS not be reached now.
        for line in remove.from_cloud(found):
            click.echo(line, err=True)
    remove.files(found)
    return 0


def _confirmed(build: str, *, cloud: bool) -> bool:
    if not sys.stdin.isatty():
        command = f"ami-wizard clean {build}{' --cloud' if cloud else ''} --yes"
        raise Failure("not-a-terminal-to-remove", build=build, command=command)
    return click.confirm("Remove all of this?", default=False, err=True)
