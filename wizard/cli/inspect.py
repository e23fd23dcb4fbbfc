"""`ami-wizard inspect`: what is in an image, and what is wrong with it."""

import textwrap
from collections.abc import Iterable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click

from wizard.cli.output import print_json
from wizard.disk.read import Partition
from wizard.inspect.findings import SEVERITIES, Finding, printable
from wizard.inspect.image import Inspection
from wizard.inspect.image import inspect as look_into
from wizard.inspect.kernel import FoundKernel
from wizard.kernel.judge import sentence

WIDTH = 80

HEADINGS = {
    "boot": "Keeps it from starting:",
    "access": "Keeps it from being reached or seen:",
    "private": "Must not be shipped:",
    "unknown": "Could not be looked at:",
    "lacking": "Is missing:",
    "leftover": "Is left over from making it:",
    "recommended": "Would be better otherwise:",
}

TABLES = {"gpt": "GPT", "dos": "MBR", "none": "no partition table"}


@click.command()
@click.argument("image", metavar="IMAGE", type=click.Path(path_type=Path))
@click.option("--recipe", metavar="FILE", type=click.Path(path_type=Path), help="The ssh keys that it gives are meant.")
@click.option("--json", "as_json", is_flag=True, help="All of it as JSON.")
def inspect(image: Path, recipe: Path | None, as_json: bool) -> int:
    """Says what is in a disk image, and what is wrong with it.

    IMAGE is a raw disk image.  It is read as a file: nothing is mounted or changed, and no root is needed.
    Shown are its partitions, how EC2 can start it, and its kernel; checked is what every EC2 image needs, and what
    AWS's guidelines for shared AMIs say should not be in one (presets/inspect.toml has it all, with the sources).

    Exit code 0: nothing wrong; 1: findings; 2: not an image.  With --json: {"image", "size", "system", "table",
    "partitions": [..], "boots_by": [..], "boot": [..], "kernel": {..}, "findings": [{"code", "severity", "path",
    "what", "why", "do", "source"}]}.
    """
    found = look_into(image, _keys(recipe))
    if as_json:
        print_json(as_dict(found))
    else:
        click.echo("\n".join(printable(line) for line in as_text(found)))
    return int(any(one.severity != "recommended" for one in found.findings))


def _keys(recipe: Path | None) -> tuple[str, ...]:
    if recipe is None:
        return ()
    from wizard.recipe import load

    return tuple(load(recipe).system.ssh_authorized_keys)


def as_dict(found: Inspection) -> dict[str, Any]:
    """The shape that `--help` describes; sizes in bytes, what is not there is null."""
    disk = found.disk
    return {
        "image": str(disk.path),
        "size": disk.size,
        "system": found.system,
        "table": {"kind": disk.table.kind, "id": disk.table.disk_id or None, "sector": disk.table.sector},
        "partitions": [_partition_dict(part, found) for part in disk.partitions],
        "boots_by": [asdict(way) for way in found.boots_by],
        "boot": [
            {
                "loader": entry.loader,
                "menu": entry.menu,
                "kernel": entry.kernel,
                "initramfs": [place for _, place in entry.initrds],
                "arguments": " ".join(entry.arguments),
            }
            for entry in found.entries
        ],
        "kernel": _kernel_dict(found.kernel) if found.kernel else None,
        "findings": [asdict(one) for one in found.findings],
    }


def _partition_dict(part: Partition, found: Inspection) -> dict[str, Any]:
    fs = part.filesystem
    return {
        "number": part.number,
        "start": part.entry.start,
        "size": part.entry.size,
        "type": part.entry.kind or None,
        "name": part.entry.name or None,
        "partuuid": part.entry.partuuid or None,
        "mounted_at": _mounts(part, found),
        "filesystem": {
            "kind": fs.kind,
            "uuid": fs.uuid or None,
            "label": fs.label or None,
            "features": list(fs.features),
            "size": fs.size,
        }
        if fs
        else None,
    }


