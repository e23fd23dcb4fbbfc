"""`ami-wizard clean` shows what will go, asks, and forgets nothing that still costs money."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from botocore.config import Config
from click.testing import CliRunner, Result

from wizard import questions
from wizard.cli.clean import clean
from wizard.cloud import session
from wizard.explain import Failure, explain
from wizard.plan.actions import BUILD_TAG
from wizard.run import builds
from wizard.run.builds import Build


@pytest.fixture
def build() -> Build:
    """A practice build whose journal names a snapshot."""
    made = builds.create(questions.recipe({"name": "to-be-removed"}), practice=True)
    journal = made.journal("upload", "0" * 64)
    journal.asked("StartSnapshot", region="us-east-1", request={"ClientToken": "a", "Tags": []})
    journal.answered("StartSnapshot", region="us-east-1", token="a", snapshot_id="snap-1")
    return made


def run(*arguments: str) -> Result:
    return CliRunner().invoke(clean, arguments, standalone_mode=False)


def test_without_a_terminal_it_says_how_to_remove_and_not_how_to_make_an_ami(build: Build) -> None:
    failure = run(build.id, "--cloud").exception
    assert isinstance(failure, Failure)
    card = explain(failure)
    assert card.code == "not-a-terminal-to-remove"
    assert card.do[0].endswith(f"ami-wizard clean {build.id} --cloud --yes`")
    assert "practice" not in " ".join([card.what, card.why, *card.do])
    assert build.recipe_path.exists()


def test_when_the_cloud_cannot_be_reached_the_files_stay(build: Build, monkeypatch: pytest.MonkeyPatch) -> None:
    @contextmanager
    def fails(folder: Path) -> Iterator[str]:
        raise Failure("practice-cloud-did-not-start", log=folder, status=1)
        yield ""

    monkeypatch.setattr("wizard.cloud.practice.process.practice_cloud", fails)
    failure = run(build.id, "--cloud", "--yes").exception
    assert isinstance(failure, Failure)
    assert failure.code == "practice-cloud-did-not-start"
    assert builds.resources(build) == [{"kind": "snapshot", "id": "snap-1", "region": "us-east-1"}]


def test_when_the_region_does_not_answer_the_files_stay(build: Build, monkeypatch: pytest.MonkeyPatch) -> None:
    @contextmanager
    def nobody(folder: Path) -> Iterator[str]:
        yield "http://127.0.0.1:1"

    once = session.LIMITS.merge(Config(retries={"mode": "standard", "total_max_attempts": 1}))
    monkeypatch.setattr(session, "LIMITS", once)
    monkeypatch.setattr("wizard.cloud.practice.process.practice_cloud", nobody)
    failure = run(build.id, "--cloud", "--yes").exception
    assert isinstance(failure, Failure)
    assert failure.code == "no-network-to-aws"
    assert builds.resources(build) != []


def test_what_stays_in_aws_is_said_before_the_question(build: Build) -> None:
    result = run(build.id)
    assert "--cloud would remove it too" in result.stderr
    assert build.recipe_path.exists()


def test_with_yes_the_files_go(build: Build) -> None:
    assert run(build.id, "--yes").return_value == 0
    assert not build.folder.exists()


def test_what_the_tag_alone_names_goes_too_and_nothing_of_others() -> None:
    made = builds.create(questions.recipe({"name": "lost-its-journal"}), practice=True)
    tag, region = made.facts().tag, made.recipe().target.region
    with made.cloud() as endpoint:
        ours, others = (started(endpoint, region, value) for value in (tag, "somebody else's"))

        result = run(made.id, "--cloud", "--yes")

        assert f"snapshot {ours} in {region}" in result.stderr, "shown before it goes"
        assert f"removed {ours}" in result.stderr
        assert tags_of_snapshots(endpoint, region) == ["somebody else's"]
        assert others not in result.stderr
    again = builds.create(questions.recipe({"name": "lost-its-journal"}), practice=True)
    assert "snap-" not in run(again.id, "--cloud", "--yes").stderr


def started(endpoint: str | None, region: str, tag: str) -> str:
    """A snapshot that was begun, with a build's tag."""
    ebs = session.client("ebs", region, endpoint)
    return str(ebs.start_snapshot(VolumeSize=1, Tags=[{"Key": BUILD_TAG, "Value": tag}])["SnapshotId"])


def tags_of_snapshots(endpoint: str | None, region: str) -> list[str]:
    found = session.client("ec2", region, endpoint).describe_snapshots(OwnerIds=["self"])["Snapshots"]
    return [tag["Value"] for item in found for tag in item["Tags"]]


def test_a_build_that_never_launched_needs_no_permission_to_look_for_instances(
    build: Build, monkeypatch: pytest.MonkeyPatch
) -> None:
    def asked(*_: object) -> list[str]:
        raise AssertionError("it looked for instances")

    monkeypatch.setattr("wizard.cloud.instances.tagged", asked)
    monkeypatch.setattr("wizard.cloud.instances.describe", asked)
    assert run(build.id, "--cloud", "--yes").return_value == 0
