"""Room on the disks that a build writes to."""

import shutil
from pathlib import Path

from wizard import folders
from wizard.explain import Failure

NEEDED_MIB = 3000
"""Room that a build should find: the userland three times (archive, tree, image) and its packages."""


def free_mib(place: Path) -> int:
    """Room on the disk that holds a place (which need not exist yet), in MiB."""
    while not place.exists():
        place = place.parent
    return shutil.disk_usage(place).free // (1024 * 1024)


def check_room() -> None:
    """Raises Failure `no-space-to-start` when a build would not find room for its files."""
    for place in (folders.results(), folders.builds()):
        free = free_mib(place)
        if free < NEEDED_MIB:
            raise Failure("no-space-to-start", where=place, free=free, needed=NEEDED_MIB)
