"""The card of a failure: what happened, why, what to do, a command to copy, the evidence, and the ways on."""

import re
from collections.abc import Mapping
from typing import Any, ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical, VerticalScroll
from textual.widgets import Button, Static

from screens.words import plain


class Card(Vertical):
    """Shown in place of the output of the step that failed."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("c", "copy", "Copy the command")]

    def __init__(self) -> None:
        super().__init__(classes="card")
        self._command = ""

    def compose(self) -> ComposeResult:
        with VerticalScroll(classes="words"):
            yield Static("", markup=False)
        with Horizontal(classes="buttons"):
            yield Button("Retry", id="retry", compact=True, variant="primary")
            yield Button("Edit answers", id="edit", compact=True)
            yield Button("Shell", id="shell", compact=True)
            yield Button("Log", id="log", compact=True)
            yield Button("Quit, resume later", id="leave", compact=True)

    def take(self, explanation: Mapping[str, Any], build_id: str) -> None:
        """Shows an explanation."""
        self._command = command_in(explanation["do"]) or f"ami-wizard resume {build_id}"
        self.query_one(Static).update(plain(card_text(explanation, self._command)))
        self.query_one("#retry", Button).focus()

    def action_copy(self) -> None:
        """Copies the command by the terminal's own means (OSC 52)."""
        self.app.copy_to_clipboard(self._command)
        self.notify(f"Copied: {self._command}", markup=False)


def card_text(explanation: Mapping[str, Any], command: str) -> str:
    """The card's text."""
    lines = [f"✗ {explanation['what']}", "", f"Why: {explanation['why']}", "", "What to do:"]
    lines += [f"  • {line}" for line in explanation["do"]]
    lines += ["", f"Command (c copies it): {command}"]
    if explanation["evidence"]:
        lines += ["", "Evidence:", *(f"  {line}" for text in explanation["evidence"] for line in text.splitlines())]
    return "\n".join(lines)


def command_in(advice: list[str]) -> str | None:
    """The first whole command that the advice names between backticks."""
    return next((match[1] for line in advice if (match := re.search(r"`([^`]+ [^`]+)`", line))), None)
