"""`ami-wizard audit --fragment OUT`: the options that mend a kernel, into a file or onto standard output."""

from collections.abc import Sequence
from pathlib import Path

import click

from wizard.explain import Failure
from wizard.files import write_atomically
from wizard.kernel.audit import Start, Verdict
from wizard.kernel.config import KernelConfig


def check_usage(out: str | None, files: Sequence[Path], as_json: bool) -> None:
    """Refuses what --fragment cannot do, before any work."""
    if out is None:
        return
    if len(files) != 1:
        raise click.UsageError("--fragment mends one kernel: name one FILE.")
    if out == "-" and as_json:
        raise click.UsageError("--json and --fragment - both want standard output: name a file for the fragment.")
    target = Path(out)
    if target.exists() and files[0].exists() and target.samefile(files[0]):
        raise click.UsageError(f"--fragment would overwrite the config itself: give another name than {out}.")


def write(out: str, config: KernelConfig, verdicts: Sequence[Verdict], start: Start) -> None:
    """Writes the fragment for the profiles that the kernel is not fit for, and says in one line what that is.

    Raises Failure "unwritable-file".
    """
    from wizard.kernel.fragment import as_text, mend
    from wizard.kernel.profiles import profile

    if len({profile(verdict.profile).arch for verdict in verdicts}) > 1:
        raise click.UsageError("The config does not say its architecture: name what the kernel is for with --for.")
    mended = mend(config, verdicts, start)
    text = as_text(mended, config)
    if out == "-":
        click.echo(text, nl=False)
    else:
        try:
            write_atomically(Path(out), text)
        except OSError as error:
            raise Failure("unwritable-file", path=out, reason=error.strerror or str(error)) from error
    meant = ", ".join(mended.profiles)
    said = [f"{len(mended.settings)} options for {meant}" if meant else "nothing is missing, so no options"]
    if mended.beyond:
        said.append(f"no option mends {', '.join(mended.beyond)}")
    click.echo(f"\n{'Fragment' if out == '-' else out}: {'; '.join(said)}.", err=True)
