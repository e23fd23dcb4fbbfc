"""Whatever goes wrong between us and AWS: the same snapshot content, one snapshot, one image, nothing beside them."""

import json
import os
import urllib.request
from collections.abc import Iterator
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from wizard.cloud import images, pace, snapshot
from wizard.cloud.practice import faults, server
from wizard.cloud.practice.faults import FAULTS, REQUESTS_UNTIL_EXPIRED, Faults, wish
from wizard.cloud.practice.process import HEALTH, practice_cloud
from wizard.cloud.read_back import read_back
from wizard.cloud.session import block_putter, client
from wizard.explain import Failure
from wizard.plan.actions import BUILD_TAG
from wizard.run.journal import Journal

BLOCK = 524288
BLOCKS = 150
NUMBERS = count(1)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cloud")


@pytest.fixture(scope="module")
def endpoint(folder: Path) -> Iterator[str]:
    with practice_cloud(folder) as url:
        yield url


@pytest.fixture(autouse=True)
def calm(folder: Path) -> Iterator[None]:
    yield
    wish(folder, "")


@pytest.fixture
def image(tmp_path: Path) -> Path:
    path = tmp_path / "image"
    path.write_bytes(os.urandom(BLOCKS * BLOCK))
    os.truncate(path, 1 << 30)
    return path


def upload(endpoint: str, region: str, image: Path) -> str:
    parts: dict[str, int] = {}
    return snapshot.upload(
        image,
        put=block_putter(region, endpoint),
        ebs=client("ebs", region, endpoint),
        ec2=client("ec2", region, endpoint),
        journal=Journal(image.with_name("journal")),
        ledger=image.with_name("ledger"),
        description="a test",
        tags={BUILD_TAG: "1"},
        volume_gib=1,
        progress=lambda _done, _total, said: parts.update(said),
    )


@pytest.mark.slow
@pytest.mark.parametrize("names", ["throttle", "rate", "reset", "500", "throttle,reset,500"])
def test_the_image_arrives_whole_and_once(names: str, endpoint: str, folder: Path, image: Path) -> None:
    region = f"eu-fault-{next(NUMBERS)}"
    wish(folder, names)
    ec2, journal = client("ec2", region, endpoint), Journal(image.with_name("register"))

    snapshot_id = upload(endpoint, region, image)
    image_id = images.register(ec2, journal, parameters(snapshot_id), "1")

    wish(folder, "")
    back = image.with_name("back")
    read_back(client("ebs", region, endpoint), snapshot_id, back)
    assert same(image, back)
    assert [found["SnapshotId"] for found in ec2.describe_snapshots(OwnerIds=["self"])["Snapshots"]] == [snapshot_id]
    assert [found["ImageId"] for found in ec2.describe_images(Owners=["self"])["Images"]] == [image_id]


def parameters(snapshot_id: str) -> dict[str, Any]:
    return {
        "Name": "an image",
        "Architecture": "x86_64",
        "VirtualizationType": "hvm",
        "RootDeviceName": "/dev/xvda",
        "BlockDeviceMappings": [{"DeviceName": "/dev/xvda", "Ebs": {"SnapshotId": snapshot_id}}],
    }


def same(one: Path, other: Path) -> bool:
    with one.open("rb") as first, other.open("rb") as second:
        return all(first.read(BLOCK) == second.read(BLOCK) for _ in range((1 << 30) // BLOCK))


@pytest.mark.slow
def test_credentials_that_expire_in_the_middle_stop_it_and_new_ones_go_on(
    endpoint: str, folder: Path, image: Path
) -> None:
    region = f"eu-fault-{next(NUMBERS)}"
    wish(folder, "expire")
    with pytest.raises(Failure) as caught:
        upload(endpoint, region, image)
    assert caught.value.code == "expired-credentials"
    wish(folder, "")

    snapshot_id = upload(endpoint, region, image)

    ec2 = client("ec2", region, endpoint)
    assert [found["SnapshotId"] for found in ec2.describe_snapshots(OwnerIds=["self"])["Snapshots"]] == [snapshot_id]


def test_a_fault_that_nobody_knows_is_told_with_those_that_there_are(tmp_path: Path) -> None:
    with pytest.raises(Failure) as caught:
        wish(tmp_path, "throttle,flood")
    assert caught.value.code == "unknown-practice-fault"
    assert "flood" in str(caught.value.facts["name"])


def test_without_a_wish_nothing_goes_wrong(tmp_path: Path) -> None:
    assert {Faults(tmp_path).draw() for _ in range(1000)} == {None}


@pytest.mark.parametrize("name", ["throttle", "reset", "500", "stall"])
def test_a_fault_comes_about_as_often_as_it_is_said_to(name: str, tmp_path: Path) -> None:
    wish(tmp_path, name)
    drawn = Faults(tmp_path)
    found = [drawn.draw() for _ in range(20_000)].count(name)
    assert 0.5 < found / (20_000 * faults.CHANCES[name]) < 1.5


def test_credentials_expire_after_some_requests_and_not_before(tmp_path: Path) -> None:
    wish(tmp_path, "expire")
    drawn = Faults(tmp_path)
    assert {drawn.draw() for _ in range(REQUESTS_UNTIL_EXPIRED)} == {None}
    assert {drawn.draw() for _ in range(50)} == {"expire"}


def test_a_rate_is_a_limit_and_not_a_chance(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    now = 0.0
    monkeypatch.setattr("wizard.cloud.practice.faults.time.monotonic", lambda: now)
    wish(tmp_path, "rate")
    drawn = Faults(tmp_path)
    assert [drawn.draw() for _ in range(200)].count(None) == faults.REQUESTS_A_SECOND
    now = 0.1
    assert [drawn.draw() for _ in range(200)].count(None) == faults.REQUESTS_A_SECOND // 10


def test_every_fault_has_its_words_and_its_effect() -> None:
    assert FAULTS.keys() == faults.CHANCES.keys() | {"rate", "expire"}
    assert server.REFUSALS.keys() | {"rate", "reset", "stall"} == FAULTS.keys()
    assert pace.FLOOR > 1


def test_what_was_sent_is_counted_and_a_delay_makes_every_answer_late(endpoint: str, folder: Path, image: Path) -> None:
    before = traffic(endpoint)
    wish(folder, "delay=50")
    assert Faults(folder).delay() == 0.05
    upload(endpoint, "eu-north-1", image)
    after = traffic(endpoint)
    assert after["puts"] - before["puts"] == BLOCKS
    assert after["body_bytes"] - before["body_bytes"] >= BLOCKS * BLOCK


def traffic(endpoint: str) -> dict[str, Any]:
    with urllib.request.urlopen(f"{endpoint}{HEALTH}") as said:
        found: dict[str, Any] = json.load(said)["traffic"]
    return found
