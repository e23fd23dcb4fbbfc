"""The commands.  Each is loaded when it is asked for, so that `--version`, `audit` and `akis` start fast."""

import difflib
import importlib
import sys

import click

from wizard import __version__
from wizard.cli.output import report

COMMANDS = {
    "akis": "the PV-GRUB kernel ids (AKIs) that match",
    "audit": "will this kernel boot on EC2?",
    "build": "a build without questions, from a recipe",
    "builds": "the builds on this machine and where each stands",
    "bundle": "an image file to S3, for an S3-backed (instance store) AMI",
    "clean": "removes a build's files, and with --cloud what it made in AWS",
    "doctor": "what this machine has and lacks, and how to get it",
    "inspect": "what is in an image, and what is wrong with it",
    "explain": "what a console log, an error text or a build log says",
    "new": "a new build, guided",
    "plan": "what a build would do, as prose, as a script, or as data",
    "prove": "boots an image here, the way EC2 would, and says whether it came up",
    "resume": "goes on with an unfinished build",
    "upload": "an image file to an EBS snapshot",
}


class Commands(click.Group):
    """A group whose commands live in modules of their own, imported on use."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        if cmd_name not in COMMANDS:
            return None
        module = importlib.import_module(f"wizard.cli.{cmd_name}")
        command: click.Command = getattr(module, cmd_name)
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """A misspelt command is answered with the one that is spelt most like it."""
        if args and args[0] not in COMMANDS and not args[0].startswith("-"):
            close = difflib.get_close_matches(args[0], COMMANDS, n=1)
            hint = f" Did you mean {close[0]}?" if close else f" There are: {', '.join(COMMANDS)}."
            ctx.fail(f"No such command {args[0]!r}.{hint}")
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        """From the table above: `--help` must not import every command."""
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))


@click.group(cls=Commands, invoke_without_command=True, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="ami-wizard")
@click.option("--practice", is_flag=True, help="Use the built-in practice cloud in place of AWS.")
@click.pass_context
def cli(context: click.Context, practice: bool) -> None:
    """Makes an EC2 AMI from a Linux kernel and a userland, without magic.

    Without a command it opens the wizard; if a build stands unfinished, it offers to go on with it first.
    """
    if context.invoked_subcommand is None:
        from wizard.cli.new import open_wizard

        context.exit(open_wizard(practice=practice, offer_unfinished=True))


def main() -> None:
    """The entry point: runs a command and turns whatever goes wrong into an explanation and an exit code."""
    try:
        code = cli.main(standalone_mode=False)
    except click.exceptions.Abort:
        sys.exit(130)
    except click.ClickException as error:
        error.show()
        sys.exit(2)
    except KeyboardInterrupt:
        sys.exit(130)
    except BrokenPipeError:
        sys.stderr.close()
        sys.exit(1)
    except Exception as error:  # noqa: BLE001  the one place where an error meets a person
        sys.exit(report(error))
    sys.exit(code if isinstance(code, int) else 0)
