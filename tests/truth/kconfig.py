"""A kernel config as text, and the kernel's Kconfig files as far as `select` goes."""

import re
from collections.abc import Iterable, Mapping
from pathlib import Path

COMPRESSIONS = ("GZIP", "BZIP2", "LZMA", "XZ", "LZO", "LZ4", "ZSTD")

_SYMBOL = re.compile(r"^\s*(?:menu)?config\s+([A-Z0-9_]+)")
_SELECT = re.compile(r"^\s+select\s+([A-Z0-9_]+)")


def values(config: str) -> dict[str, str]:
    """Every option that is on, with its value."""
    return dict(re.findall(r"^CONFIG_(\w+)=(.*)$", config, re.MULTILINE))


def changed(config: str, options: Mapping[str, str]) -> str:
    """The config with options set; "n" switches one off.  The caller lets olddefconfig settle the rest.

    The kernel's compressions are a choice: to set one is to take the others back.
    """
    wanted = dict(options)
    for name, value in options.items():
        if name.startswith("KERNEL_") and value == "y":
            wanted.update({f"KERNEL_{other}": "n" for other in COMPRESSIONS if f"KERNEL_{other}" != name})
    mentions = re.compile(r"^(?:CONFIG_(\w+)=.*|# CONFIG_(\w+) is not set)$")
    kept = [
        line
        for line in config.splitlines()
        if not ((found := mentions.match(line)) and (found[1] or found[2]) in wanted)
    ]
    lines = [
        f"# CONFIG_{name} is not set" if value == "n" else f"CONFIG_{name}={value}" for name, value in wanted.items()
    ]
    return "\n".join([*kept, *lines]) + "\n"


def selectors(files: Iterable[Path]) -> dict[str, set[str]]:
    """For every option, those whose `select` switches it on, whatever the user says."""
    found: dict[str, set[str]] = {}
    for file in files:
        symbol = ""
        for line in file.read_text(encoding="utf-8", errors="replace").splitlines():
            if head := _SYMBOL.match(line):
                symbol = head[1]
            elif (select := _SELECT.match(line)) and symbol:
                found.setdefault(select[1], set()).add(symbol)
    return found
