"""`ami-wizard upload`: an image file becomes a snapshot, once, however often it is asked for."""

import json
import os
import shlex
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from images import ESP, Files, Part, disk

from wizard import folders
from wizard.cli.builds import builds
from wizard.cli.clean import clean
from wizard.cli.upload import upload
from wizard.cloud import actions
from wizard.cloud.practice.process import practice_cloud
from wizard.cloud.session import client
from wizard.explain import Failure, explain
from wizard.run.uploads import all_uploads

BLOCK = 524288
REGION = "eu-west-3"


@pytest.fixture
def image(tmp_path: Path) -> Path:
    path = tmp_path / "disk.img"
    path.write_bytes(os.urandom(3 * BLOCK))
    os.truncate(path, 64 * BLOCK)
    return path


def run(*arguments: str) -> Result:
    return CliRunner().invoke(upload, [*arguments, "--practice", "--region", REGION], standalone_mode=False)


def snapshots() -> list[dict[str, Any]]:
    with practice_cloud(folders.practice()) as endpoint:
        ec2 = client("ec2", REGION, endpoint)
        return list(ec2.describe_snapshots(OwnerIds=["self"])["Snapshots"])


def test_standard_output_holds_the_snapshot_alone_and_a_second_run_gives_the_same(image: Path) -> None:
    first, second = run(str(image)), run(str(image))
    assert first.return_value == second.return_value == 0
    assert first.stdout == second.stdout
    (made,) = [found for found in snapshots() if found["SnapshotId"] == first.stdout.strip()]
    assert (made["State"], made["VolumeSize"]) == ("completed", 1)
    assert "100 %" in first.stderr


def test_json_has_what_a_script_needs(image: Path) -> None:
    said = json.loads(run(str(image), "--json").stdout)
    assert said.keys() == {"snapshot_id", "region", "image", "cost", "upload", "register", "warning"}
    assert (said["region"], said["image"]) == (REGION, str(image))


def test_a_changed_image_gets_a_snapshot_of_its_own(image: Path) -> None:
    first = run(str(image)).stdout
    with image.open("r+b") as file:
        file.write(b"changed")
    second = run(str(image)).stdout
    assert second != first
    assert {first.strip(), second.strip()} <= {found["SnapshotId"] for found in snapshots()}


def test_stopped_it_goes_on_with_the_same_snapshot(image: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = len(snapshots())

    def stop(*_: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("wizard.cli.upload._Teller.__call__", stop)
        stopped = run(str(image))
    assert (stopped.return_value, stopped.stdout) == (130, "")
    assert "the same command goes on" in stopped.stderr
    assert run(str(image)).return_value == 0
    assert len(snapshots()) == before + 1


@pytest.mark.parametrize(
    ("content", "code"),
    [(b"QFI\xfb" + bytes(600), "not-a-raw-image"), (b"", "no-image-file")],
    ids=["qcow2", "empty"],
)
def test_what_is_no_raw_image_is_refused_before_anything_is_made(content: bytes, code: str, tmp_path: Path) -> None:
    path = tmp_path / "image"
    path.write_bytes(content)
    failure = run(str(path)).exception
    assert isinstance(failure, Failure)
    assert failure.code == code


def test_two_at_once_are_one_too_many(image: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    inner: list[Result] = []

    def meanwhile(*_: Any) -> dict[str, Any]:
        inner.append(run(str(image)))
        raise Failure("no-network-to-aws", region=REGION)

    monkeypatch.setattr(actions, "perform", meanwhile)
    run(str(image))
    failure = inner[0].exception
    assert isinstance(failure, Failure)
    assert failure.code == "upload-is-running"


def test_what_holds_no_disk_goes_up_with_a_warning(image: Path) -> None:
    said = run(str(image))
    assert said.return_value == 0
    assert "Warning:" in said.stderr
    assert "no partition table" in said.stderr
    assert f"aws ec2 create-volume --region {REGION} --snapshot-id {said.stdout.strip()}" in said.stderr


@pytest.mark.slow
def test_of_an_image_that_starts_it_says_how_to_register_it(tmp_path: Path) -> None:
    """By UEFI: an ESP with a program for firmware in it."""
    program = bytearray(0x200)
    program[:2], program[60:64], program[0x80:0x86] = b"MZ", (0x80).to_bytes(4, "little"), b"PE\0\0\x64\x86"
    tree = Files(tmp_path / "esp", {"EFI/BOOT/BOOTX64.EFI": bytes(program)}).folder
    path = disk(tmp_path / "web.img", "gpt", Part("vfat", tree, 40, type=ESP))
    said = run(str(path))
    assert "Warning" not in said.stderr
    line = next(line for line in said.stderr.splitlines() if "register-image" in line)
    options = shlex.split(line)
    assert options[:3] == ["aws", "ec2", "register-image"]
    given = dict(zip(options[3::2], options[4::2], strict=False))
    assert given["--architecture"] == "x86_64"
    assert given["--boot-mode"] == "uefi"
    assert given["--name"] == "web"
    assert given["--block-device-mappings"] == f"DeviceName=/dev/xvda,Ebs={{SnapshotId={said.stdout.strip()}}}"


@pytest.mark.parametrize("what", ["folder", "missing", "empty"])
def test_what_is_no_file_with_bytes_is_told_so_and_not_about_kernels(what: str, tmp_path: Path) -> None:
    path = tmp_path / "thing"
    if what == "folder":
        path.mkdir()
    elif what == "empty":
        path.touch()
    failure = run(str(path)).exception
    assert isinstance(failure, Failure)
    card = explain(failure)
    assert card.code == "no-image-file"
    assert "kernel" not in " ".join([card.what, card.why, *card.do])


def test_it_is_listed_and_can_be_removed_with_its_snapshots(image: Path) -> None:
    first = run(str(image)).stdout.strip()
    with image.open("r+b") as file:
        file.write(b"changed")
    second = run(str(image)).stdout.strip()
    (row,) = json.loads(CliRunner().invoke(builds, ["--json"]).stdout)["uploads"]
    assert (row["image"], row["practice"]) == (str(image), True)
    assert {one["id"] for one in row["resources"]} == {first, second}
    shown = CliRunner().invoke(builds, []).stdout
    assert f"snapshot {first} in {REGION} (practice)" in shown

    done = CliRunner().invoke(clean, [row["id"], "--cloud", "--yes"], standalone_mode=False)

    assert done.return_value == 0
    assert not {first, second} & {found["SnapshotId"] for found in snapshots()}
    assert json.loads(CliRunner().invoke(builds, ["--json"]).stdout)["uploads"] == []


def test_the_tag_is_drawn_once_so_that_no_other_machine_s_upload_of_the_same_path_has_it(image: Path) -> None:
    run(str(image))
    (first,) = all_uploads()
    assert first.tag != first.id
    run(str(image))
    assert [one.tag for one in all_uploads()] == [first.tag]


def test_without_cloud_it_says_what_stays(image: Path) -> None:
    made = run(str(image)).stdout.strip()
    (row,) = json.loads(CliRunner().invoke(builds, ["--json"]).stdout)["uploads"]
    done = CliRunner().invoke(clean, [row["id"], "--yes"], standalone_mode=False)
    assert "--cloud would remove it too" in done.stderr
    assert made in {found["SnapshotId"] for found in snapshots()}
