"""EC2's volumes, and the one instance that can have them: this machine, with disks that are files.

Source: botocore's `ec2` model of 2016-11-15; EC2 API Reference, "CreateVolume", "AttachVolume", "DetachVolume",
"DeleteVolume", "CreateSnapshot", "Error codes"; EBS User Guide, "Volume types".

REGION/volumes/vol-….json       a volume
REGION/volumes/vol-….data       what is on it, sparse
REGION/machines/i-…/            what its far end sees as / : dev, sys and proc, with the disks that are attached
"""

import hashlib
import json
import os
import shutil
import subprocess
import time
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from wizard.cloud.practice import ec2, state
from wizard.cloud.practice.ec2 import Operation, Parameters
from wizard.cloud.practice.messages import Refusal
from wizard.cloud.practice.state import ACCOUNT, BLOCK, GIB

THIS_MACHINE = "i-00000000000000001"
"""The instance that always runs: it stands for this machine."""

SETTLING = 0.2
"""Seconds that it takes to create, attach or detach a volume: on AWS none of it is done at once."""

ZEROS = bytes(BLOCK)
MOST_GIB = 16384
SECTOR = 512


@dataclass(frozen=True, slots=True)
class Volume:
    """A volume and the CreateVolume request it came from; times in Unix seconds.

    `device` is its name on this machine, "" where it is not attached; `changed` is when that was asked for.
    """

    id: str
    request: Mapping[str, Any]
    created: float
    device: str = ""
    disk: str = ""
    changed: float = 0.0
    is_leaving: bool = False

    @property
    def attachment(self) -> str:
        """attaching, attached or detaching; "" where there is none."""
        settled = time.time() - self.changed >= SETTLING
        if self.is_leaving:
            return "" if settled else "detaching"
        return ("attached" if settled else "attaching") if self.device else ""

    @property
    def state(self) -> str:
        """creating, available or in-use."""
        if self.attachment:
            return "in-use"
        return "available" if time.time() - self.created >= SETTLING else "creating"

    @property
    def size(self) -> int:
        """GiB."""
        return int(self.request["Size"])


# Volumes


def create_volume(region: Path, asked: Parameters) -> dict[str, Any]:
    """The same client token gives the same volume again, or a refusal if anything else was asked."""
    for known in _volumes(region):
        if asked.get("ClientToken") and known.request.get("ClientToken") == asked["ClientToken"]:
            if known.request == asked:
                return _described(known)
            raise Refusal("IdempotentParameterMismatch", "The client token was used with other parameters")
    if "SnapshotId" in asked or "Size" not in asked:
        raise Refusal("MissingParameter", "The practice cloud makes empty volumes only: the request needs a Size")
    zone = asked.get("AvailabilityZone", "")
    if not (zone.startswith(region.name) and len(zone) == len(region.name) + 1):
        raise Refusal("InvalidZone.NotFound", f"The zone '{zone}' does not exist.")
    if not 1 <= asked["Size"] <= MOST_GIB:
        raise Refusal("InvalidParameterValue", f"Volume of {asked['Size']} GiB is invalid: 1 to {MOST_GIB}")
    if "KmsKeyId" in asked and not asked.get("Encrypted"):
        raise Refusal("InvalidParameterDependency", "The parameter KmsKeyId requires the parameter Encrypted to be set")
    if [spec["ResourceType"] for spec in asked.get("TagSpecifications", [])] not in ([], ["volume"]):
        raise Refusal("InvalidParameterValue", "CreateVolume tags volumes alone")
    volume = Volume(state.new_id("vol"), asked, time.time())
    _save(region, volume)
    with _data(region, volume.id).open("wb") as file:
        file.truncate(volume.size * GIB)
    return _described(volume)


def describe_volumes(region: Path, asked: Parameters) -> dict[str, Any]:
    wanted = asked.get("VolumeIds")
    found = [_volume(region, volume_id) for volume_id in wanted] if wanted else list(_volumes(region))
    return {"Volumes": ec2.filtered([_described(one) for one in found], asked, "DescribeVolumes", "Volumes")}


def delete_volume(region: Path, asked: Parameters) -> dict[str, Any]:
    volume = _volume(region, asked["VolumeId"])
    if volume.attachment:
        raise Refusal("VolumeInUse", f"Volume {volume.id} is currently attached to {THIS_MACHINE}")
    if volume.state != "available":
        raise Refusal("IncorrectState", f"Volume {volume.id} is {volume.state}")
    _record(region, volume.id).unlink()
    _data(region, volume.id).unlink()
    return {}


