"""The steps that AWS sees: the account, the snapshot or the bundle, the registration, and what comes after it."""

import re

from wizard.plan.actions import (
    BUILD_TAG,
    IMAGE_TAG,
    CheckAccount,
    CheckBucket,
    RegisterImage,
    UploadBundle,
    UploadSnapshot,
)
from wizard.plan.defaults import Choices
from wizard.plan.launch import launch_checks
from wizard.plan.publish.steps import publishing_checks, publishing_steps
from wizard.plan.steps import Step
from wizard.plan.volume import volume_step
from wizard.recipe import Recipe
from wizard.targets import target
from wizard.targets.target import Abilities


def account_step(recipe: Recipe, chosen: Choices, able: Abilities, build: str, image: str) -> Step:
    """The first look: who we are, whether the name is free, and whether we may register the AMI.

    `build` is what BUILD_TAG says, `image` what IMAGE_TAG says.
    """
    tags = {"Name": recipe.name, BUILD_TAG: build, IMAGE_TAG: image}
    region, bundle = recipe.target.region, bundle_of(recipe, chosen, build, 0)
    registers = register_parameters(recipe, chosen, able, tags, bundle)
    return Step(
        "account",
        "Look at the account",
        "Who you are at AWS, whether the AMI's name is still free there, and whether you may register it, is known "
        "before the long work starts, and not found out after it.",
        (
            CheckAccount(region, recipe.name, build, image, registers),
            *([CheckBucket(region, bundle.bucket)] if bundle else []),
            *launch_checks(recipe, chosen, able, build),
            *publishing_checks(recipe, build, image),
        ),
        kept=False,
    )


def cloud_steps(
    recipe: Recipe, chosen: Choices, able: Abilities, build: str, image: str, after: tuple[str, ...], time: int
) -> list[Step]:
    """Upload, registration and what comes after it; `build` is what BUILD_TAG says, `image` what IMAGE_TAG says.

    `after` is what has to end well before a byte is uploaded; `time` is the plan's epoch.
    """
    region = recipe.target.region
    tags = {"Name": recipe.name, BUILD_TAG: build}
    bundle = bundle_of(recipe, chosen, build, time)
    parameters = register_parameters(recipe, chosen, able, {**tags, IMAGE_TAG: image}, bundle)
    if bundle:
        return [*_from_bundle(bundle, parameters, build, after), *publishing_steps(recipe, build, image)]
    upload = volume_step(recipe, build, tags, after) or Step(
        "snapshot",
        "Upload the image to an EBS snapshot",
        "The blocks that hold data go straight into a snapshot, each with its checksum; empty ones are left out. "
        "A snapshot is what an AMI's disk is made from.",
        (
            UploadSnapshot(
                region, "image/disk.img", "snapshot/snapshot-id", f"ami-wizard: {recipe.name}", tags, encryption(recipe)
            ),
        ),
        ("account", "image"),
        {"build": build},
        after=after,
    )
    register = Step(
        "register",
        "Register the AMI",
        "Gives the snapshot a name and tells EC2 how to start it. From then on instances can be launched from it.",
        (RegisterImage(region, "snapshot/snapshot-id", "register/image-id", parameters, build),),
        ("snapshot",),
        {"build": build},
    )
    return [upload, register, *publishing_steps(recipe, build, image)]


def _from_bundle(bundle: UploadBundle, parameters: dict[str, object], build: str, after: tuple[str, ...]) -> list[Step]:
    upload = Step(
        "bundle",
        "Upload the image to S3 as a bundle",
        "The image is packed, encrypted for EC2 and for you, cut into parts, and listed in a signed manifest. EC2 "
        "fills the root disk of every instance from it, so it stays in the bucket as long as the AMI is used.",
        (bundle,),
        ("account", "image"),
        {"build": build},
        after=after,
    )
    register = Step(
        "register",
        "Register the AMI",
        "Tells EC2 where the bundle lies and how to start it. From then on instances can be launched from it.",
        (RegisterImage(bundle.region, "", "register/image-id", parameters, build),),
        ("bundle",),
        {"build": build},
    )
    return [upload, register]


def bundle_of(recipe: Recipe, chosen: Choices, build: str, time: int) -> UploadBundle | None:
    """The bundle of an S3-backed AMI; None for the others."""
    given, outcome = recipe.bundle, chosen.consequences
    if recipe.target.storage != "s3" or given is None:
        return None
    # The image is the whole disk, or the partition sda1 alone where it has no table (AWSDOC: block-device-mapping-
    # concepts.md, "virtual device names").
    devices = {"ami": outcome.root_device_name.removeprefix("/dev/"), "root": "/dev/sda1"}
    return UploadBundle(
        recipe.target.region,
        "image/disk.img",
        "bundle/image-location",
        given.bucket or "",
        given.prefix or folder_for(recipe.name),
        build,
        given.certificate or "",
        given.private_key or "",
        given.ec2_certificate or "",
        recipe.target.arch,
        outcome.aki or "",
        devices,
        time,
    )


def folder_for(name: str) -> str:
    """An AMI's name as a part of an S3 key that is the same in every URL and shell."""
    return re.sub(r"[^A-Za-z0-9._-]+", "-", name).strip("-.") or "image"


def encryption(recipe: Recipe) -> dict[str, object]:
    """What StartSnapshot is told of it."""
    if not recipe.target.encrypted:
        return {}
    return {"Encrypted": True, **({"KmsKeyArn": recipe.target.kms_key} if recipe.target.kms_key else {})}


def register_parameters(
    recipe: Recipe, chosen: Choices, able: Abilities, tags: dict[str, str], bundle: UploadBundle | None
) -> dict[str, object]:
    """RegisterImage's parameters; `<snapshot>` stands for the snapshot's id.

    What is made from a bundle has no snapshot.
    """
    outcome = chosen.consequences
    disk = {"SnapshotId": "<snapshot>", "VolumeType": outcome.volume_type, "DeleteOnTermination": True}
    source: dict[str, object] = {"BlockDeviceMappings": [{"DeviceName": outcome.root_device_name, "Ebs": disk}]}
    if bundle:
        source = {"ImageLocation": bundle.location}
    return {
        "Name": recipe.name,
        "Description": f"{recipe.distro.name} {recipe.distro.release}, made by ami-wizard",
        **target.register_fields(recipe.target, outcome, able),
        **source,
        "TagSpecifications": [
            {"ResourceType": "image", "Tags": [{"Key": key, "Value": value} for key, value in tags.items()]}
        ],
    }
