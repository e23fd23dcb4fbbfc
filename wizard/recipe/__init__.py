"""The recipe: what the user chose.  Typed, checked, read from TOML and written to it."""

from wizard.recipe.files import dumps, from_answers, load
from wizard.recipe.problems import EXAMPLES, Problem, nearest, partition_problem, problems_of
from wizard.recipe.tables import (
    Bundle,
    Disk,
    Distro,
    Kernel,
    Launch,
    Partition,
    Publish,
    Recipe,
    Target,
    Volume,
)
from wizard.recipe.words import ARCHITECTURES, MOST_GIB, BootMode, Init

__all__ = [
    "ARCHITECTURES",
    "EXAMPLES",
    "MOST_GIB",
    "BootMode",
    "Bundle",
    "Disk",
    "Distro",
    "Init",
    "Kernel",
    "Launch",
    "Partition",
    "Problem",
    "Publish",
    "Recipe",
    "Target",
    "Volume",
    "dumps",
    "from_answers",
    "load",
    "nearest",
    "partition_problem",
    "problems_of",
]
