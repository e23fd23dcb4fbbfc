"""EC2's operations for what comes after registering: copies, launch permissions, deprecation, protection.

Sources: botocore's `ec2` model of 2016-11-15; EC2 User Guide, "Copy an AMI", "Share an AMI", "Block public access";
the words of the refusals as users quote them.
"""

import os
import re
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from wizard.cloud.practice import ec2, offers, state
from wizard.cloud.practice.messages import Refusal
from wizard.cloud.practice.state import ACCOUNT, Snapshot
from wizard.plan.publish.sharing import AWS_KEY
from wizard.targets import akis
from wizard.targets.regions import paravirtual_regions

Parameters = dict[str, Any]

OF_THE_COPY = ("Tags", "Name", "Description", "DeprecationTime", "KernelId", "Public", "StateReason")
"""What a copy does not take over as it is."""

PUBLIC_BLOCKED, ALWAYS_ENCRYPTED = "public-blocked", "always-encrypted"
"""Files in a region's folder that say so by being there."""

LONGEST_PRIVATE = timedelta(days=3653)
LONGEST_PUBLIC = timedelta(days=731)
"""Ten years from now, and for a public image two from its creation.  Source: EnableImageDeprecation, `DeprecateAt`."""


# Copies


def copy_image(region: Path, asked: Parameters) -> Parameters:
    """The same client token gives the same copy, or a refusal if anything else was asked."""
    token, request = asked.get("ClientToken", ""), {key: asked[key] for key in asked if key != "ClientToken"}
    if token and (known := offers.copied_with(region, token)):
        image_id, offer = known
        if offer["request"] != request:
            raise Refusal("IdempotentParameterMismatch", "The client token was used with other parameters.")
        return {"ImageId": image_id}
    home = region.parent / asked["SourceRegion"]
    source = offers.described(home, state.find_image(home, asked["SourceImageId"]))
    if source["State"] != "available":
        raise Refusal("InvalidAMIID.Unavailable", f"The image ID '{source['ImageId']}' is not available")
    ec2.check_name(region, asked["Name"])
    kernel = {"KernelId": _kernel_like(source["KernelId"], region.name)} if "KernelId" in source else {}
    image_id, tags = state.new_id("ami"), _tags(asked)
    is_failed = "KmsKeyId" in asked and f":{region.name}:" not in asked["KmsKeyId"]
    reason = {"Code": "Client.InvalidKmsKey", "Message": f"The key {asked.get('KmsKeyId')} is not in {region.name}"}
    mappings = [_copied_mapping(home, region, one, asked, tags, image_id) for one in source["BlockDeviceMappings"]]
    image = {
        **{key: value for key, value in source.items() if key not in OF_THE_COPY},
        **kernel,
        "ImageId": image_id,
        "ImageLocation": f"{ACCOUNT}/{asked['Name']}",
        "Name": asked["Name"],
        "Description": asked.get("Description", source.get("Description", "")),
        "State": "failed" if is_failed else "pending",
        **({"StateReason": reason} if is_failed else {}),
        "CreationDate": datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        "BlockDeviceMappings": mappings,
        "SourceImageId": source["ImageId"],
        "SourceImageRegion": home.name,
        "Tags": tags.get("image", []),
    }
    offers.change(region, image_id, token=token, request=request)
    state.save(state.image_path(region, image_id), _stored(image))
    return {"ImageId": image_id}


def _stored(image: Parameters) -> Parameters:
    """Without what offers.described adds."""
    return {**{key: image[key] for key in image if key != "DeregistrationProtection"}, "Public": False}


def _tags(asked: Parameters) -> dict[str, list[dict[str, str]]]:
    tags = {spec["ResourceType"]: spec.get("Tags", []) for spec in asked.get("TagSpecifications", [])}
    if others := tags.keys() - {"image", "snapshot"}:
        raise Refusal("InvalidParameterValue", f"'{min(others)}' is not a valid taggable resource type here")
    return tags


def _kernel_like(kernel: str, region: str) -> str:
    """The kernel of the same name in another region.  AWS says only that regions without PV instances take no copy."""
    known = akis.named(kernel)
    rows = akis.matching(region, known.arch) if known and region in paravirtual_regions() else []
    for row in rows:
        if known and row.image_name == known.image_name:
            return row.aki
    raise Refusal("InvalidRequest", f"No kernel like {kernel} was found in {region}")


