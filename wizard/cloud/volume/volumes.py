"""Volumes: created, attached, detached and deleted once each, whatever happens in between."""

import uuid
from collections.abc import Iterable, Mapping
from typing import Any

from botocore.exceptions import ClientError

from wizard.cloud.errors import aws_code, aws_errors
from wizard.cloud.session import Client
from wizard.cloud.volume.instance import Instance
from wizard.cloud.waiting import Asked, never, until
from wizard.explain import Failure
from wizard.plan.actions import BUILD_TAG
from wizard.run.journal import Journal, Record, is_fresh

LETTERS = "fghijklmnop"
"""Of the device names /dev/sd[f-p], which AWS recommends for data volumes.  Source: EC2 User Guide, "Device names"."""

LONGEST_CREATION = 300.0
LONGEST_ATTACHING = 180.0
LONGEST_DETACHING = 300.0
"""Seconds.  AWS takes some seconds for each; what takes minutes is stuck."""

LONGEST_UNSEEN = 120.0
"""Seconds for which AWS may not know a volume that it has just made: it is eventually consistent."""

GONE = ("deleting", "deleted")


def check_permission(ec2: Client, wanted: Mapping[str, Any]) -> None:
    """Asks whether we may make such a volume, without doing it.  Raises access-denied."""
    try:
        with aws_errors("CreateVolume", ec2.meta.region_name):
            ec2.create_volume(**wanted, DryRun=True)
    except Failure as failure:
        if failure.code == "access-denied":
            raise


def create(ec2: Client, journal: Journal, wanted: Mapping[str, Any], image: Mapping[str, int], cancelled: Asked) -> str:
    """The id of a volume as `wanted` (CreateVolume's parameters) for an image of that size and time (ns).

    It is the one that the journal names where that fits and is there.  Otherwise that one goes and a new one is made:
    what is written on it is known of the old image alone.
    """
    asked = journal.last("CreateVolume", "asked")
    if asked and asked["region"] == ec2.meta.region_name:
        volume_id = created_id(journal, asked)
        fits = asked["image"] == image and {**asked["request"], **wanted} == asked["request"]
        if fits and (volume_id is None or is_fresh(asked, LONGEST_UNSEEN) or describe(ec2, volume_id)):
            # Where the answer was lost the same client token gives the same volume again.
            return _until_created(ec2, volume_id or _create(ec2, journal, asked["request"]), cancelled)
        discard(ec2, journal)
    request = {**wanted, "ClientToken": str(uuid.uuid4())}
    journal.asked("CreateVolume", region=ec2.meta.region_name, image=image, request=request)
    return _until_created(ec2, _create(ec2, journal, request), cancelled)


def _create(ec2: Client, journal: Journal, request: Mapping[str, Any]) -> str:
    region = ec2.meta.region_name
    with aws_errors("CreateVolume", region):
        volume_id: str = ec2.create_volume(**request)["VolumeId"]
    journal.answered("CreateVolume", region=region, token=request["ClientToken"], volume_id=volume_id)
    return volume_id


def _until_created(ec2: Client, volume_id: str, cancelled: Asked) -> str:
    def look() -> str | None:
        found = describe(ec2, volume_id)
        state = found["State"] if found else "creating"
        if state not in ("creating", "available", "in-use"):
            raise Failure("volume-failed", volume=volume_id, state=state)
        return volume_id if state != "creating" else None

    late = Failure("volume-failed", volume=volume_id, state="still creating")
    return until(look, LONGEST_CREATION, late, cancelled)


def created_id(journal: Journal, asked: Record) -> str | None:
    """The volume that came of a journaled CreateVolume, if its answer was heard."""
    token = asked["request"]["ClientToken"]
    return next((str(item["volume_id"]) for item in journal.records() if item.get("token") == token), None)


def describe(ec2: Client, volume_id: str) -> dict[str, Any] | None:
    """The volume as DescribeVolumes shows it; None where there is none any more."""
    with aws_errors("DescribeVolumes", ec2.meta.region_name):
        try:
            found: list[dict[str, Any]] = ec2.describe_volumes(VolumeIds=[volume_id])["Volumes"]
        except ClientError as error:
            if aws_code(error) != "InvalidVolume.NotFound":
                raise
            return None
    return found[0] if found and found[0]["State"] not in GONE else None


# Attached and detached


def is_attached(ec2: Client, volume_id: str) -> bool:
    """Whether it is attached to any instance, or about to be, or still being detached."""
    return _attachment(ec2, volume_id) is not None


