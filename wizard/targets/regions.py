"""The AWS regions, and which one to offer first."""

import configparser
import os
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from functools import cache
from itertools import takewhile
from pathlib import Path

from wizard import presets
from wizard.explain import Failure


@dataclass(frozen=True, slots=True)
class Region:
    """A region, e.g. "us-east-1", "US East (N. Virginia)", in the partition "aws".

    `paravirtual`: it has instance types that run paravirtual AMIs; `opt_in`: an account must switch it on first.
    """

    name: str
    long_name: str
    partition: str
    paravirtual: bool
    opt_in: bool = False


@cache
def regions() -> tuple[Region, ...]:
    """Every region of the partitions aws, aws-cn and aws-us-gov."""
    return tuple(Region(**row) for row in presets.load("regions")["region"])


@cache
def paravirtual_regions() -> frozenset[str]:
    """The names of the regions that have instance types for paravirtual AMIs."""
    return frozenset(region.name for region in regions() if region.paravirtual)


def region_named(name: str) -> Region:
    """The region of that name; Failure "unknown-region" with the closest names otherwise."""
    for region in regions():
        if region.name == name:
            return region
    near = nearest(name, [region.name for region in regions()])
    raise Failure("unknown-region", region=name, near=", ".join(near))


def nearest(name: str, among: Collection[str], most: int = 3) -> list[str]:
    """Up to `most` of the names, the most alike first: same partition, then same continent, then same side."""

    def likeness(other: str) -> tuple[bool, int]:
        shared = takewhile(lambda pair: pair[0] == pair[1], zip(name, other, strict=False))
        return (_partition(other) != _partition(name), -len(list(shared)))

    return sorted(among, key=likeness)[:most]


def default_region(environ: Mapping[str, str] | None = None) -> tuple[str, str]:
    """The region to offer first, and where it came from, e.g. ("eu-west-1", "from AWS_DEFAULT_REGION").

    Looks where AWS's own tools look: AWS_REGION, AWS_DEFAULT_REGION, then the profile in ~/.aws/config
    (AWS_PROFILE and AWS_CONFIG_FILE are honoured); us-east-1 otherwise, "preset".
    """
    env = os.environ if environ is None else environ
    for variable in ("AWS_REGION", "AWS_DEFAULT_REGION"):
        if value := env.get(variable, "").strip():
            return value, f"from {variable}"
    shown = env.get("AWS_CONFIG_FILE") or "~/.aws/config"
    profile = env.get("AWS_PROFILE") or env.get("AWS_DEFAULT_PROFILE") or "default"
    parser = configparser.RawConfigParser(strict=False, default_section="")
    try:
        parser.read_string(Path(shown).expanduser().read_text("utf-8"))
    except FileNotFoundError:
        return "us-east-1", "preset"
    except (OSError, UnicodeError, RuntimeError, configparser.Error):
        return "us-east-1", f"preset ({shown} cannot be read)"
    for section in (f"profile {profile}", profile):
        if value := parser.get(section, "region", fallback="").strip():
            return value, f"from {shown} [{profile}]"
    return "us-east-1", "preset"


def _partition(name: str) -> str:
    return next((region.partition for region in regions() if region.name == name), "aws")
