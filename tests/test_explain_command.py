"""`ami-wizard explain`: what a console, an error of AWS or a build's log says."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from wizard.cli.explain import explain

SAMPLES = sorted((Path(__file__).parent / "samples/consoles").glob("*.txt"))
BUILD_LOGS = sorted((Path(__file__).parent / "samples").glob("*.mmdebstrap*.txt"))


def said(*arguments: str, given: str | None = None) -> Result:
    return CliRunner().invoke(explain, arguments, input=given, standalone_mode=False)


def codes(result: Result) -> list[str]:
    return [one["code"] for one in json.loads(result.stdout)["explanations"]]


@pytest.mark.parametrize("sample", SAMPLES, ids=lambda path: path.stem)
def test_a_console_of_an_image_that_was_broken_on_purpose_is_explained_as_the_proof_did(sample: Path) -> None:
    """Recorded by `make breaks`; the file's name is the proof's verdict."""
    result = said(str(sample), "--json")
    assert codes(result)[0] == sample.stem
    assert result.return_value == 1
    assert json.loads(result.stdout)["reached"]


@pytest.mark.parametrize("sample", BUILD_LOGS, ids=lambda path: path.stem)
def test_a_builds_log_is_explained_as_the_build_would(sample: Path) -> None:
    assert codes(said(str(sample), "--json")) == [sample.name.split(".")[0]]


def test_an_error_of_the_aws_command_is_explained_in_its_own_words() -> None:
    text = "An error occurred (InvalidAMIName.Duplicate) when calling the RegisterImage operation: AMI name x\n"
    result = said("-", "--json", given=text)
    assert codes(result) == ["duplicate-ami-name"]
    assert json.loads(result.stdout)["reached"] is None


def test_a_console_that_came_up_has_nothing_to_explain() -> None:
    result = said("-", given="Linux version 6.1.0\n[    2.0] Run /sbin/init as init process\nlab login: ")
    assert result.return_value == 0
    assert "the last that it reached: login" in result.stdout


def test_a_kernel_that_complains_is_said_though_it_came_up() -> None:
    text = "Linux version 6.1.0\n[  2.0] BUG: kernel NULL pointer dereference, address: 0\nlab login: "
    assert codes(said("-", "--json", given=text)) == ["proof-kernel-troubles"]


@pytest.mark.parametrize(
    ("line", "code"),
    [
        ('VFS: Cannot open root device "xvda1" or unknown-block(0,0): error -6', "proof-no-root"),
        ("[ 1.0] Kernel panic - not syncing: No working init found.", "proof-no-init"),
        ("error: no such partition.", "proof-loader-wrong-disk"),
        ("Error 15: File not found", "proof-kernel-not-found"),
        ("Error 22: No such partition", "proof-loader-wrong-disk"),
        ("    Error 17: Cannot mount selected partition", "proof-loader-unreadable"),
        ("Error 28: Selected item cannot fit into memory", "proof-little-memory"),
        ("xc_dom_parse_image returned -1", "proof-kernel-not-loaded"),
    ],
    ids=[
        "root",
        "init",
        "GRUB 2",
        "PV-GRUB's file",
        "PV-GRUB's disk",
        "its file system",
        "its memory",
        "PV-GRUB's kernel",
    ],
)
def test_one_line_copied_out_of_a_console_is_explained(line: str, code: str) -> None:
    assert codes(said("-", "--json", given=line)) == [code]


def test_of_pv_grub_the_kernel_that_did_not_load_decides_and_not_the_fallback() -> None:
    console = "kernel /vmlinuz ro\nxc_dom_parse_image returned -1\n\nError 9: Unknown boot failure\n"
    assert codes(said("-", "--json", given=f"{console}  Booting 'Fallback'\n\nError 15: File not found\n")) == [
        "proof-kernel-not-loaded"
    ]


def test_another_programs_error_is_not_taken_for_a_boot_loaders() -> None:
    assert codes(said("-", "--json", given="error: pathspec 'x' did not match\n")) == []


def test_what_nobody_knows_is_not_guessed_at() -> None:
    result = said("-", given="all is well\n")
    assert result.return_value == 0
    assert "Nothing in it is known to be wrong" in result.stdout


@pytest.mark.parametrize(
    ("content", "words"), [(b"\n", "nothing in it"), (b"\x7fELF" + bytes(4096), "no text")], ids=["empty", "binary"]
)
def test_a_file_that_can_tell_nothing_is_said_to_be_so(content: bytes, words: str, tmp_path: Path) -> None:
    log = tmp_path / "console"
    log.write_bytes(content)
    assert words in said(str(log)).stdout


def test_a_console_may_hold_any_bytes(tmp_path: Path) -> None:
    log = tmp_path / "console"
    log.write_bytes(b"\xff\x00\x1b[2JLinux version 6.1\r\nKernel panic - not syncing: Attempted to kill init!\xfe\n")
    result = said(str(log))
    assert result.return_value == 1
    assert "\x1b" not in result.stdout
