"""Where an option stands in the kernel's own configuration program: presets/kernel-menu.toml."""

from wizard import presets


def menu_path(option: str, arch: str | None = None) -> str | None:
    """The way to an option in `make menuconfig`, or what switches it on where it cannot be chosen.

    As in the kernel version that the preset names; None for an option that this version does not have.
    """
    table = presets.load("kernel-menu")
    if arch == "arm64" and option in table["path_arm64"]:
        return str(table["path_arm64"][option])
    if option in table["path"]:
        return str(table["path"][option])
    if (by := table["selected_by"].get(option)) is None:
        return None
    return f"not to be chosen: it comes with {' or '.join(by)}" if by else "not to be chosen: the architecture decides"


def version() -> str:
    """The kernel version whose menus these are."""
    return str(presets.load("kernel-menu")["version"])
