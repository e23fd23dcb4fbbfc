"""What the recipe's own userland is, and what is in it: read once, and again when it has changed."""

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from wizard import presets
from wizard.distro.own import files, oci
from wizard.distro.own.contents import CHRONY_FILE, Contents, Sought, contents, unit_paths
from wizard.distro.own.oci import Image
from wizard.explain import Failure
from wizard.files import content_digest
from wizard.kernel.archive import is_archive
from wizard.kernel.sniff import looks_like, opened, status_of
from wizard.kernel.subject import Subject
from wizard.kernel.unpack import compression_of
from wizard.recipe import Distro, Target


@dataclass(frozen=True, slots=True)
class Found:
    """A userland that somebody gave.

    image    where it is an image for containers
    packing  of an archive; None for a folder, an image, and an archive that is not packed
    """

    path: Path
    image: Image | None
    packing: str | None
    contents: Contents

    @property
    def kind(self) -> str:
        """What it is, in words."""
        if self.image:
            return "an image for containers"
        return "a folder" if self.path.is_dir() else "a tar archive"


def find(distro: Distro, where: Target) -> Found:
    """The userland that a recipe names as its own.

    Raises Failure: `no-userland-yet`, `unreadable-file`, `not-a-userland`, `hostile-archive`, `no-such-image`,
    `several-images`, `broken-image`, `userland-of-another-architecture`.
    """
    if distro.source is None:
        raise Failure("no-userland-yet")
    path = Path(distro.source)
    found = _read(path, where.arch, _stamp(path))
    arch = found.contents.arch
    if arch and arch != where.arch:
        raise Failure("userland-of-another-architecture", path=path, arch=arch, wanted=where.arch)
    return found


def kernel_of(found: Found) -> Subject:
    """The kernel that is in it.  Raises Failure "no-kernel-in-userland", and what reading its kernel raised."""
    if found.contents.doubt:
        raise found.contents.doubt
    if found.contents.kernel is None:
        raise Failure("no-kernel-in-userland", path=found.path)
    return found.contents.kernel


def init_of(distro: Distro, found: Found) -> str:
    """The recipe's init, or the one that is in it.  Raises Failure "unknown-init"."""
    init = distro.init or found.contents.init
    if init is None:
        raise Failure("unknown-init", path=found.path)
    return init


def names_of(found: Found, init: str) -> dict[str, Any]:
    """How its running system names its parts, as [system] of a distribution's TOML has them."""
    names = found.contents.names
    parts = {
        # A system can do without the time; what it has of the others is only not where it was looked for.
        part: next((one for one in known if names & set(unit_paths(init, one))), "" if part == "time" else known[0])
        for part, known in sought().services[init].items()
    }
    return {**parts, **({"chrony_file": CHRONY_FILE} if CHRONY_FILE in names else {})}


def digests(distro: Distro) -> dict[str, str]:
    """What an own userland holds: its checksum where there is one; nothing for a distribution's."""
    if distro.source is None:
        return {}
    path = Path(distro.source)
    return {"source": distro.checksum or (content_digest(path) if path.is_dir() else _file_digest(path, _stamp(path)))}


@lru_cache(maxsize=4)
def _file_digest(path: Path, _stamp: object) -> str:
    return f"sha256:{content_digest(path)}"


@lru_cache(maxsize=4)
def _read(path: Path, arch: str, _stamp: object) -> Found:
    image = None
    if path.is_dir() or _is_tar(path):
        image = oci.read(path, presets.load("distros/own")["architectures"][arch])
    if image:
        return Found(path, image, None, contents(path, oci.members(path, image), sought()))
    if path.is_dir():
        if not any(path.iterdir()):
            raise Failure("not-a-userland", path=path, looks="an empty folder")
        return Found(path, None, None, contents(path, files.of_folder(path, sought().paths), sought()))
    with opened(path) as file:
        head = file.peek(1 << 20)
        if not is_archive(file):
            raise Failure("not-a-userland", path=path, looks=looks_like(head))
        found = contents(path, files.of_archive(path, file), sought())
    if found.is_image:
        raise Failure("not-a-userland", path=path, looks="a packed archive with an image for containers in it")
    return Found(path, None, compression_of(head), found)


def sought() -> Sought:
    """What is looked for in every userland."""
    own = presets.load("distros/own")["own"]
    return Sought(own["inits"], list(own["initramfs"]), own["services"])


def _is_tar(path: Path) -> bool:
    with opened(path) as file:
        return is_archive(file)


def _stamp(path: Path) -> tuple[tuple[str, int, int], ...]:
    """What becomes different when the userland there is made anew; for a folder, by its files that count."""
    if not status_of(path) or not path.is_dir():
        return (_of(path),)
    names = [*sought().paths, "index.json", "boot", "usr/lib/modules", "lib/modules"]
    places = [path, *(path / name for name in names), *sorted((path / "boot").glob("*"))]
    return tuple(_of(place) for place in places if place.exists())


def _of(path: Path) -> tuple[str, int, int]:
    status = path.stat()
    return str(path), status.st_size, status.st_mtime_ns
