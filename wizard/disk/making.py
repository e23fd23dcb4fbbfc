"""What every maker of file systems is told, and what they share."""

from dataclasses import dataclass

from wizard.disk.layout import Partition

IMAGE = "image/disk.img"
MIB = 1 << 20


@dataclass(frozen=True, slots=True)
class Job:
    """One file system to make, from a folder, at its partition's place in IMAGE.

    fs_id   the id that fstab names
    tree    the folder; "" for swap
    mib     the size, as bash text
    epoch   the time that no file is younger than
    is_pv   PV-GRUB and old kernels will read it
    """

    part: Partition
    fs_id: str
    tree: str
    mib: str
    epoch: int
    is_pv: bool

    @property
    def offset(self) -> int:
        """Where it begins in IMAGE, in bytes."""
        return self.part.start_mib * MIB

    @property
    def alone(self) -> str:
        """A file of its own, for makers that cannot write at an offset."""
        return f"image/{self.part.name}.{self.part.filesystem}"


def put_in_place(job: Job) -> list[str]:
    """Moves `job.alone` to its place; holes stay holes."""
    return [
        f"dd if={job.alone} of={IMAGE} bs=1M seek={job.part.start_mib} conv=notrunc,sparse status=none",
        f"rm {job.alone}",
    ]


def clock_stopped(epoch: int) -> str:
    """The beginning of a command that shall believe that it is `epoch`: for makers that know no SOURCE_DATE_EPOCH."""
    return f"faketime -f \"$(date -u -d @{epoch} '+%Y-%m-%d %H:%M:%S')\""
