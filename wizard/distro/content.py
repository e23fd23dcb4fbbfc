"""How much a userland holds at least, before anything of it is fetched."""

from collections import Counter
from collections.abc import Mapping

from wizard import presets


def least_mib(distro: str, kernel: str, virtualization: str) -> Mapping[str, int]:
    """MiB by folder, each without the folders that are named beside it; a kernel of one's own is not counted."""
    known = presets.load(f"distros/{distro}").get("content_mib", {})
    kernels = known.get("kernel", {}) if kernel == "distro" else {}
    return Counter(known.get("base", {})) + Counter(kernels.get(virtualization, {}))
