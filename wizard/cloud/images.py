"""Images (AMIs): registered once, checked against what was asked, and removed with all that belongs to them."""

from collections.abc import Iterator, Mapping
from typing import Any

from botocore.exceptions import ClientError

from wizard.cloud.errors import aws_code, aws_errors
from wizard.cloud.session import Client
from wizard.cloud.snapshot import delete_snapshot, started_id
from wizard.cloud.volume import snapshots
from wizard.cloud.waiting import Asked, never, until
from wizard.explain import Failure
from wizard.plan.actions import BUILD_TAG, IMAGE_TAG, NO_SNAPSHOT, fill
from wizard.run.journal import Journal

COMPARED = (
    *("Architecture", "VirtualizationType", "KernelId", "RamdiskId", "RootDeviceName", "Name", "Description"),
    *("ImageLocation", "BootMode", "TpmSupport", "ImdsSupport", "EnaSupport", "SriovNetSupport"),
)
"""Fields of RegisterImage that DescribeImages gives under the same name."""

LONGEST_UNSEEN = 120.0
"""Seconds for which AWS may call a name taken and not yet show the image, or its tags: it is eventually consistent."""

LONGEST_PENDING = 900.0
LONGEST_IN_USE = 60.0
"""Seconds for which a snapshot may still count as used after its image was deregistered."""

COOLING = "disabled after "
"""What DescribeImages says of a protection that was lifted and holds on for a day, with the time behind it."""


def find_by_name(ec2: Client, name: str) -> dict[str, Any] | None:
    """Our own image of that name, as DescribeImages gives it: at most one, as names are unique."""
    with aws_errors("DescribeImages", ec2.meta.region_name):
        # In the filter * and ? are wildcards; a name holds neither.
        said = ec2.describe_images(Owners=["self"], Filters=[{"Name": "name", "Values": [name]}])
    found: list[dict[str, Any]] = said["Images"]
    return found[0] if found else None


def check_own(found: Mapping[str, Any], name: str, region: str, build: str, image: str) -> None:
    """An image that has the AMI's name already is the one that is to be made, or in the way.

    `build` and `image` are what its tags should say.  Raises duplicate-ami-name, already-made.
    """
    image_id, its_build, its_image = found["ImageId"], tag_of(found, BUILD_TAG), tag_of(found, IMAGE_TAG)
    if its_build != build:
        raise Failure("duplicate-ami-name", name=name, region=region, image_id=image_id, evidence=[image_id])
    if its_image != image:
        evidence = [f"{image_id} has the tag {IMAGE_TAG}={its_image or ''}, the answers now give {image}"]
        raise Failure("already-made", name=name, region=region, image_id=image_id, build=build, evidence=evidence)


def tag_of(image: Mapping[str, Any], key: str) -> str | None:
    """The value of a tag on an image of DescribeImages; None without such a tag."""
    return next((str(tag["Value"]) for tag in image.get("Tags", ()) if tag["Key"] == key), None)


def check_permission(ec2: Client, parameters: Mapping[str, Any]) -> None:
    """Asks whether we may register such an image, without doing it.  Raises access-denied.

    Whatever else AWS says to a snapshot that is not there tells nothing of the permission.
    """
    if not parameters:
        return
    region = ec2.meta.region_name
    try:
        with aws_errors("RegisterImage", region):
            ec2.register_image(**fill(parameters, {"<snapshot>": NO_SNAPSHOT}), DryRun=True)
    except Failure as failure:
        if failure.code == "access-denied":
            raise


def register(
    ec2: Client, journal: Journal, parameters: Mapping[str, Any], build_tag: str, cancelled: Asked = never
) -> str:
    """Registers an image with the parameters of RegisterImage, once; gives its id when it is there as asked.

    RegisterImage takes no client token, so the name finds an image whose answer was lost, and the tag says whether
    it is this build's.  Raises Cancelled, duplicate-ami-name, image-failed, image-differs, and what AWS refuses.
    """
    image_id = _adopted(ec2, parameters["Name"], build_tag, tag_may_lag=_was_asked(ec2, journal, parameters["Name"]))
    if image_id is None:
        request = {**parameters, "TagSpecifications": _with_tag(parameters, build_tag)}
        image_id = _ask_to_register(ec2, journal, request, build_tag, cancelled)
    journal.answered("RegisterImage", region=ec2.meta.region_name, image_id=image_id)
    image = wait_until_available(ec2, image_id, cancelled)
    if wrong := differences(parameters, image):
        raise Failure("image-differs", evidence=wrong, image_id=image_id)
    return image_id


