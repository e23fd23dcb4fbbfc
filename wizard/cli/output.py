"""What the commands print: JSON alone on standard output, everything for people beside it."""

import json
import sys
import textwrap
from typing import Any

import click

from wizard.explain import Explanation, Failure, explain

USAGE_CODES = ("bad-", "unreadable-", "not-a-", "unknown-")
"""Failures whose code starts so are wrong usage or unreadable input: exit 2."""


def print_json(value: Any) -> None:
    """One JSON object, on one line."""
    json.dump(value, sys.stdout, ensure_ascii=False)
    sys.stdout.write("\n")


def card(explanation: Explanation, width: int = 100) -> str:
    """An explanation as text for a terminal: what, why, what to do, the evidence.

    At most `width` columns, but for the evidence, which is shown as it is; commands are never broken in a word.
    """
    lines = _wrapped(explanation.what, width)
    lines += ["", *_wrapped(f"Why: {explanation.why}", width, behind="     ")]
    lines += ["", "What to do:"]
    for step in explanation.do:
        lines += _wrapped(step, width, before="  • ", behind="    ")
    if explanation.evidence:
        lines += ["", "Evidence:", *(f"  {line}" for text in explanation.evidence for line in text.splitlines())]
    return "\n".join(lines)


def _wrapped(text: str, width: int, before: str = "", behind: str = "") -> list[str]:
    return textwrap.wrap(
        text, width, initial_indent=before, subsequent_indent=behind, break_on_hyphens=False, break_long_words=False
    )


def _as_json(explanation: Explanation) -> dict[str, Any]:
    """A build's last line is always an event, also when it ends before it began."""
    if sys.argv[1:2] in (["build"], ["resume"]):
        return {"event": "failed", "explanation": explanation.as_dict()}
    return {"error": explanation.as_dict()}


def report(error: BaseException) -> int:
    """Explains an error on standard error (as JSON on standard output too after `--json`); gives the exit code."""
    explanation = explain(error)
    if "--json" in sys.argv:
        print_json(_as_json(explanation))
    click.echo(card(explanation), err=True)
    if not isinstance(error, Failure):
        return 1
    if error.code == "interrupted":
        return 130
    return 2 if error.code.startswith(USAGE_CODES) else 1
