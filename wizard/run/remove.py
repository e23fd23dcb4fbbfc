"""Takes a build away again: what it made in AWS, and its files."""

import shutil
import subprocess
from collections.abc import Iterator

from wizard.plan.script import PRELUDE
from wizard.run.builds import Build


def from_cloud(build: Build) -> Iterator[str]:
    """Removes what the build's journals name, images before snapshots; gives the ids that went.  Twice does no harm."""
    from wizard.cloud import images
    from wizard.cloud.session import client

    region = build.recipe().target.region
    with build.cloud() as endpoint:
        for journal in build.journals():
            yield from images.remove(client("ec2", region, endpoint), journal)


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
