"""An image, looked at from all sides."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from wizard.disk.read import Disk, Root, open_image, root_of
from wizard.inspect.accounts import account_findings
from wizard.inspect.aki import Kernels
from wizard.inspect.boots import Way, ways
from wizard.inspect.findings import SEVERITIES, Finding, finding
from wizard.inspect.kernel import FoundKernel, look_at_kernel
from wizard.inspect.leftovers import leftover_findings
from wizard.inspect.menus import BootEntry, boot_entries
from wizard.inspect.network import network_findings
from wizard.inspect.storage import disk_findings, fstab_findings, menu_findings
from wizard.inspect.system import System
from wizard.inspect.userland import userland_findings

NAMED_BLIND = 5


@dataclass(frozen=True, slots=True)
class Inspection:
    """What is in an image; `findings` with the worst first.  `root` is None where no system was found."""

    disk: Disk
    root: Root | None
    system: str | None
    boots_by: tuple[Way, ...]
    entries: tuple[BootEntry, ...]
    kernel: FoundKernel | None
    findings: tuple[Finding, ...]


def inspect(path: Path, keys_meant: Iterable[str] = ()) -> Inspection:
    """Looks at a raw disk image; `keys_meant` are the lines of authorized_keys that the image is meant to bring.

    Raises Failure: what `open_image` raises.
    """
    with open_image(path) as disk:
        return _inspected(disk, tuple(keys_meant))


def _inspected(disk: Disk, keys_meant: tuple[str, ...]) -> Inspection:
    known: Kernels = {}
    boots_by, wrong = ways(disk, known)
    root = root_of(disk)
    found = [*disk_findings(disk), *wrong]
    if root is None:
        found.append(finding("no-system"))
        return Inspection(disk, None, None, tuple(boots_by), (), None, _sorted(found))
    system = System(disk, root)
    entries = boot_entries(root)
    kernel, wrong = look_at_kernel(system, entries, boots_by, known)
    found += [*wrong, *fstab_findings(root, boots_by), *menu_findings(disk, root, entries, boots_by)]
    found += network_findings(system, entries, boots_by)
    found += userland_findings(system, entries, bool(keys_meant))
    found += account_findings(system)
    found += leftover_findings(root.files, keys_meant)
    found += _blind(root)
    return Inspection(disk, root, _name(root), tuple(boots_by), tuple(entries), kernel, _sorted(found))


def _name(root: Root) -> str | None:
    """What the system calls itself.  Source: os-release(5)."""
    lines = (root.files.text("/etc/os-release") or "").splitlines()
    return next((line[12:].strip("\"'") for line in lines if line.startswith("PRETTY_NAME=")), None)


def _blind(root: Root) -> Iterator[Finding]:
    """What nobody could look at must not count as fine."""
    blind = list(root.files.blind.items())
    for path, reason in blind[:NAMED_BLIND]:
        yield finding("could-not-look", path, reason=reason)
    if more := len(blind[NAMED_BLIND:]):
        yield finding("could-not-look", f"{more} other places", reason=blind[NAMED_BLIND][1])


def _sorted(found: Iterable[Finding]) -> tuple[Finding, ...]:
    """Each once, the worst first, otherwise in the order in which they were met."""
    return tuple(sorted(dict.fromkeys(found), key=lambda one: SEVERITIES.index(one.severity)))
