"""What somebody wants audited: a config, a kernel image, or a place where a kernel and its config lie together."""

import re
import stat
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from wizard.explain import Failure
from wizard.kernel import archive, config, image
from wizard.kernel.collection import Collection, collect, files_of, is_build_tree, read_build_tree
from wizard.kernel.config import KernelConfig
from wizard.kernel.image import KernelImage
from wizard.kernel.profiles import Version, numbers
from wizard.kernel.sniff import opened, status_of

NAMED_DIFFERENCES = 5


@dataclass(frozen=True, slots=True)
class Subject:
    """A kernel as far as it was given.

    image    the kernel itself, with the config that it may carry; None when only a config was given
    config   the config that was given as a file; None when there was none
    modules  the release of the modules that were given with it
    """

    path: Path
    image: KernelImage | None = None
    config: KernelConfig | None = None
    modules: str | None = None

    @property
    def kind(self) -> str:
        """ "image" or "config", as JSON calls it."""
        return "image" if self.image else "config"

    @property
    def arch(self) -> str | None:
        """ "i386", "x86_64", "arm64", or the kernel's own name of another architecture; None when unknown."""
        return known_of(self).arch

    @property
    def version(self) -> str | None:
        """E.g. "6.1.0-56-amd64" by an image, "6.1.192" by a config."""
        if self.image and self.image.version:
            return self.image.version
        version = known_of(self).version
        return ".".join(map(str, version)) if version else None


@dataclass(frozen=True, slots=True)
class Disagreement:
    """Two files that say different things of one kernel; `of_another`: the config is that of another kernel."""

    sentence: str
    of_another: bool


def read(path: Path) -> Subject:
    """What a file or folder holds.

    A config, a kernel image, a kernel build tree, a folder or tar archive (packed or not) with boot/ and lib/modules/,
    a Debian package.  Raises Failure "unreadable-file", "not-a-kernel", "unreadable-kernel" or "several-kernels".
    """
    if stat.S_ISDIR(status_of(path).st_mode):
        return _from_folder(path)
    with opened(path) as file:
        text = config.text_of(file)
        if text is not None:
            return Subject(path, config=config.parse(text))
        if archive.is_archive(file):
            return _found(path, collect(path, archive.members(file)), "an archive without a kernel in it")
        return Subject(path, image.from_stream(path, file))


def config_of(path: Path) -> KernelConfig:
    """The config in a file, plain, compressed, or inside of a kernel image; as that image is really packed.

    Raises Failure "no-config-inside" for an image without one, and what `read` raises.
    """
    found = read(path)
    if found.image and not found.image.config and not found.config:
        raise Failure("no-config-inside", path=path, reason=found.image.no_config)
    return known_of(found)


def known_of(found: Subject) -> KernelConfig:
    """What there is to judge by: the config, and what the image shows, which may not be how it was built.

    Of an image without a config that is its architecture, version and packing, and whether Xen can start it.
    """
    kernel = found.image
    if kernel is None:
        return found.config or config.unseen(None, None)
    known = kernel.config or found.config or _unseen(kernel)
    known = config.packed_as(known, kernel.compression)
    return replace(known, options={**_shown_by(kernel), **known.options}, arch=kernel.arch or known.arch)


def _unseen(kernel: KernelImage) -> KernelConfig:
    lacks = (
        f"{kernel.no_config} Name the config that it was built from, e.g. /boot/config-{kernel.version or 'VERSION'}."
    )
    return replace(config.unseen(kernel.arch, kernel.version), lacks=lacks)


def _shown_by(kernel: KernelImage) -> dict[str, str]:
    shown = {}
    if kernel.header and kernel.header.alignment:
        shown["PHYSICAL_ALIGN"] = hex(kernel.header.alignment)
    if kernel.xen is not None and kernel.arch in ("i386", "x86_64"):
        shown |= {"XEN": "y", "XEN_PV": "y"} if kernel.starts_paravirtual else {"XEN_PV": "n"}
    return shown


