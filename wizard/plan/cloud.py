"""The steps that AWS sees: the account, the snapshot, the registration."""

from wizard.plan.defaults import Choices
from wizard.plan.launch import launch_checks, launch_steps
from wizard.plan.steps import BUILD_TAG, IMAGE_TAG, CheckAccount, RegisterImage, Step, UploadSnapshot
from wizard.recipe import Recipe
from wizard.targets import target
from wizard.targets.target import Abilities


def account_step(recipe: Recipe, chosen: Choices, able: Abilities, build: str, image: str) -> Step:
    """The first look: who we are, whether the name is free, and whether we may register the AMI.

    `build` is what BUILD_TAG says, `image` what IMAGE_TAG says.
    """
    tags = {"Name": recipe.name, BUILD_TAG: build, IMAGE_TAG: image}
    registers = register_parameters(recipe, chosen, able, tags)
    return Step(
        "account",
        "Look at the account",
        "Who you are at AWS, whether the AMI's name is still free there, and whether you may register it, is known "
        "before the long work starts, and not found out after it.",
        (
            CheckAccount(recipe.target.region, recipe.name, build, image, registers),
            *launch_checks(recipe, chosen, able, build),
        ),
        kept=False,
    )


def cloud_steps(
    recipe: Recipe, chosen: Choices, able: Abilities, build: str, image: str, after: tuple[str, ...]
) -> list[Step]:
    """Upload, registration and launch; `build` is what BUILD_TAG says, `image` what IMAGE_TAG says.

    `after` is what has to end well before a byte is uploaded.
    """
    region = recipe.target.region
    tags = {"Name": recipe.name, BUILD_TAG: build}
    parameters = register_parameters(recipe, chosen, able, {**tags, IMAGE_TAG: image})
    upload = Step(
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
    return [upload, register, *launch_steps(recipe, chosen, able, build)]


def encryption(recipe: Recipe) -> dict[str, object]:
    """What StartSnapshot is told of it."""
    if not recipe.target.encrypted:
        return {}
    return {"Encrypted": True, **({"KmsKeyArn": recipe.target.kms_key} if recipe.target.kms_key else {})}


def register_parameters(recipe: Recipe, chosen: Choices, able: Abilities, tags: dict[str, str]) -> dict[str, object]:
    """RegisterImage's parameters; `<snapshot>` stands for the snapshot's id."""
    outcome = chosen.consequences
    disk = {"SnapshotId": "<snapshot>", "VolumeType": outcome.volume_type, "DeleteOnTermination": True}
    return {
        "Name": recipe.name,
        "Description": f"{recipe.distro.name} {recipe.distro.release}, made by ami-wizard",
        **target.register_fields(recipe.target, outcome, able),
        "BlockDeviceMappings": [{"DeviceName": outcome.root_device_name, "Ebs": disk}],
        "TagSpecifications": [
            {"ResourceType": "image", "Tags": [{"Key": key, "Value": value} for key, value in tags.items()]}
        ],
    }