def _copied_mapping(
    home: Path, region: Path, mapping: Parameters, asked: Parameters, tags: Mapping[str, Any], image_id: str
) -> Parameters:
    if "SnapshotId" not in mapping.get("Ebs", {}):
        return mapping
    snapshot = _copy_snapshot(home, region, mapping["Ebs"]["SnapshotId"], asked, tags.get("snapshot", []), image_id)
    encrypted = bool(snapshot.request.get("Encrypted", False))
    return {**mapping, "Ebs": {**mapping["Ebs"], "SnapshotId": snapshot.id, "Encrypted": encrypted}}


def _copy_snapshot(
    home: Path, region: Path, source_id: str, asked: Parameters, tags: list[dict[str, str]], image_id: str
) -> Snapshot:
    """A snapshot with the same blocks.  They are sealed and never written again, so both have the same files."""
    source = state.find_snapshot(home, source_id)
    if source is None:
        raise Refusal("InvalidSnapshot.NotFound", f"The snapshot '{source_id}' does not exist.")
    encryption = {"Encrypted": True} if asked.get("Encrypted") or source.request.get("Encrypted") else {}
    key = {"KmsKeyArn": asked["KmsKeyId"]} if "KmsKeyId" in asked else {}
    words = (
        f"Copied for DestinationAmi {image_id} from SourceAmi {asked['SourceImageId']} for SourceSnapshot {source_id}."
    )
    request = {"VolumeSize": source.request["VolumeSize"], "Description": words, **encryption, **key}
    copy = Snapshot(state.new_id("snap"), request, time.time(), list(tags), sealed=time.time())
    folder = state.snapshot_folder(region, copy.id)
    folder.mkdir(parents=True)
    for name in ("blocks", "digests", "inherited"):
        os.link(state.snapshot_folder(home, source_id) / name, folder / name)
    state.save_snapshot(region, copy)
    return copy


# Launch permissions


def modify_image_attribute(region: Path, asked: Parameters) -> Parameters:
    image = state.find_image(region, asked["ImageId"])
    changes = asked.get("LaunchPermission")
    if changes is None:
        raise Refusal("InvalidParameterCombination", "The practice cloud changes LaunchPermission alone")
    for added in changes.get("Add", []):
        _check_permission(region, image, added)
    there = offers.find(region, image["ImageId"]).get("permissions", [])
    kept = [one for one in there if one not in changes.get("Remove", [])]
    new = [one for one in changes.get("Add", []) if one not in kept]
    offers.change(region, image["ImageId"], permissions=[*kept, *new])
    return {}


def _check_permission(region: Path, image: Parameters, added: Mapping[str, str]) -> None:
    if "UserId" in added and not re.fullmatch(r"\d{12}", added["UserId"]):
        message = f'Invalid attribute item value "{added["UserId"]}" for userId item type.'
        raise Refusal("InvalidAMIAttributeItemValue", message)
    encrypted = [one.request for one in offers.snapshots_of(region, image) if one.request.get("Encrypted")]
    if added == offers.PUBLIC:
        if _blocks_public(region):
            message = "You can't publicly share this image because block public access for AMIs is enabled."
            raise Refusal("OperationNotPermitted", message)
        if encrypted:
            raise Refusal("InvalidParameter", "Images with encrypted snapshots can't be made public")
    elif any(request.get("KmsKeyArn", AWS_KEY).endswith(AWS_KEY) for request in encrypted):
        raise Refusal("InvalidParameter", "Snapshots encrypted with the AWS Managed CMK can't be shared")


def describe_image_attribute(region: Path, asked: Parameters) -> Parameters:
    image = state.find_image(region, asked["ImageId"])
    if asked["Attribute"] != "launchPermission":
        raise Refusal("InvalidParameterValue", "The practice cloud describes launchPermission alone")
    permissions = offers.find(region, image["ImageId"]).get("permissions", [])
    return {"ImageId": image["ImageId"], "LaunchPermissions": permissions}


# The account's settings in a region.  A new account of AWS's blocks public access; this one does not, as nobody could
# switch it off from outside.


def get_block(region: Path, asked: Parameters) -> Parameters:  # noqa: ARG001  every operation is called alike
    block = "block-new-sharing" if _blocks_public(region) else "unblocked"
    return {"ImageBlockPublicAccessState": block, "ManagedBy": "account"}


def enable_block(region: Path, asked: Parameters) -> Parameters:
    _switch_on(region / PUBLIC_BLOCKED)
    return {"ImageBlockPublicAccessState": asked["ImageBlockPublicAccessState"]}