def disagreements(kernel: KernelImage, beside: KernelConfig | None, modules: str | None = None) -> list[Disagreement]:
    """Where an image, the config and the modules that were given with it contradict each other."""
    said = []
    if beside:
        said += [Disagreement(sentence, of_another=True) for sentence in _signs_of_another(kernel, beside)]
    if modules and kernel.version and modules != kernel.version:
        sentence = f"The image is {kernel.version}, the modules are those of {modules}."
        said.append(Disagreement(sentence, of_another=False))
    if beside and (packing := _packing_against(kernel, beside)):
        said.append(Disagreement(packing, of_another=False))
    return said


def _packing_against(kernel: KernelImage, beside: KernelConfig) -> str | None:
    packing = config.packing_of(beside)
    if packing and kernel.kind in ("bzImage", "zboot") and kernel.compression not in (packing, "unknown"):
        return f"The image is packed with {kernel.compression}, the config says {packing}."
    return None


def _signs_of_another(kernel: KernelImage, beside: KernelConfig) -> Iterator[str]:
    salt = beside.value("BUILD_SALT")
    version = numbers(kernel.version or "")
    if salt and salt[0].isdigit() and kernel.version and salt != kernel.version:
        yield f"The image is {kernel.version}, the config is that of {salt}."
    elif version and beside.version and not _same_version(version, beside.version):
        yield f"The image is {kernel.version}, the config is that of {'.'.join(map(str, beside.version))}."
    if kernel.arch and beside.arch and kernel.arch != beside.arch:
        yield f"The image is for {kernel.arch}, the config for {beside.arch}."
    if beside.value("XEN_PV") == "y" and kernel.starts_paravirtual is False:
        yield "The config says XEN_PV=y, the image has no entry for Xen."
    if kernel.config:
        yield from _different_options(kernel.config, beside)


def _same_version(image_says: Version, config_says: Version) -> bool:
    """Debian and Ubuntu call every 6.1.N "6.1.0-ABI": a last number of 0 says nothing."""
    length = 2 if image_says[2:3] == (0,) else 3
    return image_says[:length] == config_says[:length]


def _different_options(inside: KernelConfig, beside: KernelConfig) -> Iterator[str]:
    """What the compiler was is no question of the kernel's configuration."""
    every = inside.options.keys() | beside.options.keys()
    if not (inside.complete and beside.complete):
        every = inside.options.keys() & beside.options.keys()
    different = [
        name
        for name in sorted(every)
        if (inside.value(name) or "n") != (beside.value(name) or "n") and not re.search(r"_VERSION(_TEXT)?$", name)
    ]
    if different:
        named = ", ".join(
            f"{name} is {inside.value(name) or 'n'} in the image and {beside.value(name) or 'n'} in the config"
            for name in different[:NAMED_DIFFERENCES]
        )
        more = f", and {len(different) - NAMED_DIFFERENCES} more" if len(different) > NAMED_DIFFERENCES else ""
        yield f"The config is not the one that the image carries: {named}{more}."


def _from_folder(folder: Path) -> Subject:
    if is_build_tree(folder):
        return _found(folder, read_build_tree(folder), "")
    is_source = (folder / "Kbuild").is_file() and (folder / "Kconfig").is_file()
    looks = (
        "a kernel source tree in which nothing was configured or built" if is_source else "a directory without a kernel"
    )
    try:
        return _found(folder, collect(folder, files_of(folder)), looks)
    except OSError as error:
        raise Failure("unreadable-file", path=folder, reason=error.strerror or error) from error


def _found(path: Path, parts: Collection, looks: str) -> Subject:
    if parts.image is None and parts.config is None:
        evidence = [f"It has modules of {parts.modules}, but no kernel in boot/."] if parts.modules else []
        raise Failure("not-a-kernel", evidence=evidence, path=path, looks=looks)
    return Subject(path, parts.image, parts.config, parts.modules)
