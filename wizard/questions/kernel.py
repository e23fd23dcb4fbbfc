"""The questions about the kernel."""

from pathlib import Path

from wizard.distro import distros
from wizard.distro.own import found
from wizard.explain import Failure, explain
from wizard.kernel.repack import loads
from wizard.plan import kernel as kernels
from wizard.questions.kinds import Answers, Default, Option, Question, preset
from wizard.questions.values import distro_of, target_of, value
from wizard.targets import akis
from wizard.targets.pvgrub import pvgrub


def _own_kernel(answers: Answers) -> bool:
    return value("kernel.source", answers) == "files"


def _kernel_options(answers: Answers) -> list[Option]:
    distro = distros.load(value("distro.name", answers))
    files = Option("files", "my own", "files that you built")
    if distro.family == "own":
        return [_kernel_inside(answers), files]
    known = distro.kernel(value("target.virtualization", answers), value("target.arch", answers))
    why = "" if known else f"{distro.title} has no kernel for this target: give your own."
    return [Option("distro", f"{distro.title}'s own", known.package if known else "", why), files]


def _kernel_inside(answers: Answers) -> Option:
    """The kernel of a userland of the user's own, as far as that was given yet."""
    try:
        kernel = found.kernel_of(found.find(distro_of(answers), target_of(answers)))
    except Failure as failure:
        return Option("distro", "the userland's own", impossible=explain(failure).what)
    return Option("distro", "the userland's own", kernel.version or kernel.path.name)


def _default_kernel(answers: Answers) -> Default:
    impossible = _kernel_options(answers)[0].impossible
    return Default("files", "the only one for this target") if impossible else Default("distro", "preset")


def _repack_options(answers: Answers) -> list[Option]:
    packing, version = _unloadable(answers) or ("its packing", "")
    never = f"PV-GRUB {version} cannot unpack {packing}: it will not start"
    return [
        Option("as-needed", "pack it again with gzip", f"the same kernel; PV-GRUB {version} cannot unpack {packing}"),
        Option("never", "leave it as it is", outdone=never),
    ]


def _must_be_packed_again(answers: Answers) -> bool:
    return _unloadable(answers) is not None


def _unloadable(answers: Answers) -> tuple[str, str] | None:
    """The packing of the user's kernel and the PV-GRUB that cannot unpack it; None where all is well or unknown."""
    path = answers.get("kernel.image")
    if not (path and _own_kernel(answers)) or value("target.virtualization", answers) == "hvm":
        return None
    row = akis.named(value("target.aki", answers))
    if row is None:
        return None
    loader = pvgrub(row.version)
    try:
        image = kernels.read(str(Path(path).expanduser())).image
    except Failure:
        return None
    if image is None or loads(image, loader.compressions):
        return None
    return image.compression, row.version


QUESTIONS = (
    Question("kernel.source", "kernel", "choice", _default_kernel, _kernel_options),
    Question("kernel.image", "kernel", "path", preset(""), applies=_own_kernel),
    Question("kernel.config", "kernel", "path", preset(""), applies=_own_kernel),
    Question("kernel.modules", "kernel", "path", preset(""), applies=_own_kernel),
    Question("kernel.repack", "kernel", "choice", preset("as-needed"), _repack_options, _must_be_packed_again),
)
