"""Takes a build away again: what it made in AWS, and its files."""

import shutil
import subprocess
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from wizard.plan.script import PRELUDE
from wizard.run.builds import Build, resources

if TYPE_CHECKING:
    from wizard.cloud.bucket import Place


def found_in_cloud(build: Build) -> list[dict[str, Any]]:
    """What the build made in AWS and is there: by its journals, and by its tag, should a journal have been lost.

    Asks AWS: Failure for whatever it or the network refuses.
    """
    from wizard.cloud import bucket, images, instances
    from wizard.cloud.session import client

    known = {made["id"]: made for made in resources(build)}
    with build.cloud() as endpoint:
        for region in _regions(build):
            ec2, tag = client("ec2", region, endpoint), build.facts().tag
            of_tag = [("instance", found) for found in instances.tagged(ec2, tag)] if _may_launch(build) else []
            for kind, found in [*of_tag, *images.tagged(ec2, tag)]:
                known.setdefault(found, {"kind": kind, "id": found, "region": region})
        for region, place in _bundles(build):
            made = f"{place.bucket}/{place.manifest}"
            if bucket.stored(client("s3", region, endpoint), place):
                known.setdefault(made, {"kind": "bundle", "id": made, "region": region})
            else:
                known.pop(made, None)
    return sorted(known.values(), key=lambda made: made["kind"])


def from_cloud(build: Build) -> Iterator[str]:
    """Removes what the build made: instances, then images, then snapshots and bundles; gives what went.

    Twice does no harm.
    """
    from wizard.cloud import bucket, images, instances
    from wizard.cloud.session import client

    tag = build.facts().tag
    with build.cloud() as endpoint:
        for region in _regions(build):
            ec2 = client("ec2", region, endpoint)
            for journal in build.journals():
                yield from instances.remove(ec2, journal)
            if _may_launch(build):
                yield from instances.remove_tagged(ec2, build.journal("clean", tag), tag)
            for journal in build.journals():
                yield from images.remove(ec2, journal)
            yield from images.remove_tagged(ec2, build.journal("clean", tag), tag)
        # EC2 reads a bundle whenever an instance of its AMI starts.
        for region, place in _bundles(build):
            if count := bucket.delete(client("s3", region, endpoint), build.journal("clean", tag), place):
                yield f"{count} objects {place.bucket}/{place.base}.*"


def _bundles(build: Build) -> list[tuple[str, "Place"]]:
    """Where its bundles may lie, with the region: by its journals, and by its answers, should a journal be lost."""
    from wizard.cloud import bundles
    from wizard.cloud.bucket import Place
    from wizard.plan.cloud import folder_for

    recipe = build.recipe()
    found = [
        (region, place)
        for one in build.journals()
        for region in _regions(build)
        for place in bundles.places(one, region)
    ]
    if recipe.bundle and recipe.bundle.bucket:
        folder = recipe.bundle.prefix or folder_for(recipe.name)
        found.append((recipe.target.region, Place(recipe.bundle.bucket, f"{folder}/{build.facts().tag}")))
    return list(dict.fromkeys(found))


def _may_launch(build: Build) -> bool:
    """Whether there may be instances: looking for them takes a permission that most builds have no need of."""
    asked = any(journal.last("RunInstances", "asked") for journal in build.journals())
    return asked or build.recipe().launch is not None


def _regions(build: Build) -> list[str]:
    """Where the build may have made something: its answers may have named another region before."""
    return sorted({build.recipe().target.region, *(made["region"] for made in resources(build))})


def files(build: Build) -> None:
    """Removes the build's folder, with what steps left in it under other user ids.

    Results and downloads stay: other builds use them.
    """
    with build.hold():
        scratch = build.scratch("*")
        remains = [str(path) for path in (build.work, *scratch.parent.glob(scratch.name)) if path.exists()]
        if remains:
            command = ["bash", "-euc", f'{PRELUDE}\nas_root rm -rf --one-file-system "$@"', "bash", *remains]
            subprocess.run(command, check=True, stdin=subprocess.DEVNULL)
    shutil.rmtree(build.folder)
