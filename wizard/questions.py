"""The questions: each declared once, and rendered by the screens, the prompts and the numbered prompts alike."""

import datetime
import functools
import zoneinfo
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from wizard import folders, host, presets
from wizard.disk.layout import load
from wizard.plan.build import build_id
from wizard.plan.defaults import boot_mode, fitting_layouts
from wizard.recipe import ARCHITECTURES, Recipe, Target, from_answers, problems_of
from wizard.targets import target
from wizard.targets.regions import default_region, nearest, regions

Answers = Mapping[str, str]
"""What was answered so far: the answer's place in the recipe to its text."""


@dataclass(frozen=True, slots=True)
class Option:
    """One choice; `impossible` says why it cannot be taken now."""

    value: str
    label: str
    note: str = ""
    impossible: str = ""


@dataclass(frozen=True, slots=True)
class Default:
    """What Enter takes, and where it came from."""

    value: str
    origin: str


def _always(_answers: Answers) -> bool:
    return True


def _anything(_answers: Answers) -> list[Option]:
    return []


@dataclass(frozen=True, slots=True)
class Question:
    """One question; `path` is its place in the recipe, `screen` the step of the flow that asks it."""

    path: str
    screen: str
    kind: Literal["choice", "text", "path", "list", "number"]
    default: Callable[[Answers], Default]
    options: Callable[[Answers], list[Option]] = _anything
    applies: Callable[[Answers], bool] = _always

    @property
    def label(self) -> str:
        """A few words."""
        return str(_words(self.path)["label"])

    @property
    def help(self) -> str:
        """What it is and why it matters."""
        return str(_words(self.path)["help"])

    @property
    def example(self) -> str:
        """An answer that makes sense."""
        return str(_words(self.path)["example"])


def _words(path: str) -> dict[str, Any]:
    words: dict[str, Any] = presets.load("questions")[path]
    return words


def ask(screen: str, answers: Answers) -> list[Question]:
    """The questions of a screen that apply, in order."""
    return [question for question in QUESTIONS if question.screen == screen and question.applies(answers)]


def value(path: str, answers: Answers) -> str:
    """The answer, or what the default is as the other answers stand."""
    question = _question(path)
    return answers[path] if path in answers else question.default(answers).value


def problem(path: str, text: str, answers: Answers) -> str | None:
    """What is wrong with an answer, in words; None when it will do.  The other answers are taken as they are."""
    question = _question(path)
    if question.kind == "choice":
        option = next((option for option in question.options(answers) if option.value == text), None)
        if option is None:
            return f"{text!r} is not one of the choices."
        return option.impossible or None
    tried = tables({**answers, path: text})
    wrong = next((found for found in problems_of(tried) if found.place.startswith(path)), None)
    return str(wrong).removeprefix(f"{wrong.place}: ") if wrong else None


def known(answers: Answers) -> dict[str, str]:
    """What of these answers can be shown and asked again: a file may hold anything.

    Left out are those that no question asks for, choices that are not offered, and characters that do not print.
    """
    kept: dict[str, str] = {}
    for question in QUESTIONS:
        text = answers.get(question.path)
        if text is None:
            continue
        text = "".join(letter for letter in text if letter.isprintable())
        if question.kind != "choice" or text in (option.value for option in question.options(kept)):
            kept[question.path] = text
    return kept | {path: answers[path] for path in CARRIED if path in answers}


def invalid(answers: Answers) -> dict[str, str]:
    """The answers that no longer go together with the others: place and reason.  They are kept, and marked."""
    found = {}
    for question in QUESTIONS:
        if question.path in answers and question.applies(answers):
            reason = problem(question.path, answers[question.path], answers)
            if reason:
                found[question.path] = reason
    return found


def tables(answers: Answers, screen: str | None = None) -> dict[str, Any]:
    """The answers of one screen (None: of all) with all defaults as a recipe's tables, not checked yet."""
    built: dict[str, Any] = {}
    for question in QUESTIONS:
        if screen not in (None, question.screen) or not question.applies(answers):
            continue
        text = value(question.path, answers)
        if text == "" and question.kind != "list":
            continue
        table, _, key = question.path.rpartition(".")
        where = built.setdefault(table, {}) if table else built
        where[key] = _typed(question, text)
    for path in CARRIED if screen is None else ():
        if path in answers:
            table, _, key = path.partition(".")
            text = answers[path]
            built.setdefault(table, {})[key] = text.splitlines() if path in LINES else text
    return built


