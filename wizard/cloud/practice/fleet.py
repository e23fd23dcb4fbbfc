"""The practice cloud's instances, on disk.

REGION/instances/i-…/instance.json    what was asked, what DescribeInstances gives, and the state
REGION/instances/i-…/console.log      what the instance has said on its console
REGION/instances/i-…/…                the rest of its machine: see machines
"""

import json
import shutil
import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from wizard.cloud.practice import state
from wizard.cloud.practice.messages import Refusal

CODES = {"pending": 0, "running": 16, "shutting-down": 32, "terminated": 48, "stopping": 64, "stopped": 80}
"""EC2's states and their codes.  Source: EC2 API Reference, "InstanceState"."""

WITH_MACHINE = ("pending", "running", "shutting-down", "stopping")

REMEMBERED_SECONDS = 3600
"""For so long a terminated instance is still shown, as on AWS."""

_changing = threading.Lock()
"""Held while a record is read and written again: an instance's machine changes it as well as whoever asks."""


@dataclass(frozen=True, slots=True)
class Instance:
    """An instance.

    request  the RunInstances that it came from
    facts    what DescribeInstances gives of it, without what changes
    reason   StateReason; None while there is none
    Times in Unix seconds.
    """

    id: str
    request: Mapping[str, Any]
    facts: Mapping[str, Any]
    launched: float
    state: str = "pending"
    reason: Mapping[str, str] | None = None
    ended: float | None = None

    @property
    def is_gone(self) -> bool:
        """Whether only its memory is left."""
        return self.state == "terminated"


def folder_of(region: Path, instance_id: str) -> Path:
    return region / "instances" / instance_id


def save(region: Path, instance: Instance) -> None:
    state.save(folder_of(region, instance.id) / "instance.json", asdict(instance))


def find(region: Path, instance_id: str) -> Instance:
    """Fails as EC2 does where there is no such instance."""
    instance = _read(region, instance_id)
    if instance is None:
        raise Refusal("InvalidInstanceID.NotFound", f"The instance ID '{instance_id}' does not exist")
    return instance


def instances(region: Path) -> Iterator[Instance]:
    """Every instance of the region, by id; those that ended long ago are forgotten."""
    for folder in sorted((region / "instances").glob("i-*")):
        instance = _read(region, folder.name)
        if instance and instance.ended and time.time() - instance.ended > REMEMBERED_SECONDS:
            shutil.rmtree(folder)
        elif instance:
            yield instance


def change(region: Path, instance_id: str, new: str, reason: Mapping[str, str] | None = None) -> Instance:
    """Gives an instance another state, unless it has ended; `reason` stays as it was where none is given."""
    with _changing:
        known = find(region, instance_id)
        if known.is_gone:
            return known
        ended = time.time() if new == "terminated" else None
        changed = replace(known, state=new, reason=reason or known.reason, ended=ended)
        save(region, changed)
        return changed


def _read(region: Path, instance_id: str) -> Instance | None:
    try:
        text = (folder_of(region, instance_id) / "instance.json").read_text()
    except FileNotFoundError:
        return None
    return Instance(**json.loads(text))
