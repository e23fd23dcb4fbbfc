"""The doctor says what this machine lacks, why that is needed, and how to get it."""

import json
import subprocess
from collections.abc import Sequence
from pathlib import Path

import click
import pytest
from click.testing import CliRunner, Result

from wizard import folders, host
from wizard.cli import doctor as module
from wizard.cli.doctor import as_text, doctor, examine, install_packages
from wizard.explain import Failure
from wizard.run import room

look_at_namespaces = module._namespaces


@pytest.fixture(autouse=True)
def machine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A machine that has every needed program and lacks the others; its programs are files in the folder given."""
    monkeypatch.setenv("AMI_WIZARD_HOME", str(tmp_path / "home"))
    monkeypatch.setattr(room, "NEEDED_MIB", 1)
    monkeypatch.setattr(module, "TEMPORARY_MIB", 1)
    monkeypatch.setattr("platform.machine", lambda: "x86_64")
    monkeypatch.setattr(host.Tool, "found", lambda tool: _found(tmp_path / "bin", tool))
    monkeypatch.setattr(module, "_namespaces", lambda: None)
    programs = tmp_path / "bin"
    programs.mkdir()
    for tool in host.tools().values():
        if tool.is_needed():
            (programs / tool.name.strip("/").replace("/", "_")).touch()
    return programs


def _found(programs: Path, tool: host.Tool) -> Path | None:
    path = programs / tool.name.strip("/").replace("/", "_")
    return path if path.exists() else None


def run(*options: str) -> Result:
    return CliRunner().invoke(doctor, options, standalone_mode=False)


def test_a_machine_with_everything_is_told_so() -> None:
    result = run()
    assert result.return_value == 0
    assert "a build can start" in result.stdout


def test_a_missing_program_is_named_with_its_use_its_package_and_the_command(machine: Path) -> None:
    (machine / "sfdisk").unlink()
    result = run()
    assert result.return_value == 1
    assert "MISSING  sfdisk: writes the partition table into the image (package fdisk)" in result.stdout
    assert "apt-get install --no-install-recommends -y fdisk" in result.stderr


def test_what_only_other_architectures_need_is_no_problem() -> None:
    report = examine()
    assert report.problems == ()
    assert {tool.name for tool in report.missing(needed=False)} >= {"qemu-aarch64-static", "arch-test"}
    assert "optional qemu-aarch64-static" in as_text(report)


def test_an_arm64_machine_needs_no_bios_boot_loader(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("platform.machine", lambda: "aarch64")
    needed = {tool.name for tool in host.tools().values() if tool.is_needed()}
    assert "/usr/lib/grub/i386-pc/boot.img" not in needed
    assert "/usr/lib/grub/x86_64-efi/linux.mod" not in needed
    assert "grub-mkimage" in needed


def test_newuidmap_is_needed_only_without_root(monkeypatch: pytest.MonkeyPatch) -> None:
    for user, needed in ((0, False), (1000, True)):
        monkeypatch.setattr("os.geteuid", lambda user=user: user)
        assert host.tools()["newuidmap"].is_needed() == needed


def test_with_json_standard_output_is_one_object_of_the_documented_shape(machine: Path) -> None:
    (machine / "mcopy").unlink()
    result = run("--json")
    answer = json.loads(result.stdout)
    assert not answer["ready"]
    assert answer["install"].endswith("apt-get install --no-install-recommends -y mtools")
    assert answer["problems"][0]["code"] == "missing-programs"
    assert {tool["name"]: tool["path"] for tool in answer["tools"]}["mcopy"] is None
    assert {room["for"] for room in answer["room"]} == {"finished pieces", "work", "temporary files"}


def test_too_little_room_is_a_problem_before_a_build_finds_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(room, "NEEDED_MIB", 10**9)
    result = run()
    assert result.return_value == 1
    assert "TOO LITTLE" in result.stdout
    assert str(folders.results()) in result.stderr


@pytest.mark.parametrize("flag", ["--yes", "--all"])
def test_how_to_install_without_installing_is_wrong_usage(flag: str) -> None:
    result = run(flag)
    assert isinstance(result.exception, click.UsageError)
    assert "--install" in str(result.exception)


def test_installing_without_a_terminal_and_without_a_yes_only_shows_the_command(machine: Path) -> None:
    (machine / "sfdisk").unlink()
    result = run("--install")
    assert isinstance(result.exception, Failure)
    assert result.exception.code == "not-a-terminal-to-install"
    assert "-y fdisk" in result.exception.facts["command"]


def test_installing_runs_the_one_command_that_was_shown(machine: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (machine / "sfdisk").unlink()
    ran: list[Sequence[str]] = []

    def fake(command: Sequence[str], **_options: object) -> subprocess.CompletedProcess[bytes]:
        ran.append(command)
        (machine / "sfdisk").touch()
        return subprocess.CompletedProcess(command, 0)

    monkeypatch.setattr(host, "can_install", lambda: True)
    monkeypatch.setattr("subprocess.run", fake)
    result = run("--install", "--yes")
    assert result.return_value == 0
    assert [command[-1] for command in ran] == ["fdisk"]
    assert " ".join(ran[0]) in result.stderr


def test_a_failed_installation_is_explained(machine: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(host, "can_install", lambda: True)
    monkeypatch.setattr("subprocess.run", lambda command, **_: subprocess.CompletedProcess(command, 100))
    with pytest.raises(Failure) as caught:
        install_packages([host.tools()["sfdisk"]], yes=True)
    assert caught.value.code == "install-failed"
    assert caught.value.facts["exit_code"] == "100"


def test_a_machine_without_apt_is_told_the_packages(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(host, "can_install", lambda: False)
    with pytest.raises(Failure) as caught:
        install_packages([host.tools()["mcopy"], host.tools()["mformat"]], yes=True)
    assert caught.value.facts == {"packages": "mtools"}


def test_a_machine_that_forbids_user_namespaces_is_told_how_to_allow_them(monkeypatch: pytest.MonkeyPatch) -> None:
    refusal = "unshare: unshare failed: Operation not permitted"
    monkeypatch.setattr(module, "PRELUDE", f"as_root_apart() {{ echo '{refusal}' >&2; return 1; }}")
    monkeypatch.setattr(host, "missing", lambda _names: [])
    monkeypatch.setattr(host, "can_map_users", lambda: True)
    failure = look_at_namespaces()
    assert failure is not None
    assert (failure.code, failure.evidence) == ("no-user-namespace", (refusal,))


def test_a_user_without_spare_ids_is_told_to_get_some(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(host, "missing", lambda _names: [])
    monkeypatch.setattr(host, "can_map_users", lambda: False)
    failure = look_at_namespaces()
    assert failure is not None
    assert failure.code == "no-subordinate-ids"
