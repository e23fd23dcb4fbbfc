"""EC2's instances: RunInstances starts what was really uploaded, GetConsoleOutput shows what it says.

Source: botocore's `ec2` model of 2016-11-15; EC2 API Reference, "RunInstances", "DescribeInstances",
"DescribeInstanceStatus", "GetConsoleOutput", "TerminateInstances", "StateReason".
"""

import base64
import re
import secrets
import time
from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from wizard.cloud.practice import filters, fleet, key_pairs, launch_rules, machines, model, state
from wizard.cloud.practice.ec2 import Operation, Parameters
from wizard.cloud.practice.fleet import CODES, WITH_MACHINE, Instance
from wizard.cloud.practice.launch_rules import Place
from wizard.cloud.practice.machines import Machines
from wizard.cloud.practice.messages import Refusal
from wizard.targets.instances import Instances, is_nitro

INSTANCE_ID = re.compile(r"i-([0-9a-f]{8}|[0-9a-f]{17})")

MOST_AT_ONCE = 2
"""More machines than this would only keep each other waiting."""

POSTED_AFTER_SECONDS = 20
"""Without `Latest` an instance's console is shown as it was when EC2 last fetched it; on EC2 that takes minutes."""

MOST_CONSOLE_BYTES = 64 * 1024

GONE_WITH_THE_CLOUD = {
    "Code": "Server.InternalError",
    "Message": "Server.InternalError: the practice cloud had ended, and its machines with it",
}


def run_instances(running: Machines, region: Path, asked: Parameters) -> dict[str, Any]:
    """The same client token gives the same instance, or a refusal if anything else was asked or it has ended."""
    launch_rules.check_request(asked)
    token = asked.get("ClientToken")
    known = next((one for one in _all(running, region) if token and one.request.get("ClientToken") == token), None)
    if known and known.request != asked:
        raise Refusal("IdempotentParameterMismatch", f"Arguments on this idempotent request are inconsistent: {token}")
    if known and known.is_gone:
        text = "The client token was used for an instance that has been terminated"
        raise Refusal("IdempotentInstanceTerminated", text)
    instance = known or _launch(running, region, asked)
    return _reservation(_described(instance))


def check_launch(region: Path, asked: Parameters) -> dict[str, Any]:
    """What a dry run tells: everything."""
    _checked(region, asked)
    return {}


def describe_instances(running: Machines, region: Path, asked: Parameters) -> dict[str, Any]:
    found = filters.filtered(_chosen(running, region, asked), asked, _fields(), READERS)
    return {"Reservations": [_reservation(one) for one in found]}


def describe_instance_status(running: Machines, region: Path, asked: Parameters) -> dict[str, Any]:
    """Running instances alone, unless asked for all; an instance is reachable once it has an address."""
    shown = _chosen(running, region, asked)
    if not asked.get("IncludeAllInstances"):
        shown = [one for one in shown if one["State"]["Name"] == "running"]
    shown = filters.filtered(shown, asked, _fields(), READERS)
    return {"InstanceStatuses": [_status(region, one) for one in shown]}


def get_console_output(running: Machines, region: Path, asked: Parameters) -> dict[str, Any]:
    """Base64 of the last 64 KiB; an instance that has said nothing yet has no `Output`."""
    (instance,) = _named(running, region, [asked["InstanceId"]])
    latest = asked.get("Latest", False)
    if latest and not is_nitro(instance.facts["InstanceType"]):
        raise Refusal("UnsupportedOperation", "This instance type does not support retrieving the latest console logs.")
    path = fleet.folder_of(region, instance.id) / machines.CONSOLE
    is_posted = latest or instance.is_gone or time.time() - instance.launched >= POSTED_AFTER_SECONDS
    said = path.read_bytes()[-MOST_CONSOLE_BYTES:] if is_posted and path.exists() else b""
    return {
        "InstanceId": instance.id,
        "Timestamp": state.timestamp(time.time()),
        **({"Output": base64.b64encode(said).decode()} if said else {}),
    }


def terminate_instances(running: Machines, region: Path, asked: Parameters) -> dict[str, Any]:
    """Of one that has ended it is no error."""
    changes = []
    for instance in _named(running, region, asked["InstanceIds"]):
        if instance.state in WITH_MACHINE:
            reason = {"Code": "Client.UserInitiatedShutdown"}
            reason["Message"] = f"{reason['Code']}: User initiated shutdown"
            now = fleet.change(region, instance.id, "shutting-down", reason)
            running.end(instance.id)
        else:
            now = fleet.change(region, instance.id, "terminated")
        changes.append({"InstanceId": instance.id, "CurrentState": _state(now), "PreviousState": _state(instance)})
    return {"TerminatingInstances": changes}