def differences(asked: Mapping[str, Any], image: Mapping[str, Any]) -> list[str]:
    """Where an image of DescribeImages is not what the parameters of RegisterImage asked for, a line each."""
    pairs = [(field, asked[field], image.get(field)) for field in COMPARED if field in asked]
    there = {mapping["DeviceName"]: mapping.get("Ebs", {}) for mapping in image.get("BlockDeviceMappings", ())}
    for mapping in asked.get("BlockDeviceMappings", ()):
        device = mapping["DeviceName"]
        for field, value in mapping.get("Ebs", {}).items():
            pairs.append((f"{device} {field}", value, there.get(device, {}).get(field)))
    return [f"{field}: asked for {wanted}, got {got}" for field, wanted, got in pairs if wanted != got]


def remove(ec2: Client, journal: Journal) -> list[str]:
    """Removes what the journal says was made in the client's region; gives the ids that were there and now are not.

    Images first, as a snapshot cannot go while an image needs it.  Calling it again does no harm.
    """
    images, snapshots = dict.fromkeys(_images_made(ec2, journal)), dict.fromkeys(_snapshots_made(ec2, journal))
    removed = [image_id for image_id in images if deregister(ec2, journal, image_id)]
    return removed + [snapshot_id for snapshot_id in snapshots if _delete_once_free(ec2, journal, snapshot_id)]


def tagged(ec2: Client, tag: str) -> list[tuple[str, str]]:
    """What carries the build's tag in the client's region: kind ("image", "snapshot") and id, images first."""
    filters = [{"Name": f"tag:{BUILD_TAG}", "Values": [tag]}]
    with aws_errors("DescribeImages", ec2.meta.region_name):
        found = ec2.describe_images(Owners=["self"], Filters=filters)["Images"]
    return [
        *(("image", str(image["ImageId"])) for image in found),
        *(("snapshot", snapshot_id) for snapshot_id in _snapshots_of_build(ec2, [tag])),
    ]


def remove_tagged(ec2: Client, journal: Journal, tag: str) -> list[str]:
    """Removes what carries the build's tag, images first; gives the ids that were there and now are not."""
    found = tagged(ec2, tag)
    removed = [made for kind, made in found if kind == "image" and deregister(ec2, journal, made)]
    return removed + [made for kind, made in found if kind == "snapshot" and _delete_once_free(ec2, journal, made)]


def _ask_to_register(
    ec2: Client, journal: Journal, request: Mapping[str, Any], build_tag: str, cancelled: Asked
) -> str:
    """RegisterImage.  Where an answer was lost, now or in an earlier attempt, our own image is in the way."""
    region, name = ec2.meta.region_name, request["Name"]
    journal.asked("RegisterImage", region=region, build=build_tag, request=request)
    try:
        with aws_errors("RegisterImage", region):
            return str(ec2.register_image(**request)["ImageId"])
    except Failure as failure:
        if failure.code != "duplicate-ami-name":
            raise
        return until(lambda: _adopted(ec2, name, build_tag, tag_may_lag=True), LONGEST_UNSEEN, failure, cancelled)


def _was_asked(ec2: Client, journal: Journal, name: str) -> bool:
    """Whether an earlier attempt asked for an image of that name, here, and may have got it."""
    asked = ("asked", "RegisterImage", ec2.meta.region_name)
    found = (item for item in journal.records() if (item["kind"], item["operation"], item.get("region")) == asked)
    return any(item["request"]["Name"] == name for item in found)


def _adopted(ec2: Client, name: str, build_tag: str, *, tag_may_lag: bool) -> str | None:
    """Our own image of that name, if AWS shows it.  Raises duplicate-ami-name for anybody else's."""
    image = find_by_name(ec2, name)
    if image is None:
        return None
    build = tag_of(image, BUILD_TAG)
    if build == build_tag:
        return str(image["ImageId"])
    if build is None and tag_may_lag:
        return None
    evidence = [f"{image['ImageId']} has the name {name!r} since {image.get('CreationDate', 'an unknown time')}"]
    raise Failure("duplicate-ami-name", evidence=evidence, name=name, image_id=image["ImageId"])


def _with_tag(parameters: Mapping[str, Any], build_tag: str) -> list[dict[str, Any]]:
    """The tags asked for, and the build's on the image."""
    specifications = {item["ResourceType"]: item["Tags"] for item in parameters.get("TagSpecifications", ())}
    others = [tag for tag in specifications.get("image", ()) if tag["Key"] != BUILD_TAG]
    specifications["image"] = [*others, {"Key": BUILD_TAG, "Value": build_tag}]
    return [{"ResourceType": kind, "Tags": tags} for kind, tags in specifications.items()]


def wait_until_available(ec2: Client, image_id: str, cancelled: Asked, patience: float | None = None) -> dict[str, Any]:
    """The image once it is available.  Raises Cancelled, and image-failed, also after `patience` seconds."""
    region = ec2.meta.region_name

    def look() -> dict[str, Any] | None:
        image = look_up(ec2, image_id)
        state = image["State"] if image else "pending"
        if state not in ("pending", "available"):
            reason = str((image or {}).get("StateReason", {}).get("Message", "AWS gave no reason"))
            raise Failure("image-failed", evidence=[reason], image_id=image_id, state=state, region=region)
        return image if state == "available" else None

    late = Failure("image-failed", image_id=image_id, state="pending", region=region)
    return until(look, LONGEST_PENDING if patience is None else patience, late, cancelled)


