"""The recorded table, presets/truth/linux-6.1.toml: written after every result, so that nothing is lost."""

import tomllib
from typing import Any

import tomlkit

from wizard import presets

PATH = presets.ROOT / "truth/linux-6.1.toml"
HEAD = """\
What really happened without a kernel option.  Written by `make truth` (tests/truth/), not by hand.

[[base]]        a config with everything in it, which came up
[[result]]      the same with one option away (`set_to`): what came of it, how bad it was ("boot", "access", "none").
                away: what had to be switched off to be rid of it, because it selects the option.
                along: what else of the presets vanished with it.
[[untestable]]  options that could not be tried, and why
"""
WIDE = ("said", "along")


def load() -> dict[str, Any]:
    """The table as it is; empty lists where there is none yet."""
    table = tomllib.loads(PATH.read_text(encoding="utf-8")) if PATH.exists() else {}
    return {"version": "", "tools": {}, "base": [], "result": [], "untestable": [], **table}


def save(table: dict[str, Any]) -> None:
    """Replaces the file at once, so that it is whole at any time."""
    document = tomlkit.document()
    for line in HEAD.splitlines():
        document.add(tomlkit.comment(line) if line else tomlkit.comment(""))
    for key in ("version", "tools"):
        document[key] = table[key]
    for key in ("base", "result", "untestable"):
        rows = tomlkit.aot()
        for row in sorted(table[key], key=lambda row: (row["profile"], row.get("option", ""))):
            rows.append(_row(row))
        document[key] = rows
    PATH.parent.mkdir(exist_ok=True)
    aside = PATH.with_suffix(".part")
    aside.write_text(tomlkit.dumps(document), encoding="utf-8")
    aside.replace(PATH)


def put(table: dict[str, Any], key: str, row: dict[str, Any]) -> None:
    """Puts a row in the place of those for the same profile and option, and saves."""
    for kind in ("base", "result", "untestable"):
        table[kind] = [old for old in table[kind] if _name(old) != _name(row)]
    table[key].append(row)
    save(table)


def find(table: dict[str, Any], key: str, profile: str, option: str = "") -> dict[str, Any] | None:
    """The row for a profile and an option."""
    return next((row for row in table[key] if _name(row) == (profile, option)), None)


def _name(row: dict[str, Any]) -> tuple[str, str]:
    return row["profile"], row.get("option", "")


def _row(row: dict[str, Any]) -> Any:
    table = tomlkit.table()
    for key, value in row.items():
        if isinstance(value, list | tuple):
            array = tomlkit.array()
            array.extend(value)
            table[key] = array.multiline(key in WIDE and len(value) > 1)
        else:
            table[key] = value
    return table