def _kernel_dict(kernel: FoundKernel) -> dict[str, Any]:
    return {
        "path": printable(kernel.path),
        "kind": kernel.image.kind,
        "version": kernel.image.version,
        "arch": kernel.image.arch,
        "compression": kernel.image.compression,
        "config": kernel.config,
        "modules": kernel.modules,
        "initramfs": kernel.initramfs,
        "initramfs_modules": kernel.initramfs_modules,
        "verdicts": {
            verdict.profile: {
                "boots": "unknown" if verdict.boots is None else verdict.boots,
                "reachable": "unknown" if verdict.reachable is None else verdict.reachable,
            }
            for verdict in kernel.verdicts
        },
    }


def _mounts(part: Partition, found: Inspection) -> list[str]:
    """Where the system mounts it."""
    if found.root is None:
        return []
    places = [mount.path for mount in found.root.mounts if mount.partition is part and mount.path.startswith("/")]
    return list(dict.fromkeys(["/"] * (part is found.root.partition) + places))


def as_text(found: Inspection) -> Iterator[str]:
    """For a terminal of 80 columns."""
    disk = found.disk
    about = ", ".join(filter(None, [_size(disk.size), TABLES[disk.table.kind], found.system]))
    yield from textwrap.wrap(f"{disk.path}: {about}", WIDTH, subsequent_indent="  ")
    yield from ("", "Partitions", f"   {'#':>3} {'start':>9} {'size':>9}  {'holds':<12} {'label':<12} mounted at")
    for part in disk.partitions:
        yield _partition_line(part, found)
    yield from ("", "Starts by")
    for way in found.boots_by:
        arch = f" ({way.arch})" if way.arch else ""
        yield from _item(f"{way.mode}{arch}: {way.by}")
    if not found.boots_by:
        yield "  nothing"
    yield from _boot_lines(found)
    yield from _finding_lines(found.findings)


def _partition_line(part: Partition, found: Inspection) -> str:
    fs = part.filesystem
    kind = fs.kind if fs else "BIOS boot" if part.entry.kind.startswith("21686148") else "-"
    label = (fs.label if fs else "") or part.entry.name or "-"
    places = ", ".join(_mounts(part, found)) or ("swap" if kind == "swap" else "-")
    start, size = _size(part.entry.start), _size(part.entry.size)
    return f"   {part.number or 'all':>3} {start:>9} {size:>9}  {kind:<12.12} {label:<12.12} {places}"[:WIDTH]


def _boot_lines(found: Inspection) -> Iterator[str]:
    if found.entries:
        yield from ("", "Boot files")
    for entry in found.entries:
        files = ", ".join(filter(None, [entry.kernel, *(place for _, place in entry.initrds)]))
        yield from _item(f"{entry.menu}: {files or 'nothing that is there'}")
        yield from _item(f"arguments: {' '.join(entry.arguments)}", "    ")
    if kernel := found.kernel:
        yield from ("", "Kernel")
        version = kernel.image.version or "of unknown version"
        yield from _item(f"{kernel.path}: Linux {version}, {kernel.image.arch}, compression {kernel.image.compression}")
        if kernel.initramfs:
            count = "could not be read" if kernel.initramfs_modules is None else f"{kernel.initramfs_modules} modules"
            yield from _item(f"{kernel.initramfs}: {count}")
        for verdict in kernel.verdicts:
            yield from _item(sentence(verdict))


def _finding_lines(findings: Iterable[Finding]) -> Iterator[str]:
    every = list(findings)
    if not every:
        yield from ("", "Nothing wrong was found.")
    for severity in SEVERITIES:
        found = [one for one in every if one.severity == severity]
        if found:
            yield from ("", HEADINGS[severity])
        for one in found:
            yield from _item(one.what)
            yield from _item(f"Why: {one.why}", "    ")
            yield from _item(f"Do: {one.do}", "    ")


def _item(text: str, indent: str = "  ") -> list[str]:
    return textwrap.wrap(
        printable(text), WIDTH, initial_indent=indent, subsequent_indent=f"{indent}  ", break_on_hyphens=False
    )


def _size(size: int) -> str:
    """1.5 GiB, 64 MiB, 512 bytes."""
    for unit, name in ((1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB")):
        if size >= unit:
            number = f"{size / unit:.1f}".removesuffix(".0")
            return f"{number} {name}"
    return f"{size} bytes"
