"""Reads presets/: facts as data, one TOML file each."""

import tomllib
from functools import cache
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent / "presets"


@cache
def load(name: str) -> dict[str, Any]:
    """The content of presets/NAME.toml.  Do not change it: it is shared."""
    with (ROOT / f"{name}.toml").open("rb") as file:
        return tomllib.load(file)


def names(folder: str) -> list[str]:
    """What presets/FOLDER holds, without the ending, sorted."""
    return sorted(path.stem for path in (ROOT / folder).glob("*.toml"))
