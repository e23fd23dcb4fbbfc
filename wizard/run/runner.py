"""The scheduler: runs a plan's steps, those that can at the same time, and keeps what each leaves under its key."""

import asyncio
import shlex
import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from wizard import folders
from wizard.explain import Failure, explain
from wizard.plan.actions import CloudAction, ProveImage, Run, Write
from wizard.plan.prose import action_lines
from wizard.plan.script import environment
from wizard.plan.steps import Plan, Step
from wizard.run.builds import Build
from wizard.run.commands import Shell, printable
from wizard.run.events import EventLog
from wizard.run.journal import Journal
from wizard.run.proving import prove_all
from wizard.run.room import free_mib
from wizard.run.store import Store
from wizard.run.warden import Warden

Progress = Callable[[int, int, Mapping[str, int]], None]
"""Bytes done, of how many, and what became of them."""

Said = Callable[[list[str]], None]

CloudWork = Callable[[CloudAction, Path, Journal, Progress, Callable[[], bool], Said], dict[str, Any]]
"""Carries out an AWS action: the action, the work folder, its journal, progress, whether to stop, what it says."""

PROGRESS_EVERY_SECONDS = 0.1
CLAIM_POLL_SECONDS = 0.2


@dataclass(frozen=True, slots=True)
class Runner:
    """One attempt at a build."""

    build: Build
    plan: Plan
    store: Store
    emit: EventLog
    warden: Warden
    cloud: CloudWork
    cancelled: threading.Event

    async def run(self) -> dict[str, Path]:
        """Runs the plan; gives every step's result folder.  Raises the first Failure, after ending what still ran."""
        # As many threads as steps: a copy to another region only waits, and must keep nobody else waiting.
        asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(len(self.plan.steps) + 1))
        keys = self.plan.keys()
        done: dict[str, asyncio.Task[Path]] = {}

        async def finish(step: Step) -> Path:
            for earlier in step.after:
                await done[earlier]
            results = {need: await done[need] for need in step.needs}
            return await self._step(step, keys[step.id], results)

        async with asyncio.TaskGroup() as group:
            for step in self.plan.steps:
                done[step.id] = group.create_task(finish(step), name=step.id)
        return {step_id: task.result() for step_id, task in done.items()}

    async def _step(self, step: Step, key: str, results: Mapping[str, Path]) -> Path:
        if not step.kept:
            return await self._make(step, key, results)
        if found := self._reuse(step, key):
            return found
        claim = self.store.claim(key)
        await self._wait_for(claim, step, key)
        try:
            return self._reuse(step, key) or await self._make(step, key, results)
        finally:
            claim.release()

    def _reuse(self, step: Step, key: str) -> Path | None:
        found = self.store.find(key)
        if found:
            self.emit("step_reused", step=step.id, key=key, seconds=self.store.seconds(key))
        return found

    async def _wait_for(self, claim: FileLock, step: Step, key: str) -> None:
        """Another build, or what was begun ahead of this one, may be making the same: its output is shown."""
        heard: int | None = None
        while True:
            try:
                claim.acquire(timeout=0)
            except Timeout:
                if heard is None:
                    self.emit("step_started", step=step.id, key=key)
                    self.emit("output", step=step.id, lines=["This has begun already; here is how it goes on."])
                heard = self._pass_on(step, key, heard or 0)
                await asyncio.sleep(CLAIM_POLL_SECONDS)
            else:
                if heard is not None:
                    # What was said between the last look and the end.
                    self._pass_on(step, key, heard)
                return

    def _pass_on(self, step: Step, key: str, heard: int) -> int:
        """Shows what the other has said behind this place in its log; gives the place behind that."""
        lines, behind = lines_behind(self.store.said(key), heard)
        if lines:
            self.emit("output", step=step.id, lines=lines)
        return behind

    async def _make(self, step: Step, key: str, results: Mapping[str, Path]) -> Path:
        self.emit("step_started", step=step.id, key=key)
        started = time.monotonic()
        try:
            made = await self._work(step, key, results)
        except Exception as error:
            failure = _with_place(error, self.build.work)
            self.emit("step_failed", step=step.id, explanation=explain(failure).as_dict())
            raise failure from error
        self.emit("step_finished", step=step.id, key=key, seconds=round(time.monotonic() - started, 1))
        return made

    async def _work(self, step: Step, key: str, results: Mapping[str, Path]) -> Path:
        started = time.monotonic()
        work, scratch = self.build.work / step.id, self.build.scratch(step.id)
        await self._remove(step, work, scratch)
        made = _prepare(work, step.id, results)
        scratch.mkdir()
        scratch.chmod(0o755)
        log = self.build.logs / f"{step.id}.log"
        shell = Shell(work, self._environment(scratch), log, self.warden)
        if step.kept:
            self.store.say_where(key, log)
        try:
            for action in step.actions:
                await self._act(action, step, key, work, shell)
        finally:
            await asyncio.shield(self._remove(step, scratch))
        if not step.kept:
            return made
        seconds = time.monotonic() - started
        result = await asyncio.to_thread(self.store.publish, key, made, step=step.id, seconds=seconds)
        await self._remove(step, work)
        return result

    async def _act(self, action: object, step: Step, key: str, work: Path, shell: Shell) -> None:
        match action:
            case Run(command):
                self.emit("command", step=step.id, command=command)
                await shell.run(command, lambda lines: self.emit("output", step=step.id, lines=lines))
            case Write(path, text, mode):
                target = work / path
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_text(text, encoding="utf-8")
                target.chmod(mode)
            case ProveImage():
                await self._prove(action, step, work, shell.log)
            case _:
                assert isinstance(action, CloudAction)
                await self._in_cloud(action, step, key, work, shell.log)

    async def _prove(self, action: ProveImage, step: Step, work: Path, log: Path) -> None:
        for line in action_lines(action):
            self.emit("command", step=step.id, command=line)

        try:
            await asyncio.to_thread(prove_all, action, work, self._said(step, log), self.cancelled.is_set, self.warden)
        except asyncio.CancelledError:
            self.cancelled.set()
            raise

    def _said(self, step: Step, log: Path) -> Said:
        """Tells of lines, and keeps them in the step's log."""

        def said(lines: list[str]) -> None:
            with log.open("a", encoding="utf-8") as file:
                file.writelines(f"{line}\n" for line in lines)
            self.emit("output", step=step.id, lines=lines)

        return said

    async def _in_cloud(self, action: CloudAction, step: Step, key: str, work: Path, log: Path) -> None:
        self.emit("command", step=step.id, command=action_lines(action)[0])

        progress, said = self._progress(step), self._said(step, log)
        journal = self.build.journal(step.id, key)
        try:
            facts = await asyncio.to_thread(self.cloud, action, work, journal, progress, self.cancelled.is_set, said)
        except asyncio.CancelledError:
            self.cancelled.set()
            raise
        self.emit("output", step=step.id, lines=[f"{name}: {value}" for name, value in facts.items()])

    def _progress(self, step: Step) -> Progress:
        """Tells of bytes done, a few times a second and at the end."""
        last = 0.0

        def progress(done: int, total: int, parts: Mapping[str, int]) -> None:
            nonlocal last
            now = time.monotonic()
            if done >= total or now - last >= PROGRESS_EVERY_SECONDS:
                last = now
                self.emit("progress", step=step.id, done=done, total=total, unit="bytes", parts=dict(parts))

        return progress

    def _environment(self, scratch: Path) -> dict[str, str]:
        return {**environment(self.plan), "DOWNLOADS": str(folders.downloads()), "TMPDIR": str(scratch)}

    async def _remove(self, step: Step, *places: Path) -> None:
        """Removes folders, parts of which may belong to other user ids."""
        remains = [shlex.quote(str(place)) for place in places if place.exists()]
        if remains:
            shell = Shell(self.build.folder, {}, self.build.logs / f"{step.id}.log", self.warden)
            await shell.run(f"as_root rm -rf --one-file-system {' '.join(remains)}", lambda _lines: None)


def _prepare(work: Path, step_id: str, results: Mapping[str, Path]) -> Path:
    """The folder in which a step's commands run: its own folder, and links to the results that it needs."""
    made = work / step_id
    made.mkdir(parents=True)
    for need, folder in results.items():
        (work / need).symlink_to(folder)
    return made


def lines_behind(log: Path | None, place: int) -> tuple[list[str], int]:
    """The whole lines behind a place in a log, and the place behind them."""
    if log is None or not log.exists():
        return [], place
    with log.open("rb") as file:
        file.seek(place)
        whole, newline, _ = file.read(1 << 20).rpartition(b"\n")
    return [printable(line.decode("utf-8", "replace")) for line in whole.splitlines()], place + len(whole + newline)


def _with_place(error: Exception, place: Path) -> Exception:
    """A full disk is worth knowing by its place."""
    if isinstance(error, OSError) and error.errno == 28:
        return Failure("no-space", where=place, free=free_mib(place), evidence=[str(error)])
    return error
