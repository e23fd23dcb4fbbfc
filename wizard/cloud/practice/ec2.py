"""EC2's images and snapshots, with every field kept and every rule enforced that decides whether an image boots.

Source: botocore's `ec2` model of 2016-11-15; EC2 API Reference, "RegisterImage", "DescribeImages", "Error codes".
"""

import re
import uuid
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from wizard.cloud.practice import bundles, model, offers, state
from wizard.cloud.practice.messages import Refusal, Response
from wizard.cloud.practice.state import ACCOUNT, Snapshot
from wizard.targets.akis import all_akis

Parameters = dict[str, Any]
Operation = Callable[[Path, Parameters], dict[str, Any]]
"""Carries an operation out in a region's folder.  Raises Refusal."""

IMAGE_NAME = re.compile(r"[A-Za-z0-9()\[\] ./\-'@_]{3,128}")
KERNEL_ID = re.compile(r"aki-([0-9a-f]{8}|[0-9a-f]{17})")
HVM_ONLY = ("BootMode", "EnaSupport", "SriovNetSupport", "TpmSupport", "UefiData")
AS_ASKED = (
    *("Name", "Description", "RootDeviceName", "KernelId", "RamdiskId", "ImdsSupport"),
    *("BootMode", "TpmSupport", "EnaSupport", "SriovNetSupport"),
)
"""Fields that DescribeImages gives as RegisterImage got them."""

XML = {"Content-Type": "text/xml;charset=UTF-8"}

NO_VOLUME = "vol-ffffffff"
"""What DescribeSnapshots gives as the volume of a snapshot that was never one."""


def answer(region: Path, action: str, body: bytes, carry_out: Operation) -> Response:
    """Answers an operation in a region's folder; `body` is the request in the EC2 query protocol."""
    request_id = str(uuid.uuid4())
    try:
        operation = model.operation("ec2", action)
        parameters = model.read_query(operation, body)
        if parameters.pop("DryRun", False):
            raise Refusal("DryRunOperation", "Request would have succeeded, but DryRun flag is set.", status=412)
        return Response(200, model.write_answer(operation, carry_out(region, parameters), request_id), XML)
    except Refusal as refusal:
        return refused(refusal)


def refused(refusal: Refusal) -> Response:
    """A refusal as EC2 writes it."""
    return Response(refusal.status, model.write_refusal(refusal, str(uuid.uuid4())), XML)


# Images


def register_image(region: Path, asked: Parameters) -> dict[str, Any]:
    check_name(region, asked.get("Name", ""))
    architecture = asked.get("Architecture", "i386")
    virtualization = asked.get("VirtualizationType", "paravirtual")
    _check_combination(asked, architecture, virtualization)
    if "KernelId" in asked:
        _check_kernel(region, asked["KernelId"])
    mappings = [_mapping(region, mapping) for mapping in asked.get("BlockDeviceMappings", [])]
    _check_root(asked, mappings)
    if "ImageLocation" in asked:
        asked = {**asked, "RootDeviceName": bundles.check(region, asked)}
    tags = {spec["ResourceType"]: spec.get("Tags", []) for spec in asked.get("TagSpecifications", [])}
    if others := tags.keys() - {"image", "snapshot"}:
        raise Refusal("InvalidParameterValue", f"'{min(others)}' is not a valid taggable resource type here")
    image_id = state.new_id("ami")
    image = {
        "ImageId": image_id,
        "ImageLocation": asked.get("ImageLocation", f"{ACCOUNT}/{asked['Name']}"),
        "State": "available",
        "OwnerId": ACCOUNT,
        "CreationDate": datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        "Public": False,
        "Architecture": architecture,
        "ImageType": "machine",
        "VirtualizationType": virtualization,
        "Hypervisor": "xen",
        "RootDeviceType": "instance-store" if "ImageLocation" in asked else "ebs",
        "BlockDeviceMappings": mappings,
        "Tags": tags.get("image", []),
        **{key: asked[key] for key in AS_ASKED if key in asked},
    }
    state.save(state.image_path(region, image_id), image)
    for snapshot_id in _snapshots_of(image) if "snapshot" in tags else ():
        _tag_snapshot(region, _snapshot(region, snapshot_id), tags["snapshot"])
    return {"ImageId": image_id}


