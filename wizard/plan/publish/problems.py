"""What in a recipe's `[publish]` does not go together, or with its target."""

from collections.abc import Iterator

from wizard.plan.actions import EVERYONE
from wizard.plan.publish.sharing import AWS_KEY
from wizard.plan.publish.steps import is_multi_region
from wizard.recipe import Problem, Publish, Recipe, Target, nearest
from wizard.targets import akis
from wizard.targets.regions import Region, regions

PUBLIC_DAYS = 730
"""A public AMI is deprecated two years after its creation at the latest.  Source: EnableImageDeprecation."""


def problems(recipe: Recipe) -> Iterator[Problem]:
    """All of it; with a target region that nobody knows nothing can be judged."""
    publish = recipe.publish
    home = _region(recipe.target.region)
    if publish is None or home is None:
        return
    yield from _region_problems(publish, recipe.target, home)
    yield from _sharing_problems(publish, home)
    yield from _encryption_problems(publish, recipe.target)
    days, name = publish.deprecate_after_days, publish.ssm_parameter
    if days and EVERYONE in publish.share_with and days > PUBLIC_DAYS:
        message = f"is {days}, but AWS deprecates a public AMI two years after its creation at the latest."
        yield Problem("publish.deprecate_after_days", message, str(PUBLIC_DAYS))
    if publish.cooldown and not publish.protect:
        yield Problem("publish.cooldown", "is of the protection, and protect is not true.", "protect = true")
    if name and name.lower().lstrip("/").startswith(("aws", "ssm")):
        yield Problem("publish.ssm_parameter", f"is {name!r}; names that begin with aws or ssm are AWS's own.")


def _region_problems(publish: Publish, where: Target, home: Region) -> Iterator[Problem]:
    for name in dict.fromkeys(publish.regions):
        there = _region(name)
        if there is None:
            known = [region.name for region in regions()]
            yield Problem("publish.regions", f"no region {name!r} is known.", nearest(name, known))
        elif name == home.name:
            yield Problem("publish.regions", f"{name} is where the AMI is made: leave it out here.")
        elif there.partition != home.partition:
            message = f"{name} belongs to {there.partition}, {home.name} to {home.partition}: AWS copies no AMI across."
            yield Problem("publish.regions", message)
        elif where.virtualization == "paravirtual" and name not in akis.regions_for(where.arch):
            # Source: AWS EC2 User Guide, "Copy an AMI": not to a region that does not support PV AMIs.
            message = f"{name} starts no paravirtual {where.arch} AMIs, so AWS copies none there."
            yield Problem("publish.regions", message)
    if publish.regions and where.storage == "s3":
        message = (
            "are given, and AWS keeps copies of an S3-backed AMI in buckets of its own, which nothing here removes."
        )
        yield Problem("publish.regions", message, 'storage = "ebs"')
    if len(set(publish.regions)) < len(publish.regions):
        yield Problem("publish.regions", "names a region twice.")


def _sharing_problems(publish: Publish, home: Region) -> Iterator[Problem]:
    for arn in (one for one in publish.share_with if one.startswith("arn:")):
        partition = arn.split(":")[1]
        if partition != home.partition:
            yield Problem("publish.share_with", f"{arn} belongs to {partition}, {home.name} to {home.partition}.")


def _encryption_problems(publish: Publish, where: Target) -> Iterator[Problem]:
    """Sources: AWS EC2 User Guide, "Share an AMI with specific AWS accounts" and "Make your AMI publicly available"."""
    if not (where.encrypted and publish.share_with):
        return
    if EVERYONE in publish.share_with:
        message = "holds everyone, and the AMI is encrypted: AWS makes no encrypted AMI public."
        yield Problem("publish.share_with", message, "encrypted = false")
    elif where.kms_key is None or where.kms_key.endswith(f":{AWS_KEY}"):
        message = (
            "is given, and the AMI is encrypted by the account's default key, which nobody else can use: "
            "name a key of your own (kms_key), and let its policy allow the others to use it."
        )
        yield Problem("publish.share_with", message)
    elif publish.regions and not is_multi_region(where.kms_key):
        message = (
            "is given, but a key belongs to one region, so the copies will be encrypted by the default keys there, "
            "which nobody else can use: name a multi-Region key (key/mrk-…) with a replica in each region."
        )
        yield Problem("publish.share_with", message)


def _region(name: str) -> Region | None:
    return next((region for region in regions() if region.name == name), None)
