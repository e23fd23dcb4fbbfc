"""Carries out a plan's volume actions."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from wizard import folders, host
from wizard.cloud import snapshot
from wizard.cloud.sending import Progress
from wizard.cloud.session import ONCE, Client, client
from wizard.cloud.volume import snapshots, volumes
from wizard.cloud.volume.instance import Instance, id_of_this_machine, running_instance
from wizard.cloud.volume.session import Session, bootstrap, conversation
from wizard.cloud.volume.ssh import learn_host_keys, ssh_command
from wizard.cloud.volume.upload import Upload
from wizard.cloud.waiting import Asked
from wizard.explain import Failure
from wizard.plan.actions import CheckFarEnd, FarEnd, SnapshotByVolume, SnapshotVolume, UseSnapshot, VolumeAction
from wizard.plan.cost import estimate_by_volume
from wizard.run.journal import Journal

KNOWN_HOSTS = "known_hosts"
"""A build's own file of host keys, beside its journals."""


def perform(
    endpoint: str | None,
    action: VolumeAction,
    work: Path,
    journal: Journal,
    progress: Progress,
    cancelled: Callable[[], bool],
) -> dict[str, Any]:
    """As wizard.cloud.actions.perform, for these."""
    ec2 = client("ec2", action.region, endpoint)
    if isinstance(action, CheckFarEnd):
        return _check(endpoint, ec2, action, journal, cancelled)
    _discard_others(ec2, journal)
    match action:
        case SnapshotByVolume():
            said = _by_volume(endpoint, ec2, action, work, journal, progress, cancelled)
        case SnapshotVolume():
            said = _of_volume(endpoint, ec2, action, journal, cancelled)
        case UseSnapshot():
            said = _existing(ec2, action, cancelled)
    (work / action.saves).write_text(f"{said['snapshot']}\n", encoding="ascii")
    return said


def _check(
    endpoint: str | None, ec2: Client, action: CheckFarEnd, journal: Journal, cancelled: Asked
) -> dict[str, Any]:
    instance = running_instance(ec2, action.far_end.instance)
    volumes.check_permission(ec2, {**action.creates, "AvailabilityZone": instance.zone, "Size": 1})
    with Meeting(endpoint, ec2, action.far_end, journal, cancelled).connect(instance):
        return {"instance": f"{instance.id} in {instance.zone}", "it is": _known_by(journal)}


def _by_volume(
    endpoint: str | None,
    ec2: Client,
    action: SnapshotByVolume,
    work: Path,
    journal: Journal,
    progress: Progress,
    cancelled: Asked,
) -> dict[str, Any]:
    meeting = Meeting(endpoint, ec2, action.far_end, journal, cancelled)
    once = client("ec2", action.region, endpoint, ONCE)
    upload = Upload(ec2, once, action, work / action.image, journal, meeting.connect, progress, cancelled)
    snapshot_id, checked = upload.run()
    return {"snapshot": snapshot_id, "checked": checked, "instance": _known_by(journal), "cost": _cost(journal)}


def _known_by(journal: Journal) -> str:
    return KNOWN_BY[(journal.last("Connect") or {})["known_by"]]


KNOWN_BY = {
    "here": "this machine itself, so that ssh was not needed",
    "console": "known by the host key that it showed on its console, which AWS vouches for",
    "first sight": "not known before: its host key was taken at first sight, and is kept for this build",
    "build": "known by its host key from before",
}
"""How sure we are of whom we spoke to."""


def _discard_others(ec2: Client, journal: Journal) -> None:
    """Removes what earlier answers to the same build left half done: nobody will go on with it."""
    for path in journal.path.parent.glob("snapshot-*.jsonl"):
        if path != journal.path:
            snapshot.discard_unfinished(ec2, Journal(path))
            volumes.discard(ec2, Journal(path))


@dataclass(frozen=True, slots=True)
class Meeting:
    """How the instance is met: over ssh, or here where this machine is that instance."""

    endpoint: str | None
    ec2: Client
    far_end: FarEnd
    journal: Journal
    cancelled: Asked

    @contextmanager
    def connect(self, instance: Instance) -> Iterator[Session]:
        """A conversation with the far end.  The journal says by what its host key was known."""
        environment = {"AMI_WIZARD_FAR_ROOT": ""}
        if self._is_here():
            if self.endpoint:
                from wizard.cloud.practice.volumes import far_root

                root = far_root(folders.practice() / self.ec2.meta.region_name, instance.id)
                environment = {"AMI_WIZARD_FAR_ROOT": str(root)}
            command, known_by = ["sh", "-c"], "here"
        else:
            host.require(["ssh"])
            known_hosts = self.journal.path.parent / KNOWN_HOSTS
            known_by = learn_host_keys(self.ec2, instance, known_hosts)
            command = ssh_command(self.far_end, instance, known_hosts)
        with conversation([*command, bootstrap()], instance.id, self.cancelled, environment) as session:
            self.journal.answered("Connect", instance=instance.id, known_by=known_by)
            yield session

    def _is_here(self) -> bool:
        """In the practice cloud every instance is this machine, unless the recipe says how to reach it."""
        if self.endpoint:
            return not self.far_end.ssh
        return id_of_this_machine() == self.far_end.instance


def _cost(journal: Journal) -> str:
    asked, written = journal.last("CreateVolume", "asked"), journal.last("WriteVolume")
    assert asked and written
    kept = datetime.now(UTC) - datetime.fromisoformat(asked["at"])
    return estimate_by_volume(written["bytes"], asked["request"]["Size"], kept.total_seconds() / 3600)


def _of_volume(
    endpoint: str | None, ec2: Client, action: SnapshotVolume, journal: Journal, cancelled: Asked
) -> dict[str, Any]:
    found = volumes.describe(ec2, action.volume)
    if found is None:
        raise Failure("no-such-volume", volume=action.volume, region=action.region)
    once = client("ec2", action.region, endpoint, ONCE)
    snapshot_id = snapshots.create(ec2, once, journal, action.volume, action.description, action.tags, cancelled)
    snapshots.until_completed(ec2, snapshot_id, cancelled)
    users = [one["InstanceId"] for one in found.get("Attachments", ()) if one["State"] == "attached"]
    in_use = {"note": f"the volume is in use by {users[0]}: what that had not written yet is missing"} if users else {}
    return {"snapshot": snapshot_id, **in_use}


def _existing(ec2: Client, action: UseSnapshot, cancelled: Asked) -> dict[str, Any]:
    if snapshot.snapshot_state(ec2, action.snapshot) is None:
        raise Failure("no-such-snapshot", snapshot=action.snapshot, region=action.region)
    snapshots.until_completed(ec2, action.snapshot, cancelled)
    return {"snapshot": action.snapshot}
