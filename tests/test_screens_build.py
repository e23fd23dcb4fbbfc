"""A build on the screen: followed, failed, left, watched.  The runner is a second implementation that replays."""

import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from textual.pilot import Pilot
from textual.widgets import Button, Log, Static
from waits import wait_for

from screens.app import Wizard
from screens.building import Building, Engine
from screens.card import Card, command_in
from screens.dialogs import Ask
from screens.farewell import farewell
from screens.inputs import Choices, Rows
from screens.logview import LogView
from screens.track import Track, progress_line, take_all
from wizard import questions
from wizard.run import builds, client
from wizard.run.builds import Build
from wizard.run.events import EventLog

Said = tuple[str, dict[str, Any]]

STARTED: Said = (
    "started",
    {
        "steps": [
            {"id": "bootstrap", "title": "Install Debian", "why": "A userland is needed.", "needs": []},
            {"id": "snapshot", "title": "Upload", "why": "An AMI is made from it.", "needs": ["bootstrap"]},
        ]
    },
)
BOOTSTRAP: tuple[Said, ...] = (
    ("step_started", {"step": "bootstrap", "key": "k1"}),
    ("command", {"step": "bootstrap", "command": "mmdebstrap bookworm"}),
    ("output", {"step": "bootstrap", "lines": ["I: [1/3] [/dev/nvme0n1p1] [red]alert", "I: done"]}),
)
SUCCESS: tuple[Said, ...] = (
    STARTED,
    *BOOTSTRAP,
    ("step_finished", {"step": "bootstrap", "key": "k1", "seconds": 75.0}),
    ("step_reused", {"step": "snapshot", "key": "k2", "seconds": 3.0}),
    (
        "finished",
        {"image_id": "ami-0123", "snapshot_id": "snap-0123", "region": "us-east-1", "sha256": "ab", "build": "b"},
    ),
)
CARD = {
    "code": "no-space",
    "what": "The disk is full.",
    "why": "The image needs more room.",
    "do": ["Make room: `df -h /tmp`."],
    "evidence": ["No space left on device [/dev/sda1]"],
}
FAILURE: tuple[Said, ...] = (
    STARTED,
    *BOOTSTRAP,
    ("step_failed", {"step": "bootstrap", "explanation": CARD}),
    ("failed", {"build": "b", "explanation": CARD}),
)


@pytest.fixture(autouse=True)
def _own_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AMI_WIZARD_HOME", str(tmp_path))


@pytest.fixture
def build() -> Build:
    return builds.create(questions.recipe({"name": "mine", "target.region": "us-east-1"}), practice=True)


def runner(*attempts: Sequence[Said], until: threading.Event | None = None) -> Engine:
    """Writes one attempt after the other, as each is started; with `until` it stays at work until that is set."""
    waiting = list(attempts)

    def start(build: Build) -> int:
        offset = build.events_path.stat().st_size if build.events_path.exists() else 0
        said, holds = waiting.pop(0), threading.Event()

        def work() -> None:
            with build.hold():
                emit = EventLog(build.events_path)
                for event, facts in said:
                    emit(event, **facts)
                holds.set()
                if until:
                    until.wait(20)

        threading.Thread(target=work, daemon=True).start()
        holds.wait(5)
        return offset

    return Engine(start=start, stop=lambda _build: None)


def text_of(pilot: Pilot[int], selector: str) -> str:
    return str(pilot.app.screen.query(selector).first(Static).render())


def failed(pilot: Pilot[int]) -> Callable[[], bool]:
    """Whether the card is there and laid out, so that it can be clicked on."""
    return lambda: (
        pilot.app.query_one(Building).track.state == "failed" and bool(pilot.app.query_one("#retry").region.area)
    )


async def test_a_build_ends_on_the_ami_and_says_what_took_how_long(build: Build) -> None:
    app = Wizard(practice=True, build=build, engine=runner(SUCCESS))
    async with app.run_test(size=(100, 40)) as pilot:
        await wait_for(pilot, lambda: bool(app.screen.query(".done .words Static")))
        text = text_of(pilot, ".done .words Static")
        assert "ami-0123" in text and "snap-0123" in text
        assert "aws ec2 run-instances --region us-east-1 --image-id ami-0123" in text
        assert "1 min 15 s" in text and "kept" in text
        await pilot.press("enter")
        await pilot.pause()
    assert app.return_value == 0


