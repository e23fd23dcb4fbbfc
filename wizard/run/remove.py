"""Takes a build or an upload away again: what it made in AWS, and its files."""

import shutil
import subprocess
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from wizard.plan.script import PRELUDE
from wizard.run.builds import Build, resources
from wizard.run.uploads import Upload

Maker = Build | Upload
"""Who has made something in AWS, and written it down."""

if TYPE_CHECKING:
    from wizard.cloud.bucket import Place


def found_in_cloud(maker: Maker) -> list[dict[str, Any]]:
    """What it made in AWS and is there: by its journals, and by its tag, should a journal have been lost.

    Asks AWS: Failure for whatever it or the network refuses.
    """
    from wizard.cloud.removal import stored, tagged

    known = {(made["id"], made["region"]): made for made in resources(maker)}
    with maker.cloud() as endpoint:
        for kind, found, region in tagged(endpoint, _traces(maker)):
            known.setdefault((found, region), {"kind": kind, "id": found, "region": region})
        for manifest, region, is_there in stored(endpoint, _traces(maker)):
            if is_there:
                known.setdefault((manifest, region), {"kind": "bundle", "id": manifest, "region": region})
            else:
                known.pop((manifest, region), None)
    return sorted(known.values(), key=lambda made: (made["kind"], made["region"]))


def from_cloud(maker: Maker) -> Iterator[str]:
    """Removes what it made, in the order in which AWS lets it go; gives a line for each.  Twice does no harm."""
    from wizard.cloud.removal import remove

    with maker.cloud() as endpoint:
        yield from remove(endpoint, _traces(maker))


def _bundles(maker: Maker, regions: Sequence[str]) -> list[tuple[str, "Place"]]:
    """Where its bundles may lie, with the region: by its journals, and by the answers, should one be lost."""
    from wizard.cloud import bundles
    from wizard.cloud.bucket import Place
    from wizard.plan.cloud import folder_for

    found = [(region, place) for one in maker.journals() for region in regions for place in bundles.places(one, region)]
    recipe = maker.recipe() if isinstance(maker, Build) else None
    if recipe and recipe.bundle and recipe.bundle.bucket:
        folder = recipe.bundle.prefix or folder_for(recipe.name)
        found.append((recipe.target.region, Place(recipe.bundle.bucket, f"{folder}/{maker.tag}")))
    return list(dict.fromkeys(found))


def _traces(maker: Maker) -> Any:
    """Where to look.  The answers may have named other regions before: the journals know."""
    from wizard.cloud.removal import Traces

    journals = maker.journals()
    records = [record for journal in journals for record in journal.records()]
    regions = {*maker.regions(), *(str(record["region"]) for record in records if "region" in record)}
    has_parameters = maker.has_parameters() or any(record["operation"] == "PutParameter" for record in records)
    volume = maker.recipe().volume if isinstance(maker, Build) else None
    may_have_volumes = volume is not None and volume.instance is not None
    has_volumes = may_have_volumes or any(record["operation"] == "CreateVolume" for record in records)
    may_have_instances = isinstance(maker, Build) and maker.recipe().launch is not None
    has_instances = may_have_instances or any(record["operation"] == "RunInstances" for record in records)
    removal = maker.journal("clean", maker.tag)
    bundles = _bundles(maker, sorted(regions))
    # Copies alone go to other regions: what runs or is attached is looked for where it was asked for.
    worked_in = {record["region"] for record in records if record["operation"] in ("CreateVolume", "RunInstances")}
    only_copies = regions - worked_in - {maker.regions()[0]}
    return Traces(
        maker.tag,
        sorted(regions),
        journals,
        removal,
        has_parameters,
        has_volumes,
        has_instances,
        bundles,
        frozenset(only_copies),
    )


def files(maker: Maker) -> None:
    """Removes the folder of a build, with what steps left in it under other user ids, or of an upload.

    Results and downloads stay: other builds use them.
    """
    if isinstance(maker, Build):
        _steps_files(maker)
    shutil.rmtree(maker.folder)


def _steps_files(build: Build) -> None:
    with build.hold():
        scratch = build.scratch("*")
        remains = [str(path) for path in (build.work, *scratch.parent.glob(scratch.name)) if path.exists()]
        if remains:
            command = ["bash", "-euc", f'{PRELUDE}\nas_root rm -rf --one-file-system "$@"', "bash", *remains]
            subprocess.run(command, check=True, stdin=subprocess.DEVNULL)
