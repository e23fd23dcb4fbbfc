"""`ami-wizard audit --fragment OUT`: the options that mend a kernel, into a file or onto standard output."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from wizard.explain import Failure
from wizard.files import write_atomically
from wizard.kernel.audit import Start, Verdict
from wizard.kernel.config import KernelConfig

if TYPE_CHECKING:
    from wizard.kernel.fragment import Mend


def check_usage(out: str | None, files: Sequence[Path], as_json: bool) -> None:
    """Refuses what --fragment cannot do, before any work."""
    if out is None:
        return
    if len(files) != 1:
        raise click.UsageError("--fragment mends one kernel: name one FILE.")
    if out == "-" and as_json:
        raise click.UsageError("--json and --fragment - both want standard output: name a file for the fragment.")
    target = Path(out)
    is_own = target.exists() and files[0].exists() and target.samefile(files[0])
    if is_own or (target.name == ".config" and target.exists()):
        raise click.UsageError(f"--fragment would overwrite a kernel config: give another name than {out}.")


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
            _save(Path(out), text)
        except OSError as error:
            raise Failure("unwritable-file", path=out, reason=error.strerror or str(error)) from error
    click.echo(f"\n{'Fragment' if out == '-' else out}: {_said(mended)}.", err=True)


def _save(target: Path, text: str) -> None:
    # A device or a pipe is written to; a rename would put a file in its place.
    if target.exists() and not target.is_file():
        target.write_text(text, encoding="utf-8")
    else:
        write_atomically(target.resolve(), text)


def _said(mended: "Mend") -> str:
    said = []
    if mended.settings:
        said.append(f"{len(mended.settings)} options for {', '.join(mended.profiles)}")
    if mended.beyond:
        said.append(f"no option mends {', '.join(mended.beyond)}, it says what would help")
    return "; ".join(said) or "no options, for nothing is found missing"