def _not_here(_region: Path, _asked: Parameters) -> dict[str, Any]:
    raise Refusal("UnsupportedOperation", "The practice cloud runs and terminates instances, and nothing in between")


# Launching


def _checked(region: Path, asked: Parameters) -> tuple[Mapping[str, Any], Instances, Place]:
    """The image, what is known of the instance type, and where the instance is put."""
    launch_rules.check_request(asked)
    row, place = launch_rules.check_account(region, asked)
    image = launch_rules.image_to_start(region, asked["ImageId"])
    name = asked.get("InstanceType", launch_rules.DEFAULT_TYPE)
    launch_rules.check_image(image, name, row)
    way = launch_rules.way_of(image, name)
    launch_rules.check_startable(image, way)
    launch_rules.require_programs(way, image["Architecture"])
    return image, row, place


def _launch(running: Machines, region: Path, asked: Parameters) -> Instance:
    image, row, place = _checked(region, asked)
    if sum(one.state in WITH_MACHINE for one in _all(running, region)) >= MOST_AT_ONCE:
        text = f"The practice cloud runs {MOST_AT_ONCE} instances at most: terminate one of those that run."
        raise Refusal("VcpuLimitExceeded", text)
    instance_id = state.new_id("i")
    facts = _facts(image, row, place, asked, instance_id)
    instance = Instance(instance_id, asked, facts, time.time())
    fleet.save(region, instance)
    order = _order(region, image, instance)
    running.start(instance_id, order, lambda new, reason: fleet.change(region, instance_id, new, reason))
    return instance


def _facts(
    image: Mapping[str, Any], row: Instances, place: Place, asked: Parameters, instance_id: str
) -> dict[str, Any]:
    from wizard.boot.proof.network import ADDRESS

    tags = {spec["ResourceType"]: spec.get("Tags", []) for spec in asked.get("TagSpecifications", [])}
    public = {"PublicIpAddress": f"127.{1 + secrets.randbelow(254)}.{secrets.randbelow(256)}.1"}
    root = {"VolumeId": state.new_id("vol"), "Status": "attached", "DeleteOnTermination": True}
    kept = ("KeyName", "ClientToken")
    return {
        "InstanceId": instance_id,
        "ImageId": image["ImageId"],
        "InstanceType": asked.get("InstanceType", launch_rules.DEFAULT_TYPE),
        **{field: asked[field] for field in kept if field in asked},
        "Placement": {"AvailabilityZone": place.zone, "Tenancy": "default"},
        "SubnetId": place.subnet,
        "VpcId": place.vpc,
        "PrivateIpAddress": ADDRESS,
        **(public if place.is_public else {}),
        "SecurityGroups": [{"GroupId": group, "GroupName": name} for group, name in place.groups],
        "Architecture": image["Architecture"],
        "VirtualizationType": image["VirtualizationType"],
        "Hypervisor": "nitro" if row.hypervisor == "nitro" else "xen",
        "RootDeviceType": image["RootDeviceType"],
        "RootDeviceName": image["RootDeviceName"],
        "BlockDeviceMappings": [{"DeviceName": image["RootDeviceName"], "Ebs": root}],
        "Tags": tags.get("instance", []),
        "MetadataOptions": _metadata_options(image, asked),
        **{field: image[field] for field in ("EnaSupport", "BootMode") if field in image},
    }


def _metadata_options(image: Mapping[str, Any], asked: Parameters) -> dict[str, Any]:
    """What the launch says, else what the image was registered for."""
    required = "required" if image.get("ImdsSupport") == "v2.0" else "optional"
    return {"State": "applied", "HttpTokens": required, "HttpEndpoint": "enabled", **asked.get("MetadataOptions", {})}


def _order(region: Path, image: Mapping[str, Any], instance: Instance) -> machines.Order:
    from wizard.boot.proof.told import Told

    facts, asked = instance.facts, instance.request
    root = image["RootDeviceName"].rstrip("0123456789")
    mappings = image["BlockDeviceMappings"]
    disk = next(one["Ebs"] for one in mappings if one["DeviceName"].rstrip("0123456789") == root and "Ebs" in one)
    told = Told(
        key_pairs.find(region, asked["KeyName"]) if "KeyName" in asked else None,
        facts["MetadataOptions"]["HttpTokens"] == "optional",
        facts["ImageId"],
        instance.id,
        facts["InstanceType"],
        facts["Placement"]["AvailabilityZone"],
        launch_rules.user_data(asked),
    )
    return machines.Order(
        fleet.folder_of(region, instance.id),
        state.snapshot_folder(region, disk["SnapshotId"]),
        disk["VolumeSize"],
        launch_rules.way_of(image, facts["InstanceType"]),
        image["Architecture"],
        facts.get("PublicIpAddress", "127.0.0.1"),
        told,
        "terminated" if asked.get("InstanceInitiatedShutdownBehavior") == "terminate" else "stopped",
    )


