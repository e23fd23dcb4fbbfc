"""The root file system with what fstab mounts into it: the paths as the running system has them."""

import re
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass

from wizard.disk.read.btrfs import Btrfs
from wizard.disk.read.disk import Disk, Partition
from wizard.disk.read.source import Unreadable
from wizard.disk.read.tree import Driver, Tree

SIGNS = ("etc/fstab", "etc/os-release", "usr/lib/os-release", "sbin/init", "etc/passwd")
"""What a root file system has; the one with most of them is taken."""


MOST_VOLUMES = 64
"""So many subvolumes of a btrfs are looked at: snapshots can be thousands."""


@dataclass(frozen=True, slots=True)
class Mount:
    """A line of fstab; `partition` is None where this disk does not have what it names."""

    spec: str
    path: str
    kind: str
    options: tuple[str, ...]
    partition: Partition | None


@dataclass(frozen=True, slots=True)
class Root:
    """The system on a disk; `files` has its paths."""

    partition: Partition
    mounts: tuple[Mount, ...]
    files: Tree


def root_of(disk: Disk) -> Root | None:
    """The system on a disk; None where no file system that we can read looks like one."""
    found = [(score, part, driver) for part in disk.partitions for score, driver in _candidates(part)]
    if not found:
        return None
    _, partition, driver = max(found, key=lambda one: one[0])
    alone = Tree({"/": driver})
    mounts = tuple(_mounts(disk, alone.text("/etc/fstab") or ""))
    drivers = {"/": driver}
    for mount in mounts:
        if mount.path not in ("/", "none", "swap") and mount.partition and (inner := _driver(mount)):
            drivers[mount.path] = inner
    files = Tree(drivers)
    files.blind |= alone.blind
    return Root(partition, mounts, files)


def _candidates(part: Partition) -> Iterator[tuple[int, Driver]]:
    """What may be a root, with how much of one it has; of a btrfs every subvolume."""
    driver = part.filesystem.driver if part.filesystem else None
    if driver is None:
        return
    drivers: list[Driver] = [driver]
    if isinstance(driver, Btrfs):
        with suppress(Unreadable):  # what is damaged in it shows when its files are looked at
            drivers += [driver.of_volume(number) for number in driver.volumes()[:MOST_VOLUMES]]
    for one in drivers:
        files = Tree({"/": one})
        if score := sum(files.stat(f"/{sign}", follow=False) is not None for sign in SIGNS):
            yield score, one


def _mounts(disk: Disk, fstab: str) -> Iterator[Mount]:
    for line in fstab.splitlines()[:1000]:
        fields = line.split()
        if len(fields) >= 3 and not fields[0].startswith("#"):
            path = re.sub(r"\\([0-7]{3})", lambda octal: chr(int(octal[1], 8)), fields[1])
            options = tuple(fields[3].split(",")) if len(fields) > 3 else ()
            yield Mount(fields[0], path, fields[2], options, named(disk, fields[0]))


def named(disk: Disk, spec: str) -> Partition | None:
    """The partition that "UUID=…", "LABEL=…", "PARTUUID=…", "PARTLABEL=…" or "/dev/xvda1" names."""
    key, _, value = spec.partition("=")
    value = value.strip("\"'")
    for part in disk.partitions:
        fs = part.filesystem
        has = {
            "UUID": fs.uuid if fs else "",
            "LABEL": fs.label if fs else "",
            "PARTUUID": part.entry.partuuid,
            "PARTLABEL": part.entry.name,
        }.get(key, "")
        if has and (has.lower() == value.lower() if "UUID" in key else has == value):
            return part
    if by := re.fullmatch(r"/dev/disk/by-(uuid|label|partuuid|partlabel)/(.+)", spec):
        return named(disk, f"{by[1].upper()}={by[2]}")
    device = re.fullmatch(r"/dev/(?:(?:xvd|sd|vd|hd)a([0-9]{0,3})|nvme0n1(?:p([0-9]{1,3}))?)", spec)
    return disk.partition(int(device[1] or device[2] or 0)) if device else None


def _driver(mount: Mount) -> Driver | None:
    """How a line of fstab mounts its file system: of a btrfs perhaps a subvolume."""
    driver = mount.partition.filesystem.driver if mount.partition and mount.partition.filesystem else None
    if not isinstance(driver, Btrfs):
        return driver
    for option in mount.options:
        name, _, value = option.partition("=")
        if name == "subvolid" and re.fullmatch(r"[0-9]{1,19}", value):
            return driver.of_volume(int(value))
        if name == "subvol":
            top = Tree({"/": driver.of_volume(5)})
            node = top.stat(value)
            return driver.of_volume(node.key[0]) if node and node.is_folder else None
    return driver
