"""What should not be shipped: traces, secrets and waste, by the paths in presets/inspect.toml."""

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cache

from wizard import presets
from wizard.disk.read import Node, Tree
from wizard.disk.read.tree import path_pattern
from wizard.inspect.findings import Finding, finding

NAMED = 3
MOST_KEPT = 1000


@dataclass(frozen=True, slots=True)
class Rule:
    """Files that should not be there: their paths, the paths that are fine, and what must be in them to count."""

    code: str
    paths: "re.Pattern[str]"
    fine: "re.Pattern[str] | None"
    contains: "re.Pattern[bytes] | None"


@dataclass(slots=True)
class _Found:
    paths: list[str] = field(default_factory=list)
    count: int = 0
    size: int = 0


@cache
def rules() -> tuple[Rule, ...]:
    """The findings of presets/inspect.toml that have `paths`."""
    entries = presets.load("inspect")["finding"].items()
    return tuple(
        Rule(
            code,
            _one_of(entry["paths"]),
            _one_of(entry["fine"]) if "fine" in entry else None,
            re.compile(entry["contains"].encode()) if "contains" in entry else None,
        )
        for code, entry in entries
        if "paths" in entry
    )


def leftover_findings(files: Tree, keys_meant: Iterable[str] = ()) -> list[Finding]:
    """One finding a rule, in the order of the rules; `keys_meant` are lines of authorized_keys that are no leftover."""
    found = {rule.code: _Found() for rule in rules()}
    meant = {_key(line) for line in keys_meant}
    any_rule = re.compile("|".join(rule.paths.pattern for rule in rules()), re.DOTALL)
    for path, node in files.walk():
        if node.is_file and node.size and any_rule.fullmatch(path):
            for rule in rules():
                if _breaks(rule, files, path, node) and not _is_meant(files, path, meant):
                    _add(found[rule.code], path, node)
    return [_finding(code, one) for code, one in found.items() if one.count]


def _breaks(rule: Rule, files: Tree, path: str, node: Node) -> bool:
    if not rule.paths.fullmatch(path) or (rule.fine and rule.fine.fullmatch(path)):
        return False
    if rule.contains is None:
        return True
    stream = files.stream(path)
    return stream is not None and rule.contains.search(stream.peek(min(node.size, 65536))) is not None


def _is_meant(files: Tree, path: str, meant: set[str]) -> bool:
    """Whether it is a file of keys that holds none but those that the recipe names."""
    if not meant or not path.endswith("/authorized_keys"):
        return False
    lines = (files.text(path) or "").splitlines()
    return all(_key(line) in meant for line in lines if line.strip() and not line.startswith("#"))


def _key(line: str) -> str:
    """Type and key, without the comment that may follow."""
    return " ".join(line.split()[:2])


def _add(found: _Found, path: str, node: Node) -> None:
    found.count += 1
    found.size += node.size
    if len(found.paths) < MOST_KEPT:
        found.paths.append(path)


def _finding(code: str, found: _Found) -> Finding:
    more = found.count - NAMED
    named = ", ".join(found.paths[:NAMED]) + (f" and {more} more" if more > 0 else "")
    return finding(code, found.paths[0], named=named, size=_amount(found.size))


def _amount(size: int) -> str:
    return f"{size} bytes" if size < 10_000 else f"{size / 1000:,.0f} kB" if size < 10**7 else f"{size / 10**6:,.0f} MB"


def _one_of(patterns: Iterable[str]) -> "re.Pattern[str]":
    return re.compile("|".join(f"(?:{path_pattern(one).pattern})" for one in patterns), re.DOTALL)
