"""The runner's process: `python -m wizard.run BUILD [--until STEP]`.  Front ends start it and follow its events."""

import asyncio
import contextlib
import signal
import sys
import threading
from pathlib import Path
from typing import Any

from wizard import folders, host
from wizard.explain import Failure, explain
from wizard.plan.build import plan, tools_of, tools_to_prove
from wizard.plan.steps import Plan
from wizard.run.builds import Build
from wizard.run.client import BUSY
from wizard.run.events import EventLog
from wizard.run.room import check_room
from wizard.run.runner import Runner
from wizard.run.store import Store
from wizard.run.warden import Warden


def main(folder: str, until: str | None) -> int:
    """Runs one attempt; gives the exit code.  Whatever happens, the last event says it.

    When another runner works on the build, this one says nothing at all: the events are the other's.
    """
    warden = Warden()
    build = Build(Path(folder))
    _interrupt_on_signals(build)
    try:
        with build.work_on():
            return _told(build, until, warden)
    except Failure as failure:
        if failure.code != "build-is-running":
            raise
        return BUSY


def _told(build: Build, until: str | None, warden: Warden) -> int:
    """The attempt, with its last word said while the build is still held."""
    emit = EventLog(build.events_path)
    try:
        finished = _attempt(build, until, emit, warden)
    except BaseException as error:  # noqa: BLE001  the last word of this process goes into the event log
        cause = _first(error)
        emit("failed", build=build.id, explanation=explain(cause).as_dict())
        return 130 if isinstance(cause, Failure) and cause.code == "interrupted" else 1
    emit("finished", build=build.id, **finished)
    return 0


def _attempt(build: Build, until: str | None, emit: EventLog, warden: Warden) -> dict[str, Any]:
    recipe = build.recipe()
    whole = plan(recipe, build.occasion())
    wanted = whole.until(until) if until else whole
    if _has_work_here(wanted):
        host.require(tools_of(recipe))
        if any(step.id == "prove" for step in wanted.steps):
            host.require(tools_to_prove(recipe), "missing-programs-to-prove")
        if not host.can_map_users():
            raise Failure("no-subordinate-ids")
        check_room()
    _emit_start(build, wanted, emit)
    needs_cloud = any(step.in_cloud for step in wanted.steps)
    with build.cloud() if needs_cloud else contextlib.nullcontext() as endpoint:
        return asyncio.run(_run(build, wanted, emit, warden, endpoint))


def _has_work_here(wanted: Plan) -> bool:
    """Whether anything is still to be made on this machine, for which it needs programs and room."""
    store, keys = Store(folders.results()), wanted.keys()
    return any(store.find(keys[step.id]) is None for step in wanted.steps if step.kept and not step.in_cloud)


def _interrupt_on_signals(build: Build) -> None:
    """Until the scheduler takes the signals over, one ends the attempt in order too."""

    def interrupt(number: int, _frame: object) -> None:
        raise Failure("interrupted", signal=signal.Signals(number).name, build=build.id)

    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, interrupt)


def _emit_start(build: Build, wanted: Plan, emit: EventLog) -> None:
    steps = [{"id": step.id, "title": step.title, "why": step.why, "needs": list(step.needs)} for step in wanted.steps]
    emit("started", build=build.id, name=wanted.name, steps=steps)


async def _run(build: Build, wanted: Plan, emit: EventLog, warden: Warden, endpoint: str | None) -> dict[str, Any]:
    from wizard.cloud.actions import perform

    cancelled = threading.Event()
    runner = Runner(
        build,
        wanted,
        Store(folders.results()),
        emit,
        warden,
        lambda *arguments: perform(endpoint, *arguments),
        cancelled,
    )
    task = asyncio.ensure_future(runner.run())
    interrupted = _stop_on_signals(task, cancelled)
    try:
        results = await task
    except BaseException:
        if interrupted:
            raise Failure("interrupted", signal=interrupted[0], build=build.id) from None
        raise
    return _summary(build, results)


def _stop_on_signals(task: "asyncio.Future[Any]", cancelled: threading.Event) -> list[str]:
    """SIGTERM, SIGINT and SIGHUP end the attempt in order; the list holds the signal's name once one came."""
    received: list[str] = []

    def stop(number: signal.Signals) -> None:
        received.append(number.name)
        cancelled.set()
        task.cancel()

    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        loop.add_signal_handler(number, stop, number)
    return received


def _summary(build: Build, results: dict[str, Path]) -> dict[str, Any]:
    """What the last event says: the same fields, as far as the plan went."""
    summary: dict[str, Any] = {"region": build.recipe().target.region}
    if image := results.get("image"):
        summary["image"] = str(image / "disk.img")
    if checksum := results.get("checksum"):
        summary["sha256"] = (checksum / "disk.img.sha256").read_text(encoding="ascii").split()[0]
    if snapshot := results.get("snapshot"):
        summary["snapshot_id"] = (snapshot / "snapshot-id").read_text(encoding="ascii").strip()
    if bundle := results.get("bundle"):
        summary["image_location"] = (bundle / "image-location").read_text(encoding="ascii").strip()
    if register := results.get("register"):
        summary["image_id"] = (register / "image-id").read_text(encoding="ascii").strip()
    if copies := {step.removeprefix("copy-"): made for step, made in results.items() if step.startswith("copy-")}:
        summary["copies"] = {
            region: (made / "image-id").read_text(encoding="ascii").strip() for region, made in copies.items()
        }
    return summary


def _first(error: BaseException) -> BaseException:
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error


if __name__ == "__main__":
    step = sys.argv[3] if sys.argv[2:3] == ["--until"] else None
    sys.exit(main(sys.argv[1], step))
