"""The answers that are paths, taken from the recipe's folder."""

from pathlib import Path

from wizard.recipe.tables import Recipe


def with_absolute_paths(recipe: Recipe, folder: Path | None) -> Recipe:
    if folder is None:
        return recipe
    tables = {}
    for table, names in PATHS.items():
        given = getattr(recipe, table)
        if given is None:
            continue
        paths = {name: str(folder / _at_home(value)) for name in names if (value := getattr(given, name)) is not None}
        tables[table] = given.model_copy(update=paths)
    return recipe.model_copy(update=tables)


PATHS = {
    "kernel": ("image", "config", "modules"),
    "distro": ("source",),
    "bundle": ("certificate", "private_key", "ec2_certificate"),
    "volume": ("ssh_key",),
}
"""The answers that are paths, by their table."""


def _at_home(path: str) -> Path:
    """`~` is one's home; a `~name` that nobody has is a file's name."""
    try:
        return Path(path).expanduser()
    except RuntimeError:
        return Path(path)
