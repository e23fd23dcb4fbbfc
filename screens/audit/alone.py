"""`ami-wizard audit` without a file: the audit screen, alone."""

import shlex
from collections.abc import Iterable
from pathlib import Path
from typing import Any, ClassVar

from textual.app import SystemCommand
from textual.binding import Binding, BindingType
from textual.screen import ModalScreen, Screen

from screens.audit.screen import AuditScreen, Look, Source
from screens.safety import SafeApp
from screens.words import plain
from wizard.host import own_command
from wizard.kernel.audit import Start
from wizard.kernel.judge import judge, sentence


class Audit(SafeApp):
    """Asks which kernel, and shows what the audit says of it."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("ctrl+c,ctrl+q", "leave", "Quit", priority=True)]

    def __init__(self, wanted: str | None, start: Start) -> None:
        super().__init__()
        self._wanted = wanted
        self._start = start

    def get_default_screen(self) -> Screen[Any]:
        """The audit itself."""
        return AuditScreen(None, self._source)

    def _source(self, path: Path) -> Source:
        def look() -> Look:
            judged = judge(path, self._wanted, self._start)
            lacking = (verdict.unknown for verdict in judged.verdicts if verdict.unknown)
            return Look(judged, self._start, tuple(dict.fromkeys(lacking)))

        # What stands in /proc is made when it is read: it has no time of its own, and does not change.
        return Source(look, () if path.is_relative_to("/proc") else (path,))

    @property
    def audit(self) -> AuditScreen:
        """The screen, also while a window is over it."""
        assert isinstance(self.default_screen, AuditScreen)
        return self.default_screen

    def action_leave(self) -> None:
        """Nothing is lost by leaving; in a window over the screen it only closes that."""
        if isinstance(self.screen, ModalScreen):
            self.screen.dismiss(None)
            return
        found = self.audit.found
        self.exit(int(found is not None and not found.judged.is_fit))

    def get_system_commands(self, screen: Screen[Any]) -> Iterable[SystemCommand]:
        """The palette: what the screen can do now, and quit."""
        if isinstance(screen, AuditScreen):
            yield from screen.commands()
        yield SystemCommand("Quit", "nothing is lost", self.action_leave)

    def farewell(self) -> str:
        """The verdicts, and how to see them again."""
        found = self.audit.found
        if found is None:
            return f"No kernel was audited.\nName one: {own_command()} audit FILE"
        path = found.judged.subject.path
        lines = [sentence(verdict) for verdict in found.judged.verdicts]
        return plain("\n".join([*lines, f"See all of it: {own_command()} audit {shlex.quote(str(path))}"]))
