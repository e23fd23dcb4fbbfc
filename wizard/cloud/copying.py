"""An image copied to another region: once, waited for, and compared with the one that it was made from."""

import uuid
from collections.abc import Mapping
from typing import Any

from wizard.cloud import images
from wizard.cloud.errors import aws_errors
from wizard.cloud.images import COMPARED, LONGEST_UNSEEN, deregister, look_up, tag_of, wait_until_available
from wizard.cloud.session import Client
from wizard.cloud.waiting import Asked, never
from wizard.explain import Failure
from wizard.plan.actions import BUILD_TAG, IMAGE_TAG
from wizard.run.journal import Journal, Record, is_fresh
from wizard.targets import akis

LONGEST_COPY = 6 * 3600.0
"""Seconds.  AWS promises none: "on a best-effort basis" (EC2 User Guide, "Copy an AMI"); some GiB take minutes."""

USABLE = ("pending", "available")
OF_ITS_OWN = ("KernelId", "RamdiskId", "Name", "Description")
"""What a copy does not have from its source."""


def copy(
    ec2: Client, source: Mapping[str, Any], journal: Journal, parameters: Mapping[str, Any], cancelled: Asked = never
) -> dict[str, Any]:
    """Copies an image to the client's region with the parameters of CopyImage; gives it as DescribeImages does.

    `source` is the image that they name, as its own region describes it.  However often it is called, and whatever
    answer was lost, there is one copy: the client token finds it, and its tags where AWS has forgotten the token.
    Raises Cancelled, copy-failed, image-differs, and what AWS refuses.
    """
    image_id = _begun(ec2, journal, parameters) or _ask(ec2, journal, parameters, str(uuid.uuid4()))
    try:
        image = wait_until_available(ec2, image_id, cancelled, LONGEST_COPY)
    except Failure as failure:
        if failure.code != "image-failed":
            raise
        raise Failure("copy-failed", evidence=failure.evidence, **failure.facts) from failure
    _write_down(ec2, journal, image)
    wrong = [*images.differences(parameters, image), *differences(source, image, ec2.meta.region_name)]
    if wrong:
        raise Failure("image-differs", evidence=wrong, image_id=image_id)
    return image


def differences(source: Mapping[str, Any], copy: Mapping[str, Any], region: str) -> list[str]:
    """Where a copy does not start like its source, a line each.

    A PV-GRUB kernel has another id in each region; AWS does not say how it finds it, so the copy must name the one of
    the same version that we know there, and must name one at all.
    """
    pairs = [(field, source.get(field), copy.get(field)) for field in COMPARED if field not in OF_ITS_OWN]
    if kernel := source.get("KernelId"):
        pairs.append(("KernelId", _kernel_there(kernel, region) or copy.get("KernelId", "one"), copy.get("KernelId")))
    sizes, theirs = _sizes(source), _sizes(copy)
    pairs += [(f"{device} VolumeSize", size, theirs.get(device)) for device, size in sizes.items()]
    return [f"{field}: it should be {wanted}, and is {got}" for field, wanted, got in pairs if wanted != got]


def _kernel_there(kernel: str, region: str) -> str | None:
    known = akis.named(kernel)
    if known is None:
        return None
    rows = akis.matching(region, known.arch)
    return next((row.aki for row in rows if row.image_name == known.image_name), None)


def _sizes(image: Mapping[str, Any]) -> dict[str, int | None]:
    return {one["DeviceName"]: one["Ebs"].get("VolumeSize") for one in image["BlockDeviceMappings"] if "Ebs" in one}


def _begun(ec2: Client, journal: Journal, parameters: Mapping[str, Any]) -> str | None:
    """The copy that an earlier attempt asked for.  One that failed is removed."""
    found = _tagged(ec2, parameters)
    if asked := journal.last("CopyImage", "asked"):
        heard = _heard(journal, asked)
        image = look_up(ec2, heard) if heard else None
        if heard and image and image["State"] in USABLE:
            return heard
        if heard and image:
            deregister(ec2, journal, heard)
        is_same = {**asked["request"], **parameters} == asked["request"]
        may_be_there = heard is None or (image is None and is_fresh(asked, LONGEST_UNSEEN))
        if may_be_there and found is None and is_same:
            return _ask(ec2, journal, parameters, asked["request"]["ClientToken"])
    return found


def _tagged(ec2: Client, parameters: Mapping[str, Any]) -> str | None:
    """A copy of this image by this build."""
    tags = {tag["Key"]: tag["Value"] for tag in parameters["TagSpecifications"][0]["Tags"]}
    filters = [{"Name": f"tag:{BUILD_TAG}", "Values": [tags[BUILD_TAG]]}]
    with aws_errors("DescribeImages", ec2.meta.region_name):
        found = ec2.describe_images(Owners=["self"], Filters=filters)["Images"]
    source = parameters["SourceImageId"]
    for image in found:
        is_ours = tag_of(image, IMAGE_TAG) == tags.get(IMAGE_TAG) and image.get("SourceImageId", source) == source
        if is_ours and image["State"] in USABLE:
            return str(image["ImageId"])
    return None


def _heard(journal: Journal, asked: Record) -> str | None:
    token = asked["request"]["ClientToken"]
    return next((str(item["image_id"]) for item in journal.records() if item.get("token") == token), None)


def _ask(ec2: Client, journal: Journal, parameters: Mapping[str, Any], token: str) -> str:
    region, request = ec2.meta.region_name, {**parameters, "ClientToken": token}
    journal.asked("CopyImage", region=region, request=request)
    with aws_errors("CopyImage", region):
        image_id = str(ec2.copy_image(**request)["ImageId"])
    journal.answered("CopyImage", region=region, token=token, image_id=image_id, snapshot_ids=[])
    return image_id


def _write_down(ec2: Client, journal: Journal, image: Mapping[str, Any]) -> None:
    """The copy's snapshots, which have ids of their own, belong to what was made."""
    snapshots = snapshots_of(image)
    last = journal.last("CopyImage")
    if last is None or (last["image_id"], last["snapshot_ids"]) != (image["ImageId"], snapshots):
        region = ec2.meta.region_name
        journal.answered("CopyImage", region=region, image_id=image["ImageId"], snapshot_ids=snapshots)


def snapshots_of(image: Mapping[str, Any]) -> list[str]:
    """The ids of the snapshots that an image of DescribeImages is made of."""
    ebs = [mapping.get("Ebs", {}) for mapping in image.get("BlockDeviceMappings", ())]
    return [str(one["SnapshotId"]) for one in ebs if "SnapshotId" in one]
