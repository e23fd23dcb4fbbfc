"""The questions about the kernel."""

from wizard import presets
from wizard.questions.kinds import Answers, Default, Option, Question, preset
from wizard.questions.values import value


def _own_kernel(answers: Answers) -> bool:
    return value("kernel.source", answers) == "files"


def _kernel_options(answers: Answers) -> list[Option]:
    distro = presets.load(f"distros/{value('distro.name', answers)}")
    arch = value("target.arch", answers)
    known = distro["kernels"].get(value("target.virtualization", answers), {})
    package = known.get(arch, {}).get("package", "")
    why = "" if package else f"{distro['title']} has no kernel for this target: give your own."
    return [
        Option("distro", f"{distro['title']}'s own", package, why),
        Option("files", "my own", "files that you built"),
    ]


def _default_kernel(answers: Answers) -> Default:
    impossible = _kernel_options(answers)[0].impossible
    return Default("files", "the only one for this target") if impossible else Default("distro", "preset")


QUESTIONS = (
    Question("kernel.source", "kernel", "choice", _default_kernel, _kernel_options),
    Question("kernel.image", "kernel", "path", preset(""), applies=_own_kernel),
    Question("kernel.config", "kernel", "path", preset(""), applies=_own_kernel),
    Question("kernel.modules", "kernel", "path", preset(""), applies=_own_kernel),
)
