"""What the editor says: its keys, its rows, its sizes."""

from collections.abc import Collection

from wizard.disk.filesystems import filesystems
from wizard.disk.layout import Layout
from wizard.disk.sizes import said

KEYS = """\
Up, Down       another partition; or click it
Enter          into its fields; Tab goes on to the next
a              adds one, d removes it
+ and -        larger and smaller; or drag its right edge in the picture
Ctrl+Up, Down  moves it to the front or to the end of the disk (also K, J)
t              another partition table: GPT, MBR, or none
u or Ctrl+Z    undoes the last change; r or Ctrl+Y does it again
Ctrl+S         keeps the partitions and goes back to the form
Escape         from a field back to the list; from there it leaves, and asks whether to keep what was changed
Ctrl+P         all of these, by their names

The last partition takes what the others leave, and grows with the disk. Sizes are written as 512M or 1.5G."""


def kinds() -> str:
    """What a partition can hold, a line each."""
    return "\n".join(f"{name:<10} {one.what}" for name, one in filesystems().items())


NAMES = {"gpt": "GPT", "dos": "MBR", "none": "No partition table"}

TABLES = {
    "gpt": "GPT   many partitions; starts by BIOS and by UEFI, and by PV-GRUB from 1.04 on",
    "dos": "MBR   four partitions; starts by BIOS and by PV-GRUB",
    "none": "none  the whole disk is one file system; starts by PV-GRUB",
}


def row_texts(layout: Layout, wrong: Collection[int | None], total_mib: int) -> list[str]:
    """The partitions, one line each: number, name, content, mount point, size; what is refused has a mark."""
    names = max(len(part.name) for part in layout.partitions)
    mounts = max(len(part.mount or "") for part in layout.partitions)
    lines = []
    for at, part in enumerate(layout.partitions):
        mark = "✗" if at in wrong else " "
        number = str(part.number) if layout.table != "none" else ""
        size = said(part.size_mib) if part.size_mib else _rest(layout, total_mib)
        words = f"{mark} {number:>3} {part.name:<{min(names, 16)}}  {part.filesystem:<9}  "
        lines.append(f"{words}{part.mount or '-':<{min(max(mounts, 1), 24)}}  {size}")
    return lines


def _rest(layout: Layout, total_mib: int) -> str:
    left = total_mib - layout.partitions[-1].start_mib - layout.tail_mib
    return f"the rest, {said(left)}" if left > 0 else "the rest, which is nothing"


def step(mib: int, direction: int) -> int:
    """The next size up or down: an eighth of the power of two below, so that sizes stay round."""
    base = mib if direction > 0 else mib - 1
    unit = max(1, (1 << max(base, 1).bit_length() - 1) // 8)
    return max(1, (mib // unit + 1) * unit if direction > 0 else (mib - 1) // unit * unit)