def check_name(region: Path, name: str) -> None:
    """Refuses a name that no image may have, or that one has already."""
    if not IMAGE_NAME.fullmatch(name):
        allowed = "3 to 128 letters, digits, spaces or any of ( ) [ ] . / - ' @ _"
        raise Refusal("InvalidAMIName.Malformed", f"AMI name {name!r} is not valid: {allowed}")
    for image in state.images(region):
        if image["Name"] == name:
            message = f"AMI name {name} is already in use by AMI {image['ImageId']}"
            raise Refusal("InvalidAMIName.Duplicate", message)


def _check_combination(asked: Parameters, architecture: str, virtualization: str) -> None:
    if virtualization not in ("hvm", "paravirtual"):
        raise Refusal("InvalidParameterValue", f"Value ({virtualization}) for virtualizationType is invalid")
    if virtualization == "hvm" and (given := asked.keys() & {"KernelId", "RamdiskId"}):
        raise Refusal("InvalidParameterCombination", f"{', '.join(sorted(given))} is not valid with hvm")
    if virtualization == "paravirtual" and (given := asked.keys() & set(HVM_ONLY)):
        raise Refusal("InvalidParameterCombination", f"{', '.join(sorted(given))} is only valid with hvm")
    if architecture == "arm64" and (virtualization == "paravirtual" or asked.get("BootMode") == "legacy-bios"):
        raise Refusal("InvalidParameterCombination", "arm64 images are hvm and start by UEFI")


def _check_kernel(region: Path, kernel: str) -> None:
    """An id that was published for other regions alone is not there; one that we never heard of may be."""
    if not KERNEL_ID.fullmatch(kernel):
        raise Refusal("InvalidAMIID.Malformed", f'Invalid id: "{kernel}" (expecting "aki-...")')
    published = {row.region for row in all_akis() if row.aki == kernel}
    if published and region.name not in published:
        raise Refusal("InvalidAMIID.NotFound", f"The image id '[{kernel}]' does not exist")


def _mapping(region: Path, asked: Parameters) -> dict[str, Any]:
    """A block device mapping as DescribeImages gives it: with the volume's size even where none was asked."""
    ebs = asked.get("Ebs", {})
    if "SnapshotId" not in ebs:
        return asked
    snapshot = _snapshot(region, ebs["SnapshotId"])
    if state.snapshot_state(region, snapshot) != "completed":
        raise Refusal("IncorrectState", f"The snapshot '{snapshot.id}' is not completed")
    least = snapshot.request["VolumeSize"]
    size = ebs.get("VolumeSize", least)
    if size < least:
        message = f"Volume of size {size}GB is smaller than snapshot '{snapshot.id}', expect size >= {least}GB"
        raise Refusal("InvalidBlockDeviceMapping", message)
    return {**asked, "Ebs": {"VolumeType": "standard", "Encrypted": _is_encrypted(snapshot), **ebs, "VolumeSize": size}}


def _check_root(asked: Parameters, mappings: list[dict[str, Any]]) -> None:
    """An image starts from a snapshot on its root device (or that device's disk), or from a bundle in S3."""
    if "ImageLocation" in asked:
        return
    root = asked.get("RootDeviceName")
    if root is None:
        raise Refusal("MissingParameter", "The request must contain the parameter rootDeviceName")
    disks = {
        mapping["DeviceName"].rstrip("0123456789") for mapping in mappings if "SnapshotId" in mapping.get("Ebs", {})
    }
    if root.rstrip("0123456789") not in disks:
        raise Refusal("InvalidBlockDeviceMapping", f"The root device {root} has no snapshot")


