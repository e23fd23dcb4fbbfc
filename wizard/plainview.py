"""A build for plain terminals, pipes and log files: one line a change, nothing is ever overwritten."""

from collections.abc import Iterable, Mapping
from typing import Any, TextIO

from wizard.cli.output import card
from wizard.explain import Explanation
from wizard.run.events import LAST, Event

PROGRESS_PERCENT = 10
PROGRESS_SECONDS = 5
OUTPUT_SECONDS = 10
"""So often a chatty program's latest line is shown as a sign of life; the log holds them all."""

RESULTS = {
    "image_id": "AMI",
    "snapshot_id": "snapshot",
    "image_location": "bundle",
    "region": "region",
    "image": "disk image",
    "sha256": "its SHA-256",
}
"""What the last event says of a finished build, and what people call it."""


def show(events: Iterable[Event | None], out: TextIO) -> int:
    """Writes a build's events to `out` as they come (None: nothing new).

    Gives the exit code that the last of them means: 0 finished, 1 failed, 130 interrupted.  Times are the events' own.
    """
    view = _View(out)
    last: Event = {}
    for event in events:
        if event is not None:
            view.take(event)
            last = event
    return exit_code(last)


def exit_code(last: Mapping[str, Any]) -> int:
    """What the last event of an attempt means for whoever called."""
    if last.get("event") == "finished":
        return 0
    return 130 if last.get("explanation", {}).get("code") == "interrupted" else 1


def failure_card(event: Mapping[str, Any]) -> str:
    """The explanation in an attempt's last event, for people."""
    given = event["explanation"]
    return card(Explanation(**{**given, "do": tuple(given["do"]), "evidence": tuple(given["evidence"])}), width=80)


class _View:
    """What was last written about each step, so that little changes make no lines."""

    def __init__(self, out: TextIO) -> None:
        self._out = out
        self._titles: dict[str, str] = {}
        self._spoke: dict[str, float] = {}
        self._percent: dict[str, int] = {}

    def take(self, event: Event) -> None:
        """Writes what this event changes, if it is worth a line."""
        step = event.get("step", "")
        match event["event"]:
            case "started":
                self._titles = {one["id"]: one["title"] for one in event["steps"]}
                count = f"{len(self._titles)} step{'' if len(self._titles) == 1 else 's'}"
                self._say(f"Build {event['build']}: {event['name']}, {count}")
            case "step_started":
                self._spoke[step] = event["time"]
                self._percent.pop(step, None)
                self._step(step, "started")
            case "step_reused":
                self._step(step, "done before, used again")
            case "step_finished":
                self._step(step, f"finished in {duration(event['seconds'])}")
            case "step_failed":
                self._step(step, "FAILED")
            case "progress":
                self._progress(step, event)
            case "output":
                self._output(step, event)
            case kind if kind in LAST:
                self._end(event)

    def _progress(self, step: str, event: Event) -> None:
        done, total = event["done"], event["total"]
        percent = 100 * done // total if total else 100
        before = self._percent.get(step)
        waited = event["time"] - self._spoke.get(step, 0) >= PROGRESS_SECONDS
        if before is not None and (percent == before or not (percent - before >= PROGRESS_PERCENT or waited)):
            return
        self._percent[step] = percent
        self._spoke[step] = event["time"]
        self._step(step, f"{percent} % ({amount(done, event['unit'])} of {amount(total, event['unit'])})")

    def _output(self, step: str, event: Event) -> None:
        lines = [line for line in event["lines"] if line.strip()]
        if lines and event["time"] - self._spoke.get(step, 0) >= OUTPUT_SECONDS:
            self._spoke[step] = event["time"]
            self._step(step, lines[-1].strip())

    def _end(self, event: Event) -> None:
        if event["event"] == "failed":
            self._say(f"\n{failure_card(event)}")
            return
        self._say(f"Finished: build {event['build']}")
        for name, words in RESULTS.items():
            if name in event:
                self._say(f"  {words}: {event[name]}")
        for region, image_id in event.get("copies", {}).items():
            self._say(f"  copy in {region}: {image_id}")

    def _step(self, step: str, text: str) -> None:
        self._say(f"{self._titles.get(step, step)}: {text}")

    def _say(self, text: str) -> None:
        self._out.write(f"{text}\n")
        self._out.flush()


def duration(seconds: float) -> str:
    """42 s, 3 min 5 s, 1 h 2 min."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s" if seconds >= 1 else "less than a second"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"


def amount(number: int, unit: str) -> str:
    """Bytes as MiB, anything else as it is."""
    return f"{number / 1048576:.0f} MiB" if unit == "bytes" else f"{number} {unit}"
