"""The steps behind `register`: a copy to each region, all at the same time, then what is done in every region."""

from collections.abc import Iterator, Mapping
from typing import Any

from wizard.plan.actions import (
    BUILD_TAG,
    EVERYONE,
    IMAGE_TAG,
    CheckPublishing,
    CopyImage,
    DeprecateImage,
    ProtectImage,
    PublishAction,
    PutParameter,
    ShareImage,
)
from wizard.plan.steps import Step
from wizard.recipe import Publish, Recipe


def publishing_checks(recipe: Recipe, build: str, image: str) -> list[CheckPublishing]:
    """What is asked of each region before the long work; `build` and `image` are what the tags say."""
    publish, home = recipe.publish or Publish(), recipe.target.region
    # What the recipe itself encrypts was judged with it, and an S3-backed AMI has no snapshot.
    is_plain = recipe.target.storage == "ebs" and not recipe.target.encrypted
    shares, public = publish.share_with if is_plain else (), EVERYONE in publish.share_with
    checks = []
    for region in (home, *publish.regions):
        copies = copy_parameters(recipe, region, build, image) if region != home else {}
        if copies or shares or public or publish.ssm_parameter:
            parameter = publish.ssm_parameter or ""
            checks.append(CheckPublishing(region, build, image, copies, shares, public, parameter))
    return checks


def publishing_steps(recipe: Recipe, build: str, image: str) -> list[Step]:
    """Them all; none without `[publish]`."""
    publish, home = recipe.publish or Publish(), recipe.target.region
    copies = [_copy_step(recipe, region, build, image) for region in publish.regions]
    places = {home: "register", **{region: step.id for region, step in zip(publish.regions, copies, strict=True)}}
    steps = [
        Step(step_id, title, why, actions, tuple(places.values()), {"build": build})
        for step_id, title, why, actions in _rest(publish, places, build)
    ]
    if publish.ssm_parameter:
        steps.append(_parameter_step(recipe, places, build, tuple(step.id for step in steps)))
    return [*copies, *steps]


def _copy_step(recipe: Recipe, region: str, build: str, image: str) -> Step:
    step_id = f"copy-{region}"
    parameters = copy_parameters(recipe, region, build, image)
    return Step(
        step_id,
        f"Copy the AMI to {region}",
        "An AMI can be launched in its own region alone. AWS copies it with its snapshot. The copy has an id of its "
        "own; its storage is paid there too, and the way there once.",
        (CopyImage(region, "register/image-id", f"{step_id}/image-id", parameters, build),),
        ("register",),
        {"build": build},
    )


def copy_parameters(recipe: Recipe, region: str, build: str, image: str) -> dict[str, Any]:
    """CopyImage's parameters; `<image>` stands for the image's id.

    A copy of what is encrypted is encrypted too, by the other region's default key, or the same multi-Region key.
    """
    where = recipe.target
    tags = {"Name": recipe.name, BUILD_TAG: build}
    encryption: dict[str, Any] = {"Encrypted": True} if where.encrypted else {}
    if where.kms_key and is_multi_region(where.kms_key):
        encryption["KmsKeyId"] = where.kms_key.replace(f":{where.region}:", f":{region}:")
    return {
        "Name": recipe.name,
        "Description": f"{recipe.distro.name} {recipe.distro.release}, made by ami-wizard",
        "SourceRegion": where.region,
        "SourceImageId": "<image>",
        **encryption,
        "TagSpecifications": [
            {"ResourceType": "image", "Tags": _tag_list({**tags, IMAGE_TAG: image})},
            {"ResourceType": "snapshot", "Tags": _tag_list(tags)},
        ],
    }


def _tag_list(tags: Mapping[str, str]) -> list[dict[str, str]]:
    return [{"Key": key, "Value": value} for key, value in tags.items()]


def _rest(
    publish: Publish, places: Mapping[str, str], build: str
) -> Iterator[tuple[str, str, str, tuple[PublishAction, ...]]]:
    """Id, title, reason and actions of what is done in every region."""
    files = {region: f"{step_id}/image-id" for region, step_id in places.items()}
    if publish.share_with:
        shares = publish.share_with
        yield (
            "share",
            "Share the AMI",
            f"Lets {', '.join(shares)} launch it, each at their own cost. The snapshot needs no sharing for that.",
            tuple(ShareImage(region, file, shares, build) for region, file in files.items()),
        )
    if days := publish.deprecate_after_days:
        yield (
            "deprecate",
            "Set the day on which the AMI is outdated",
            f"{days} days after its creation others do not find it any more. It can still be launched by its id.",
            tuple(DeprecateImage(region, file, days, build) for region, file in files.items()),
        )
    if publish.protect:
        longer = " and for 24 hours after that" if publish.cooldown else ""
        yield (
            "protect",
            "Protect the AMI from being deregistered",
            f"Nobody can deregister it until the protection is lifted{longer}. `ami-wizard clean --cloud` lifts it.",
            tuple(ProtectImage(region, file, publish.cooldown, build) for region, file in files.items()),
        )


def _parameter_step(recipe: Recipe, places: Mapping[str, str], build: str, after: tuple[str, ...]) -> Step:
    """The last one: who follows the parameter finds an image that is ready in every way."""
    publish = recipe.publish or Publish()
    name, tags = publish.ssm_parameter or "", {"Name": recipe.name, BUILD_TAG: build}
    return Step(
        "parameter",
        "Write the AMI's id to a parameter",
        f"Instances can then be launched by a name that stays, resolve:ssm:{name}. Each region has one of its own.",
        tuple(PutParameter(region, f"{step_id}/image-id", name, tags) for region, step_id in places.items()),
        tuple(places.values()),
        {"build": build},
        after=after,
    )


def is_multi_region(kms_key: str) -> bool:
    """Whether a key's replicas in other regions have its id.  Source: AWS KMS Developer Guide, "Multi-Region keys"."""
    return ":key/mrk-" in kms_key