def describe_images(region: Path, asked: Parameters) -> dict[str, Any]:
    if wanted := asked.get("ImageIds"):
        found = [state.find_image(region, image_id) for image_id in wanted]
    else:
        found = state.images(region)
    owners = asked.get("Owners")
    mine = [offers.described(region, image) for image in found if owners is None or {"self", ACCOUNT} & set(owners)]
    return {"Images": filtered(mine, asked, "DescribeImages", "Images")}


def deregister_image(region: Path, asked: Parameters) -> dict[str, Any]:
    image = state.find_image(region, asked["ImageId"])
    offers.check_may_go(region, image["ImageId"])
    state.image_path(region, image["ImageId"]).unlink()
    offers.forget(region, image["ImageId"])
    results = []
    for snapshot_id in _snapshots_of(image) if asked.get("DeleteAssociatedSnapshots") else ():
        in_use = _used_by(region, snapshot_id) is not None
        if not in_use:
            state.delete_snapshot(region, snapshot_id)
        results.append({"SnapshotId": snapshot_id, "ReturnCode": "skipped" if in_use else "success"})
    return {"Return": True, "DeleteSnapshotResults": results}


# Snapshots


def describe_snapshots(region: Path, asked: Parameters) -> dict[str, Any]:
    if wanted := asked.get("SnapshotIds"):
        found: Iterable[Snapshot] = [_snapshot(region, snapshot_id) for snapshot_id in wanted]
    else:
        found = state.snapshots(region)
    owners = asked.get("OwnerIds")
    mine = [_described(region, item) for item in found if owners is None or {"self", ACCOUNT} & set(owners)]
    return {"Snapshots": filtered(mine, asked, "DescribeSnapshots", "Snapshots")}


def delete_snapshot(region: Path, asked: Parameters) -> dict[str, Any]:
    snapshot = _snapshot(region, asked["SnapshotId"])
    if image_id := _used_by(region, snapshot.id):
        raise Refusal("InvalidSnapshot.InUse", f"The snapshot {snapshot.id} is currently in use by {image_id}")
    state.delete_snapshot(region, snapshot.id)
    return {}


def _snapshot(region: Path, snapshot_id: str) -> Snapshot:
    if snapshot := state.find_snapshot(region, snapshot_id):
        return snapshot
    raise Refusal("InvalidSnapshot.NotFound", f"The snapshot '{snapshot_id}' does not exist.")


def _described(region: Path, snapshot: Snapshot) -> dict[str, Any]:
    now = state.snapshot_state(region, snapshot)
    described = {
        "SnapshotId": snapshot.id,
        "OwnerId": ACCOUNT,
        "VolumeId": snapshot.request.get("VolumeId", NO_VOLUME),
        "VolumeSize": snapshot.request["VolumeSize"],
        "Description": snapshot.request.get("Description", ""),
        "StartTime": state.timestamp(snapshot.started),
        "State": now,
        "Progress": "100%" if now == "completed" else "0%",
        "Encrypted": _is_encrypted(snapshot),
        "FullSnapshotSizeInBytes": state.BLOCK * len(state.contents(state.snapshot_folder(region, snapshot.id))),
        **({"KmsKeyId": snapshot.request["KmsKeyArn"]} if "KmsKeyArn" in snapshot.request else {}),
        "Tags": snapshot.tags,
    }
    if now == "completed" and snapshot.sealed:
        described["CompletionTime"] = state.timestamp(snapshot.sealed + state.SETTLING)
    return described


def _is_encrypted(snapshot: Snapshot) -> bool:
    return bool(snapshot.request.get("Encrypted", False))


def _snapshots_of(image: Mapping[str, Any]) -> list[str]:
    mappings = image["BlockDeviceMappings"]
    return [mapping["Ebs"]["SnapshotId"] for mapping in mappings if "SnapshotId" in mapping.get("Ebs", {})]


