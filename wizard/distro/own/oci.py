"""An image for containers as a userland: which manifest, which layers; every blob by its digest.

Sources: the OCI image specification (image-layout.md, image-index.md, manifest.md); Docker's image specification v1.2
for what `docker save` and `podman save` write.
"""

import hashlib
import json
import posixpath
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from functools import lru_cache, partial
from pathlib import Path
from typing import Any, Literal

from wizard.distro.own.files import MOST, MOST_ENTRIES, of_layers
from wizard.explain import Failure
from wizard.kernel.archive import Member, entries
from wizard.kernel.sniff import opened
from wizard.kernel.stream import CHUNK, Stream
from wizard.kernel.unpack import compression_of

MOST_JSON = 4 << 20
"""Source: the OCI distribution specification asks registries for manifests of up to 4 MiB."""

INDEXES = (
    "application/vnd.oci.image.index.v1+json",
    "application/vnd.docker.distribution.manifest.list.v2+json",
)
DEEPEST = 4
"""Indexes may name indexes; nobody nests them deeper, unless to go round in circles."""

MANIFEST = "application/vnd.oci.image.manifest.v1+json"

Form = Literal["layout", "oci-archive", "docker-archive"]
Blobs = Callable[[str], AbstractContextManager[Stream]]
"""Opens a file of the image by its name."""


@dataclass(frozen=True, slots=True)
class Image:
    """An image of one architecture.

    digests     what names it: of its manifest, and of the index that leads there; none for `docker save`'s own form
    descriptor  of the manifest, as an index.json has it
    layers      the names of their files, the lowest first
    is_zstd     whether a layer is packed with zstd
    """

    form: Form
    digests: tuple[str, ...]
    descriptor: Mapping[str, Any]
    layers: tuple[str, ...]
    is_zstd: bool


def is_layout(path: Path) -> bool:
    """Whether a folder is an OCI image layout."""
    return (path / "oci-layout").is_file() and (path / "index.json").is_file()


def read(path: Path, arch: str) -> Image | None:
    """The image in a layout folder or an archive, for an architecture by OCI's name; None when it is none.

    Of an archive that is packed as a whole nobody can tell.  Raises Failure: `no-such-image`, `several-images`,
    `broken-image`.
    """
    if path.is_dir():
        return _of_layout(path, arch, "layout") if is_layout(path) else None
    names = _index(path, *_stamp(path))
    if "manifest.json" in names:
        return _of_docker_archive(path, arch)
    return _of_layout(path, arch, "oci-archive") if {"oci-layout", "index.json"} <= names.keys() else None


def members(path: Path, image: Image) -> Iterator[Member]:
    """The regular files of the image's userland."""
    blobs = _blobs(path)
    return of_layers(partial(blobs, name) for name in reversed(image.layers))


def _of_layout(path: Path, arch: str, form: Form) -> Image:
    blobs = _blobs(path)
    with _as_specified(path, "its index or manifest"):
        found = list(_manifests(path, blobs, _json(path, blobs, "index.json"), arch, ()))
        if not found:
            raise Failure("no-such-image", path=path, arch=arch)
        if len({descriptor["digest"] for descriptor, _, _ in found}) > 1:
            raise Failure("several-images", path=path, evidence=[_described(one) for one, _, _ in found])
        descriptor, manifest, digests = found[0]
        media_type = manifest.get("mediaType", descriptor.get("mediaType", MANIFEST))
        if media_type != MANIFEST:
            raise Failure("broken-image", path=path, reason=f"its manifest is {media_type}, which is not OCI's")
        layers = tuple(_blob(path, layer) for layer in manifest["layers"])
        is_zstd = any("zstd" in str(layer.get("mediaType")) for layer in manifest["layers"])
        plain = {"mediaType": media_type, "digest": descriptor["digest"], "size": descriptor["size"]}
        return Image(form, digests, plain, layers, is_zstd)


@contextmanager
def _as_specified(path: Path, what: str) -> Iterator[None]:
    try:
        yield
    except (AttributeError, IndexError, KeyError, TypeError) as error:
        raise Failure("broken-image", path=path, reason=f"{what} lacks what it must have") from error


Found = tuple[Mapping[str, Any], Mapping[str, Any], tuple[str, ...]]


