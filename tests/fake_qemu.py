"""A program in QEMU's place: it says what it is told to on the guest's console, and runs until it is ended."""

import os
import struct
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from wizard.cloud.practice.process import practice_cloud

SCRIPT = """\
#!/bin/sh
here=$(dirname "$0")
for word; do
  case "$word" in
    file:*) console=${word#file:} ;;
    filter-dump,*) capture=${word##*,file=}; capture=${capture%%,*} ;;
  esac
done
[ -n "$console" ] || exit 0
echo "$@" > "${console%/*}/command"
cat "$here/console" >> "$console"
[ ! -e "$here/packets" ] || cp "$here/packets" "$capture"
[ ! -e "$here/halts" ] || exit "$(cat "$here/halts")"
echo $$ > "${console%/*}/pid"
exec sleep 600
"""

UP = "Linux version 6.1.0\nRun /sbin/init as init process\n\nsmall login: "


class FakeQemu:
    """`says` on the console; `gets_address`: what DHCP's last packet looks like; `halts`: with which exit code."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(exist_ok=True)
        for name in ("qemu-system-x86_64", "qemu-system-aarch64"):
            (folder / name).write_text(SCRIPT)
            (folder / name).chmod(0o755)
        self.says(UP)

    def says(self, text: str, *, gets_address: bool = True, halts: int | None = None) -> None:
        (self.folder / "console").write_text(text)
        for name in ("packets", "halts"):
            (self.folder / name).unlink(missing_ok=True)
        if gets_address:
            (self.folder / "packets").write_bytes(acknowledged())
        if halts is not None:
            (self.folder / "halts").write_text(str(halts))

    @property
    def path(self) -> str:
        """A PATH on which it is found first."""
        return f"{self.folder}:{os.environ['PATH']}"


@contextmanager
def cloud_with(qemu: FakeQemu, folder: Path) -> Iterator[str]:
    """A practice cloud whose server finds this QEMU, and nobody else does."""
    with ExitStack() as stack:
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("PATH", qemu.path)
            url = stack.enter_context(practice_cloud(folder))
        yield url


def acknowledged() -> bytes:
    """A capture with DHCP's acknowledgement in it."""
    packet = bytes(12) + b"\x08\x00" + bytes(9) + b"\x11" + bytes(10) + struct.pack(">HH", 67, 68)
    packet += bytes(200) + b"\x63\x82\x53\x63" + b"\x35\x01\x05\xff"
    return bytes(24) + bytes(8) + struct.pack("<II", len(packet), len(packet)) + packet


def is_running(pid: int) -> bool:
    """Whether a process is there and not only waits to be reaped."""
    try:
        return " Z " not in Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return False
