"""How much a userland holds at least, before anything of it is fetched."""

from collections import Counter
from collections.abc import Mapping

from wizard import presets
from wizard.recipe import Recipe


def least_mib(recipe: Recipe) -> Mapping[str, int]:
    """MiB by folder, each without the folders that are named beside it; a kernel of one's own is not counted."""
    known = presets.load(f"distros/{recipe.distro.name}").get("content_mib", {})
    kernels = known.get("kernel", {}) if recipe.kernel.source == "distro" else {}
    return Counter(known.get("base", {})) + Counter(kernels.get(recipe.target.virtualization, {}))