def _manifests(path: Path, blobs: Blobs, index: Any, arch: str, above: tuple[str, ...]) -> Iterator[Found]:
    """Every manifest for that architecture below an index: its descriptor, itself, the digests that lead to it."""
    for descriptor in index["manifests"]:
        platform = descriptor.get("platform")
        if platform and (platform.get("architecture"), platform.get("os")) != (arch, "linux"):
            continue
        content = _json(path, blobs, _blob(path, descriptor), descriptor["digest"])
        digests = (descriptor["digest"], *above)
        if descriptor.get("mediaType", content.get("mediaType")) in INDEXES:
            if len(above) < DEEPEST:
                yield from _manifests(path, blobs, content, arch, digests)
        elif platform or _arch_of(path, blobs, content) == arch:
            yield descriptor, content, digests


def _arch_of(path: Path, blobs: Blobs, manifest: Mapping[str, Any]) -> str:
    config = _json(path, blobs, _blob(path, manifest["config"]), manifest["config"]["digest"])
    return str(config.get("architecture"))


def _blob(path: Path, descriptor: Mapping[str, Any]) -> str:
    """The name of a blob's file: a digest may not lead elsewhere."""
    digest = str(descriptor["digest"])
    algorithm, _, digits = digest.partition(":")
    if algorithm != "sha256" or len(digits) != 64 or not set(digits) <= set("0123456789abcdef"):
        raise Failure("broken-image", path=path, reason=f"{digest!r} is no SHA-256 digest")
    return f"blobs/sha256/{digits}"


def _described(descriptor: Mapping[str, Any]) -> str:
    name = descriptor.get("annotations", {}).get("org.opencontainers.image.ref.name", "")
    return f"{descriptor['digest']} {name}".rstrip()


def _of_docker_archive(path: Path, arch: str) -> Image:
    blobs = _blobs(path)
    images = _json(path, blobs, "manifest.json")
    with _as_specified(path, "its manifest.json"):
        if len(images) > 1:
            raise Failure("several-images", path=path, evidence=[", ".join(one["RepoTags"] or []) for one in images])
        if _json(path, blobs, images[0]["Config"]).get("architecture") != arch:
            raise Failure("no-such-image", path=path, arch=arch)
        return Image("docker-archive", (), {}, tuple(images[0]["Layers"]), is_zstd=False)


def _json(path: Path, blobs: Blobs, name: str, digest: str | None = None) -> Any:
    with blobs(name) as file:
        data = file.read(MOST_JSON)
    if digest and digest != f"sha256:{hashlib.sha256(data).hexdigest()}":
        raise Failure("broken-image", path=path, reason=f"{name} is not what its digest says", evidence=[digest])
    try:
        return json.loads(data)
    except (ValueError, RecursionError) as error:
        raise Failure("broken-image", path=path, reason=f"{name} is not JSON", evidence=[str(error)]) from error


def _blobs(path: Path) -> Blobs:
    if path.is_dir():
        return partial(_in_folder, path)
    return partial(_in_archive, path, _index(path, *_stamp(path)))


@contextmanager
def _in_folder(folder: Path, name: str) -> Iterator[Stream]:
    if not (folder / name).is_file():
        raise Failure("broken-image", path=folder, reason=f"it has no {name}")
    with opened(folder / name) as file:
        yield file


@contextmanager
def _in_archive(path: Path, names: Mapping[str, tuple[int, int]], name: str) -> Iterator[Stream]:
    if name not in names:
        raise Failure("broken-image", path=path, reason=f"it has no {name}")
    at, size = names[name]
    with path.open("rb") as file:
        file.seek(at)
        yield Stream(Stream(iter(lambda: file.read(CHUNK), b"")).part(size), size)


def _stamp(path: Path) -> tuple[int, int]:
    status = path.stat()
    return status.st_size, status.st_mtime_ns


@lru_cache(maxsize=2)
def _index(path: Path, _size: int, _mtime_ns: int) -> Mapping[str, tuple[int, int]]:
    """Where each file's content lies in an archive; links count as what they lead to.  A packed one has none."""
    found: dict[str, tuple[int, int]] = {}
    links: dict[str, str] = {}
    with path.open("rb", buffering=0) as file:
        archive = Stream(iter(lambda: file.read(CHUNK), b""))
        if compression_of(archive.peek(16)):
            return found
        for entry in entries(archive, MOST, MOST_ENTRIES):
            name = entry.name.removeprefix("./")
            if entry.content:
                found[name] = (entry.at, entry.content.size or 0)
            elif entry.link:
                links[name] = posixpath.normpath(posixpath.join(posixpath.dirname(name), entry.link))
    return found | {name: found[target] for name, target in links.items() if target in found}
