"""The results: kept after every boot, and written as a page for people."""

import datetime
import json
import re
import subprocess
from pathlib import Path
from typing import Any

from wizard import folders
from wizard.disk.layout import load as layout

from .cells import Cell, cells

PAGE = Path(__file__).resolve().parents[2] / "docs/MATRIX.md"
TOOLS = {
    "mmdebstrap": ["mmdebstrap", "--version"],
    "e2fsprogs": ["mke2fs", "-V"],
    "btrfs-progs": ["mkfs.btrfs", "--version"],
    "xfsprogs": ["mkfs.xfs", "-V"],
    "mtools": ["mformat", "--version"],
    "GRUB": ["grub-mkimage", "--version"],
    "QEMU": ["qemu-system-x86_64", "--version"],
}

COLUMNS = (
    *("layout", "file systems", "starts as", "came up", "boot, s", "assembly, s"),
    *("disk, GiB", "stored, MiB", "machine", "date"),
)

HEAD = """\
# Layouts, booted

Every layout, virtualization and boot mode of Debian 12 on x86_64: built by `ami-wizard build`, and proved by
`ami-wizard prove`: PV by GRUB in a real Xen, HVM from an NVMe disk by SeaBIOS and by OVMF, all emulated. "Came up"
means: the root was found, an address taken, the key taken from the metadata service, and ssh let us in with it.
Seconds are worth little without what else the machine had to do; `load` is its load average.
Written by `make matrix` (tests/matrix/), not by hand.

"""


def results() -> dict[str, Any]:
    """What is known, by the cells' names."""
    place = _place()
    found: dict[str, Any] = json.loads(place.read_text()) if place.exists() else {}
    return found


def put(cell: Cell, row: dict[str, Any]) -> None:
    """Keeps one result, and writes the page anew."""
    known = results() | {cell.name: {**row, "date": datetime.datetime.now(datetime.UTC).date().isoformat()}}
    place = _place()
    place.parent.mkdir(parents=True, exist_ok=True)
    aside = place.with_suffix(".part")
    aside.write_text(json.dumps(known, indent=1))
    aside.replace(place)
    PAGE.write_text(page(known), encoding="utf-8")


def page(known: dict[str, Any]) -> str:
    """The page."""
    rows = [f"| {' | '.join(COLUMNS)} |", f"| {' | '.join('---' for _ in COLUMNS)} |"]
    for cell in cells():
        fields = [cell.layout, _filesystems(cell), cell.way]
        if row := known.get(cell.name):
            fields += [row["came_up"], f"{row['boot_seconds']:.0f}", f"{row['image_seconds']:.0f}"]
            fields += [str(row[name]) for name in ("gib", "stored_mib", "machine", "date")]
        else:
            fields += ["not tried yet", *[""] * 6]
        rows.append(f"| {' | '.join(fields)} |")
    tried = [known[cell.name] for cell in cells() if cell.name in known]
    came_up = sum(row["came_up"] == "yes" for row in tried)
    told = ", ".join(f"{name} {_version(command)}" for name, command in TOOLS.items())
    said = f"{len(tried)} of {len(cells())} tried, {came_up} came up.  Tools: {told}."
    return "\n".join([f"{HEAD}{said}", "", *rows, ""])


def _filesystems(cell: Cell) -> str:
    """The layout's file systems in short, by where they are mounted."""
    parts = [part for part in layout(cell.layout).partitions if part.filesystem != "bios-boot"]
    return ", ".join(f"{part.mount} {part.filesystem}" if part.mount else part.filesystem for part in parts)


def _version(command: list[str]) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    found = re.search(r"\d+\.\d[\w.+~-]*", done.stdout + done.stderr)
    return found[0].rstrip(".") if found else "unknown"


def _place() -> Path:
    return folders.lab() / "matrix.json"
