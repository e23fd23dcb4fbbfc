"""An image file to a snapshot by a volume, so that it can be stopped and gone on with anywhere."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

from wizard.cloud.blocks import GIB
from wizard.cloud.sending import Progress, Tally
from wizard.cloud.session import Client
from wizard.cloud.snapshot import snapshot_state
from wizard.cloud.volume import snapshots, volumes
from wizard.cloud.volume.instance import Instance, running_instance
from wizard.cloud.volume.session import Session
from wizard.cloud.volume.writing import Writing, ranges_of
from wizard.cloud.waiting import Asked, rest, until
from wizard.explain import Failure
from wizard.plan.actions import VOLUME_TYPE, SnapshotByVolume
from wizard.run.journal import Journal

LONGEST_UNTIL_SEEN = 120.0
"""Seconds that the instance's kernel may take to show a disk that AWS calls attached."""

RECONNECTIONS = 4
PAUSE = 5.0
"""Seconds before a lost connection is made anew."""

Connect = Callable[[Instance], AbstractContextManager[Session]]
"""Begins a conversation with the instance."""


@dataclass(frozen=True, slots=True)
class Upload:
    """One attempt to bring an image into a snapshot by a volume."""

    ec2: Client
    once: Client
    action: SnapshotByVolume
    image: Path
    journal: Journal
    connect: Connect
    progress: Progress
    cancelled: Asked

    def run(self) -> tuple[str, str]:
        """Gives the snapshot's id, once it is complete and the volume is gone, and what was checked, in words.

        Called again with the same journal after any kind of end, it goes on with the same volume and snapshot.
        """
        snapshot_id = self._begun_snapshot()
        if snapshot_id is None:
            volume_id = self._written_volume() or self._write()
            volumes.detach(self.ec2, self.journal, volume_id, self.cancelled)
            description, tags = self.action.description, self.action.tags
            snapshot_id = snapshots.create(
                self.ec2, self.once, self.journal, volume_id, description, tags, self.cancelled
            )
        snapshots.until_completed(self.ec2, snapshot_id, self.cancelled)
        volumes.discard(self.ec2, self.journal)
        written = self.journal.last("WriteVolume") or {}
        return snapshot_id, HOW_READ[written["how"]].format(size=written["bytes"])

    def _begun_snapshot(self) -> str | None:
        """The snapshot that an earlier attempt made; of the same step, so of the same bytes."""
        answered = self.journal.last("CreateSnapshot")
        snapshot_id = str(answered["snapshot_id"]) if answered else ""
        return (
            snapshot_id if snapshot_id and snapshot_state(self.ec2, snapshot_id) in ("pending", "completed") else None
        )

    def _written_volume(self) -> str | None:
        """The volume that an earlier attempt wrote and checked whole."""
        answered = self.journal.last("WriteVolume")
        volume_id = str(answered["volume_id"]) if answered else ""
        return volume_id if volume_id and volumes.describe(self.ec2, volume_id) else None

    def _write(self) -> str:
        """Writes the image to a volume; gives the volume's id.  Lost connections are made anew."""
        instance = running_instance(self.ec2, self.action.far_end.instance)
        tally = Tally()
        ranges = ranges_of(self.image, tally, self.cancelled)
        for connection in range(RECONNECTIONS + 1):
            try:
                with self.connect(instance) as session:
                    disk = self._disk(session, instance)
                    work = Writing(session, self.image, ranges, self.progress, tally)
                    how = work.write(is_fresh=disk.is_fresh)
                    self.journal.answered("WriteVolume", volume_id=disk.volume_id, bytes=work.total, how=how)
                    return disk.volume_id
            except Failure as failure:
                if failure.code != "volume-connection-lost" or connection == RECONNECTIONS:
                    raise
            rest(PAUSE, self.cancelled)
        raise AssertionError("the last attempt returns or raises")

    def _disk(self, session: Session, instance: Instance) -> "Disk":
        """The far end's disk that is our volume, attached by us, and ready to be written."""
        volume_id = self._volume(instance)
        is_fresh = not any(
            (item["operation"], item.get("volume_id")) == ("WriteVolume", volume_id) for item in self.journal.records()
        )
        if not self._was_attached(session, volume_id, instance, is_fresh):
            self._attach(session, volume_id, instance, is_fresh)
        self.journal.asked("WriteVolume", volume_id=volume_id, instance=instance.id)
        return Disk(volume_id, is_fresh)

    def _volume(self, instance: Instance) -> str:
        status = self.image.stat()
        tags = [{"Key": key, "Value": value} for key, value in self.action.tags.items()]
        wanted = {
            "AvailabilityZone": instance.zone,
            "Size": -(-status.st_size // GIB),
            "VolumeType": VOLUME_TYPE,
            "TagSpecifications": [{"ResourceType": "volume", "Tags": tags}],
            **self.action.encryption,
        }
        image = {"size": status.st_size, "mtime_ns": status.st_mtime_ns}
        return volumes.create(self.ec2, self.journal, wanted, image, self.cancelled)

    def _was_attached(self, session: Session, volume_id: str, instance: Instance, is_fresh: bool) -> bool:
        """Whether the volume is attached already and its disk can be told by its id; detached, where it cannot."""
        if not volumes.is_attached(self.ec2, volume_id):
            return False
        device = volumes.attach(self.ec2, self.journal, volume_id, instance, self.cancelled)
        if session.ask(self._find(volume_id, device, is_fresh, "-")) != "absent":
            return True
        volumes.detach(self.ec2, self.journal, volume_id, self.cancelled)
        return False

    def _attach(self, session: Session, volume_id: str, instance: Instance, is_fresh: bool) -> None:
        """Attaches the volume and waits until the far end has a disk more."""
        before = session.ask("disks").partition(" ")[2] or "none"
        device = volumes.attach(self.ec2, self.journal, volume_id, instance, self.cancelled)
        request = self._find(volume_id, device, is_fresh, before)
        late = Failure("volume-device-missing", instance=instance.id, volume=volume_id, device=device)
        until(lambda: session.ask(request) != "absent" or None, LONGEST_UNTIL_SEEN, late, self.cancelled)

    def _find(self, volume_id: str, device: str, is_fresh: bool, before: str) -> str:
        size = -(-self.image.stat().st_size // GIB) * GIB
        return f"find {volume_id.replace('-', '')} {device[-1]} {size} {'fresh' if is_fresh else 'begun'} {before}"


@dataclass(frozen=True, slots=True)
class Disk:
    """A volume whose disk was found; `is_fresh`: nothing was written to it yet."""

    volume_id: str
    is_fresh: bool


HOW_READ = {
    "direct": "{size} bytes of data, read back from the disk itself, agree by SHA-256; the rest was never written",
    "dropped": "{size} bytes of data, read back after the instance's cache was emptied, agree by SHA-256; the rest was "
    "never written",
    "cached": "{size} bytes of data, read back perhaps from the instance's cache, agree by SHA-256; the rest was never "
    "written",
}
"""What was checked, by the far end's word for how it could read."""
