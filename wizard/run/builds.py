"""A build on this machine: its folder, what it is, and where it stands."""

import contextlib
import datetime
import fcntl
import hashlib
import json
import os
import tempfile
import tomllib
import uuid
from collections.abc import Iterator
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from wizard import folders
from wizard.bundle.names import manifest_name
from wizard.explain import Failure
from wizard.files import write_atomically
from wizard.plan.build import Occasion, build_id
from wizard.recipe import Recipe, dumps
from wizard.run.endpoint import endpoint
from wizard.run.events import LAST, Event, read
from wizard.run.journal import Journal, Record
from wizard.run.uploads import Upload


@dataclass(frozen=True, slots=True)
class Build:
    """The folder of a build."""

    folder: Path

    @property
    def id(self) -> str:
        """Its name on this machine."""
        return self.folder.name

    @property
    def recipe_path(self) -> Path:
        """What is being made."""
        return self.folder / "recipe.toml"

    @property
    def events_path(self) -> Path:
        """What happened, over all attempts."""
        return self.folder / "events.jsonl"

    @property
    def events_end(self) -> int:
        """The size of the event file in bytes; 0 while there is none yet."""
        try:
            return self.events_path.stat().st_size
        except FileNotFoundError:
            return 0

    @property
    def lock_path(self) -> Path:
        """Held by the one runner that works on it."""
        return self.folder / "lock"

    @property
    def logs(self) -> Path:
        """The whole output of each step."""
        return self.folder / "logs"

    @property
    def work(self) -> Path:
        """Where steps work until their results are published."""
        return self.folder / "work"

    def scratch(self, step: str) -> Path:
        """Temporary files of a step's programs: where other user ids can enter, unlike a home folder.

        The same at every attempt, so that what a killed one left is found.
        """
        place = hashlib.sha256(str(self.folder.absolute()).encode()).hexdigest()[:12]
        return Path(tempfile.gettempdir()) / f"ami-wizard-{place}-{step}"

    def recipe(self) -> Recipe:
        """What is being made.  It was checked when the build was created; its files may have gone since then.

        Raises Failure `bad-recipe` when the file was damaged.
        """
        try:
            return Recipe.model_validate(tomllib.loads(self.recipe_path.read_text(encoding="utf-8")))
        except (OSError, ValueError) as error:
            raise Failure("bad-recipe", path=self.recipe_path, count=1, evidence=[str(error)]) from error

    def facts(self) -> "Facts":
        """What was settled when the build was made."""
        return Facts(**json.loads((self.folder / "build.json").read_text(encoding="utf-8")))

    def occasion(self) -> Occasion:
        """What its plan depends on beside the recipe."""
        facts = self.facts()
        return Occasion(facts.tag, facts.packages_of)

    def journal(self, step: str, key: str) -> Journal:
        """The journal of one step's dealings with AWS: a step with another key is another dealing."""
        folder = self.folder / "journal"
        folder.mkdir(exist_ok=True)
        return Journal(folder / f"{step}-{key[:16]}.jsonl")

    @property
    def tag(self) -> str:
        """What BUILD_TAG says on all that it makes in AWS."""
        return self.facts().tag

    def regions(self) -> list[str]:
        """Where its answers let it make something."""
        recipe = self.recipe()
        return [recipe.target.region, *(recipe.publish.regions if recipe.publish else ())]

    def has_parameters(self) -> bool:
        """Whether its answers let it write a parameter."""
        publish = self.recipe().publish
        return bool(publish and publish.ssm_parameter)

    def journals(self) -> list[Journal]:
        """All of them, those of registering before those of the snapshots that the images need."""
        return [Journal(path) for path in sorted((self.folder / "journal").glob("*.jsonl"))]

    def events(self) -> Iterator[Event]:
        """All events so far."""
        return (event for event, _ in read(self.events_path))

    def cloud(self) -> AbstractContextManager[str | None]:
        """Where AWS is for this build: None for the real one, else the practice cloud's address while it is needed."""
        return endpoint(practice=self.facts().practice)

    def state(self) -> "State":
        """Where it stands, from its events and its lock."""
        return _state(self)

    @contextlib.contextmanager
    def hold(self) -> Iterator[None]:
        """The right to work on the build.  Raises Failure `build-is-running` when someone else has it."""
        lock = FileLock(self.lock_path)
        try:
            # Somebody may only be looking whether it is held.
            lock.acquire(timeout=1)
        except Timeout as error:
            raise Failure("build-is-running", build=self.id, holder=self.holder() or "another process") from error
        try:
            yield
        finally:
            lock.release()

    @contextlib.contextmanager
    def work_on(self) -> Iterator[None]:
        """What a runner holds: the right to work, and its name where others look for it."""
        with self.hold():
            place = self.events_end
            write_atomically(self._holder, f"{os.getpid()} {place}")
            try:
                yield
            finally:
                self._holder.unlink(missing_ok=True)

    @property
    def _holder(self) -> Path:
        return self.folder / "holder"

    def is_running(self) -> bool:
        """Whether somebody works on it now.  Looking keeps nobody else from looking."""
        try:
            lock = os.open(self.lock_path, os.O_RDONLY)
        except FileNotFoundError:
            return False
        try:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        finally:
            os.close(lock)
        return False

    def holder(self) -> int | None:
        """The process id of the runner that works on it; after a kill -9, of the one that did."""
        found = self._held()
        return found[0] if found else None

    def attempt_begins(self) -> int:
        """The place in the event file where the running attempt's events begin."""
        found = self._held()
        return found[1] if found else 0

    def _held(self) -> tuple[int, int] | None:
        try:
            pid, place = self._holder.read_text(encoding="ascii").split()
            return int(pid), int(place)
        except (OSError, ValueError):
            return None


