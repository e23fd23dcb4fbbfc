"""What stands in the terminal after the wizard was left."""

from wizard.host import own_command
from wizard.run.builds import Build

WORDS = {
    "running": "goes on in the background",
    "new": "has not started yet",
    "failed": "failed",
    "stopped": "stopped",
}


def farewell(build: Build | None, *, has_draft: bool, practice: bool) -> str:
    """Two lines: where it stands, and how to go on."""
    command = own_command()
    if build is None:
        again = f"{command} new --practice" if practice else f"{command} new"
        if has_draft:
            return f"Your answers are kept; nothing was built.\nGo on with: {again}"
        return f"Nothing was built.\nBegin with: {again}"
    where = build.state()
    if where.state == "finished" and where.last:
        made = where.last.get("image_id", "The image")
        region = where.last.get("region", "its region")
        cloud = "the practice cloud, region " if practice else ""
        return f"{made} stands in {cloud}{region}.\nRemove it with: {command} clean {build.id} --cloud"
    at = f" at the step “{where.step}”" if where.step else ""
    return f"{build.id} {WORDS.get(where.state, where.state)}{at}.\nGo on with: {command} resume {build.id}"