async def test_the_output_stands_on_the_screen_as_it_is(build: Build) -> None:
    stay = threading.Event()
    app = Wizard(practice=True, build=build, engine=runner((STARTED, *BOOTSTRAP), until=stay))
    async with app.run_test(size=(100, 30)) as pilot:
        await wait_for(pilot, lambda: bool(app.query_one(Log).lines))
        assert app.query_one(Log).lines[0] == "I: [1/3] [/dev/nvme0n1p1] [red]alert"
        assert "$ mmdebstrap bookworm" in text_of(pilot, ".why")
        assert "▶ running" in str(app.query_one(".steps", Rows).get_option("bootstrap").prompt)
        assert "○ waiting" in str(app.query_one(".steps", Rows).get_option("snapshot").prompt)
        stay.set()


async def test_a_failure_shows_a_card_with_a_command_and_the_ways_on(build: Build) -> None:
    app = Wizard(practice=True, build=build, engine=runner(FAILURE))
    async with app.run_test(size=(80, 24)) as pilot:
        await wait_for(pilot, failed(pilot))
        await pilot.pause()
        text = text_of(pilot, ".card .words Static")
        for words in ("The disk is full.", "Why: The image", "df -h /tmp", "[/dev/sda1]"):
            assert words in text
        assert [str(one.label) for one in app.query_one(Card).query(Button)] == [
            "Retry",
            "Edit answers",
            "Shell",
            "Log",
            "Quit, resume later",
        ]


async def test_retry_starts_the_build_again(build: Build) -> None:
    app = Wizard(practice=True, build=build, engine=runner(FAILURE, SUCCESS))
    async with app.run_test(size=(80, 24)) as pilot:
        await wait_for(pilot, failed(pilot))
        await pilot.press("enter")
        await wait_for(pilot, lambda: app.flow.current == "done")


async def test_editing_the_answers_of_a_failed_build_begins_from_its_recipe(build: Build) -> None:
    app = Wizard(practice=True, build=build, engine=runner(FAILURE))
    async with app.run_test(size=(80, 24)) as pilot:
        await wait_for(pilot, failed(pilot))
        await pilot.click("#edit")
        await wait_for(pilot, lambda: app.flow.current == "review")
        assert app.answers["name"] == "mine"


async def test_the_log_of_the_step_opens_whole_and_can_be_searched(build: Build) -> None:
    lines = ["first line", *(f"fetching {number}" for number in range(300)), "[red]Error: no space", "last line"]
    (build.logs / "bootstrap.log").write_text("\n".join(lines) + "\n")
    app = Wizard(practice=True, build=build, engine=runner(FAILURE))
    async with app.run_test(size=(80, 24)) as pilot:
        await wait_for(pilot, failed(pilot))
        await pilot.click("#log")
        await wait_for(pilot, lambda: isinstance(app.screen, LogView))
        assert list(app.screen.query_one(Log).lines) == lines
        await pilot.press("slash", *"error", "enter")
        await wait_for(pilot, lambda: "1 of 1: [red]Error: no space" in text_of(pilot, ".found"))
        await pilot.press("slash", *"fetching", "enter", "N")
        await wait_for(pilot, lambda: "299 of 300" in text_of(pilot, ".found"))
        await pilot.press("n", "n")
        await wait_for(pilot, lambda: "no more" in text_of(pilot, ".found"))
        await pilot.press("escape")
        await wait_for(pilot, lambda: not isinstance(app.screen, LogView))


async def test_a_shell_opens_where_the_step_works(build: Build, monkeypatch: pytest.MonkeyPatch) -> None:
    """The test's terminal cannot be handed over: the place is told instead, and nothing breaks."""
    app = Wizard(practice=True, build=build, engine=runner(FAILURE))
    async with app.run_test(size=(80, 24), notifications=True) as pilot:
        await wait_for(pilot, failed(pilot))
        await pilot.click("#shell")
        await wait_for(pilot, lambda: bool(app._notifications))
        assert str(build.folder) in next(iter(app._notifications)).message


@pytest.mark.parametrize(("keys", "stops"), [(("enter",), False), (("down", "enter"), True)])
async def test_leaving_a_running_build_asks_whether_it_goes_on(
    build: Build, keys: tuple[str, ...], stops: bool
) -> None:
    stay = threading.Event()
    app = Wizard(practice=True, build=build, engine=runner((STARTED, *BOOTSTRAP), until=stay))
    async with app.run_test(size=(80, 24)) as pilot:
        await wait_for(pilot, lambda: bool(app.query_one(Building).track.steps))
        await pilot.press("ctrl+c")
        await wait_for(pilot, lambda: isinstance(app.screen, Ask))
        await pilot.press(*keys)
        await pilot.pause()
    assert app.return_value == 0
    assert app.stops_build is stops
    assert f"ami-wizard resume {build.id}" in farewell(build, has_draft=False, practice=True)
    stay.set()


