"""Takes a build away again: what it made in AWS, and its files."""

import shutil
import subprocess
from collections.abc import Iterator
from typing import Any

from wizard.plan.script import PRELUDE
from wizard.run.builds import Build, resources


def found_in_cloud(build: Build) -> list[dict[str, Any]]:
    """What the build made in AWS and is there: by its journals, and by its tag, should a journal have been lost.

    Asks AWS: Failure for whatever it or the network refuses.
    """
    from wizard.cloud import images, instances
    from wizard.cloud.session import client

    known = {made["id"]: made for made in resources(build)}
    with build.cloud() as endpoint:
        for region in _regions(build):
            ec2, tag = client("ec2", region, endpoint), build.facts().tag
            of_tag = [("instance", found) for found in instances.tagged(ec2, tag)] if _may_launch(build) else []
            for kind, found in [*of_tag, *images.tagged(ec2, tag)]:
                known.setdefault(found, {"kind": kind, "id": found, "region": region})
    return sorted(known.values(), key=lambda made: made["kind"])


def from_cloud(build: Build) -> Iterator[str]:
    """Removes what the build made: instances, then images, then snapshots; gives the ids that went.  Twice does no
    harm."""
    from wizard.cloud import images, instances
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