# Showing


def _all(running: Machines, region: Path) -> Iterator[Instance]:
    """Every instance; one whose machine ended with an earlier server has ended too."""
    for instance in fleet.instances(region):
        if instance.state in WITH_MACHINE and instance.id not in running:
            (fleet.folder_of(region, instance.id) / machines.DISK).unlink(missing_ok=True)
            # Read again: it may have ended by itself just now, and then its own reason stands.
            yield fleet.change(region, instance.id, "terminated", GONE_WITH_THE_CLOUD)
        else:
            yield instance


def _named(running: Machines, region: Path, ids: list[str]) -> list[Instance]:
    known = {one.id: one for one in _all(running, region)}
    for instance_id in ids:
        if not INSTANCE_ID.fullmatch(instance_id):
            raise Refusal("InvalidInstanceID.Malformed", f'Invalid id: "{instance_id}"')
        if instance_id not in known:
            raise Refusal("InvalidInstanceID.NotFound", f"The instance ID '{instance_id}' does not exist")
    return [known[instance_id] for instance_id in ids]


def _chosen(running: Machines, region: Path, asked: Parameters) -> list[dict[str, Any]]:
    ids = asked.get("InstanceIds")
    return [_described(one) for one in (_named(running, region, ids) if ids else _all(running, region))]


def _described(instance: Instance) -> dict[str, Any]:
    """An instance as DescribeInstances gives it; one that has ended has neither addresses nor a network."""
    of_the_living = {"PublicIpAddress", "PrivateIpAddress", "SubnetId", "VpcId", "BlockDeviceMappings"}
    gone = of_the_living if instance.is_gone else set()
    return {
        **{field: value for field, value in instance.facts.items() if field not in gone},
        "LaunchTime": state.timestamp(instance.launched),
        "State": _state(instance),
        **({"StateReason": dict(instance.reason)} if instance.reason else {}),
    }


def _reservation(described: dict[str, Any]) -> dict[str, Any]:
    """RunInstances makes one of each."""
    reservation_id = described["InstanceId"].replace("i-", "r-", 1)
    return {"ReservationId": reservation_id, "OwnerId": state.ACCOUNT, "Groups": [], "Instances": [described]}


def _state(instance: Instance) -> dict[str, Any]:
    return {"Code": CODES[instance.state], "Name": instance.state}


def _status(region: Path, described: Mapping[str, Any]) -> dict[str, Any]:
    is_running = described["State"]["Name"] == "running"
    reachable = is_running and machines.has_address(fleet.folder_of(region, described["InstanceId"]))
    of_instance = "ok" if reachable else "initializing" if is_running else "not-applicable"
    of_system = "ok" if is_running else "not-applicable"
    return {
        "InstanceId": described["InstanceId"],
        "AvailabilityZone": described["Placement"]["AvailabilityZone"],
        "InstanceState": described["State"],
        "InstanceStatus": {"Status": of_instance},
        "SystemStatus": {"Status": of_system},
    }


def _fields() -> dict[str, str]:
    shape: Any = model.operation("ec2", "DescribeInstances").output_shape
    return filters.fields_of(shape.members["Reservations"].member.members["Instances"].member)


READERS: Mapping[str, filters.Reader] = {
    "instance-state-name": lambda one: [one["State"]["Name"]],
    "instance-state-code": lambda one: [one["State"]["Code"]],
    "availability-zone": lambda one: [one["Placement"]["AvailabilityZone"]],
}


def operations(running: Machines) -> dict[str, Operation]:
    """What is answered here, with the machines of this server."""
    with_machines = {
        "DescribeInstanceStatus": describe_instance_status,
        "DescribeInstances": describe_instances,
        "GetConsoleOutput": get_console_output,
        "RunInstances": run_instances,
        "TerminateInstances": terminate_instances,
    }
    return {
        **{name: partial(respond, running) for name, respond in with_machines.items()},
        **dict.fromkeys(("RebootInstances", "StartInstances", "StopInstances"), _not_here),
    }


CHECKS: Mapping[str, Operation] = {"RunInstances": check_launch}
"""What a dry run of these operations looks at."""
