"""Carries out what comes after registering: the checks before it, copies, sharing, dates, protection, parameters."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from wizard.cloud import copying, images, parameters, protection, sharing
from wizard.cloud.errors import aws_errors
from wizard.cloud.session import Client, client
from wizard.cloud.waiting import Asked, until
from wizard.explain import Failure
from wizard.plan.actions import (
    NO_IMAGE,
    CheckPublishing,
    CopyImage,
    DeprecateImage,
    ProtectImage,
    PublishAction,
    PutParameter,
    ShareImage,
    fill,
)
from wizard.plan.cost import estimate_copy
from wizard.run.journal import Journal

GIB = 1 << 30

LONGEST_UNSEEN = 120.0
"""Seconds for which AWS may not show yet what it has taken: it is eventually consistent."""


def perform(
    endpoint: str | None, action: PublishAction, work: Path, journal: Journal, cancelled: Asked
) -> dict[str, Any]:
    """Does it, as wizard/cloud/actions.py does the others, and gives what a person wants to know of it."""
    match action:
        case CheckPublishing():
            return _check(endpoint, action)
        case CopyImage():
            return _copy(endpoint, action, work, journal, cancelled)
        case PutParameter():
            ssm = client("ssm", action.region, endpoint)
            parameters.put(ssm, journal, action.name, _id(work, action.image), action.tags, cancelled)
            return {action.region: f"{action.name} is {_id(work, action.image)}"}
    image_id, ec2 = _id(work, action.image), client("ec2", action.region, endpoint)
    match action:
        case ShareImage():
            sharing.share(ec2, journal, image_id, action.shares, cancelled)
            return {action.region: f"{image_id} is shared with {', '.join(action.shares)}"}
        case DeprecateImage():
            at = _deprecate(ec2, journal, image_id, action.days, cancelled)
            return {action.region: f"{image_id} is deprecated on {at}"}
        case ProtectImage():
            protection.protect(ec2, journal, _existing(ec2, image_id), cooldown=action.cooldown)
            _wait_for(ec2, image_id, "DeregistrationProtection", protection.wanted(cooldown=action.cooldown), cancelled)
            return {action.region: f"{image_id} is protected"}


def _id(work: Path, file: str) -> str:
    return (work / file).read_text(encoding="ascii").strip()


def _check(endpoint: str | None, action: CheckPublishing) -> dict[str, Any]:
    ec2 = client("ec2", action.region, endpoint)
    if action.copies:
        _check_copy(ec2, action)
    if action.shares:
        sharing.check_encryption(ec2, action.shares)
    if action.public:
        sharing.check_public(ec2)
    if action.parameter:
        there = parameters.find(client("ssm", action.region, endpoint), action.parameter)
        if there:
            parameters.check_kind(there, action.region)
    return {action.region: "may be published to"}


def _check_copy(ec2: Client, action: CheckPublishing) -> None:
    name, region = action.copies["Name"], action.region
    found = images.find_by_name(ec2, name)
    if found:
        images.check_own(found, name, region, action.build, action.image)
    try:
        with aws_errors("CopyImage", region):
            ec2.copy_image(**fill(action.copies, {"<image>": NO_IMAGE}), DryRun=True)
    except Failure as failure:
        if failure.code in ("access-denied", "region-not-usable"):
            raise


def _copy(endpoint: str | None, action: CopyImage, work: Path, journal: Journal, cancelled: Asked) -> dict[str, Any]:
    image_id, ec2 = _id(work, action.image), client("ec2", action.region, endpoint)
    source = _existing(client("ec2", action.parameters["SourceRegion"], endpoint), image_id)
    image = copying.copy(ec2, source, journal, fill(action.parameters, {"<image>": image_id}), cancelled)
    (work / action.saves).write_text(f"{image['ImageId']}\n", encoding="ascii")
    return {"image": image["ImageId"], "cost": estimate_copy(_stored(ec2, image))}


def _stored(ec2: Client, image: dict[str, Any]) -> int:
    """The bytes that an image's snapshots hold; of one whose size AWS does not tell, those of its volume."""
    with aws_errors("DescribeSnapshots", ec2.meta.region_name):
        found = ec2.describe_snapshots(SnapshotIds=copying.snapshots_of(image))["Snapshots"]
    return sum(one.get("FullSnapshotSizeInBytes", one["VolumeSize"] * GIB) for one in found)


def _deprecate(ec2: Client, journal: Journal, image_id: str, days: int, cancelled: Asked) -> str:
    """Sets the date, as ISO 8601 in UTC; AWS counts in whole minutes, so these are given."""
    region, image = ec2.meta.region_name, _existing(ec2, image_id)
    created = datetime.fromisoformat(image["CreationDate"]).astimezone(UTC)
    at = (created + timedelta(days=days)).replace(second=0, microsecond=0)
    if not _is_at(image.get("DeprecationTime"), at):
        journal.asked("EnableImageDeprecation", region=region, image_id=image_id, at=at.isoformat())
        with aws_errors("EnableImageDeprecation", region):
            ec2.enable_image_deprecation(ImageId=image_id, DeprecateAt=at)
        journal.answered("EnableImageDeprecation", region=region, image_id=image_id)
    late = Failure("image-differs", image_id=image_id, evidence=[f"DeprecationTime should be {at.isoformat()}"])
    until(lambda: _is_at(_existing(ec2, image_id).get("DeprecationTime"), at) or None, LONGEST_UNSEEN, late, cancelled)
    return f"{at:%Y-%m-%d}"


def _is_at(said: str | None, at: datetime) -> bool:
    return said is not None and datetime.fromisoformat(said) == at


def _wait_for(ec2: Client, image_id: str, field: str, value: str, cancelled: Asked) -> None:
    late = Failure("image-differs", image_id=image_id, evidence=[f"{field} should be {value}"])
    until(lambda: _existing(ec2, image_id).get(field) == value or None, LONGEST_UNSEEN, late, cancelled)


def _existing(ec2: Client, image_id: str) -> dict[str, Any]:
    """An image that an earlier step made.  Raises image-gone."""
    image = images.look_up(ec2, image_id)
    if image is None:
        raise Failure("image-gone", image_id=image_id, region=ec2.meta.region_name)
    return image