def recipe(answers: Answers) -> Recipe:
    """The checked recipe.  Raises Failure `bad-recipe`."""
    return from_answers(tables(answers))


def answers_of(given: Recipe) -> dict[str, str]:
    """A recipe's answers, to fill in the questions with."""
    found = {}
    for question in QUESTIONS:
        part: Any = given
        for key in question.path.split("."):
            part = getattr(part, key)
        if part is not None:
            found[question.path] = " ".join(part) if question.kind == "list" else str(part)
    for path in CARRIED:
        table, _, key = path.partition(".")
        part = getattr(given, table)
        carried = getattr(part, key)
        if carried and carried != type(part).model_fields[key].default:
            found[path] = "\n".join(carried) if path in LINES else str(carried)
    return {path: text for path, text in found.items() if text != "" or path == "distro.packages"}


def _typed(question: Question, text: str) -> Any:
    if question.kind == "list":
        return text.split()
    if question.kind == "number":
        return int(text) if text.isascii() and text.isdigit() else text
    if question.kind == "path":
        # Seen from where the user is; the recipe will lie somewhere else.
        return str(Path(text).expanduser().absolute())
    return text


@functools.cache
def _question(path: str) -> Question:
    return next(question for question in QUESTIONS if question.path == path)


def _preset(value_: str) -> Callable[[Answers], Default]:
    return lambda _answers: Default(value_, "preset")


def target_of(answers: Answers) -> Target:
    """The target as the answers stand; what does not apply is left out."""
    return Target.model_validate(tables(answers, "target")["target"])


def _default_arch(_answers: Answers) -> Default:
    own = host.architecture()
    return Default(own, "this machine's") if own in ("x86_64", "arm64") else Default("x86_64", "preset")


def _arch_options(_answers: Answers) -> list[Option]:
    notes = {"x86_64": "Intel and AMD", "arm64": "AWS Graviton", "i386": "32-bit, paravirtual only"}
    return [Option(arch, arch, notes[arch]) for arch in ("x86_64", "arm64", "i386") if arch in ARCHITECTURES]


def _virtualization_options(answers: Answers) -> list[Option]:
    arch = value("target.arch", answers)
    notes = {"hvm": "every current instance type", "paravirtual": "PV-GRUB and an AKI; the oldest types only"}
    found = []
    for name, note in notes.items():
        why = [
            text
            for place, text in target.problems(arch, name, "ebs", None, "us-east-1")
            if place in ("target.arch", "target.virtualization")
        ]
        found.append(Option(name, name, note, why[0] if why else ""))
    return found


def _default_virtualization(answers: Answers) -> Default:
    if value("target.arch", answers) == "i386":
        return Default("paravirtual", "the only one for i386")
    return Default("hvm", "preset")


def _region_options(answers: Answers) -> list[Option]:
    return list(_regions_for(value("target.arch", answers), value("target.virtualization", answers)))


@functools.cache
def _regions_for(arch: str, virtualization: str) -> tuple[Option, ...]:
    """Kept: every key on the form asks for them."""
    found = []
    for region in regions():
        wrong = target.problems(arch, virtualization, "ebs", None, region.name)
        why = next((text for place, text in wrong if place == "target.region"), "")
        found.append(Option(region.name, region.name, region.long_name, why))
    return tuple(sorted(found, key=lambda option: (bool(option.impossible), option.value)))


def _default_region(answers: Answers) -> Default:
    name, origin = default_region()
    options = _region_options(answers)
    possible = [option.value for option in options if not option.impossible]
    if name in possible:
        return Default(name, origin)
    if not any(option.value == name for option in options):
        return Default("us-east-1", f"preset; {name!r} ({origin}) is not a region known here")
    return Default(nearest(name, possible)[0], f"the nearest possible to {name}, {origin}")


def _storage_options(_answers: Answers) -> list[Option]:
    later = "Instance-store AMIs are not made by this version: choose ebs."
    return [Option("ebs", "EBS", "a network disk"), Option("s3", "instance store (S3)", "", later)]


def _boot_mode_options(answers: Answers) -> list[Option]:
    arch = value("target.arch", answers)
    notes = {
        "uefi-preferred": "UEFI where there is one, BIOS elsewhere",
        "uefi": "UEFI only; needed for NitroTPM",
        "legacy-bios": "BIOS only",
    }
    found = []
    for name, note in notes.items():
        wrong = target.problems(arch, "hvm", "ebs", name, "us-east-1")
        found.append(Option(name, name, note, next((text for place, text in wrong if place == "target.boot_mode"), "")))
    return found


