"""What was published is taken back: all of it, in every region, and nothing of anybody else's."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from practice_images import Made, client, described, image, lose_answer, snapshot

from wizard.cloud import images, parameters, removal
from wizard.cloud.practice.process import practice_cloud
from wizard.explain import Failure
from wizard.plan.actions import BUILD_TAG, ProtectImage, PutParameter
from wizard.run.journal import Journal


@pytest.fixture(scope="module")
def endpoint(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with practice_cloud(tmp_path_factory.mktemp("cloud")) as url:
        yield url


@pytest.fixture(autouse=True)
def _clients(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in ("publishing", "removal"):
        monkeypatch.setattr(f"wizard.cloud.{module}.client", client)


@pytest.fixture(scope="module")
def shared(endpoint: str) -> str:
    """A snapshot that no build has made."""
    return snapshot(endpoint, "us-east-1")


@pytest.fixture
def made(endpoint: str, tmp_path: Path, shared: str) -> Made:
    return Made(endpoint, tmp_path, shared)


@pytest.fixture
def whole(endpoint: str, tmp_path: Path) -> Made:
    """With a snapshot of its own, as a build leaves it."""
    return Made(endpoint, tmp_path)


def test_everything_goes_in_every_region_and_the_second_time_there_is_nothing(whole: Made) -> None:
    whole.copy()
    for region in (whole.home, whole.there):
        (whole.folder / region).write_text(next(iter(whole.images(region))))
        whole.perform(ProtectImage(region, region, False, whole.build))
        whole.perform(PutParameter(region, region, whole.name, {BUILD_TAG: whole.build}))

    removed = whole.clean()

    assert [line.split()[1].split("-")[0] for line in removed] == ["/images/web"] * 2 + ["ami", "snap"] * 2
    for region in (whole.home, whole.there):
        assert whole.images(region) == whole.snapshots(region) == []
        assert parameters.find(client("ssm", region, whole.endpoint), whole.name) is None
    assert whole.clean() == []


def test_without_any_journal_the_tags_tell_what_goes(whole: Made) -> None:
    whole.copy()
    whole.perform(PutParameter(whole.home, "image-id", whole.name, {BUILD_TAG: whole.build}))
    for path in whole.folder.glob("*.jsonl"):
        path.unlink()
    assert len(whole.clean()) == 5
    assert whole.clean() == []


def test_a_copy_whose_answer_was_lost_goes_too(made: Made) -> None:
    lose_answer(made.ec2, "CopyImage")
    with pytest.raises(Failure):
        made.copy()
    made.clean()
    assert made.images(made.there) == made.snapshots(made.there) == []


def test_a_parameter_gets_back_what_it_held_before(made: Made) -> None:
    older = image(made.endpoint, made.home, f"older {made.build}", snapshot(made.endpoint, made.home))
    parameters.put(made.ssm, Journal(made.folder / "of-somebody"), made.name, older, {})
    made.perform(PutParameter(made.home, "image-id", made.name, {BUILD_TAG: made.build}))
    assert (parameters.find(made.ssm, made.name) or {})["Value"] == made.image

    assert f"{made.name} in {made.home} holds {older} again" in made.clean()
    assert images.look_up(client("ec2", made.home, made.endpoint), older) is not None


def test_a_parameter_that_names_another_image_by_now_is_left_alone(made: Made) -> None:
    made.perform(PutParameter(made.home, "image-id", made.name, {BUILD_TAG: made.build}))
    newer = image(made.endpoint, made.home, f"newer {made.build}", snapshot(made.endpoint, made.home))
    parameters.put(made.ssm, Journal(made.folder / "of-another-build"), made.name, newer, {})
    made.clean()
    assert (parameters.find(made.ssm, made.name) or {})["Value"] == newer


def test_a_protection_that_somebody_else_set_is_not_lifted(made: Made) -> None:
    client("ec2", made.home, made.endpoint).enable_image_deregistration_protection(ImageId=made.image)
    with pytest.raises(Failure) as caught:
        made.clean()
    assert caught.value.code == "deregistration-protected"
    assert made.images(made.home) == [made.image]


def test_a_cooldown_begins_in_every_region_at_once_and_its_end_is_said(made: Made) -> None:
    made.copy()
    for region in (made.home, made.there):
        (made.folder / region).write_text(next(iter(made.images(region))))
        made.perform(ProtectImage(region, region, True, made.build))
    with pytest.raises(Failure) as caught:
        made.clean()
    assert caught.value.code == "deregistration-cooldown"
    assert caught.value.facts["until"].endswith("Z")
    for region in (made.home, made.there):
        (found,) = made.images(region)
        assert described(made.endpoint, region, found)["DeregistrationProtection"].startswith("disabled after ")


def test_a_snapshot_that_somebody_elses_image_needs_is_left_to_them(whole: Made) -> None:
    theirs = image(whole.endpoint, whole.home, f"theirs {whole.build}", whole.snapshot)
    with pytest.raises(Failure) as caught:
        whole.clean()
    assert (caught.value.code, caught.value.facts["image_id"]) == ("snapshot-in-use", theirs)
    assert described(whole.endpoint, whole.home, theirs)["State"] == "available"


def test_an_ordinary_build_never_asks_for_parameters(made: Made, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    def note(service: str, *rest: Any) -> Any:
        asked.append(service)
        return client(service, *rest)

    monkeypatch.setattr("wizard.cloud.removal.client", note)
    traces = removal.Traces(made.build, [made.home], [], Journal(made.folder / "clean.jsonl"), False, False)
    list(removal.tagged(made.endpoint, traces))
    list(removal.remove(made.endpoint, traces))
    assert set(asked) == {"ec2"}
