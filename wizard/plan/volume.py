"""The way to the snapshot by a volume: a new one that an instance writes, one that is written, or its snapshot."""

from wizard.plan.actions import (
    BUILD_TAG,
    VOLUME_TYPE,
    CheckFarEnd,
    FarEnd,
    SnapshotByVolume,
    SnapshotVolume,
    UseSnapshot,
)
from wizard.plan.steps import Step
from wizard.recipe import Recipe, Volume

SAVES = "snapshot/snapshot-id"


def instance_steps(recipe: Recipe, build: str) -> list[Step]:
    """The look at the instance that is to write the volume, where there is one; done once, and before the long work."""
    volume = recipe.volume
    if volume is None or not volume.instance:
        return []
    tags = [{"Key": "Name", "Value": recipe.name}, {"Key": BUILD_TAG, "Value": build}]
    creates = {
        "VolumeType": VOLUME_TYPE,
        "TagSpecifications": [{"ResourceType": "volume", "Tags": tags}],
        **_encryption(recipe),
    }
    return [
        Step(
            "instance",
            "Look at the instance",
            "Whether your instance runs, lets you in and become root, and whether you may make volumes, is known "
            "before the long work starts.",
            (CheckFarEnd(recipe.target.region, _far_end(volume), creates),),
            ("account",),
            {"build": build},
        )
    ]


def volume_step(recipe: Recipe, build: str, tags: dict[str, str], after: tuple[str, ...]) -> Step | None:
    """The step that makes the snapshot; None where the recipe goes another way.

    `build` is what BUILD_TAG says, `tags` are for all that is made, `after` has to end well before a byte is written.
    """
    volume, region, description = recipe.volume, recipe.target.region, f"ami-wizard: {recipe.name}"
    if volume is None:
        return None
    if volume.snapshot:
        return Step(
            "snapshot",
            "Look at the snapshot",
            "It exists already and stays as it is. It must be complete before an AMI can be made from it.",
            (UseSnapshot(region, volume.snapshot, SAVES),),
            ("account",),
            {"build": build},
        )
    if volume.id:
        return Step(
            "snapshot",
            "Make a snapshot of the volume",
            "You wrote the volume, and it stays as it is. A snapshot of it is what an AMI's disk is made from.",
            (SnapshotVolume(region, volume.id, SAVES, description, tags),),
            ("account",),
            {"build": build},
        )
    by = SnapshotByVolume(region, "image/disk.img", SAVES, description, tags, _far_end(volume), _encryption(recipe))
    return Step(
        "snapshot",
        "Write the image to a volume and make a snapshot of it",
        "A new volume is attached to your instance, the data is written there over ssh and read back, a snapshot is "
        "made of the volume, and the volume goes. A snapshot is what an AMI's disk is made from.",
        (by,),
        ("account", "image"),
        {"build": build},
        after=("instance", *after),
    )


def _far_end(volume: Volume) -> FarEnd:
    return FarEnd(volume.instance or "", volume.ssh or "", volume.ssh_key or "", volume.ssh_port)


def _encryption(recipe: Recipe) -> dict[str, object]:
    """What CreateVolume is told of it."""
    if not recipe.target.encrypted:
        return {}
    return {"Encrypted": True, **({"KmsKeyId": recipe.target.kms_key} if recipe.target.kms_key else {})}
