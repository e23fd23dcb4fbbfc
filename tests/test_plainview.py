"""A build on a plain terminal: every change is one line, and the end is an exit code."""

import io
import json
from pathlib import Path
from typing import Any

import pytest

from wizard.explain import Failure, explain
from wizard.plainview import show
from wizard.run.events import Event

STEPS = [
    {"id": "bootstrap", "title": "Install Debian bookworm", "why": "…", "needs": []},
    {"id": "snapshot", "title": "Upload the image", "why": "…", "needs": ["bootstrap"]},
]


def event(kind: str, time: float = 0, **facts: Any) -> Event:
    return {"event": kind, "time": 1_790_000_000 + time, **facts}


START = event("started", build="web-1a2b3c", name="web", steps=STEPS)
DONE = event("finished", 90, build="web-1a2b3c", region="us-east-1", image_id="ami-1", snapshot_id="snap-1")


def shown(*events: Event | None) -> tuple[int, list[str]]:
    out = io.StringIO()
    code = show(events, out)
    return code, out.getvalue().splitlines()


def recorded(name: str) -> list[Event]:
    """The events of a real build: tests/samples/events-NAME.jsonl."""
    path = Path(__file__).parent / f"samples/events-{name}.jsonl"
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def test_a_recorded_build_that_came_to_its_end() -> None:
    assert shown(*recorded("bootloader")) == (
        0,
        [
            "Build sample-27a20b: sample, 1 step",
            "Make the boot loader (BIOS and UEFI): started",
            "Make the boot loader (BIOS and UEFI): finished in less than a second",
            "Finished: build sample-27a20b",
            "  region: us-east-1",
        ],
    )


def test_a_recorded_build_that_failed() -> None:
    code, lines = shown(*recorded("mirror-unreachable"))
    assert code == 1
    assert lines[2:5] == [
        "Install Debian bookworm: FAILED",
        "",
        "The server that has the packages does not answer.",
    ]
    assert lines[-1] == "  log: /home/user/builds/sample-27a20b/logs/bootstrap.log"


def test_a_build_from_start_to_end_is_one_line_a_change() -> None:
    code, lines = shown(
        START,
        event("step_started", step="bootstrap", key="k"),
        event("command", step="bootstrap", command="mmdebstrap …"),
        event("output", 1, step="bootstrap", lines=["I: retrieving"]),
        None,
        event("step_finished", 75, step="bootstrap", key="k", seconds=75.2),
        event("step_reused", 75, step="snapshot", key="l", seconds=10.0),
        DONE,
    )
    assert code == 0
    assert lines == [
        "Build web-1a2b3c: web, 2 steps",
        "Install Debian bookworm: started",
        "Install Debian bookworm: finished in 1 min 15 s",
        "Upload the image: done before, used again",
        "Finished: build web-1a2b3c",
        "  AMI: ami-1",
        "  snapshot: snap-1",
        "  region: us-east-1",
    ]


def progress(done: int, time: float, total: int = 1000 * 1048576) -> Event:
    return event("progress", time, step="snapshot", done=done * 1048576, total=total, unit="bytes")


def test_a_fast_upload_is_told_in_steps_of_ten_percent() -> None:
    _, lines = shown(START, *(progress(done, done / 1000) for done in range(0, 1001, 5)))
    assert [line.split(": ")[1].split(" %")[0] for line in lines[1:]] == [str(n) for n in range(0, 101, 10)]
    assert lines[2] == "Upload the image: 10 % (100 MiB of 1000 MiB)"


def test_a_slow_upload_is_heard_of_every_five_seconds() -> None:
    _, lines = shown(START, *(progress(10 * tick, float(tick)) for tick in range(11)))
    assert [line.split(" %")[0] for line in lines[1:]] == [f"Upload the image: {n}" for n in (0, 5, 10)]


def test_an_upload_that_stands_still_makes_no_lines() -> None:
    _, lines = shown(START, *(progress(10, float(tick)) for tick in range(60)))
    assert len(lines) == 2


def test_nothing_to_upload_is_all_of_it() -> None:
    assert shown(START, progress(0, 0, total=0))[1][-1] == "Upload the image: 100 % (0 MiB of 0 MiB)"


def test_a_long_silent_step_gives_signs_of_life() -> None:
    chatter = [event("output", float(tick), step="bootstrap", lines=[f"line {tick}", ""]) for tick in range(1, 31)]
    _, lines = shown(START, event("step_started", step="bootstrap", key="k"), *chatter)
    assert lines[2:] == [f"Install Debian bookworm: line {tick}" for tick in (10, 20, 30)]


@pytest.mark.parametrize(("code", "exit_code"), [("no-space", 1), ("interrupted", 130)])
def test_a_failure_ends_with_its_card_and_its_exit_code(code: str, exit_code: int) -> None:
    explanation = explain(Failure(code, evidence=["E: it said so"], signal="SIGTERM", build="web-1a2b3c")).as_dict()
    got, lines = shown(
        START,
        event("step_failed", step="bootstrap", explanation=explanation),
        event("failed", build="web-1a2b3c", explanation=explanation),
    )
    assert got == exit_code
    assert lines[1] == "Install Debian bookworm: FAILED"
    assert lines.count("What to do:") == 1
    assert lines[-1] == "  E: it said so"


def test_a_stream_that_just_ends_is_not_a_success() -> None:
    assert shown(START)[0] == 1


def test_an_event_of_a_later_version_is_passed_over() -> None:
    assert shown(START, event("input_needed", step="snapshot"), DONE)[0] == 0


def test_a_launched_instance_is_told_with_the_way_in() -> None:
    launched = {"instance_id": "i-1", "came_up": "its console shows a login prompt", "login": "ssh root@192.0.2.1"}
    _, lines = shown(START, {**DONE, **launched})
    assert lines[-3:] == [
        "  instance: i-1",
        "  it came up: its console shows a login prompt",
        "  to log in: ssh root@192.0.2.1",
    ]