def attach(ec2: Client, journal: Journal, volume_id: str, instance: Instance, cancelled: Asked) -> str:
    """Attaches a volume of ours to the instance; gives its device name, such as /dev/sdf, once it is attached.

    Where it is attached to the instance already, that is it.  Raises "volume-attached-elsewhere" and
    "volume-attach-stuck".
    """
    found = _attachment(ec2, volume_id)
    if found and not _was_attached_by_us(journal, volume_id, found["InstanceId"]):
        raise Failure("volume-attached-elsewhere", volume=volume_id, other=found["InstanceId"])
    if found and (found["InstanceId"] != instance.id or found["State"] not in ("attaching", "attached")):
        detach(ec2, journal, volume_id, cancelled)
        found = None
    if found is None:
        _attach(ec2, journal, volume_id, instance)

    def look() -> str | None:
        now = _attachment(ec2, volume_id)
        return str(now["Device"]) if now and now["State"] == "attached" else None

    late = Failure("volume-attach-stuck", volume=volume_id, instance=instance.id, minutes=LONGEST_ATTACHING // 60)
    return until(look, LONGEST_ATTACHING, late, cancelled)


def _attach(ec2: Client, journal: Journal, volume_id: str, instance: Instance) -> None:
    """AttachVolume with the first device name that is free; AWS knows of some that DescribeInstances does not show."""
    region = ec2.meta.region_name
    used = {device[-1] for device in instance.devices if device.startswith(("/dev/sd", "/dev/xvd"))}
    refused = Failure("no-free-device-name", instance=instance.id)
    for letter in (one for one in LETTERS if one not in used):
        request = {"Device": f"/dev/sd{letter}", "InstanceId": instance.id, "VolumeId": volume_id}
        journal.asked("AttachVolume", region=region, volume_id=volume_id, request=request)
        try:
            with aws_errors("AttachVolume", region):
                ec2.attach_volume(**request)
        except Failure as failure:
            if failure.code == "aws-refused" and _attachment(ec2, volume_id):
                # By this very call, repeated because its answer was lost.
                return
            if "already in use" not in " ".join(failure.evidence):
                raise
            refused = failure
        else:
            journal.answered("AttachVolume", region=region, **request)
            return
    raise refused


def detach(ec2: Client, journal: Journal, volume_id: str, cancelled: Asked = never) -> None:
    """Detaches a volume from wherever it is attached, never by force.  Raises "volume-detach-stuck"."""
    found, region = _attachment(ec2, volume_id), ec2.meta.region_name
    if found is None:
        return
    instance_id = found["InstanceId"]
    if found["State"] != "detaching":
        journal.asked("DetachVolume", region=region, volume_id=volume_id, instance=instance_id)
        with aws_errors("DetachVolume", region):
            try:
                ec2.detach_volume(VolumeId=volume_id, InstanceId=instance_id)
            except ClientError as error:
                # Already detached: by this very call, whose answer was lost.
                if aws_code(error) not in ("IncorrectState", "InvalidAttachment.NotFound", "InvalidVolume.NotFound"):
                    raise

    def look() -> bool | None:
        return _attachment(ec2, volume_id) is None or None

    late = Failure(
        "volume-detach-stuck", volume=volume_id, instance=instance_id, minutes=LONGEST_DETACHING // 60, region=region
    )
    until(look, LONGEST_DETACHING, late, cancelled)
    journal.answered("DetachVolume", region=region, volume_id=volume_id)


def _attachment(ec2: Client, volume_id: str) -> dict[str, Any] | None:
    found = describe(ec2, volume_id)
    there = [one for one in (found or {}).get("Attachments", ()) if one["State"] != "detached"]
    return there[0] if there else None


def _was_attached_by_us(journal: Journal, volume_id: str, instance_id: str) -> bool:
    asked = (item for item in journal.records() if (item["operation"], item["kind"]) == ("AttachVolume", "asked"))
    return any((item["volume_id"], item["request"]["InstanceId"]) == (volume_id, instance_id) for item in asked)


# Removed


def delete(ec2: Client, journal: Journal, volume_id: str) -> bool:
    """Detaches and deletes a volume of ours; False if there is none any more."""
    region = ec2.meta.region_name
    if describe(ec2, volume_id) is None:
        if _is_unheard(journal, "DeleteVolume", volume_id):
            journal.answered("DeleteVolume", region=region, volume_id=volume_id)
        return False
    detach(ec2, journal, volume_id)
    journal.asked("DeleteVolume", region=region, volume_id=volume_id)
    with aws_errors("DeleteVolume", region):
        try:
            ec2.delete_volume(VolumeId=volume_id)
        except ClientError as error:
            # By this very call, repeated because its answer was lost.
            if aws_code(error) != "InvalidVolume.NotFound":
                raise
    journal.answered("DeleteVolume", region=region, volume_id=volume_id)
    return True


def _is_unheard(journal: Journal, operation: str, volume_id: str) -> bool:
    """Whether an operation on a volume was asked for, and its answer is missing."""
    about = [item for item in journal.records() if (item["operation"], item.get("volume_id")) == (operation, volume_id)]
    return bool(about) and about[-1]["kind"] == "asked"


def discard(ec2: Client, journal: Journal) -> list[str]:
    """Deletes every volume that the journal says was made in the client's region; gives the ids that are gone now.

    Calling it again does no harm.  Where there never was a volume, AWS is not asked.
    """
    region = ec2.meta.region_name
    made: dict[str, None] = {}
    for record in journal.records():
        if (record["operation"], record["kind"], record.get("region")) != ("CreateVolume", "asked", region):
            continue
        heard = created_id(journal, record)
        made |= dict.fromkeys([heard] if heard else _unattached(ec2, _builds(record["request"])))
    return [volume_id for volume_id in made if delete(ec2, journal, volume_id)]


def _unattached(ec2: Client, builds: Iterable[str]) -> list[str]:
    """Of these builds' volumes those that no instance has: where no answer was heard, nothing was attached."""
    return [volume_id for volume_id in tagged(ec2, builds) if not (describe(ec2, volume_id) or {}).get("Attachments")]


def tagged(ec2: Client, builds: Iterable[str]) -> list[str]:
    """The volumes that carry one of these builds' tags in the client's region."""
    values = list(builds)
    if not values:
        return []
    with aws_errors("DescribeVolumes", ec2.meta.region_name):
        found = ec2.describe_volumes(Filters=[{"Name": f"tag:{BUILD_TAG}", "Values": values}])["Volumes"]
    return [str(volume["VolumeId"]) for volume in found if volume["State"] not in GONE]


def _builds(request: Mapping[str, Any]) -> list[str]:
    tags = [tag for specification in request["TagSpecifications"] for tag in specification["Tags"]]
    return [tag["Value"] for tag in tags if tag["Key"] == BUILD_TAG]