@dataclass(frozen=True, slots=True)
class Facts:
    """What was settled when a build was made; `tag` marks what it makes in AWS, there and nowhere else."""

    practice: bool
    packages_of: str
    started: str
    tag: str


@dataclass(frozen=True, slots=True)
class State:
    """Where a build stands: `state` is new, running, finished, failed or stopped; `step` is the last begun."""

    state: str
    step: str | None
    last: Event | None


def create(recipe: Recipe, *, practice: bool) -> Build:
    """The build of this recipe: a new one, or the one there is for the same AMI, with the recipe as it is now.

    Raises Failure `build-is-running` when that one is being worked on with other answers.
    """
    build = Build(folders.builds() / build_id(recipe, practice=practice))
    settle(build, recipe, practice=practice)
    return build


def settle(build: Build, recipe: Recipe, *, practice: bool) -> None:
    """Writes down what a build is to make.  Raises Failure `build-is-running` when that would change it under work."""
    text = dumps(recipe)
    if build.recipe_path.exists() and build.recipe_path.read_text(encoding="utf-8") == text:
        return
    build.logs.mkdir(parents=True, exist_ok=True)
    with build.hold():
        if not (build.folder / "build.json").exists():
            now = datetime.datetime.now(datetime.UTC)
            tag = f"{build.id}-{uuid.uuid4().hex[:8]}"
            facts = Facts(practice, now.date().isoformat(), now.isoformat(timespec="seconds"), tag)
            write_atomically(build.folder / "build.json", json.dumps(asdict(facts)))
        write_atomically(build.recipe_path, text)


def find(name: str | None) -> Build:
    """The build of that name, or the newest unfinished one.  Raises Failure `unknown-build`, `no-unfinished-build`."""
    if name is None:
        unfinished = [build for build in all_builds() if build.state().state != "finished"]
        if not unfinished:
            raise Failure("no-unfinished-build", evidence=[])
        return unfinished[0]
    build = Build(folders.builds() / name)
    if not build.recipe_path.exists() or "/" in name:
        raise Failure("unknown-build", name=name, evidence=[build.id for build in all_builds()])
    return build


def all_builds() -> list[Build]:
    """Every build on this machine, the one that was touched last first."""
    found = [Build(path.parent) for path in folders.builds().glob("*/recipe.toml")]
    return sorted(found, key=lambda build: _touched(build), reverse=True)


def resources(maker: "Build | Upload") -> list[dict[str, Any]]:
    """What the journals of a build or an upload say that it made in AWS and did not remove: kind, id, region."""
    made: dict[tuple[str, str], dict[str, Any]] = {}
    records = [record for journal in maker.journals() for record in journal.records()]
    for record in sorted(records, key=lambda record: str(record["at"])):
        for kind, item in _named_in(record):
            if MAKING.get(record["operation"]) == record["kind"]:
                made[item, record["region"]] = {"kind": kind, "id": item, "region": record["region"]}
            elif record["operation"] in REMOVING and record["kind"] == "answered":
                made.pop((item, record["region"]), None)
    return list(made.values())


MAKING = {
    **dict.fromkeys(("StartSnapshot", "CreateSnapshot", "CreateVolume"), "answered"),
    **dict.fromkeys(("RegisterImage", "CopyImage", "PutParameter", "RunInstances"), "answered"),
    # A bundle is there from its first object on, before any answer.
    "PutObject": "asked",
}
REMOVING = (
    *("DeregisterImage", "DeleteSnapshot", "DeleteParameter", "RestoreParameter", "DeleteObjects", "DeleteVolume"),
    "TerminateInstances",
)


def _named_in(record: Record) -> Iterator[tuple[str, str]]:
    """Kind and id of what a record speaks of.  An image's id stands beside a parameter's name, too."""
    if "base" in record:
        yield "bundle", f"{record['bucket']}/{manifest_name(record['base'])}"
    elif "name" in record:
        yield "parameter", record["name"]
    elif record["operation"] in ("CreateVolume", "DeleteVolume") and "volume_id" in record:
        yield "volume", record["volume_id"]
    elif record["operation"] in ("RunInstances", "TerminateInstances") and "instance_id" in record:
        yield "instance", record["instance_id"]
    elif "image_id" in record:
        yield "image", record["image_id"]
    for snapshot_id in (*record.get("snapshot_ids", ()), *([record["snapshot_id"]] if "snapshot_id" in record else ())):
        yield "snapshot", snapshot_id


def _touched(build: Build) -> float:
    path = build.events_path if build.events_path.exists() else build.recipe_path
    return path.stat().st_mtime


def _state(build: Build) -> State:
    step: str | None = None
    last: Event | None = None
    open_steps: dict[str, None] = {}
    for event in build.events():
        last = event
        match event["event"]:
            case "started":
                open_steps = {}
            case "step_started":
                open_steps[event["step"]] = None
            case "step_finished" | "step_reused":
                open_steps.pop(event["step"], None)
        # Of several that go on at once, the one that was begun last; when all have ended, the last that did.
        step = next(reversed(open_steps), event.get("step", step))
    if build.is_running():
        return State("running", step, last)
    if last is None:
        return State("new", None, None)
    if last["event"] == "finished" and "image_id" not in last:
        # It was asked to stop before the AMI (--until).
        return State("stopped", step, last)
    if last["event"] in LAST:
        interrupted = last["event"] == "failed" and last["explanation"]["code"] == "interrupted"
        return State("stopped" if interrupted else last["event"], step, last)
    return State("stopped", step, last)
