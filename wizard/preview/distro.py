"""The userland as the answers make it: packages, settings, files."""

import textwrap
from collections.abc import Iterator

from wizard import questions
from wizard.disk.layout import fstab
from wizard.distro import system
from wizard.distro.userland import UserKernel, userland
from wizard.plan.build import EPOCH
from wizard.preview.disk import ids_of, layout_of
from wizard.preview.lines import facts
from wizard.questions import Answers


def distro(answers: Answers, width: int) -> Iterator[str]:
    """The lines for the Distro screen.  Raises Failure for answers that do not go together."""
    recipe = questions.recipe(answers)
    layout = layout_of(answers)
    # How an own kernel starts is found out when it is read; the package list is drawn for the common case.
    own = UserKernel("", has_initramfs=True) if recipe.kernel.source == "files" else None
    names = userland(recipe, (part.filesystem for part in layout.partitions), own, EPOCH).packages
    yield f"{len(names)} packages, and what they depend on"
    yield from textwrap.wrap(" ".join(names), width, initial_indent="  ", subsequent_indent="  ")
    yield ""
    yield "The system is told"
    given = recipe.system
    yield from facts(
        [
            ("host name", given.hostname or "what EC2 calls the instance"),
            ("ssh key", "the one chosen at launch, from instance metadata"),
            ("password", "none, anywhere"),
            ("time zone", given.timezone),
            ("locale", given.locale),
        ],
        width,
    )
    yield ""
    yield "Files that are written for it"
    yield from (f"  /{path}" for path in sorted(system.system_files(recipe, fstab(layout, ids_of(answers)), {})))
