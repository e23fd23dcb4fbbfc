"""`ami-wizard upload`: an image file becomes a snapshot, once, however often it is asked for."""

import json
import os
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from wizard import folders
from wizard.cli.upload import upload
from wizard.cloud import actions
from wizard.cloud.practice.process import practice_cloud
from wizard.cloud.session import client
from wizard.explain import Failure

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