def disable_block(region: Path, asked: Parameters) -> Parameters:  # noqa: ARG001  every operation is called alike
    (region / PUBLIC_BLOCKED).unlink(missing_ok=True)
    return {"ImageBlockPublicAccessState": "unblocked"}


def _blocks_public(region: Path) -> bool:
    return (region / PUBLIC_BLOCKED).exists()


def get_encryption(region: Path, asked: Parameters) -> Parameters:  # noqa: ARG001  every operation is called alike
    return {"EbsEncryptionByDefault": (region / ALWAYS_ENCRYPTED).exists()}


def enable_encryption(region: Path, asked: Parameters) -> Parameters:
    _switch_on(region / ALWAYS_ENCRYPTED)
    return get_encryption(region, asked)


def disable_encryption(region: Path, asked: Parameters) -> Parameters:
    (region / ALWAYS_ENCRYPTED).unlink(missing_ok=True)
    return get_encryption(region, asked)


def get_default_key(region: Path, asked: Parameters) -> Parameters:  # noqa: ARG001  every operation is called alike
    return {"KmsKeyId": AWS_KEY}


def _switch_on(setting: Path) -> None:
    setting.parent.mkdir(parents=True, exist_ok=True)
    setting.touch()


# Deprecation and protection


def enable_image_deprecation(region: Path, asked: Parameters) -> Parameters:
    image = offers.described(region, state.find_image(region, asked["ImageId"]))
    at, now = datetime.fromisoformat(asked["DeprecateAt"]).astimezone(UTC), datetime.now(UTC)
    latest = now + LONGEST_PRIVATE
    if image["Public"]:
        latest = datetime.fromisoformat(image["CreationDate"]) + LONGEST_PUBLIC
    if not now < at <= latest:
        raise Refusal("InvalidParameterValue", f"DeprecateAt must lie between now and {latest.isoformat()}")
    minute = (at + timedelta(seconds=30)).replace(second=0, microsecond=0)
    _save(region, image, DeprecationTime=f"{minute:%Y-%m-%dT%H:%M:%S}.000Z")
    return {"Return": True}


def disable_image_deprecation(region: Path, asked: Parameters) -> Parameters:
    image = state.find_image(region, asked["ImageId"])
    image.pop("DeprecationTime", None)
    state.save(state.image_path(region, image["ImageId"]), image)
    return {"Return": True}


def _save(region: Path, image: Parameters, **facts: Any) -> None:
    stored = state.find_image(region, image["ImageId"])
    state.save(state.image_path(region, image["ImageId"]), {**stored, **facts})


def enable_protection(region: Path, asked: Parameters) -> Parameters:
    image = state.find_image(region, asked["ImageId"])
    kind = "enabled-with-cooldown" if asked.get("WithCooldown") else "enabled-without-cooldown"
    offer = {key: value for key, value in offers.find(region, image["ImageId"]).items() if key != "lifted"}
    offers.forget(region, image["ImageId"])
    offers.change(region, image["ImageId"], **{**offer, "protection": kind})
    return {"Return": "true"}


def disable_protection(region: Path, asked: Parameters) -> Parameters:
    image_id = state.find_image(region, asked["ImageId"])["ImageId"]
    before = offers.protection(offers.find(region, image_id))
    lifted = {"lifted": time.time()} if before == "enabled-with-cooldown" else {}
    offers.change(region, image_id, protection="disabled", **lifted)
    return {"Return": "true"}


OPERATIONS: Mapping[str, Callable[[Path, Parameters], Parameters]] = {
    "CopyImage": copy_image,
    "DescribeImageAttribute": describe_image_attribute,
    "DisableEbsEncryptionByDefault": disable_encryption,
    "DisableImageBlockPublicAccess": disable_block,
    "DisableImageDeprecation": disable_image_deprecation,
    "DisableImageDeregistrationProtection": disable_protection,
    "EnableEbsEncryptionByDefault": enable_encryption,
    "EnableImageBlockPublicAccess": enable_block,
    "EnableImageDeprecation": enable_image_deprecation,
    "EnableImageDeregistrationProtection": enable_protection,
    "GetEbsDefaultKmsKeyId": get_default_key,
    "GetEbsEncryptionByDefault": get_encryption,
    "GetImageBlockPublicAccessState": get_block,
    "ModifyImageAttribute": modify_image_attribute,
}