def _used_by(region: Path, snapshot_id: str) -> str | None:
    return next((image["ImageId"] for image in state.images(region) if snapshot_id in _snapshots_of(image)), None)


# Tags


def create_tags(region: Path, asked: Parameters) -> dict[str, Any]:
    for resource in asked["Resources"]:
        if resource.startswith("snap-"):
            _tag_snapshot(region, _snapshot(region, resource), asked["Tags"])
        elif resource.startswith("ami-"):
            image = state.find_image(region, resource)
            state.save(state.image_path(region, resource), {**image, "Tags": _merged(image["Tags"], asked["Tags"])})
        else:
            raise Refusal("InvalidID", f"The practice cloud tags images and snapshots alone, not '{resource}'")
    return {}


def describe_tags(region: Path, asked: Parameters) -> dict[str, Any]:
    owners = [(image["ImageId"], "image", image["Tags"]) for image in state.images(region)]
    owners += [(snapshot.id, "snapshot", snapshot.tags) for snapshot in state.snapshots(region)]
    tags = [{"ResourceId": item, "ResourceType": kind, **tag} for item, kind, tags in owners for tag in tags]
    return {"Tags": filtered(tags, asked, "DescribeTags", "Tags")}


def _tag_snapshot(region: Path, snapshot: Snapshot, tags: list[dict[str, str]]) -> None:
    state.save_snapshot(region, replace(snapshot, tags=_merged(snapshot.tags, tags)))


def _merged(old: list[dict[str, str]], new: list[dict[str, str]]) -> list[dict[str, str]]:
    values = {tag["Key"]: tag["Value"] for tag in [*old, *new]}
    return [{"Key": key, "Value": value} for key, value in values.items()]


# Filters


def filtered(records: list[dict[str, Any]], asked: Parameters, action: str, output: str) -> list[dict[str, Any]]:
    shape = model.operation("ec2", action).output_shape
    assert shape is not None
    fields = {_filter_name(field): field for field in shape.members[output].member.members}  # type: ignore[attr-defined]
    fields["status"] = "State"
    tests = [(_reader(item["Name"], fields), item["Values"]) for item in asked.get("Filters", [])]
    return [record for record in records if all(_matches(read(record), wanted) for read, wanted in tests)]


def _filter_name(field: str) -> str:
    """ImageId → image-id: a filter is named after the field that it looks at."""
    return re.sub(r"(?<=[a-z])(?=[A-Z])", "-", field).lower()


def _reader(name: str, fields: Mapping[str, str]) -> Callable[[dict[str, Any]], list[Any]]:
    """The values of a record that the filter of this name looks at."""
    if name.startswith("tag:"):
        return lambda record: [tag["Value"] for tag in record["Tags"] if tag["Key"] == name[4:]]
    if name == "tag-key":
        return lambda record: [tag["Key"] for tag in record["Tags"]]
    if name == "block-device-mapping.snapshot-id":
        return _snapshots_of
    if name not in fields:
        raise Refusal("InvalidParameterValue", f"The filter '{name}' is invalid")
    return lambda record: [record[fields[name]]] if fields[name] in record else []


def _matches(values: list[Any], wanted: list[str]) -> bool:
    texts = [str(value).lower() if isinstance(value, bool) else str(value) for value in values]
    # EC2 knows * and ? alone; fnmatch would read [ as the start of a set.
    patterns = [pattern.replace("[", "[[]") for pattern in wanted]
    return any(fnmatchcase(text, pattern) for text in texts for pattern in patterns)


OPERATIONS: Mapping[str, Operation] = {
    "CreateTags": create_tags,
    "DeleteSnapshot": delete_snapshot,
    "DeregisterImage": deregister_image,
    "DescribeImages": describe_images,
    "DescribeSnapshots": describe_snapshots,
    "DescribeTags": describe_tags,
    "RegisterImage": register_image,
}
"""What is answered here."""