def _described(volume: Volume) -> dict[str, Any]:
    asked = volume.request
    tags = [tag for spec in asked.get("TagSpecifications", []) for tag in spec.get("Tags", [])]
    return {
        "VolumeId": volume.id,
        "AvailabilityZone": asked["AvailabilityZone"],
        "CreateTime": state.timestamp(volume.created),
        "Size": volume.size,
        "State": volume.state,
        "VolumeType": asked.get("VolumeType", "gp2"),
        "SnapshotId": "",
        "Encrypted": bool(asked.get("Encrypted", False)),
        **({"KmsKeyId": asked["KmsKeyId"]} if "KmsKeyId" in asked else {}),
        "Attachments": [_attachment(volume)] if volume.attachment else [],
        "Tags": tags,
    }


# Attachments


def attach_volume(region: Path, asked: Parameters) -> dict[str, Any]:
    volume = _volume(region, asked["VolumeId"])
    if asked["InstanceId"] != THIS_MACHINE:
        raise Refusal("UnsupportedOperation", f"The practice cloud attaches volumes to this machine, {THIS_MACHINE}")
    device = asked["Device"]
    if volume.state == "in-use":
        raise Refusal("VolumeInUse", f"{volume.id} is already attached to an instance")
    if volume.state != "available":
        raise Refusal("IncorrectState", f"Volume '{volume.id}' is not 'available'.")
    if volume.request["AvailabilityZone"] != _zone(region):
        message = f"The volume '{volume.id}' is not in the same availability zone as instance '{THIS_MACHINE}'"
        raise Refusal("InvalidVolume.ZoneMismatch", message)
    if any(one.device == device and one.attachment for one in _volumes(region)):
        message = f"Invalid value '{device}' for unixDevice. Attachment point {device} is already in use"
        raise Refusal("InvalidParameterValue", message)
    disk = _plug(region, volume)
    now = replace(volume, device=device, disk=disk, changed=time.time(), is_leaving=False)
    _save(region, now)
    return _attachment(now)


def detach_volume(region: Path, asked: Parameters) -> dict[str, Any]:
    volume = _volume(region, asked["VolumeId"])
    if volume.attachment not in ("attaching", "attached"):
        raise Refusal("IncorrectState", f"Volume '{volume.id}' is in the '{volume.state}' state.")
    if asked.get("InstanceId", THIS_MACHINE) != THIS_MACHINE or asked.get("Device", volume.device) != volume.device:
        raise Refusal("InvalidAttachment.NotFound", f"The volume '{volume.id}' is not attached like that")
    _unplug(region, volume)
    now = replace(volume, changed=time.time(), is_leaving=True)
    _save(region, now)
    return _attachment(now)


def _attachment(volume: Volume) -> dict[str, Any]:
    return {
        "VolumeId": volume.id,
        "InstanceId": THIS_MACHINE,
        "Device": volume.device,
        "State": volume.attachment or "detached",
        "AttachTime": state.timestamp(volume.changed),
        "DeleteOnTermination": False,
    }


def far_root(region: Path, instance_id: str) -> Path:
    """The folder that an instance's far end sees as its root."""
    return region / "machines" / instance_id


