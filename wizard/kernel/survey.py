"""Looks through an unpacked kernel once, a piece at a time, for what it says of itself."""

import re
from dataclasses import dataclass

from wizard.kernel.config import config_text
from wizard.kernel.elf import HEAD, Elf, XenNotes, parse, xen_notes
from wizard.kernel.stream import CHUNK, Stream
from wizard.kernel.unpack import MOST

OVERLAP = CHUNK // 2
"""A config inside a kernel has 20 to 70 KB; what spans two pieces is found whole in this much."""

_BANNER = re.compile(rb"Linux version (\d+\.\d[!-~]{0,100}) ")


@dataclass(frozen=True, slots=True)
class Content:
    """What was found in an unpacked kernel.

    arch    None when it does not tell
    xen     its notes for Xen; empty when it has none
    config  the text of its config (CONFIG_IKCONFIG)
    damage  why it could not be read to its end
    """

    elf: Elf | None = None
    is_arm64_image: bool = False
    version: str | None = None
    xen: XenNotes | None = None
    config: str | None = None
    damage: str | None = None

    @property
    def arch(self) -> str | None:
        """ "i386", "x86_64", "arm64"; None when it does not tell."""
        if self.is_arm64_image:
            return "arm64"
        return self.elf.arch if self.elf else None


def survey(kernel: Stream) -> Content:
    """Reads until all is found, or to the end of what is loaded of the kernel."""
    head = kernel.peek(HEAD)
    header = parse(head)
    notes = list(header.notes) if header else []
    version, config, window = None, None, b""
    xen: dict[str, str | int] = {}
    end = min(header.loaded, MOST) if header and header.loaded else MOST
    for piece in kernel.part(end):
        window = window[-OVERLAP:] + piece
        start = kernel.position - len(window)
        if version is None and (banner := _BANNER.search(window)):
            version = banner[1].decode("ascii")
        config = config or _ikconfig(window)
        for offset, size in [note for note in notes if sum(note) <= kernel.position]:
            notes.remove((offset, size))
            xen |= xen_notes(window[max(offset - start, 0) : max(offset + size - start, 0)])
        if version and config and not notes:
            break
    else:
        if header and kernel.position < end and header.loaded and not kernel.damage:
            kernel.damage = f"its ELF header announces {header.loaded} bytes, there are {kernel.position}"
    return Content(header, head[56:60] == b"ARMd", version, xen, config, kernel.damage)


def _ikconfig(window: bytes) -> str | None:
    """The config between its markers.  Source: the kernel's kernel/configs.c."""
    start = window.find(b"IKCFG_ST\x1f\x8b")
    end = window.find(b"IKCFG_ED", start)
    return config_text(window[start + 8 : end]) if 0 <= start < end else None
