"""What lies in an image, read by the file systems' own tools: nothing is mounted."""

import contextlib
import json
import os
import re
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from wizard.disk.layout import Layout, Partition

MIB = 1 << 20


@dataclass(frozen=True, slots=True)
class Facts:
    """What a file system says of one path."""

    mode: int
    uid: int
    gid: int
    mtime: int
    links: int


def out(*command: str, text: str | None = None) -> str:
    return subprocess.run(command, check=True, capture_output=True, text=True, input=text).stdout


def partitions(image: Path) -> list[dict[str, int | str]]:
    """The partition table as sfdisk tells it; none where there is no table."""
    told = subprocess.run(["sfdisk", "--json", str(image)], capture_output=True, text=True)
    table: list[dict[str, int | str]] = json.loads(told.stdout or "{}").get("partitiontable", {}).get("partitions", [])
    return table


def cut_out(image: Path, part: Partition, layout: Layout, folder: Path) -> Path:
    """One file system as a file of its own; holes stay holes."""
    target = folder / part.name
    start = part.start_mib * MIB
    end = start + part.size_mib * MIB if part.size_mib else image.stat().st_size - layout.tail_mib * MIB
    with image.open("rb") as source, target.open("wb") as made:
        made.truncate(end - start)
        for data, hole in _data(source.fileno(), start, end):
            source.seek(data)
            made.seek(data - start)
            made.write(source.read(hole - data))
    return target


def _data(handle: int, start: int, end: int) -> Iterator[tuple[int, int]]:
    """Where between two places a file has data."""
    with contextlib.suppress(OSError):
        while start < end and (data := os.lseek(handle, start, os.SEEK_DATA)) < end:
            start = min(os.lseek(handle, data, os.SEEK_HOLE), end)
            yield data, start


def in_ext(image: Path, offset_mib: int, request: str) -> str:
    return out("debugfs", "-R", request, f"{image}?offset={offset_mib * MIB}")


def content(image: Path, part: Partition, layout: Layout, path: str) -> str:
    """A file, read by GRUB's own readers."""
    table = {"gpt": "gpt", "dos": "msdos"}.get(layout.table)
    device = f"(loop0,{table}{part.number})" if table else "(loop0)"
    return out("grub-fstest", str(image), "cat", f"{device}{path}")


def facts(filesystem: str, file: Path, path: str) -> Facts:
    """What the file system in `file` says of a path."""
    return (_of_xfs if filesystem == "xfs" else _of_btrfs if filesystem == "btrfs" else _of_ext)(file, path)


def _of_ext(file: Path, path: str) -> Facts:
    quoted = path.replace('"', '""')
    said = out("debugfs", "-R", f'stat "{quoted}"', str(file))

    def number(pattern: str, base: int = 10) -> int:
        found = re.search(pattern, said)
        assert found, said
        return int(found[1], base)

    return Facts(
        number(r"Mode:\s+0*([0-7]+)", 8),
        number(r"User:\s+(\d+)"),
        number(r"Group:\s+(\d+)"),
        number(r"mtime: 0x([0-9a-f]+)", 16),
        number(r"Links: (\d+)"),
    )


def _of_xfs(file: Path, path: str) -> Facts:
    """xfs_db prints a time as it lies there; where bigtime is on for the file system, old inodes keep the old form."""
    fields = ["core.mode", "core.uid", "core.gid", "core.mtime.sec", "core.nlinkv2"]
    said = out("xfs_db", "-f", "-r", "-c", f"path {path}", "-c", f"print {' '.join(fields)}", str(file))
    found = dict(line.split(" = ") for line in said.splitlines())
    seconds = out("date", "-u", "-d", found["core.mtime.sec"], "+%s")
    mode = int(found["core.mode"], 8) & 0o7777
    return Facts(mode, int(found["core.uid"]), int(found["core.gid"]), int(seconds), int(found["core.nlinkv2"]))


def _of_btrfs(file: Path, path: str) -> Facts:
    """A subvolume is a tree of its own, which the folder's entry names in place of an inode."""
    tree, inode = _btrfs_tree(file, "fs"), "256"
    for name in [part for part in path.split("/") if part]:
        entry = rf"key \({inode} DIR_INDEX \d+\) .*\n\s+location key \((\d+) (INODE|ROOT)_ITEM .*\n.*\n\s+name: (.*)"
        number, kind = next((number, kind) for number, kind, found in re.findall(entry, tree) if found == name)
        tree, inode = (tree, number) if kind == "INODE" else (_btrfs_tree(file, number), "256")
    item = rf"key \({inode} INODE_ITEM 0\) [^k]*?mode (\d+) links (\d+) uid (\d+) gid (\d+) [^k]*?mtime (\d+)"
    found = re.search(item, tree.replace("block group", ""))
    assert found, path
    mode, links, uid, gid, mtime = found.groups()
    return Facts(int(mode, 8) & 0o7777, int(uid), int(gid), int(mtime), int(links))


def _btrfs_tree(file: Path, tree: str) -> str:
    return out("btrfs", "inspect-internal", "dump-tree", "-t", tree, str(file))


def xattrs(filesystem: str, file: Path, path: str) -> str:
    """The names of a path's extended attributes, as the file system's tool tells them."""
    if filesystem == "btrfs":
        tree = _btrfs_tree(file, "fs")
        return "\n".join(re.findall(r"XATTR_ITEM.*(?:\n\t\t.*)+", tree))
    return out("debugfs", "-R", f'ea_list "{path}"', str(file))
