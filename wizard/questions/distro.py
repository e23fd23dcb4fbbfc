"""The questions about the userland, and the AMI's name."""

import datetime
import functools
import zoneinfo

from wizard import folders, presets
from wizard.distro import distros
from wizard.plan.build import build_id
from wizard.questions.kinds import Answers, Default, Option, Question, preset
from wizard.questions.values import value
from wizard.recipe import Recipe, Target


def _distro_options(_answers: Answers) -> list[Option]:
    return [Option(name, distros.load(name).title, _proof(name)) for name in presets.names("distros")]


def _proof(name: str) -> str:
    unproved = distros.load(name).unproved
    return f"not yet proved: {unproved}" if unproved else ""


def _release_options(answers: Answers) -> list[Option]:
    return [Option(name, name) for name in distros.load(value("distro.name", answers)).releases]


def _default_release(answers: Answers) -> Default:
    return Default(distros.load(value("distro.name", answers)).releases[0], "the newest")


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


QUESTIONS = (
    Question("distro.name", "distro", "choice", preset("debian"), _distro_options),
    Question("distro.release", "distro", "choice", _default_release, _release_options),
    Question("distro.packages", "distro", "list", preset("")),
    Question("system.hostname", "distro", "text", preset("")),
    Question("system.timezone", "distro", "choice", preset("UTC"), _timezone_options),
    Question("name", "review", "text", _default_name),
)