def _plug(region: Path, volume: Volume) -> str:
    """A disk more on this machine, as Linux shows an EBS volume; gives its name."""
    root = far_root(region, THIS_MACHINE)
    number = next(number for number in range(1, 128) if not (root / f"sys/block/nvme{number}n1").exists())
    name = f"nvme{number}n1"
    shown = root / "sys/block" / name
    (shown / "device").mkdir(parents=True)
    (shown / "holders").mkdir()
    for path, text in {
        "device/serial": volume.id.replace("-", ""),
        "size": str(volume.size * GIB // SECTOR),
        "ro": "0",
        "dev": f"259:{number}",
    }.items():
        (shown / path).write_text(f"{text}\n", encoding="ascii")
    for folder in ("dev", "proc/self"):
        (root / folder).mkdir(parents=True, exist_ok=True)
    for path in ("proc/self/mounts", "proc/swaps"):
        (root / path).touch()
    (root / "dev" / name).symlink_to(_data(region, volume.id))
    return name


def _unplug(region: Path, volume: Volume) -> None:
    root = far_root(region, THIS_MACHINE)
    (root / "dev" / volume.disk).unlink()
    shutil.rmtree(root / "sys/block" / volume.disk)


# The instance


def describe_this_machine(region: Path, asked: Parameters) -> dict[str, Any]:
    """This machine, which is shown to those alone who name it."""
    for instance_id in asked.get("InstanceIds", []):
        _check_instance(instance_id)
    devices = [
        {"DeviceName": one.device, "Ebs": {"VolumeId": one.id, "Status": one.attachment}}
        for one in _volumes(region)
        if one.attachment
    ]
    shown = {
        "InstanceId": THIS_MACHINE,
        "State": {"Code": 16, "Name": "running"},
        "Placement": {"AvailabilityZone": _zone(region)},
        "PrivateIpAddress": "127.0.0.1",
        "BlockDeviceMappings": devices,
    }
    return {"Reservations": [{"ReservationId": "r-00000000000000001", "OwnerId": ACCOUNT, "Instances": [shown]}]}


def console_of_this_machine(_region: Path, asked: Parameters) -> dict[str, Any]:
    """This machine's console is nobody's business: it has shown nothing yet."""
    _check_instance(asked["InstanceId"])
    return {"InstanceId": THIS_MACHINE, "Timestamp": state.timestamp(time.time())}


def _check_instance(instance_id: str) -> None:
    if instance_id != THIS_MACHINE:
        raise Refusal("InvalidInstanceID.NotFound", f"The instance ID '{instance_id}' does not exist")


def _zone(region: Path) -> str:
    return f"{region.name}a"


# Snapshots


def create_snapshot(region: Path, asked: Parameters) -> dict[str, Any]:
    """A snapshot with what is on the volume now.  Two calls make two."""
    volume = _volume(region, asked["VolumeId"])
    tags = [tag for spec in asked.get("TagSpecifications", []) for tag in spec.get("Tags", [])]
    request = {
        "VolumeSize": volume.size,
        "VolumeId": volume.id,
        "Description": asked.get("Description", ""),
        "Tags": tags,
        **({"Encrypted": True} if volume.request.get("Encrypted") else {}),
        **({"KmsKeyArn": volume.request["KmsKeyId"]} if "KmsKeyId" in volume.request else {}),
    }
    snapshot = state.create_snapshot(region, request)
    folder, data = state.snapshot_folder(region, snapshot.id), _data(region, volume.id)
    subprocess.run(["cp", "--reflink=auto", "--sparse=always", data, folder / "blocks"], check=True)
    for index, block in _blocks(folder / "blocks"):
        state.write_block(folder, index, block, hashlib.sha256(block).digest())
    # Its state is known from when it was sealed; this one is pending for as long as a volume is being created.
    state.save_snapshot(region, replace(snapshot, sealed=time.time() - state.SETTLING + SETTLING))
    return {
        "SnapshotId": snapshot.id,
        "VolumeId": volume.id,
        "VolumeSize": volume.size,
        "State": "pending",
        "Progress": "",
        "OwnerId": ACCOUNT,
        "StartTime": state.timestamp(snapshot.started),
        "Description": request["Description"],
        "Encrypted": bool(volume.request.get("Encrypted", False)),
        "Tags": tags,
    }


def _blocks(path: Path) -> Iterator[tuple[int, bytes]]:
    """The blocks that are not zeros."""
    with path.open("rb") as file:
        end, size = 0, os.fstat(file.fileno()).st_size
        while end < size:
            try:
                start = os.lseek(file.fileno(), end, os.SEEK_DATA)
            except OSError:  # nothing but a hole up to the end
                return
            end = os.lseek(file.fileno(), start, os.SEEK_HOLE)
            for index in range(start // BLOCK, -(-end // BLOCK)):
                block = os.pread(file.fileno(), BLOCK, index * BLOCK)
                if block != ZEROS:
                    yield index, block


# On disk


def _record(region: Path, volume_id: str) -> Path:
    return region / "volumes" / f"{volume_id}.json"


def _data(region: Path, volume_id: str) -> Path:
    return region / "volumes" / f"{volume_id}.data"


def _save(region: Path, volume: Volume) -> None:
    state.save(_record(region, volume.id), asdict(volume))


def _volumes(region: Path) -> Iterator[Volume]:
    for path in sorted((region / "volumes").glob("vol-*.json")):
        yield Volume(**json.loads(path.read_text()))


def _volume(region: Path, volume_id: str) -> Volume:
    try:
        return Volume(**json.loads(_record(region, volume_id).read_text()))
    except FileNotFoundError:
        raise Refusal("InvalidVolume.NotFound", f"The volume '{volume_id}' does not exist.") from None


def beside(others: Mapping[str, Operation]) -> dict[str, Operation]:
    """These operations and others'; what is asked of an instance is answered here for this machine alone."""

    def of_instances(action: str, ours: Operation) -> Operation:
        theirs = others.get(action, ours)
        return lambda region, asked: (ours if _is_of_this_machine(asked) else theirs)(region, asked)

    return {
        **others,
        "AttachVolume": attach_volume,
        "CreateSnapshot": create_snapshot,
        "CreateVolume": create_volume,
        "DeleteVolume": delete_volume,
        "DescribeVolumes": describe_volumes,
        "DetachVolume": detach_volume,
        "DescribeInstances": of_instances("DescribeInstances", describe_this_machine),
        "GetConsoleOutput": of_instances("GetConsoleOutput", console_of_this_machine),
    }


def _is_of_this_machine(asked: Parameters) -> bool:
    return THIS_MACHINE in (asked.get("InstanceId"), *asked.get("InstanceIds", []))