def _default_boot_mode(answers: Answers) -> Default:
    if value("target.arch", answers) == "arm64":
        return Default("uefi", "the only one for arm64")
    return Default("uefi-preferred", "preset")


def _is_hvm(answers: Answers) -> bool:
    return value("target.virtualization", answers) == "hvm"


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


def _layout_options(answers: Answers) -> list[Option]:
    where = target_of(answers)
    fitting = fitting_layouts(where)
    mode = boot_mode(where, load("gpt-ext4")) or "PV-GRUB"
    names = [*fitting, *(name for name in presets.names("layouts") if name not in fitting)]
    return [
        Option(name, name, load(name).title, "" if name in fitting else f"It does not start by {mode}.")
        for name in names
    ]


def _default_layout(answers: Answers) -> Default:
    fitting = fitting_layouts(target_of(answers))
    return Default(fitting[0] if fitting else "single-ext4", "what this target starts from")


def _distro_options(_answers: Answers) -> list[Option]:
    return [Option(name, presets.load(f"distros/{name}")["title"]) for name in presets.names("distros")]


def _release_options(answers: Answers) -> list[Option]:
    return [Option(name, name) for name in presets.load(f"distros/{value('distro.name', answers)}")["releases"]]


def _default_release(answers: Answers) -> Default:
    return Default(presets.load(f"distros/{value('distro.name', answers)}")["releases"][0], "the newest")


def _timezone_options(_answers: Answers) -> list[Option]:
    return list(_timezones())


@functools.cache
def _timezones() -> tuple[Option, ...]:
    names = sorted(zoneinfo.available_timezones(), key=lambda name: (name != "UTC", name))
    return tuple(Option(name, name) for name in names)


def _default_name(answers: Answers) -> Default:
    """A name that no build on this machine has, so that Enter never runs into an older AMI of one's own."""
    release = value("distro.release", answers)
    kind = {"hvm": "hvm", "paravirtual": "pv"}[value("target.virtualization", answers)]
    today = datetime.datetime.now(datetime.UTC).date().isoformat()
    base = f"{value('distro.name', answers)}-{release}-{kind}-{value('target.arch', answers)}-{today}"
    where = Target.model_construct(region=value("target.region", answers))
    taken = {path.name for path in folders.builds().glob("*")}
    for number in range(1, 1000):
        name = base if number == 1 else f"{base}-{number}"
        candidate = Recipe.model_construct(name=name, target=where)
        if taken.isdisjoint({build_id(candidate, practice=practice) for practice in (True, False)}):
            return Default(name, "from the other answers")
    return Default(base, "from the other answers")


QUESTIONS: tuple[Question, ...] = (
    Question("target.arch", "target", "choice", _default_arch, _arch_options),
    Question("target.virtualization", "target", "choice", _default_virtualization, _virtualization_options),
    Question("target.region", "target", "choice", _default_region, _region_options),
    Question("target.storage", "target", "choice", _preset("ebs"), _storage_options),
    Question("target.boot_mode", "target", "choice", _default_boot_mode, _boot_mode_options, _is_hvm),
    Question("kernel.source", "kernel", "choice", _default_kernel, _kernel_options),
    Question("kernel.image", "kernel", "path", _preset(""), applies=_own_kernel),
    Question("kernel.config", "kernel", "path", _preset(""), applies=_own_kernel),
    Question("kernel.modules", "kernel", "path", _preset(""), applies=_own_kernel),
    Question("disk.layout", "disk", "choice", _default_layout, _layout_options),
    Question("disk.size_gib", "disk", "number", _preset("")),
    Question("distro.name", "distro", "choice", _preset("debian"), _distro_options),
    Question("distro.release", "distro", "choice", _default_release, _release_options),
    Question("distro.packages", "distro", "list", _preset("")),
    Question("system.hostname", "distro", "text", _preset("")),
    Question("system.timezone", "distro", "choice", _preset("UTC"), _timezone_options),
    Question("name", "review", "text", _default_name),
)
"""In the order in which they are asked."""

CARRIED = ("target.aki", "distro.mirror", "system.ssh_authorized_keys", "system.locale")
"""Answers that no screen asks for, as their defaults serve nearly everyone; those of a recipe are carried along."""

LINES = ("system.ssh_authorized_keys",)
"""Of these, what has several values, one a line."""
