"""A kernel in several files: a build tree, or a folder or archive with boot/ and lib/modules/."""

import re
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path

from wizard.explain import Failure
from wizard.kernel.archive import Member
from wizard.kernel.config import KernelConfig, parse, read_config, text_of
from wizard.kernel.image import KernelImage, from_stream, read_image
from wizard.kernel.sniff import opened
from wizard.kernel.stream import Stream

TREE_IMAGES = (
    "arch/x86/boot/bzImage",
    "arch/arm64/boot/Image.gz",
    "arch/arm64/boot/vmlinuz.efi",
    "arch/arm64/boot/Image",
    "vmlinux",
)
"""Where a build leaves its kernel, the one that is installed first.  Source: the kernel's arch/*/Makefile."""

_PACKED = r"(?:\.(?:gz|bz2|xz|zst|efi))?"
_IMAGE = re.compile(
    rf"(?:boot/)?(?:vmlinu[zx]|bzImage|Image)(?:-([^/]+?))?{_PACKED}|(?:usr/)?lib/modules/([^/]+)/vmlinu[zx]{_PACKED}"
)
_CONFIG = re.compile(r"(?:boot/)?config-([^/]+?)(?:\.gz)?|(?:usr/)?lib/modules/([^/]+)/config")
_MODULES = re.compile(r"(?:usr/)?lib/modules/([^/]+)/")


@dataclass(frozen=True, slots=True)
class Collection:
    """What belongs together.

    config   beside the image, not the one within
    modules  the release whose modules these are; None without modules, or when there are several
    """

    image: KernelImage | None
    config: KernelConfig | None
    modules: str | None


@dataclass(slots=True)
class _Found:
    """By release, which is "" where a file's name does not tell it."""

    images: dict[str, KernelImage] = field(default_factory=dict)
    configs: dict[str, KernelConfig] = field(default_factory=dict)
    modules: set[str] = field(default_factory=set)

    def is_complete(self) -> bool:
        has_config = any(image.config for image in self.images.values()) or self.images.keys() & self.configs.keys()
        return bool(self.images and has_config and self.modules)


def is_build_tree(folder: Path) -> bool:
    """Whether a kernel was configured or built here."""
    return (folder / ".config").is_file() or any((folder / name).is_file() for name in TREE_IMAGES)


def read_build_tree(folder: Path) -> Collection:
    """The kernel that was built here.  Raises what reading its files raises."""
    config = read_config(folder / ".config") if (folder / ".config").is_file() else None
    foreign = {"arm64": "arch/x86/", "x86_64": "arch/arm64/", "i386": "arch/arm64/"}.get((config and config.arch) or "")
    built = [folder / name for name in TREE_IMAGES if not (foreign and name.startswith(foreign))]
    image = next((read_image(path) for path in built if path.is_file()), None)
    release = folder / "include/config/kernel.release"
    said = release.read_text("utf-8", "replace")[:256].strip() if release.is_file() else None
    return Collection(image, config, said or None)


def files_of(folder: Path) -> Iterator[Member]:
    """The files of an installed kernel in a folder, which may be boot/ itself; links are left out."""
    places = (
        *folder.glob("*"),
        *folder.glob("boot/*"),
        *_modules_of(folder, "*/vmlinu*"),
        *_modules_of(folder, "*/config"),
    )
    for path in sorted(places):
        name = path.relative_to(folder).as_posix()
        if (_IMAGE.fullmatch(name) or _CONFIG.fullmatch(name)) and path.is_file() and not path.is_symlink():
            yield name, opened(path)
    for path in sorted(_modules_of(folder, "*/")):
        yield f"{path.relative_to(folder).as_posix()}/", nullcontext(Stream([]))


def _modules_of(folder: Path, pattern: str) -> Iterator[Path]:
    yield from folder.glob(f"lib/modules/{pattern}")
    yield from folder.glob(f"usr/lib/modules/{pattern}")


def collect(path: Path, files: Iterable[Member]) -> Collection:
    """The kernel among these files, which lie in `path`.

    Raises Failure "several-kernels", and what reading the kernel raises.
    """
    found = _Found()
    for name, file in files:
        if match := _IMAGE.fullmatch(name):
            _add_image(found, match[1] or match[2] or "", path / name, file)
        elif match := _CONFIG.fullmatch(name):
            with file as stream:
                text = text_of(stream)
            if text is not None:
                found.configs[match[1] or match[2]] = parse(text)
        if match := _MODULES.match(name):
            found.modules.add(match[1])
        if found.is_complete():
            break
    image = next(iter(found.images.values()), None)
    return Collection(image, _config(found), _release(found.modules, image))


def _add_image(found: _Found, release: str, path: Path, file: AbstractContextManager[Stream]) -> None:
    # make tar-pkg puts the bare vmlinux beside the vmlinuz that is started.
    if release in found.images and path.name.startswith("vmlinux"):
        return
    with file as stream:
        image = from_stream(path, stream)
    others = {name: other for name, other in found.images.items() if name != release}
    # Arch and Fedora have a kernel among its modules, and the same once more in boot/.
    same = [name for name, other in others.items() if _is_copy(image, other)]
    if others and not same:
        first = next(iter(others.values()))
        raise Failure("several-kernels", path=path.parent, evidence=[str(first.path), str(path)])
    if not same or not _is_with_modules(image):
        for name in same:
            del found.images[name]
        found.images[release] = image


def _is_copy(image: KernelImage, other: KernelImage) -> bool:
    return image.version == other.version is not None and _is_with_modules(image) != _is_with_modules(other)


def _is_with_modules(image: KernelImage) -> bool:
    return image.path.parent.parent.name == "modules"


def _config(found: _Found) -> KernelConfig | None:
    for release in found.images:
        if release in found.configs:
            return found.configs[release]
    return next(iter(found.configs.values())) if len(found.configs) == 1 else None


def _release(modules: set[str], image: KernelImage | None) -> str | None:
    if image and image.version in modules:
        return image.version
    return next(iter(modules)) if len(modules) == 1 else None
