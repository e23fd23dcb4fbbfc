"""`ami-wizard build`."""

import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING

import click

from wizard.cli.output import print_json
from wizard.explain import Failure

if TYPE_CHECKING:
    from wizard.recipe import Recipe
    from wizard.run.builds import Build
    from wizard.run.events import Event


def practice_faults(command: Callable[..., int]) -> Callable[..., int]:
    """The option `--practice-faults` of a command that may use the practice cloud."""
    text = "What shall go wrong in the practice cloud: throttle, rate, reset, 500, stall, expire, delay=MILLISECONDS."
    return click.option("--practice-faults", "faults", metavar="LIST", default="", help=text)(command)


def wish_faults(names: str, *, practice: bool) -> None:
    """Faults for this command's practice cloud, or none of an earlier one's."""
    from wizard import folders
    from wizard.cloud.practice.faults import wish

    if names and not practice:
        raise click.UsageError("--practice-faults goes with --practice only: nothing here can disturb AWS.")
    if practice:
        wish(folders.practice(), names)


@click.command(help="A build without questions, from a recipe.  Started again, it goes on where it stopped.")
@click.argument("recipe", type=click.Path(path_type=Path))
@click.option("--practice", is_flag=True, help="Use the built-in practice cloud in place of AWS.")
@click.option("--until", metavar="STEP", help="Stop after this step (see `ami-wizard plan`).")
@click.option("--no-prove", is_flag=True, help="Upload the image without starting it here first.")
@click.option("--json", "as_json", is_flag=True, help="One event a line on standard output.")
@click.option("--yes", is_flag=True, help="Do not ask before making something in AWS.")
@practice_faults
def build(
    recipe: Path, practice: bool, until: str | None, no_prove: bool, as_json: bool, yes: bool, faults: str
) -> int:
    """Loads the recipe, creates or finds its build, and follows it to its end."""
    from wizard import recipe as recipes
    from wizard.plan.build import Occasion, build_id, plan
    from wizard.run import builds

    wish_faults(faults, practice=practice)
    chosen = recipes.load(recipe)
    if no_prove:
        chosen = chosen.model_copy(update={"prove": False})
    whole = plan(chosen, Occasion(build_id(chosen, practice=practice), ""))
    if until is not None and until not in [step.id for step in whole.steps]:
        raise Failure("unknown-step", step=until, steps=", ".join(step.id for step in whole.steps))
    wanted = whole.until(until) if until else whole
    makes = any(step.in_cloud and step.kept for step in wanted.steps)
    if makes and not (practice or yes) and not _confirmed(chosen):
        return 130
    made = builds.create(chosen, practice=practice)
    return go_on(made, as_json=as_json, until=until)


def go_on(made: "Build", *, as_json: bool = False, until: str | None = None) -> int:
    """Starts a runner where the last one stopped, or watches the one that is there; gives the exit code."""
    if made.is_running():
        return watch(made, as_json=as_json)
    return run(made, as_json=as_json, until=until)


def run(made: "Build", *, as_json: bool, until: str | None = None) -> int:
    """Starts a build and shows it until its last event; gives the exit code.  Ctrl-C stops it in order."""
    from wizard.host import own_command
    from wizard.run import client

    place = made.events_end
    try:
        return _show(client.follow(made, client.start(made, until=until)), as_json=as_json)
    except KeyboardInterrupt:
        client.stop(made)
    if made.is_running():
        click.echo(f"\nIt still runs (process {made.holder()}); it was asked to stop.", err=True)
        return 130
    if as_json:
        _show((event for event in client.unread(made, place) if event["event"] == "failed"), as_json=True)
    click.echo(f"\nStopped. What was finished is kept; go on with: {own_command()} resume {made.id}", err=True)
    return 130


def watch(made: "Build", *, as_json: bool) -> int:
    """Shows a build that somebody else works on; Ctrl-C only ends the watching."""
    from wizard.run import client

    click.echo(f"Build {made.id} is being worked on (process {made.holder()}): watching it.", err=True)
    try:
        return _show(client.follow(made, made.attempt_begins()), as_json=as_json)
    except KeyboardInterrupt:
        return 130


def _show(events: "Iterable[Event | None]", *, as_json: bool) -> int:
    from wizard import plainview

    if not as_json:
        return plainview.show(events, sys.stderr)
    last: Event = {}
    for event in events:
        if event is not None:
            print_json(event)
            sys.stdout.flush()
            last = event
    if last.get("event") == "failed":
        click.echo(plainview.failure_card(last), err=True)
    return plainview.exit_code(last)


def _confirmed(chosen: "Recipe") -> bool:
    """The one point of no return, for people at a terminal; a script says --yes."""
    name, region = chosen.name, chosen.target.region
    if not sys.stdin.isatty():
        raise Failure("not-a-terminal-to-confirm", name=name, region=region)
    from wizard.plan.publish.prose import in_short

    question = f"Make the AMI “{name}” in {region}, in your AWS account?{in_short(chosen.publish)}"
    return click.confirm(question, default=False, err=True)
