"""What the events of a build say, folded into what a screen shows.  Pure: the same events, the same picture."""

import itertools
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from screens.words import plain, seconds, size, state
from wizard.run.events import Event

LINES = 2000
"""As many lines of output as are kept on the screen; all of them are in the step's log file."""

MARKS = 40
"""Progress reports from which the rate is taken."""

BARS = "▁▂▃▄▅▆▇█"


@dataclass(frozen=True, slots=True)
class StepTrack:
    """One step: its state, its command, its progress and the last of its output."""

    id: str
    title: str
    why: str
    state: str = "waiting"
    key: str = ""
    command: str = ""
    started: float = 0.0
    took: float | None = None
    said: float = 0.0
    done: float = 0.0
    total: float = 0.0
    unit: str = ""
    marks: tuple[tuple[float, float], ...] = ()
    parts: Mapping[str, int] = field(default_factory=dict)
    lines: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Track:
    """A build: its steps in order, its state, and how it ended."""

    steps: tuple[StepTrack, ...] = ()
    state: str = "running"
    explanation: Mapping[str, Any] | None = None
    facts: Mapping[str, Any] = field(default_factory=dict)

    def step(self, step_id: str) -> StepTrack | None:
        """The step with that id."""
        return next((step for step in self.steps if step.id == step_id), None)

    @property
    def current(self) -> StepTrack | None:
        """The step to look at: the one that failed, or the first that runs, or the last that ended."""
        for wanted in (("failed",), ("running",)):
            if found := next((step for step in self.steps if step.state in wanted), None):
                return found
        ended = [step for step in self.steps if step.state in ("finished", "reused")]
        return ended[-1] if ended else next(iter(self.steps), None)


def take_all(track: Track, events: Iterable[Event]) -> Track:
    """The picture after these events."""
    for event in events:
        track = take(track, event)
    return track


def take(track: Track, event: Event) -> Track:
    """The picture after one more event; one that nobody knows changes nothing."""
    kind = event["event"]
    if kind == "started":
        return Track(tuple(StepTrack(row["id"], row["title"], row["why"]) for row in event["steps"]))
    if kind == "finished":
        return replace(track, state="finished", facts=event)
    if kind == "failed":
        return replace(track, state="failed", explanation=event["explanation"], steps=_ended(track.steps))
    if "step" not in event:
        return track
    return replace(track, steps=tuple(_step(step, event) if step.id == event["step"] else step for step in track.steps))


def _ended(steps: tuple[StepTrack, ...]) -> tuple[StepTrack, ...]:
    return tuple(replace(step, state="stopped") if step.state == "running" else step for step in steps)


def _step(step: StepTrack, event: Event) -> StepTrack:
    now = event.get("time", 0.0)
    match event["event"]:
        case "step_started":
            return replace(step, state="running", key=event.get("key", ""), started=now, said=now)
        case "step_reused":
            return replace(step, state="reused", took=event.get("seconds"))
        case "step_finished":
            return replace(step, state="finished", took=event.get("seconds"))
        case "step_failed":
            return replace(step, state="failed")
        case "command":
            return replace(step, command=event["command"], said=now)
        case "output":
            lines = (*step.lines, *(plain(line) for line in event["lines"]))[-LINES:]
            return replace(step, lines=lines, said=now)
        case "progress":
            # What begins anew, such as reading back what was sent, has a rate of its own.
            before = step.marks if event["done"] >= step.done else ()
            marks = (*before, (now, event["done"]))[-MARKS:]
            return replace(
                step,
                done=event["done"],
                total=event["total"],
                unit=event.get("unit", ""),
                parts=event.get("parts", {}),
                marks=marks,
                said=now,
            )
    return step


def row(step: StepTrack, now: float) -> str:
    """A step in the list: glyph, word, title, time."""
    words = [f"{state(step.state):<9} {step.title}"]
    if step.state == "running":
        words.append(seconds(max(0, now - step.started)))
    elif step.took is not None:
        words.append(seconds(step.took))
    return " · ".join(words)


def progress_line(step: StepTrack, now: float, width: int = 20) -> str:
    """The bar with rate and time left; without a known total the time since the step last spoke."""
    if step.state != "running":
        return ""
    if step.total <= 0:
        silent = max(0, now - step.said)
        return f"no output for {seconds(silent)}" if silent >= 2 else "working…"
    part = min(step.done / step.total, 1)
    filled = round(part * width)
    words = [
        f"{'█' * filled}{'░' * (width - filled)} {part:.0%}",
        f"{_amount(step.done, step)} of {_amount(step.total, step)}",
    ]
    rate = _rate(step.marks)
    if rate:
        words += [f"{_amount(rate, step)}/s", f"{seconds((step.total - step.done) / rate)} left", sparkline(step.marks)]
    return "  ".join(words)


def parts_line(step: StepTrack) -> str:
    """What became of an image's blocks, as far as there is something to tell; "" for other steps."""
    said = [f"{size(step.parts[name])} {words}" for name, words in AMOUNTS.items() if step.parts.get(name)]
    said += [f"{step.parts[name]} {words}" for name, words in COUNTS.items() if step.parts.get(name)]
    return " · ".join(said)


AMOUNTS = {"sent": "sent", "there": "there already", "zeros": "of zeros", "holes": "of holes", "checked": "read back"}
COUNTS = {"retried": "sent again", "throttled": "slowed down by AWS"}


def sparkline(marks: tuple[tuple[float, float], ...], width: int = 8) -> str:
    """The rate over the last reports, as small bars."""
    rates = [
        (later[1] - earlier[1]) / max(later[0] - earlier[0], 0.001) for earlier, later in itertools.pairwise(marks)
    ][-width:]
    top = max(rates, default=0)
    if top <= 0:
        return ""
    return "".join(BARS[min(int(rate / top * (len(BARS) - 1)), len(BARS) - 1)] for rate in rates)


def times(track: Track) -> tuple[tuple[str, str], ...]:
    """What took how long: titles and durations; what was kept from before says so."""
    return tuple(
        (step.title, seconds(step.took) + (" (kept from before)" if step.state == "reused" else ""))
        for step in track.steps
        if step.took is not None
    )


def _amount(count: float, step: StepTrack) -> str:
    return size(count) if step.unit == "bytes" else f"{count:.0f} {step.unit}".rstrip()


def _rate(marks: tuple[tuple[float, float], ...]) -> float:
    if len(marks) < 2 or marks[-1][0] <= marks[0][0]:
        return 0.0
    return (marks[-1][1] - marks[0][1]) / (marks[-1][0] - marks[0][0])