async def test_staying_with_a_running_build_changes_nothing(build: Build) -> None:
    stay = threading.Event()
    app = Wizard(practice=True, build=build, engine=runner((STARTED, *BOOTSTRAP), until=stay))
    async with app.run_test(size=(80, 24)) as pilot:
        await wait_for(pilot, lambda: bool(app.query_one(Building).track.steps))
        await pilot.press("ctrl+c", "escape")
        await pilot.pause()
        assert not isinstance(app.screen, Ask)
        assert app.is_running
        stay.set()


async def test_a_second_screen_watches_the_same_build_and_starts_nothing(build: Build) -> None:
    stay = threading.Event()
    runner((STARTED, *BOOTSTRAP), until=stay).start(build)
    app = Wizard(practice=True, build=build, engine=runner())
    async with app.run_test(size=(80, 24)) as pilot:
        await wait_for(pilot, lambda: bool(app.query_one(Building).track.steps))
        assert app.query_one(Building).watches
        assert "watching" in text_of(pilot, ".progress")
        stay.set()


async def test_a_build_that_someone_else_takes_first_is_offered_to_watch(build: Build) -> None:
    stay = threading.Event()

    def too_late(build_: Build) -> int:
        runner((STARTED, *BOOTSTRAP), until=stay).start(build_)
        return client.start(build_)

    app = Wizard(practice=True, build=build, engine=Engine(start=too_late))
    async with app.run_test(size=(80, 24)) as pilot:
        await wait_for(pilot, lambda: isinstance(app.screen, Ask))
        await pilot.press("enter")
        await wait_for(pilot, lambda: bool(app.query_one(Building).track.steps))
        stay.set()


async def test_a_start_offers_the_unfinished_build_with_what_it_made(build: Build) -> None:
    emit = EventLog(build.events_path)
    for event, facts in FAILURE:
        emit(event, **facts)
    app = Wizard(practice=True, offer_unfinished=True, engine=runner(SUCCESS))
    async with app.run_test(size=(80, 24)) as pilot:
        await wait_for(pilot, lambda: app.screen.query_one(Choices).option_count == 3)
        row = str(app.screen.query_one(Choices).get_option_at_index(0).prompt)
        for words in (build.id, "failed", "bootstrap", "just now", "us-east-1", "nothing yet"):
            assert words in row
        await pilot.press("enter")
        await wait_for(pilot, lambda: app.flow.current == "done")


def test_a_step_without_a_known_total_shows_how_long_it_is_silent() -> None:
    track = take_all(Track(), [{"event": name, "time": 100.0, **facts} for name, facts in (STARTED, *BOOTSTRAP)])
    step = track.step("bootstrap")
    assert step is not None
    assert progress_line(step, 130.0) == "no output for 30 s"


def test_a_step_with_a_total_shows_bar_rate_and_time_left() -> None:
    said: list[Said] = [STARTED, ("step_started", {"step": "snapshot"})]
    events = [{"event": name, "time": 100.0, **facts} for name, facts in said]
    for second in range(3):
        facts = {"step": "snapshot", "done": second << 20, "total": 10 << 20, "unit": "bytes"}
        events.append({"event": "progress", "time": 100.0 + second, **facts})
    step = take_all(Track(), events).step("snapshot")
    assert step is not None
    line = progress_line(step, 102.0)
    for words in ("20%", "2.0 MiB of 10 MiB", "1.0 MiB/s", "8 s left"):
        assert words in line


def test_an_escape_sequence_in_the_output_never_reaches_the_terminal() -> None:
    event = {"event": "output", "time": 1.0, "step": "bootstrap", "lines": ["\x1b[2J\x9bhello\a"]}
    track = take_all(Track(), [{"event": "started", "time": 0.0, **STARTED[1]}, event])
    step = track.step("bootstrap")
    assert step is not None
    assert all(letter.isprintable() for letter in step.lines[0])


def test_the_command_to_copy_is_the_first_that_the_advice_names() -> None:
    assert command_in(["See `~/.aws`.", "Run `aws sso login`, then `ami-wizard resume`."]) == "aws sso login"
    assert command_in(["Nothing to run."]) is None
