"""`ami-wizard builds`."""

from typing import Any

import click

from wizard.cli.output import print_json


@click.command(help="The builds on this machine and where each stands, and the images that `upload` has sent.")
@click.option("--json", "as_json", is_flag=True, help="As JSON.")
def builds(as_json: bool) -> int:
    """One row a build, the last touched first."""
    from wizard.run.builds import all_builds
    from wizard.run.uploads import all_uploads

    rows, uploads = [_row(build) for build in all_builds()], [_upload_row(upload) for upload in all_uploads()]
    if as_json:
        print_json({"builds": rows, "uploads": uploads})
        return 0
    if not (rows or uploads):
        click.echo("No builds yet.", err=True)
    for row in rows:
        step = f" at {row['step']}" if row["step"] and row["state"] != "finished" else ""
        cloud = "practice" if row["practice"] else "AWS"
        click.echo(f"{row['id']}  {row['state']}{step}  {cloud}  {row['started']}")
        _show_resources(row, cloud)
    for row in uploads:
        cloud = "practice" if row["practice"] else "AWS"
        click.echo(f"{row['id']}  {cloud}  {row['image']}")
        _show_resources(row, cloud)
    return 0


def _show_resources(row: dict[str, Any], cloud: str) -> None:
    for resource in row["resources"]:
        click.echo(f"    {resource['kind']} {resource['id']} in {resource['region']} ({cloud})")


def _upload_row(upload: Any) -> dict[str, Any]:
    from wizard.run.builds import resources

    facts = upload.facts()
    return {"id": upload.id, "image": facts.image, "practice": facts.practice, "resources": resources(upload)}


def _row(build: Any) -> dict[str, Any]:
    from wizard.run.builds import resources

    state = build.state()
    return {
        "id": build.id,
        "name": _name(build),
        "state": state.state,
        "step": state.step,
        "started": build.facts().started,
        "practice": build.facts().practice,
        "resources": resources(build),
    }


def _name(build: Any) -> str | None:
    """The AMI's name; None when the build's recipe was damaged.  One bad build must not hide the others."""
    from wizard.explain import Failure

    try:
        name: str = build.recipe().name
    except Failure:
        return None
    return name
