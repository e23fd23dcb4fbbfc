"""What is wrong with answers: each mistake with its place, in words of ours, and the nearest right spelling."""

import contextlib
import difflib
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

from pydantic import BaseModel, ValidationError

from wizard import presets
from wizard.recipe.paths import with_absolute_paths
from wizard.recipe.tables import Partition, Recipe


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing wrong with a recipe: where, what, and the nearest right spelling if there is one."""

    place: str
    message: str
    suggestion: str | None = None

    def __str__(self) -> str:
        hint = f" Did you mean {self.suggestion}?" if self.suggestion else ""
        return f"{self.place}: {self.message}{hint}"


def problems_of(answers: Mapping[str, Any], folder: Path | None = None) -> Iterator[Problem]:
    """Everything that is wrong with these answers: spelling and types first, then what does not go together."""
    from wizard.plan.defaults import combination_problems

    try:
        recipe = with_absolute_paths(Recipe.model_validate(answers), folder)
    except ValidationError as error:
        details = error.errors()
        for detail in details:
            yield _problem(detail)
        yield from _problems_of_the_rest(answers, [detail["loc"] for detail in details], folder)
        return
    yield from combination_problems(recipe)


def _problems_of_the_rest(
    answers: Mapping[str, Any], wrong: list[tuple[int | str, ...]], folder: Path | None
) -> Iterator[Problem]:
    """What does not go together in the answers that are well-formed, so that one misspelling hides nothing else.

    Most other answers depend on the target: it is judged unless what kind of target it is was misspelt.  In a table
    with a key that nobody knows, what is lacking might be what was misspelt; the kernel's keys depend on each other.
    """
    from wizard.plan.defaults import combination_problems

    bad = {place[:2] for place in wrong}
    rest = {table: _without(content, table, bad) for table, content in answers.items() if (table,) not in bad}
    if ("disk", "partitions") in bad:
        # A table without its partitions would be called one.
        rest["disk"] = _without(rest["disk"], "disk", {("disk", "table")})
    unknown = {place[0] for place in bad if len(place) == 2 and place[1] not in _fields_at(place[:1])}
    is_judged = "target" not in unknown and not bad & {("target", "arch"), ("target", "virtualization"), ("target",)}
    given = rest.get("target")
    target = {**STAND_IN, **(given if isinstance(given, Mapping) and is_judged else {})}
    if isinstance(given, Mapping) and "region" in given:
        target["region"] = given["region"]
    with contextlib.suppress(ValidationError):
        recipe = Recipe.model_validate({**rest, "name": "unnamed", "target": target})
        for problem in combination_problems(with_absolute_paths(recipe, folder), judges_target=is_judged):
            table, _, key = problem.place.partition(".")
            is_lacking = table in unknown and (table == "kernel" or key not in answers.get(table, {}))
            if (table, key) not in bad and not is_lacking:
                yield problem


STAND_IN = {"region": "us-east-1", "arch": "x86_64"}
"""For what a target lacks, so that the rest of a recipe can be judged."""


def _without(content: Any, table: str, bad: set[tuple[int | str, ...]]) -> Any:
    if not isinstance(content, Mapping):
        return content
    return {key: value for key, value in content.items() if (table, key) not in bad}


def _problem(detail: Mapping[str, Any]) -> Problem:
    location = detail["loc"]
    # People count from 1.
    place = ".".join(str(part + 1 if isinstance(part, int) else part) for part in location)
    match detail["type"]:
        case "extra_forbidden":
            known = _fields_at(location[:-1])
            elsewhere = _table_with(place) if len(location) == 1 else None
            return Problem(place, "nobody knows this key.", elsewhere or nearest(str(location[-1]), known))
        case "missing":
            return Problem(place, "is needed and not given.")
        case "literal_error":
            choices = re.findall(r"'([^']+)'", detail["ctx"]["expected"])
            given = detail["input"]
            return Problem(place, f"is {given!r}; it can be {', '.join(choices)}.", nearest(str(given), choices))
        case "string_pattern_mismatch":
            example = _example(".".join(part for part in location if isinstance(part, str)))
            return Problem(place, f"is {detail['input']!r}, which cannot stand there; a right one is like {example}.")
        case "tuple_type" if place == "disk.partitions":
            return Problem(place, "is no list: write [[disk.partitions]], in two brackets, above each partition.")
        case kind:
            rule = RULES[kind].format_map(detail.get("ctx", {})) if kind in RULES else detail["msg"].lower()
            return Problem(place, f"is {detail['input']!r}; {rule}.")


def partition_problem(field: str, value: object) -> str | None:
    """Why a field of a partition cannot have such a value, whatever the others are; None when it can."""
    try:
        Partition.model_validate({"filesystem": "ext4", field: value})
    except ValidationError as error:
        detail = error.errors()[0]
        said = _problem({**detail, "loc": ("disk", "partitions", *detail["loc"])})
        return f"{said.message[0].upper()}{said.message[1:]}"
    return None


def _example(place: str) -> str:
    """An answer that makes sense: as the questions show it, or of what is not asked."""
    asked = presets.load("questions").get(place, {})
    return str(asked.get("example") or EXAMPLES.get(place, "one or more letters, digits and . _ + -"))


def _fields_at(location: tuple[int | str, ...]) -> list[str]:
    model: type[BaseModel] = Recipe
    for part in location:
        if isinstance(part, int):
            continue
        tables = [one for one in _parts_of(model.model_fields[part].annotation) if issubclass(one, BaseModel)]
        if not tables:
            return []
        model = tables[0]
    return list(model.model_fields)


def _table_with(key: str) -> str | None:
    """Where a key that stands outside of every table belongs: "region" into "target.region"."""
    return next((f"{table}.{key}" for table in Recipe.model_fields if key in _fields_at((table,))), None)


def _parts_of(annotation: Any) -> Iterator[type]:
    """The types that a type is made of: of `tuple[Partition, ...] | None` also Partition."""
    if isinstance(annotation, type) and not get_args(annotation):
        yield annotation
    for part in get_args(annotation):
        yield from _parts_of(part)


def nearest(word: str, choices: list[str]) -> str | None:
    """The choice that is spelt most like the word, two letters that changed places before others; None when none is."""
    close = difflib.get_close_matches(word, choices, n=8, cutoff=0.5)
    return next((one for one in close if sorted(one) == sorted(word)), close[0] if close else None)


RULES = {
    "int_type": "it must be a whole number, without quotes",
    "string_type": "it must be a text in quotes",
    "tuple_type": 'it must be a list: ["…", "…"]',
    "model_type": "it must be a table: its name in brackets on a line of its own, and its answers below",
    "string_too_short": "it must have at least {min_length} characters",
    "string_too_long": "it can have at most {max_length} characters",
    "greater_than_equal": "it must be at least {ge}",
    "less_than_equal": "it can be at most {le}",
}
"""What pydantic calls a mistake, in words of ours."""

EXAMPLES = {
    "target.aki": "aki-5c21674b",
    "target.kms_key": "arn:aws:kms:us-east-1:123456789012:key/0f3a5c1e-2b4d-4c6e-8f90-a1b2c3d4e5f6",
    "volume.instance": "i-0123456789abcdef0",
    "volume.ssh": "admin@203.0.113.7",
    "volume.ssh_key": "~/.ssh/id_ed25519",
    "volume.id": "vol-0123456789abcdef0",
    "volume.snapshot": "snap-0123456789abcdef0",
    "bundle.prefix": "images/web",
    "distro.checksum": "sha256: and the 64 digits that `sha256sum` prints",
    "distro.mirror": "https://mirror.example.org/debian",
    "system.ssh_authorized_keys": "ssh-ed25519 AAAAC3… me@home",
    "system.locale": "C.UTF-8",
    "publish.regions": "eu-west-1",
    "publish.share_with": "123456789012, an organization's ARN, or everyone",
    "publish.ssm_parameter": "/images/web",
    "launch.instance_type": "t3.micro",
    "launch.subnet": "subnet-0123456789abcdef0",
    "launch.security_group": "sg-0123456789abcdef0",
    "launch.key_name": "laptop",
    "disk.partitions.name": "root",
    "disk.partitions.label": "root",
    "disk.partitions.mount": "/srv/data",
    "disk.partitions.options": "noatime,nodev",
    "disk.partitions.subvolumes": "home",
}
