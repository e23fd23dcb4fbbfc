"""A file that somebody wants audited: a config, or a kernel image that may carry one."""

from pathlib import Path

from wizard.explain import Failure
from wizard.kernel import config, image
from wizard.kernel.config import KernelConfig
from wizard.kernel.image import KernelImage
from wizard.kernel.sniff import read_file
from wizard.kernel.unpack import MOST


def read(path: Path) -> KernelConfig | KernelImage:
    """What the file holds.  Raises Failure "unreadable-file", "not-a-kernel" or "unreadable-kernel"."""
    data = read_file(path, MOST)
    text = config.config_text(data[: config.MOST])
    return config.parse(text) if text is not None else image.from_bytes(path, data)


def config_of(path: Path) -> KernelConfig:
    """The config in a file, plain, compressed, or inside of a kernel image; as that image is really packed.

    Raises Failure "no-config-inside" for an image without one, and what `read` raises.
    """
    found = read(path)
    if isinstance(found, KernelImage) and found.config is None:
        raise Failure("no-config-inside", path=path, reason=found.no_config)
    return known_of(found)


def known_of(found: KernelConfig | KernelImage) -> KernelConfig:
    """What there is to judge by; of an image without a config only its architecture, version and packing."""
    if isinstance(found, KernelConfig):
        return found
    return config.packed_as(found.config or config.unseen(found.arch, found.version), found.compression)