def look_up(ec2: Client, image_id: str) -> dict[str, Any] | None:
    """The image as DescribeImages gives it; None where AWS knows no such image."""
    with aws_errors("DescribeImages", ec2.meta.region_name):
        try:
            found: list[dict[str, Any]] = ec2.describe_images(ImageIds=[image_id])["Images"]
        except ClientError as error:
            if aws_code(error) not in ("InvalidAMIID.NotFound", "InvalidAMIID.Unavailable"):
                raise
            return None
    return found[0] if found else None


# What a journal names


def _images_made(ec2: Client, journal: Journal) -> Iterator[str]:
    region = ec2.meta.region_name
    for record in journal.records():
        if record["operation"] == "CopyImage" and record["kind"] == "answered" and record["region"] == region:
            yield record["image_id"]
        if record["operation"] == "RegisterImage" and record["region"] == region:
            if record["kind"] == "answered":
                yield record["image_id"]
            elif (image := find_by_name(ec2, record["request"]["Name"])) and (
                tag_of(image, BUILD_TAG) == record["build"]
            ):
                yield image["ImageId"]


def _snapshots_made(ec2: Client, journal: Journal) -> Iterator[str]:
    region = ec2.meta.region_name
    for record in journal.records():
        if record.get("region") != region:
            continue
        if record["operation"] == "CopyImage" and record["kind"] == "answered":
            yield from record["snapshot_ids"]
        if (record["operation"], record["kind"]) == ("CreateSnapshot", "asked"):
            heard = snapshots.created_id(journal, record)
            yield from [heard] if heard else snapshots.with_token(ec2, record["token"])
        if (record["operation"], record["kind"]) != ("StartSnapshot", "asked"):
            continue
        if heard := started_id(journal, record):
            yield heard
        else:
            yield from _snapshots_tagged(ec2, record["request"]["Tags"])


def _snapshots_tagged(ec2: Client, tags: list[dict[str, str]]) -> list[str]:
    """Snapshots with the build's tag among these: the answer to their start was never heard."""
    builds = [tag["Value"] for tag in tags if tag["Key"] == BUILD_TAG]
    return _snapshots_of_build(ec2, builds) if builds else []


def _snapshots_of_build(ec2: Client, builds: list[str]) -> list[str]:
    with aws_errors("DescribeSnapshots", ec2.meta.region_name):
        filters = [{"Name": f"tag:{BUILD_TAG}", "Values": builds}]
        said = ec2.describe_snapshots(OwnerIds=["self"], Filters=filters)
    return [str(item["SnapshotId"]) for item in said["Snapshots"]]


def deregister(ec2: Client, journal: Journal, image_id: str) -> bool:
    """Deregisters an image; False if there is none any more.

    Raises deregistration-protected, deregistration-cooldown.
    """
    region, image = ec2.meta.region_name, look_up(ec2, image_id)
    if image is None:
        return False
    _check_protection(image, region)
    journal.asked("DeregisterImage", region=region, image_id=image_id)
    with aws_errors("DeregisterImage", region):
        ec2.deregister_image(ImageId=image_id)
    journal.answered("DeregisterImage", region=region, image_id=image_id)
    return True


def _check_protection(image: Mapping[str, Any], region: str) -> None:
    """Raises deregistration-protected, and deregistration-cooldown where the protection ends by itself."""
    state = str(image.get("DeregistrationProtection", ""))
    evidence = [f"{image['ImageId']} in {region}: DeregistrationProtection is {state}"]
    if state.startswith(COOLING):
        after = state.removeprefix(COOLING)
        raise Failure(
            "deregistration-cooldown", image_id=image["ImageId"], region=region, until=after, evidence=evidence
        )
    if state.startswith("enabled"):
        raise Failure("deregistration-protected", image_id=image["ImageId"], region=region, evidence=evidence)


def _delete_once_free(ec2: Client, journal: Journal, snapshot_id: str) -> bool:
    region = ec2.meta.region_name

    def look() -> bool | None:
        try:
            return delete_snapshot(ec2, journal, snapshot_id)
        except Failure as failure:
            if "InvalidSnapshot.InUse" not in failure.facts.get("aws_code", ""):
                raise
            user = failure.facts.get("image_id", "")
            if user and look_up(ec2, user):
                facts = {"snapshot_id": snapshot_id, "image_id": user, "region": region}
                raise Failure("snapshot-in-use", evidence=failure.evidence, **facts) from failure
            return None

    evidence = [f"{snapshot_id} still counts as used by an image {LONGEST_IN_USE:.0f} s after that image went"]
    late = Failure("aws-refused", evidence=evidence, operation="DeleteSnapshot", region=region)
    return until(look, LONGEST_IN_USE, late)
