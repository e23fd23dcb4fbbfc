"""Gentoo: a stage archive as its release engineers sign it, and the user's own kernel.

Nothing is installed into it: its packages are made from source, for hours, or come from a server of binary packages by
way of a whole tree of recipes.  A stage has what an instance needs to be reached; the rest is its owner's to emerge.
"""

import shlex
from collections.abc import Mapping

from wizard.distro import keys
from wizard.distro.signed import TOOLS, fetched
from wizard.distro.tree import ROOT, kernel_commands, made_apart
from wizard.distro.userland import Userland
from wizard.explain import Failure
from wizard.plan.steps import Step


def tools(_wanted: Userland) -> list[str]:
    """The host's programs that the step needs."""
    return [*TOOLS, "depmod", "unshare", "xz"]


def bootstrap_step(wanted: Userland, inputs: Mapping[str, str]) -> Step:
    """The step that makes bootstrap/root.tar.  Raises Failure "stage-needs-a-kernel", "stage-makes-no-initramfs"."""
    if wanted.kernel is None:
        raise Failure("stage-needs-a-kernel", distro=wanted.distro.title)
    if wanted.kernel.has_initramfs:
        raise Failure("stage-makes-no-initramfs", distro=wanted.distro.title, release=wanted.kernel.release)
    own = wanted.distro.own
    mirror = str(wanted.recipe.distro.mirror or own["mirror"]).rstrip("/")
    folder = f"{mirror}/releases/{wanted.arch}/autobuilds"
    stage = own["stage"].format(variant=own["variants"][wanted.recipe.target.arch], release=wanted.release)
    latest = shlex.quote(f"{folder}/latest-{stage}.txt")
    (signer,) = keys.of_release(own, wanted.release)
    signed = f"signed_by {signer['fingerprint']}"
    commands = [
        "# Which stage is the newest is a signed text, too: its first line that is no comment begins with a path.",
        f"curl --fail --silent --show-error --location --output bootstrap/latest {latest}",
        f"{signed} bootstrap/latest",
        f"path=$(grep -m1 -o '^[0-9A-Za-z/_.-]*{stage}-[0-9TZ]*\\.tar\\.xz' bootstrap/signed)",
        'stage="${path##*/}"',
        f'fetch {shlex.quote(folder)}/"$path" "gentoo/$stage"',
        f'fetch {shlex.quote(folder)}/"$path.asc" "gentoo/$stage.asc"',
        f'{signed} "$DOWNLOADS/gentoo/$stage.asc" "$DOWNLOADS/gentoo/$stage"',
        'echo "$stage" > bootstrap/stage',
    ]
    unpack = [
        f"tar -C {ROOT} --numeric-owner --xattrs --xattrs-include=security.capability --exclude='./dev/*' \\",
        '  -xpf "$DOWNLOADS/gentoo/$(cat bootstrap/stage)"',
        *kernel_commands(wanted.kernel.release),
    ]
    return Step(
        "bootstrap",
        f"Unpack {wanted.title}",
        "The newest stage archive is fetched, and used only if its signature is good and by Gentoo's release key. It "
        "is taken as it is, with your kernel.",
        (*keys.fetch([signer]), fetched(commands), *made_apart("\n".join(unpack), wanted.epoch)),
        ("kernel",),
        dict(inputs),
    )
