"""The presets held against what really happened: presets/truth/, recorded by `make truth`."""

import re
from pathlib import Path
from typing import Any

import pytest
from truth import kconfig, record
from truth.trial import LabFailed, outcome

from wizard import presets
from wizard.boot.lab.watch import Verdict
from wizard.kernel.profiles import Rule, profile

TABLE = record.load()
ORDER = ("boot", "access", "recommended", "none")


def rule_of(row: dict[str, Any]) -> Rule:
    return next(rule for rule in profile(row["profile"]).own if rule.name == row["option"])


def severity_shown(row: dict[str, Any]) -> Any:
    """How bad it is to be without the option: what was seen, or what goes along with it and could not be tried here."""
    along = {rule.severity for rule in profile(row["profile"]).rules if rule.name in row["along"]}
    return min([row["severity"], *sorted(along)], key=ORDER.index)


def name_of(row: dict[str, Any]) -> str:
    return f"{row['profile']}-{row['option']}"


def said_by(row: dict[str, Any]) -> str:
    return "\n".join([row["outcome"], *row["said"]])


def matters(rule: Rule) -> bool:
    return rule.severity in ("boot", "access")


def test_the_table_says_with_what_it_was_made() -> None:
    assert TABLE["version"].startswith("6.1.")
    assert {"qemu", "gcc", "xen-hypervisor", "grub-xen-bin"} <= set(TABLE["tools"])


def test_the_kernels_with_everything_in_them_came_up_so_that_a_failure_is_the_options() -> None:
    bases = {(row["version"], row["config"]) for row in TABLE["base"]}
    assert all(row["outcome"] == "came up" for row in TABLE["base"])
    assert {(row["version"], row["base"]) for row in TABLE["result"]} <= bases


@pytest.mark.parametrize("name", presets.names("kernel"))
def test_every_boot_and_access_option_was_tried_or_there_is_a_reason_why_not(name: str) -> None:
    known = {(row["profile"], row["option"]) for kind in ("result", "untestable") for row in TABLE[kind]}
    assert {(name, rule.name) for rule in profile(name).own if matters(rule)} <= known
    assert all(row["reason"] for row in TABLE["untestable"])


@pytest.mark.parametrize("row", TABLE["result"], ids=name_of)
def test_an_option_is_as_severe_as_what_happened_without_it(row: dict[str, Any]) -> None:
    shown = severity_shown(row)
    assert rule_of(row).severity == ("recommended" if shown == "none" else shown), said_by(row)


FAILED = [row for row in TABLE["result"] if row["severity"] == "boot" and row["said"]]


@pytest.mark.parametrize("row", FAILED, ids=name_of)
def test_what_a_preset_quotes_of_the_console_is_what_the_console_said(row: dict[str, Any]) -> None:
    """Something in double quotes in `breaks` stood there; "..." is what differs from machine to machine."""
    quotes = re.findall(r'"([^"]+)"', rule_of(row).breaks)
    patterns = [".*".join(map(re.escape, quote.split("..."))) for quote in quotes]
    assert any(re.search(pattern, said_by(row)) for pattern in patterns), f"{quotes} is not in: {said_by(row)}"


CONFIG = """\
CONFIG_64BIT=y
CONFIG_KERNEL_GZIP=y
# CONFIG_KERNEL_LZ4 is not set
CONFIG_XEN=y
# CONFIG_HVC_XEN is not set
"""


def test_a_config_is_changed_line_by_line_and_the_kernel_has_one_compression() -> None:
    assert kconfig.values(kconfig.changed(CONFIG, {"XEN": "n"})) == {"64BIT": "y", "KERNEL_GZIP": "y"}
    assert kconfig.values(kconfig.changed(CONFIG, {"HVC_XEN": "y"}))["HVC_XEN"] == "y"
    lz4 = kconfig.changed(CONFIG, {"KERNEL_LZ4": "y"})
    assert kconfig.values(lz4) == {"64BIT": "y", "KERNEL_LZ4": "y", "XEN": "y"}
    assert "# CONFIG_KERNEL_GZIP is not set" in lz4
    assert lz4.count("KERNEL_LZ4") == 1


def test_who_selects_an_option_stands_in_kconfig(tmp_path: Path) -> None:
    file = tmp_path / "Kconfig"
    file.write_text(
        "config HVC_XEN\n\tselect HVC_DRIVER\n\nmenuconfig OTHER\n\tselect HVC_DRIVER if XEN\nconfig HVC_DRIVER\n"
    )
    assert kconfig.selectors([file]) == {"HVC_DRIVER": {"HVC_XEN", "OTHER"}}


REPORT = "LAB-REPORT kernel=6.1.192 root=ext4 network=eth0 end"
SILENT = Verdict(False, "the guest ended by itself", "boot loader", ())


@pytest.mark.parametrize(
    ("console", "on_disk", "severity"),
    [
        (f"Linux version 6.1\n{REPORT}\n", REPORT, "none"),
        ("", REPORT, "access"),
        (f"{REPORT.replace('eth0', 'none')}\n", "", "access"),
        (
            "LAB-REPORT kernel=6.1 root=ext4 network=10.0.2.15 ssh=refused said=[PTY allocation failed] end\n",
            "",
            "access",
        ),
        ("lab login: ", "", "access"),
        ("Linux version 6.1\n", "", "boot"),
    ],
    ids=["up", "no console", "no network", "no ssh", "no report", "nothing"],
)
def test_the_severity_follows_from_what_the_machine_reported_and_where(
    console: str, on_disk: str, severity: str
) -> None:
    assert outcome(SILENT, console, on_disk)[1] == severity


def test_a_lab_that_failed_is_no_outcome() -> None:
    with pytest.raises(LabFailed):
        outcome(Verdict(None, "the local Xen machine failed", "lab", ()), "", "")


def test_the_table_is_written_as_it_was_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(record, "PATH", tmp_path / "truth" / "table.toml")
    record.save(TABLE)
    assert record.load() == TABLE
    row = {**TABLE["result"][0], "outcome": "else"}
    record.put(record.load(), "result", row)
    assert len(record.load()["result"]) == len(TABLE["result"])
    assert record.find(record.load(), "result", row["profile"], row["option"]) == row
