"""A disk image: opened, its partitions and what is in them."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from wizard.disk.read.formats import refuse_other_formats
from wizard.disk.read.source import Source, Work
from wizard.disk.read.superblock import FileSystem, identify
from wizard.disk.read.table import Entry, Table, read_table
from wizard.explain import Failure
from wizard.kernel.sniff import looks_like, status_of

ESP = ("c12a7328-f81f-11d2-ba4b-00a0c93ec93b", "ef")
BIOS_BOOT = "21686148-6449-6e6f-744e-656564454649"
"""Types of partitions, in GPT and MBR.  Source: UEFI specification 2.10, §5.3.3; GRUB's manual, "BIOS installation"."""


@dataclass(frozen=True, slots=True)
class Partition:
    """A partition, or the bare disk as number 0; `missing` is how many of its bytes lie behind the image's end."""

    entry: Entry
    filesystem: FileSystem | None
    missing: int

    @property
    def number(self) -> int:
        """As the kernel counts, from 1; 0 for a file system on the bare disk."""
        return self.entry.number

    @property
    def is_esp(self) -> bool:
        """Whether firmware looks for EFI programs in it."""
        return self.entry.kind in ESP


@dataclass(frozen=True, slots=True)
class Disk:
    """An image that is open; `source` reads its bytes."""

    path: Path
    size: int
    table: Table
    partitions: tuple[Partition, ...]
    source: Source

    def partition(self, number: int) -> Partition | None:
        """The one with that number."""
        return next((part for part in self.partitions if part.number == number), None)


@contextmanager
def open_image(path: Path) -> Iterator[Disk]:
    """A raw disk image, to be read while the context lasts.

    Raises Failure "unreadable-file", "not-a-raw-image" for qcow2, VMDK and the like (with the command that converts),
    "not-a-disk-image" where there is neither a partition table nor a file system.
    """
    status_of(path)
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except OSError as error:
        raise Failure("unreadable-file", path=path, reason=error.strerror or error) from error
    try:
        yield _disk(path, descriptor)
    except OSError as error:
        raise Failure("unreadable-file", path=path, reason=error.strerror or error) from error
    finally:
        os.close(descriptor)


def _disk(path: Path, descriptor: int) -> Disk:
    source = Source(descriptor, 0, _size(path, descriptor), Work())
    refuse_other_formats(path, source)
    table = read_table(source)
    entries = table.entries or (Entry(0, 0, source.size, "", ""),)
    partitions = tuple(_partition(source, entry) for entry in entries)
    if table.kind == "none" and partitions[0].filesystem is None:
        raise Failure("not-a-disk-image", path=path, looks=looks_like(source.peek(0, 1 << 20)))
    return Disk(path, source.size, table, partitions, source)


def _size(path: Path, descriptor: int) -> int:
    """Of a file, or of a disk of this machine: the end is where one can seek to."""
    try:
        return os.lseek(descriptor, 0, os.SEEK_END)
    except OSError as error:
        raise Failure("not-a-disk-image", path=path, looks="a pipe or a terminal") from error


def _partition(source: Source, entry: Entry) -> Partition:
    part = source.part(entry.start, entry.size)
    is_container = entry.kind in ("05", "0f", "85") or entry.kind == BIOS_BOOT
    filesystem = None if is_container else identify(part)
    return Partition(entry, filesystem, entry.size - part.size)
