"""The questions about the userland, and the AMI's name."""

import datetime
import functools
import zoneinfo
from pathlib import Path
from typing import get_args

from wizard import folders, presets
from wizard.distro import distros
from wizard.distro.own import found, oci
from wizard.explain import Failure
from wizard.plan.build import build_id
from wizard.questions.kinds import Answers, Default, Option, Question, preset
from wizard.questions.values import distro_of, target_of, value
from wizard.recipe import Init, Recipe, Target


def _distro_options(_answers: Answers) -> list[Option]:
    names = sorted(presets.names("distros"), key=lambda name: (name == "own", name))
    return [Option(name, distros.load(name).title, _proof(name)) for name in names]


def _proof(name: str) -> str:
    unproved = distros.load(name).unproved
    return f"not yet proved: {unproved}" if unproved else ""


def _release_options(answers: Answers) -> list[Option]:
    return [Option(name, name) for name in distros.load(value("distro.name", answers)).releases]


def _default_release(answers: Answers) -> Default:
    releases = distros.load(value("distro.name", answers)).releases
    return Default(releases[0], "the newest") if releases else Default("", "it has none")


def _is_own(answers: Answers) -> bool:
    return value("distro.name", answers) == "own"


def _has_releases(answers: Answers) -> bool:
    return bool(_release_options(answers))


def _is_installed(answers: Answers) -> bool:
    """Whether packages are: an own userland and a stage are taken as they are."""
    return distros.load(value("distro.name", answers)).family not in ("own", "gentoo")


def _may_be_signed(answers: Answers) -> bool:
    """A folder has no checksum that anybody could have written down."""
    source = answers.get("distro.source", "")
    return _is_own(answers) and bool(source) and not (_is_plain_folder(Path(source).expanduser()))


def _is_plain_folder(path: Path) -> bool:
    return path.is_dir() and not oci.is_layout(path)


def _is_unchecked(answers: Answers) -> bool:
    return _is_own(answers) and bool(answers.get("distro.source")) and not answers.get("distro.checksum")


def _unsigned_options(answers: Answers) -> list[Option]:
    """What the recipe's true and false are called."""
    no = "give its checksum above" if _may_be_signed(answers) else "give an archive or an image with a checksum"
    return [
        Option("False", "no", no),
        Option("True", "yes, take it unchecked", "nobody will notice when it was changed"),
    ]


def _hides_its_init(answers: Answers) -> bool:
    """Whether it is asked for.  Once it was answered it stays, so that the answer can be changed."""
    if not (_is_own(answers) and answers.get("distro.source")):
        return False
    if "distro.init" in answers:
        return True
    try:
        return found.find(distro_of(answers), target_of(answers)).contents.init is None
    except Failure:
        return False


def _init_options(_answers: Answers) -> list[Option]:
    return [Option(name, name) for name in get_args(Init)]


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
    first = f"{value('distro.name', answers)}-{release}".strip("-")
    base = f"{first}-{kind}-{value('target.arch', answers)}-{today}"
    where = Target.model_construct(region=value("target.region", answers))
    taken = {path.name for path in folders.builds().glob("*")}
    for number in range(1, 1000):
        name = base if number == 1 else f"{base}-{number}"
        candidate = Recipe.model_construct(name=name, target=where)
        if taken.isdisjoint({build_id(candidate, practice=practice) for practice in (True, False)}):
            return Default(name, "from the other answers")
    return Default(base, "from the other answers")


QUESTIONS = (
    Question("distro.name", "distro", "choice", preset("debian"), _distro_options),
    Question("distro.release", "distro", "choice", _default_release, _release_options, _has_releases),
    Question("distro.source", "distro", "path", preset(""), applies=_is_own),
    Question("distro.checksum", "distro", "text", preset(""), applies=_may_be_signed),
    Question("distro.unsigned", "distro", "choice", preset("False"), _unsigned_options, _is_unchecked),
    Question("distro.init", "distro", "choice", preset("systemd"), _init_options, _hides_its_init),
    Question("distro.packages", "distro", "list", preset(""), applies=_is_installed),
    Question("system.hostname", "distro", "text", preset("")),
    Question("system.timezone", "distro", "choice", preset("UTC"), _timezone_options),
    Question("name", "review", "text", _default_name),
)
