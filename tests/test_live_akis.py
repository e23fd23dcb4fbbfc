"""AWS's own list of AKIs, held against ours: new, gone, changed and confirmed rows; and nobody home."""

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from botocore.stub import Stubber
from click.testing import CliRunner, Result
from waits import settle, wait_for

from screens.app import Wizard
from screens.meanwhile import Lookups
from wizard import folders, questions
from wizard.cli.akis import akis as command
from wizard.cloud import akis as cloud
from wizard.cloud.session import client
from wizard.explain import Failure
from wizard.targets import akis, latency, live
from wizard.targets.regions import regions

ASKED = {"Owners": ["amazon"], "Filters": [{"Name": "name", "Values": ["pv-grub-*.gz"]}]}
REGION = "us-east-1"
PV = {"target.arch": "x86_64", "target.virtualization": "paravirtual", "target.region": REGION}

Stub = Callable[[str], Stubber]


@pytest.fixture
def aws(monkeypatch: pytest.MonkeyPatch) -> Iterator[Stub]:
    """AWS with answers of ours; every request must be the one that is expected."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
    stubs: dict[str, Stubber] = {}
    clients: dict[str, Any] = {}

    def stubbed(region: str) -> Stubber:
        clients[region] = client("ec2", region, None)
        stubs[region] = Stubber(clients[region])
        stubs[region].activate()
        return stubs[region]

    monkeypatch.setattr(cloud, "client", lambda _service, region, *_: clients[region])
    yield stubbed
    for stub in stubs.values():
        stub.assert_no_pending_responses()


def listing(*without: str, **renamed: str) -> dict[str, Any]:
    """What AWS says: our rows of the region, less some, some by another name."""
    rows = [row for row in akis.matching(REGION) if row.aki not in without]
    names = {row.aki: renamed.get(row.aki.replace("-", "_"), row.image_name) for row in rows}
    images = [{"ImageId": aki, "Name": name} for aki, name in names.items()]
    images.append({"ImageId": "aki-0e00e001", "Name": "pv-grub-hd0_1.06-x86_64.gz"})
    images.append({"ImageId": "aki-0other01", "Name": "pv-grub-something-else.gz"})
    return {"Images": images}


def test_each_id_is_marked_confirmed_new_gone_or_changed(aws: Stub) -> None:
    said = listing("aki-919dcaf8", aki_88aa75e1="pv-grub-hd0_1.03-i386.gz")
    aws(REGION).add_response("describe_images", said, ASKED)
    marks = live.compared(cloud.ask(REGION))
    assert marks["aki-5c21674b"] == "confirmed"
    assert marks["aki-919dcaf8"] == "gone"
    assert marks["aki-88aa75e1"] == "changed"
    assert marks["aki-0e00e001"] == "new"
    assert "aki-0other01" not in marks
    assert set(marks) == {row.aki for row in akis.matching(REGION)} | {"aki-0e00e001"}


def test_the_answer_is_kept_with_its_date_and_the_questions_show_it(aws: Stub) -> None:
    aws(REGION).add_response("describe_images", listing("aki-5c21674b"), ASKED)
    answer = cloud.ask(REGION)
    assert live.last(REGION) == answer
    options = {option.value: option for option in questions.find("target.aki").options(PV)}
    assert options["aki-5c21674b"].impossible == "AWS no longer lists it"
    assert "confirmed by AWS" in options["aki-919dcaf8"].note
    assert "new at AWS" in options["aki-0e00e001"].outdone
    assert questions.value("target.aki", PV) == "aki-919dcaf8", "the next best is offered"


def test_an_id_that_aws_listed_may_stand_in_a_recipe(aws: Stub) -> None:
    given = {**PV, "target.aki": "aki-0e00e001"}
    assert "not one of the choices" in str(questions.problem("target.aki", "aki-0e00e001", PV))
    aws(REGION).add_response("describe_images", listing(), ASKED)
    cloud.ask(REGION)
    assert questions.recipe(given).target.aki == "aki-0e00e001"


@pytest.mark.parametrize("text", ["", "{", "[]", '{"checked": 1}', '{"checked": "x", "akis": [{"region": "r"}]}'])
def test_a_damaged_answer_counts_as_none(text: str) -> None:
    folders.answers().mkdir(parents=True)
    (folders.answers() / f"akis-{REGION}.json").write_text(text)
    assert live.last(REGION) is None
    assert questions.value("target.aki", PV) == "aki-5c21674b"


def test_a_throttled_region_is_explained_and_keeps_no_answer(aws: Stub) -> None:
    aws(REGION).add_client_error("describe_images", "RequestLimitExceeded", "Request limit exceeded.", 503)
    with pytest.raises(Failure) as caught:
        cloud.ask(REGION)
    assert caught.value.code == "throttled"
    assert live.last(REGION) is None


def run(*arguments: str) -> Result:
    return CliRunner().invoke(command, arguments, standalone_mode=False)


def test_the_command_marks_what_aws_says_and_does_not_advise_what_is_gone(aws: Stub) -> None:
    aws(REGION).add_response("describe_images", listing("aki-5c21674b"), ASKED)
    answer = json.loads(run("--region", REGION, "--arch", "x86_64", "--live", "--json").output)
    marks = {row["aki"]: row["live"] for row in answer["akis"]}
    assert marks == {"aki-919dcaf8": "confirmed", "aki-0e00e001": "new"}
    assert answer["live"][REGION]["checked"]


def test_without_credentials_the_table_is_printed_and_the_reason_beside_it() -> None:
    result = run("--region", REGION, "--live", "--json")
    assert result.return_value == 1
    answer = json.loads(result.stdout)
    assert [row["aki"] for row in answer["akis"]] == ["aki-04206613", "aki-5c21674b"]
    assert answer["live"][REGION]["error"]["code"] == "no-credentials"
    assert "Not checked against AWS: us-east-1" in result.stderr


def test_one_region_that_refuses_does_not_hold_up_the_others(aws: Stub) -> None:
    aws(REGION).add_response("describe_images", listing(), ASKED)
    aws("cn-north-1").add_client_error("describe_images", "AuthFailure", "no", 401)
    found = cloud.ask_all([REGION, "cn-north-1"])
    assert isinstance(found[REGION], live.Answer)
    refused = found["cn-north-1"]
    assert isinstance(refused, Failure) and refused.code == "invalid-credentials"


def test_the_regions_are_ordered_by_how_far_they_are_where_that_is_known() -> None:
    def probe(host: str) -> float:
        if "eu-" not in host:
            raise OSError("unreachable")
        return 0.012 if "eu-west-3" in host else 0.03

    latency.measure(regions(), probe)
    options = questions.find("target.region").options({"target.arch": "x86_64"})
    assert options[0].value == "eu-west-3"
    assert "12 ms" in options[0].note
    assert all("ms" in option.note for option in options[:3])
    assert "ms" not in options[-1].note


def test_offline_the_regions_keep_their_order_and_nothing_is_kept() -> None:
    before = questions.find("target.region").options({})

    def probe(_host: str) -> float:
        raise OSError("no network")

    assert latency.measure(regions(), probe) == {}
    assert questions.find("target.region").options({}) == before


def test_an_old_measurement_is_forgotten() -> None:
    folders.answers().mkdir(parents=True)
    kept = {"measured": "2020-01-01T00:00:00+00:00", "milliseconds": {"eu-west-1": 5}}
    (folders.answers() / "latency.json").write_text(json.dumps(kept))
    assert latency.measured() == {}


def test_a_region_that_must_be_switched_on_says_so() -> None:
    options = {option.value: option for option in questions.find("target.region").options({})}
    assert "opt-in" in options["af-south-1"].note
    assert "opt-in" not in options["us-east-1"].note


async def test_the_screen_asks_once_beside_the_person_and_says_what_came_of_it() -> None:
    asked: list[str] = []

    def answer(region: str) -> str:
        asked.append(region)
        return "AWS was asked just now: 18 confirmed"

    app = Wizard(practice=False, answers=PV)
    app._looks_ahead = True
    app._lookups = Lookups(app, app._note_lookups, ask_akis=answer, measure=lambda: "")
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.press("enter")
        await settle(pilot)
        assert "18 confirmed" in str(app.query_one(".asked").render())
        await pilot.press("ctrl+n", "escape")
        await settle(pilot)
        assert asked == [REGION]
        assert "18 confirmed" in str(app.query_one(".asked").render())


async def test_the_whole_table_is_on_the_screen_and_narrows_as_one_types_by_keyboard_and_mouse() -> None:
    from screens.field import Field
    from screens.inputs import Choices

    app = Wizard(practice=True, answers=PV)
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.press("enter")
        await settle(pilot)
        field = next(one for one in app.query(Field) if one.question.path == "target.aki")
        await pilot.click(field.query_one(".value"))
        rows = field.query_one(Choices)
        await wait_for(pilot, lambda: rows.has_focus)
        assert rows.option_count == 149
        assert str(rows.get_option_at_index(0).prompt).startswith("● aki-5c21674b")
        await pilot.press(*"hd00 1.04")
        await settle(pilot)
        enabled = [rows.get_option_at_index(place) for place in range(rows.option_count)]
        assert [option.id for option in enabled if not option.disabled] == ["aki-499ccb20"]
        await pilot.click(rows, offset=(5, 0))
        await wait_for(pilot, lambda: app.answers.get("target.aki") == "aki-499ccb20")


def test_nothing_is_asked_of_aws_in_practice_mode(monkeypatch: pytest.MonkeyPatch) -> None:
    app = Wizard(practice=True, answers=PV)
    monkeypatch.setattr(Lookups, "about", lambda *_: pytest.fail("AWS was asked"))
    app.flow = app.flow.goto("target", force=True)
    app._meanwhile()
