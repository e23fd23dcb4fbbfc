"""`ami-wizard resume`."""

import sys

import click

from wizard.cli.build import go_on, practice_faults, wish_faults


@click.command(help="Goes on with an unfinished build: the newest, or the one named.")
@click.argument("build", required=False)
@click.option("--plain", is_flag=True, help="Lines of text instead of screens.")
@click.option("--json", "as_json", is_flag=True, help="One event a line on standard output.")
@practice_faults
def resume(build: str | None, plain: bool, as_json: bool, faults: str) -> int:
    """Starts a runner where the last one stopped, or watches the one that is there."""
    from wizard.run import builds

    found = builds.find(build)
    wish_faults(faults, practice=found.facts().practice)
    if not (plain or as_json) and sys.stdout.isatty() and sys.stdin.isatty():
        from screens import app

        return app.run(practice=found.facts().practice, build=found)
    return go_on(found, as_json=as_json)
