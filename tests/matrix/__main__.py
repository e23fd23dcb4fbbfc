"""`python -m tests.matrix [LAYOUT…]`: builds and boots what is not in the table yet, or the layouts that are named."""

import sys
from itertools import groupby

from . import table, trial
from .cells import Cell, cells


def main(wanted: list[str]) -> int:
    """0 when everything that was tried came up."""
    known = {} if wanted else table.results()
    todo = [cell for cell in cells() if cell.name not in known and (not wanted or cell.layout in wanted)]
    print(f"{len(todo)} boots to do, {len(cells()) - len(todo)} not.", flush=True)
    failed = 0
    for _, group in groupby(todo, key=lambda cell: (cell.layout, cell.virtualization)):
        failed += _tried(list(group))
    return 1 if failed else 0


def _tried(group: list[Cell]) -> int:
    """Builds one image and boots it in every way; gives how many did not come up."""
    try:
        image = trial.built(group[0])
    except RuntimeError as error:
        print(f"{group[0].name}: not built\n{error}", file=sys.stderr)
        return len(group)
    failed = 0
    for cell in group:
        try:
            came_up, wrong, seconds = trial.booted(cell, image.path)
        except RuntimeError as error:
            print(f"{cell.name}: not proved\n{error}", file=sys.stderr)
            failed += 1
            continue
        said = {True: "yes", False: "no", None: "could not tell"}[came_up] + (f": {wrong}" if wrong else "")
        print(f"{cell.name}: {said}, {seconds} s", flush=True)
        failed += said != "yes"
        row = {"came_up": said, "boot_seconds": seconds, "image_seconds": image.seconds, "machine": trial.load()}
        table.put(cell, {**row, "gib": image.gib, "stored_mib": image.stored_mib})
    trial.remove(image.path)
    return failed


sys.exit(main(sys.argv[1:]))
