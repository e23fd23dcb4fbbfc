"""`ami-wizard plan`."""

import datetime
import json
from pathlib import Path

import click

from wizard.cli.output import print_json


@click.command(
    help="What a build would do: as prose, as a shell script that does the same, as data, or as an IAM policy."
)
@click.argument("recipe", type=click.Path(path_type=Path))
@click.option("--script", "as_script", is_flag=True, help="As a shell script that uses public tools only.")
@click.option("--json", "as_json", is_flag=True, help="As JSON.")
@click.option("--policy", "as_policy", is_flag=True, help="As the least IAM policy that it needs.")
def plan(recipe: Path, as_script: bool, as_json: bool, as_policy: bool) -> int:
    """The same plan that the runner runs."""
    if as_script + as_json + as_policy > 1:
        raise click.UsageError("--script, --json and --policy exclude each other.")
    from wizard import recipe as recipes
    from wizard.plan import build, policy, prose, script, steps

    chosen = recipes.load(recipe)
    today = datetime.datetime.now(datetime.UTC).date().isoformat()
    made = build.plan(chosen, build.Occasion(build.build_id(chosen, practice=False), today))
    if as_json:
        print_json(steps.plan_as_dict(made))
    elif as_policy:
        click.echo(json.dumps(policy.policy(made), indent=2))
    elif as_script:
        click.echo(script.script(made))
    else:
        click.echo(prose.prose(made))
    return 0
