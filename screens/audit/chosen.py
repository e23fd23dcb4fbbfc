"""The audit of the kernel that was chosen in the wizard, as it will be started."""

from dataclasses import replace

from screens.audit.screen import AuditScreen, Look, Source
from wizard import questions
from wizard.kernel.judge import Judged
from wizard.kernel.places import typed
from wizard.preview.kernel import chosen, remarks
from wizard.questions import Answers


def view(answers: Answers) -> AuditScreen:
    """The screen for these answers; it goes over the form and changes none of them."""

    def look() -> Look:
        found = chosen(answers)
        # The initramfs is made with what it needs: the remarks say so.
        return Look(Judged(found.given, (replace(found.verdict, provided=()),)), found.start, tuple(remarks(found)))

    is_own = questions.value("kernel.source", answers) == "files"
    named = [answers.get(path) for path in ("kernel.image", "kernel.config")] if is_own else []
    files = tuple(typed(name) for name in named if name)
    return AuditScreen(Source(look, files))
