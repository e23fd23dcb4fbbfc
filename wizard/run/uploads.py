"""An image that `ami-wizard upload` or `ami-wizard bundle` sends: its folder, with what was sent and to where."""

import contextlib
import json
import uuid
from collections.abc import Iterator
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from filelock import FileLock, Timeout

from wizard import folders
from wizard.explain import Failure
from wizard.files import write_atomically
from wizard.run.endpoint import endpoint
from wizard.run.journal import Journal

FACTS = "upload.json"


@dataclass(frozen=True, slots=True)
class Facts:
    """Which image, and to where."""

    image: str
    region: str
    practice: bool
    tag: str = ""


@dataclass(frozen=True, slots=True)
class Upload:
    """The folder of an upload."""

    folder: Path

    @property
    def id(self) -> str:
        """Its name on this machine."""
        return self.folder.name

    @property
    def tag(self) -> str:
        """What BUILD_TAG says on what it makes in AWS; no other machine's upload of the same path has it."""
        return self.facts().tag or self.folder.name

    def facts(self) -> Facts:
        """What was settled when it was begun."""
        return Facts(**json.loads((self.folder / FACTS).read_text(encoding="utf-8")))

    def settle(self, facts: Facts) -> None:
        """Writes that down, with a tag that is drawn once."""
        self.folder.mkdir(parents=True, exist_ok=True)
        is_known = (self.folder / FACTS).exists()
        facts = replace(facts, tag=self.tag if is_known else f"{self.id}-{uuid.uuid4().hex[:8]}")
        write_atomically(self.folder / FACTS, json.dumps(asdict(facts)))

    def regions(self) -> list[str]:
        """Where it makes something."""
        return [self.facts().region]

    def has_parameters(self) -> bool:
        """It writes none."""
        return False

    def journal(self, step: str, key: str) -> Journal:
        """One of its journals."""
        return Journal(self.folder / f"{step}-{key}.jsonl")

    def journals(self) -> list[Journal]:
        """All of them, one for each state of the image file."""
        return [Journal(path) for path in sorted(self.folder.glob("*.jsonl"))]

    def cloud(self) -> AbstractContextManager[str | None]:
        """Where AWS is for it: None for the real one, else the practice cloud's address while it is needed."""
        return endpoint(practice=self.facts().practice)

    @contextlib.contextmanager
    def hold(self) -> Iterator[None]:
        """The right to work on it.  Raises Failure "upload-is-running" when someone else has it."""
        lock = FileLock(self.folder / "lock", timeout=0)
        try:
            lock.acquire()
        except Timeout as error:
            raise Failure("upload-is-running", path=self.facts().image) from error
        try:
            yield
        finally:
            lock.release()


def all_uploads() -> list[Upload]:
    """Every upload on this machine, by name."""
    return [Upload(path.parent) for path in sorted(folders.uploads().glob(f"*/{FACTS}"))]


def find(name: str) -> Upload | None:
    """The upload of that name, if there is one."""
    return next((upload for upload in all_uploads() if upload.id == name), None)
