"""A build on a disk that is too small, then made larger.  Prints the last event's explanation, then `finished`."""

import asyncio
import json
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

from wizard.explain import Failure, explain
from wizard.plan.actions import Run
from wizard.plan.steps import Plan, Step
from wizard.run.builds import Build
from wizard.run.events import EventLog, read
from wizard.run.runner import Runner
from wizard.run.store import Store
from wizard.run.warden import Warden


def main(place: Path) -> None:
    """Needs a mount namespace of its own."""
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4M", "tmpfs", str(place)], check=True)
    build = Build(place / "build")
    build.logs.mkdir(parents=True)
    # Output as well as files: the log, the events and the work all lie on the full disk.
    noisy = "head -c 8000000 /dev/zero > one/zeros; for i in $(seq 20000); do echo line $i of many; done"
    plan = Plan("full", (Step("one", "One", "a test", (Run(noisy),)),), 0)
    try:
        attempt(build, plan, place)
    except* (Failure, OSError) as errors:
        EventLog(build.events_path)("failed", explanation=explain(errors.exceptions[0]).as_dict())
    print(json.dumps(last(build)["explanation"]))
    subprocess.run(["mount", "-o", "remount,size=64M", str(place)], check=True)
    attempt(build, plan, place)
    print("finished" if last(build)["event"] == "step_finished" else last(build))


def attempt(build: Build, plan: Plan, place: Path) -> None:
    """One attempt at the plan."""
    emit = EventLog(build.events_path)

    def no_cloud(*_: object) -> dict[str, str]:
        raise AssertionError("not in this plan")

    asyncio.run(Runner(build, plan, Store(place / "results"), emit, Warden(), no_cloud, threading.Event()).run())


def last(build: Build) -> dict[str, Any]:
    """The last event."""
    return [event for event, _ in read(build.events_path)][-1]


if __name__ == "__main__":
    main(Path(sys.argv[1]))
