"""The real command, from a recipe with [publish] to images in three regions, and back to nothing."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from own_userlands import fill
from practice_images import described, own_images, own_snapshots
from real_builds import ami_wizard, build, digest, recipe_file

from wizard.cloud import parameters
from wizard.cloud.practice.faults import wish
from wizard.cloud.practice.process import practice_cloud
from wizard.cloud.read_back import read_back
from wizard.cloud.session import client
from wizard.run.builds import Build

pytestmark = pytest.mark.slow

HOME, COPIES = "us-east-1", ["eu-west-1", "ap-southeast-2"]
REGIONS = [HOME, *COPIES]

RECIPE = """\
name = "{name}"
prove = false
[target]
region = "us-east-1"
arch = "x86_64"
[distro]
name = "own"
source = "{source}"
unsigned = true
[publish]
regions = ["eu-west-1", "ap-southeast-2"]
share_with = ["999988887777", "everyone"]
deprecate_after_days = 90
protect = true
ssm_parameter = "/images/{name}"
"""


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home with a userland that is nearly nothing."""
    folder = tmp_path_factory.mktemp("published")
    fill(folder / "userland")
    return folder


@pytest.fixture(scope="module")
def endpoint(place: Path) -> Iterator[str]:
    with practice_cloud(place / "practice") as url:
        yield url


def test_everything_is_there_in_every_region_and_goes_again(place: Path, endpoint: str, tmp_path: Path) -> None:
    text = RECIPE.format(name="published", source=place / "userland")
    last = build(place, text, home=place)
    tag = Build(place / "builds" / last["build"]).facts().tag

    assert last["copies"].keys() == set(COPIES)
    for region in REGIONS:
        (image_id,) = own_images(endpoint, region, tag)
        assert image_id == {HOME: last["image_id"], **last["copies"]}[region]
        found = described(endpoint, region, image_id)
        assert (found["State"], found["Public"]) == ("available", True)
        assert found["DeregistrationProtection"] == "enabled-without-cooldown"
        assert found["DeprecationTime"] > found["CreationDate"]
        held = parameters.find(client("ssm", region, endpoint), "/images/published")
        assert held is not None
        assert held["Value"] == image_id
        assert len(own_snapshots(endpoint, region, tag)) == 1
    (snapshot_id,) = own_snapshots(endpoint, COPIES[0], tag)
    read_back(client("ebs", COPIES[0], endpoint), snapshot_id, tmp_path / "back")
    assert digest(tmp_path / "back") == last["sha256"]
    assert steps_overlap(place, last["build"])
    assert build(place, text, home=place)["copies"] == last["copies"], "the second time nothing new is made"

    listed = json.loads(ami_wizard("builds", "--json", home=place).stdout)["builds"][0]["resources"]
    kinds = sorted((one["kind"], one["region"]) for one in listed)
    assert kinds == sorted((kind, region) for kind in ("image", "parameter", "snapshot") for region in REGIONS)
    done = ami_wizard("clean", last["build"], "--cloud", "--yes", home=place)
    assert done.returncode == 0, done.stderr
    assert is_empty(endpoint, tag)


def steps_overlap(place: Path, build_id: str) -> bool:
    """Whether both copies had begun before one of them had ended."""
    events = [event for event in Build(place / "builds" / build_id).events() if "copy-" in str(event.get("step"))]
    kinds = [event["event"] for event in events if event["event"] in ("step_started", "step_finished")]
    return kinds[:2] == ["step_started", "step_started"]


def is_empty(endpoint: str, tag: str) -> bool:
    stores = [client("ssm", region, endpoint) for region in REGIONS]
    return not any(
        [
            *(own_images(endpoint, region, tag) for region in REGIONS),
            *(own_snapshots(endpoint, region, tag) for region in REGIONS),
            *(parameters.tagged(store, tag) for store in stores),
        ]
    )


def test_with_every_fault_there_is_still_one_of_each(place: Path, endpoint: str) -> None:
    """Throttled, failed and broken-off requests, each before or after it took effect."""
    text = RECIPE.format(name="troubled", source=place / "userland")
    try:
        last = until_it_ends_well(place, text)
    finally:
        wish(place / "practice", "")
    tag = Build(place / "builds" / last["build"]).facts().tag
    for region in REGIONS:
        assert len(own_images(endpoint, region, tag)) == len(own_snapshots(endpoint, region, tag)) == 1
    assert ami_wizard("clean", last["build"], "--cloud", "--yes", home=place).returncode == 0
    assert is_empty(endpoint, tag)


def until_it_ends_well(place: Path, text: str, attempts: int = 5) -> dict[str, Any]:
    """Runs the same command again, as a person would, until nothing goes wrong any more."""
    command = ["build", str(recipe_file(place, text)), "--practice", "--json"]
    for _ in range(attempts):
        done = ami_wizard(*command, "--practice-faults", "throttle,reset,500", home=place)
        last: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
        if last["event"] == "finished":
            return last
        assert last["explanation"]["code"] in ("throttled", "no-network-to-aws"), last
    raise AssertionError(last)
