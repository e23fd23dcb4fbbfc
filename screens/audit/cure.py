"""What can be done about a kernel that will not do: a config fragment, or the same kernel packed again."""

import os
from pathlib import Path

from wizard.explain import Failure
from wizard.kernel.audit import Start
from wizard.kernel.judge import Judged
from wizard.kernel.profiles import profile
from wizard.kernel.repack import check, loads
from wizard.kernel.subject import known_of


def fragment_of(judged: Judged, start: Start, profile_shown: str | None) -> str:
    """The fragment that mends a kernel, for the profile that is shown; "" where there is nothing to mend.

    It mends what keeps the kernel from booting or being reached; of a kernel that is fit, what is better otherwise.
    Raises Failure "several-architectures" where it is not known for which one.
    """
    from wizard.kernel.fragment import as_text, mend

    verdicts = [one for one in judged.verdicts if profile_shown in (None, one.profile)]
    if len({profile(one.profile).arch for one in verdicts}) > 1:
        raise Failure("several-architectures", known=", ".join(one.profile for one in verdicts))
    config, is_fit = known_of(judged.subject), all(one.boots and one.reachable for one in verdicts)
    mended = mend(config, verdicts, start, recommended=is_fit)
    return as_text(mended, config) if mended.settings or mended.beyond else ""


def can_repack(judged: Judged, start: Start) -> bool:
    """Whether it is a kernel for Xen that its PV-GRUB cannot unpack, or (of unknown version) not every PV-GRUB can."""
    image = judged.subject.image
    if image is None or not image.path.is_file() or not any(one.profile.startswith("pv-") for one in judged.verdicts):
        return False
    try:
        check(image)
    except Failure:
        return False
    return not loads(image, _decompressors(start.pv_grub))


def _decompressors(pv_grub: str | None) -> tuple[str, ...]:
    if pv_grub is None:
        return ("none", "gzip")
    from wizard.targets.pvgrub import pvgrub

    return pvgrub(pv_grub).compressions


def beside(judged: Judged, name: str) -> Path:
    """A name for a new file: beside the kernel, or in the working directory where nothing can be written there."""
    path = judged.subject.path
    folder = path if path.is_dir() else path.parent
    return folder / name if os.access(folder, os.W_OK) else Path.cwd() / name


def repacked_name(judged: Judged) -> Path:
    """Where the kernel goes that is packed again."""
    image = judged.subject.image
    return beside(judged, f"{image.path.name if image else 'vmlinux'}-pv-grub.gz")
