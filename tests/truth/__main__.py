"""`make truth`, or one option by its name: `make truth OPTION=XEN_BLKDEV_FRONTEND`."""

import argparse
import datetime
import re
import subprocess
import sys
from typing import Any

from wizard import presets
from wizard.boot.lab.bundle import xen_bundle
from wizard.kernel.profiles import numbers, profile

from . import kernels, record, trial
from .cases import Case, cases, untestable_cases

NOT_YET = "not tried yet: `make truth` goes on with it"


def main() -> int:
    """Tries what the table does not have yet, and writes each result into it.  Exit code 1 when a base fails."""
    parser = argparse.ArgumentParser(prog="python -m tests.truth", description=main.__doc__)
    parser.add_argument(
        "option", nargs="?", default="", help="one option, without CONFIG_; tried again if it was before"
    )
    option = parser.parse_args().option.removeprefix("CONFIG_")
    table = record.load()
    version = kernels.version()
    table.update(version=version, tools=tools())
    seen = frozenset((row["profile"], row["option"]) for row in table["result"])
    chosen = cases(numbers(version), option, seen)
    if not chosen:
        print(f"No option {option} that can be tried here: see tests/truth/cases.toml.", file=sys.stderr)
        return 1
    reasons = list(untestable_cases(numbers(version)))
    reasons += [(case.profile, case.option, NOT_YET) for case in chosen if (case.profile, case.option) not in seen]
    waiting = {(case.profile, case.option) for case in chosen} if not option else None
    # What the presets no longer call "boot" or "access" need not be tried any more.
    table["untestable"] = [
        row
        for row in table["untestable"]
        if row["reason"] != NOT_YET or waiting is None or (row["profile"], row["option"]) in waiting
    ]
    for name, other, reason in reasons:
        record.put(table, "untestable", {"profile": name, "option": other, "reason": reason})
    for number, case in enumerate(chosen, 1):
        base = kernels.digest(kernels.base_config(case.base))
        known = record.find(table, "result", case.profile, case.option)
        if known and not option and (known["version"], known["base"]) == (version, base):
            continue
        if not base_came_up(table, case, base):
            return 1
        print(f"[{number}/{len(chosen)}] {case.profile} {case.option}", end=": ", flush=True)
        row = tried(table, case, base, is_named=bool(option))
        record.put(table, "result" if "severity" in row else "untestable", row)
        print(row.get("outcome") or row["reason"], flush=True)
    return 0


def base_came_up(table: dict[str, Any], case: Case, base: str) -> bool:
    """Whether the kernel with everything in it comes up: only then a failure says something of an option."""
    name = case.ground
    known = record.find(table, "base", name)
    if known and (known["version"], known["config"]) == (kernels.version(), base):
        return True
    print(f"the base {name}", end=": ", flush=True)
    seen = trial.start(case, kernels.build(case.base, kernels.base_config(case.base)))
    print(seen.words, flush=True)
    if seen.severity != "none":
        print("\n".join(seen.said), file=sys.stderr)
        return False
    row = {"profile": name, "config": base, "outcome": seen.words, "seconds": seen.seconds, "said": list(seen.said)}
    record.put(table, "base", {**row, "version": kernels.version(), "date": today()})
    return True


def tried(table: dict[str, Any], case: Case, base: str, *, is_named: bool) -> dict[str, Any]:
    """The row of a case."""
    name = {"profile": case.profile, "option": case.option}
    variant = kernels.without(case.base, (case.option, *case.also), case.set_to)
    if not variant.is_away:
        return {**name, "reason": "Kconfig switches it on by itself: no config of this version is without it"}
    mentioned = {rule.name for preset in presets.names("kernel") for rule in profile(preset).own}
    needed = [other for other in variant.along if was_needed(table, case.profile, other)]
    try:
        if case.is_late and needed and not is_named:
            seen = trial.Outcome(f"not started: {needed[0]} goes with it", "boot", 0, ())
        else:
            seen = trial.confirmed(case, kernels.build(case.base, variant.config))
    except kernels.DoesNotBuild as error:
        return {**name, "reason": f"the kernel does not build without it: {error}"}
    except trial.LabFailed as error:
        return {**name, "reason": f"the lab failed: {error}"}
    return {
        **name,
        "set_to": case.set_to,
        "outcome": seen.words,
        "severity": seen.severity,
        "seconds": seen.seconds,
        "said": list(seen.said),
        "away": list(variant.away),
        "along": [option for option in variant.along if option in mentioned],
        "userland": case.userland,
        "version": kernels.version(),
        "base": base,
        "date": today(),
    }


def was_needed(table: dict[str, Any], profile_name: str, option: str) -> bool:
    """Whether a kernel without this option was seen to fail to come up."""
    row = record.find(table, "result", profile_name, option)
    return row is not None and row["severity"] == "boot" and bool(row["said"])


def tools() -> dict[str, str]:
    """The versions of what builds and boots."""
    found = {name: _first_line(command) for name, command in TOOLS.items()}
    packages = (xen_bundle().xen.parent / "packages").read_text().splitlines()
    for name in ("xen-hypervisor", "grub-xen-bin", "linux-image"):
        found[name] = next(file for file in packages if file.startswith(name)).removesuffix(".deb").replace("%3a", ":")
    return found


TOOLS = {"qemu": ["qemu-system-x86_64", "--version"], "gcc": ["gcc", "--version"], "ld": ["ld", "--version"]}


def today() -> str:
    """The date, as it is written in the table."""
    return datetime.datetime.now(datetime.UTC).date().isoformat()


def _first_line(command: list[str]) -> str:
    return re.sub(
        r"\s+", " ", subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()[0]
    )


if __name__ == "__main__":
    sys.exit(main())
