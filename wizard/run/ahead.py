"""Long work begun while questions are still being answered.

The installation of the userland depends on few of the answers and takes most of the time.  It is begun as soon as these
answers are there; a build that needs the same result finds it, or waits for it (wizard/run/runner.py).  Nothing in AWS
is touched, and what was fetched and made stays useful whatever is decided afterwards.
"""

from wizard import folders, host
from wizard.explain import Failure
from wizard.plan.build import tools_of
from wizard.recipe import Recipe, dumps
from wizard.run import builds, client, remove

LONG_STEP = "bootstrap"


def begin(recipe: Recipe) -> bool:
    """Begins the long step of this recipe, in place of another one's; gives whether it is being done.

    Whatever is in the way is left for the build to explain.
    """
    work = builds.Build(folders.ahead())
    try:
        if host.missing(tools_of(recipe)):
            return False
        if work.is_running() and work.recipe_path.read_text(encoding="utf-8") == dumps(recipe):
            return True
        end()
        builds.settle(work, recipe, practice=True)
        client.start(work, until=LONG_STEP)
    except (Failure, OSError):
        return False
    return True


def end() -> None:
    """Stops it, if it still runs, and forgets what it was for."""
    work = builds.Build(folders.ahead())
    client.stop(work)
    if work.folder.exists() and not work.is_running():
        remove.files(work)
