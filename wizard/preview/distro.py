"""The userland as the answers make it: packages, settings, files."""

import textwrap
from collections.abc import Iterator

from wizard import questions
from wizard.disk.layout import Layout, fstab
from wizard.distro import distros, system
from wizard.distro.own.found import find
from wizard.distro.settings import Settings
from wizard.distro.userland import UserKernel, userland
from wizard.plan.build import EPOCH
from wizard.preview.disk import ids_of, layout_of
from wizard.preview.lines import facts
from wizard.questions import Answers
from wizard.recipe import Recipe
from wizard.targets import target

READERS = {"script": "for root", "cloud-init": "for root and cloud-init's own user"}


def distro(answers: Answers, width: int) -> Iterator[str]:
    """The lines for the Distro screen.  Raises Failure for answers that do not go together."""
    recipe = questions.recipe(answers)
    layout = layout_of(answers)
    yield from _found(recipe, width) if recipe.distro.source else _packages(recipe, layout, width)
    if unproved := distros.of(recipe).unproved:
        yield ""
        yield from textwrap.wrap(f"Not yet proved: {unproved}", width)
    yield ""
    yield "The system is told"
    given = recipe.system
    yield from facts(
        [
            ("host name", given.hostname or "what EC2 calls the instance"),
            ("ssh key", f"the one chosen at launch, {READERS[given.metadata]}"),
            ("password", "none, anywhere"),
            ("time zone", given.timezone),
            ("locale", given.locale),
        ],
        width,
    )
    yield ""
    yield "Files that are written for it"
    boot = Settings({"etc/fstab": fstab(layout, ids_of(answers))})
    console = target.consequences(recipe.target, layout.table, layout.boot_modes).console
    laid_over = system.settings(recipe, console, boot)
    yield from (f"  /{path}" for path in sorted({*laid_over.files, *laid_over.programs}))


def _packages(recipe: Recipe, layout: Layout, width: int) -> Iterator[str]:
    # How an own kernel starts is found out when it is read; the package list is drawn for the common case.
    own = UserKernel("", has_initramfs=True) if recipe.kernel.source == "files" else None
    names = userland(recipe, (part.filesystem for part in layout.partitions), own, EPOCH).packages
    if not names:
        yield f"{distros.of(recipe).title} is taken as it is published: nothing is installed into it."
        return
    yield f"{len(names)} packages, and what they depend on"
    yield from textwrap.wrap(" ".join(names), width, initial_indent="  ", subsequent_indent="  ")


def _found(recipe: Recipe, width: int) -> Iterator[str]:
    """What is in a userland of the user's own."""
    own = find(recipe.distro, recipe.target)
    contents, names = own.contents, distros.of(recipe).system
    kernel = contents.kernel.version or contents.kernel.path.name if contents.kernel else ""
    missing = "none, and nothing that makes one"
    yield f"Found in {own.path.name}, {own.kind}"
    yield from facts(
        [
            ("system", contents.title or "not named (it has no os-release)"),
            ("init", distros.of(recipe).init),
            ("kernel", kernel or "none: yours is put in"),
            ("initramfs", contents.initramfs or (f"made by {contents.maker}" if contents.maker else missing)),
            ("ssh server", f"/{contents.sshd}" if contents.sshd else "none: nobody can log in"),
            ("network", names.network),
            ("checked by", "nothing, as you said" if recipe.distro.unsigned else recipe.distro.checksum or ""),
        ],
        width,
    )
