"""`ami-wizard audit`."""

import json
from pathlib import Path

import click
import pytest
from click.testing import CliRunner, Result

from wizard import presets
from wizard.cli.audit import audit
from wizard.explain import Failure

CONFIGS = presets.ROOT / "kernel" / "configs"
AMD64 = CONFIGS / "debian-bookworm-amd64.config"
CLOUD = CONFIGS / "debian-bookworm-cloud-amd64.config"


def run(*arguments: str | Path, columns: int = 80) -> Result:
    runner = CliRunner(env={"COLUMNS": str(columns)})
    return runner.invoke(audit, [str(argument) for argument in arguments], standalone_mode=False)


def test_a_kernel_that_is_fit_exits_0_and_says_so_first() -> None:
    result = run(AMD64)
    assert result.return_value == 0
    head = result.output.split("\n\n")[0]
    assert "pv-x86_64" in head
    assert "boots and can be reached" in " ".join(head.split())


def test_a_finding_exits_1_and_only_for_the_profile_that_it_concerns() -> None:
    assert run(CLOUD).return_value == 1
    assert run(CLOUD, "--for", "hvm-x86_64").return_value == 0
    assert run(CLOUD, "--for", "pv-x86_64").return_value == 1


def test_json_has_the_promised_shape() -> None:
    result = run(AMD64, CLOUD, "--json")
    subjects = json.loads(result.stdout)["subjects"]
    assert [subject["path"] for subject in subjects] == [str(AMD64), str(CLOUD)]
    for subject in subjects:
        assert set(subject) == {"path", "kind", "arch", "version", "compression", "verdicts"}
        assert (subject["kind"], subject["arch"], subject["version"]) == ("config", "x86_64", "6.1.192")
        assert set(subject["verdicts"]) == {"pv-x86_64", "hvm-x86_64"}
        for verdict in subject["verdicts"].values():
            assert {"boots", "reachable", "findings"} <= set(verdict)
            for finding in verdict["findings"]:
                assert set(finding) == {"option", "wanted", "found", "severity", "why", "breaks", "source"}
    assert subjects[1]["verdicts"]["pv-x86_64"]["boots"] is False


def test_an_empty_config_is_unknown_in_json_and_does_not_exit_0(tmp_path: Path) -> None:
    (tmp_path / "config").touch()
    result = run(tmp_path / "config", "--json")
    verdicts = json.loads(result.stdout)["subjects"][0]["verdicts"]
    assert set(verdicts) == {"pv-i386", "pv-x86_64", "hvm-x86_64", "hvm-arm64"}
    assert {verdict["boots"] for verdict in verdicts.values()} == {"unknown"}
    assert result.return_value == 1


@pytest.mark.parametrize("columns", [40, 80, 100])
def test_the_findings_for_people_are_wrapped_to_the_terminal(columns: int) -> None:
    assert all(len(line) <= columns for line in run(CLOUD, columns=columns).output.splitlines())


def test_a_finding_of_two_profiles_is_shown_once_with_both() -> None:
    output = run(AMD64).output
    assert output.count("  IKCONFIG: ") == 1
    assert "[pv-x86_64, hvm-x86_64]" in output


def test_without_a_file_it_says_what_is_needed() -> None:
    result = run()
    assert isinstance(result.exception, click.UsageError)
    assert "config" in str(result.exception)


@pytest.mark.parametrize(
    ("name", "content", "code"),
    [
        ("page", b"<html>404</html>", "not-a-kernel"),
        ("riscv", b"# Linux/riscv 6.1.0 Kernel Configuration\nCONFIG_RISCV=y\n", "unknown-kernel-arch"),
    ],
)
def test_a_wrong_file_is_explained_as_unreadable_input(name: str, content: bytes, code: str, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(content)
    result = run(tmp_path / name)
    assert isinstance(result.exception, Failure)
    assert result.exception.code == code


def test_an_unknown_profile_is_refused_also_one_that_is_no_kind_of_instance() -> None:
    for name in ("pv-sparc", "userland"):
        result = run(AMD64, "--for", name)
        assert isinstance(result.exception, Failure)
        assert result.exception.code == "unknown-profile"


def test_a_config_of_12000_lines_is_audited_as_a_short_one(tmp_path: Path) -> None:
    path = tmp_path / "config"
    path.write_text(AMD64.read_text() + "".join(f"CONFIG_FILLER_{number}=m\n" for number in range(12_000)))
    assert run(path, "--json").return_value == 0


def test_what_is_known_of_the_start_is_taken_into_account() -> None:
    """Debian's kernel is packed with xz, and has its Xen disk driver as a module."""
    assert run(AMD64, "--for", "pv-x86_64", "--aki", "1.05").return_value == 0
    old = run(AMD64, "--for", "pv-x86_64", "--aki", "1.03", "--json")
    found = json.loads(old.stdout)["subjects"][0]["verdicts"]["pv-x86_64"]["findings"]
    assert [finding["option"] for finding in found if finding["severity"] == "boot"] == ["KERNEL_XZ"]
    assert run(AMD64, "--for", "pv-x86_64", "--aki", "aki-5c21674b").return_value == 0
    assert run(AMD64, "--for", "hvm-x86_64", "--layout", "gpt-ext4", "--boot-mode", "uefi").return_value == 0
    assert run(AMD64, "--for", "pv-x86_64", "--initramfs", "none").return_value == 1


@pytest.mark.parametrize("arguments", [["--aki", "2.0"], ["--aki", "aki-00000000"], ["--layout", "round"]])
def test_a_start_that_nobody_knows_is_wrong_usage(arguments: list[str]) -> None:
    assert isinstance(run(AMD64, *arguments).exception, click.UsageError)


def test_the_modules_that_the_initramfs_must_hold_are_named() -> None:
    verdict = json.loads(run(AMD64, "--for", "pv-x86_64", "--json").stdout)["subjects"][0]["verdicts"]["pv-x86_64"]
    assert verdict["boots"] is True
    assert "xen-blkfront" in verdict["initramfs_must_hold"]
    assert "if its initramfs holds" in " ".join(run(AMD64, "--for", "pv-x86_64").output.split())
