"""`ami-wizard explain`."""

import sys
from pathlib import Path

import click

from wizard.cli.output import card, print_json
from wizard.explain import Explanation, Failure
from wizard.explain import explain as explained
from wizard.explain.text import failures_in, reached

MOST_BYTES = 16 << 20
"""Of a longer file the end is read: what a log was about stands there."""

MOST_ZEROS = 50
"""A file of which a fiftieth and more are zero bytes is no text: a console has hardly any."""

UNKNOWN = (
    "Nothing in it is known to be wrong. It is not the whole console of a machine either: if it is a part of one, "
    "give all of it (`aws ec2 get-console-output --latest --output text --instance-id ID`)."
)

EMPTY = (
    "There is nothing in it. EC2 shows a console some minutes after the start, and an instance that is not of the "
    "Nitro kind shows it after the next one: ask again then. A boot loader that found nothing may never say a word."
)
NO_TEXT = (
    "This is no text, but a file of another kind. A console comes as text with "
    "`aws ec2 get-console-output --latest --output text --instance-id ID`; an image is read by `ami-wizard inspect`, "
    "a kernel by `ami-wizard audit`."
)


@click.command(help="Explains a console log, an error text or a build log; `-` is standard input.")
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="What was found as JSON.")
def explain(file: Path, as_json: bool) -> int:
    """Exit code 0 when nothing in it is known to be wrong, 1 when something is.

    With --json: `{"reached": PHASE|null, "explanations": [explanation]}`, the decisive one first.
    """
    raw = _read(file)
    found = _explanations(raw)
    phase = reached(raw)
    if as_json:
        print_json({"reached": phase, "explanations": [one.as_dict() for one in found]})
    else:
        click.echo(_as_text(found, phase, raw))
    return 1 if found else 0


def _read(file: Path) -> bytes:
    if str(file) == "-":
        return sys.stdin.buffer.read()[-MOST_BYTES:]
    try:
        with file.open("rb") as stream:
            stream.seek(0, 2)
            stream.seek(max(0, stream.tell() - MOST_BYTES))
            return stream.read()
    except OSError as error:
        raise Failure("unreadable-file", path=file, reason=error.strerror or error) from error


def _explanations(raw: bytes) -> list[Explanation]:
    found = failures_in(raw)
    if not found:
        from wizard.cloud.errors import failure_in

        of_aws = failure_in(raw.decode("utf-8", "replace"))
        found = [of_aws] if of_aws else []
    return [explained(failure) for failure in found]


def _as_text(found: list[Explanation], phase: str | None, raw: bytes) -> str:
    lines = [f"A machine's console; the last that it reached: {phase}."] if phase else []
    lines += [card(one, width=80) for one in found] or [_nothing(raw, phase)]
    return "\n\n".join(lines)


def _nothing(raw: bytes, phase: str | None) -> str:
    """What is said where nothing is known to be wrong."""
    if not raw.strip():
        return EMPTY
    if phase:
        return "Nothing in it is known to be wrong."
    return NO_TEXT if raw.count(0) > len(raw) // MOST_ZEROS else UNKNOWN
