"""What RunInstances is refused for: an image that does not fit the type, a key pair or a network that is not there.

Sources: EC2 API Reference, "RunInstances" and "Error codes"; presets/instances.toml; the words of the refusals as
people were given them (BD2KGenomics/cgcloud#10, bevacqua/baal#3, rancher/os#2160).
"""

import base64
import binascii
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from wizard.cloud.practice import by_moto, key_pairs, state
from wizard.cloud.practice.messages import Refusal
from wizard.targets import instances as types
from wizard.targets.instances import Instances

if TYPE_CHECKING:
    from wizard.plan.actions import Way

Parameters = Mapping[str, Any]

KNOWN = {
    *("ImageId", "InstanceType", "MinCount", "MaxCount", "ClientToken", "TagSpecifications", "KeyName", "UserData"),
    *("SubnetId", "SecurityGroupIds", "InstanceInitiatedShutdownBehavior", "MetadataOptions"),
}
"""The parameters that the practice cloud keeps to; it would be untrue to ignore the others."""

TAGGABLE = {"instance", "volume", "network-interface"}

DEFAULT_TYPE = "m1.small"
"""Source: EC2 API Reference, RunInstances, `InstanceType`."""

MOST_USER_DATA = 16384
"""Bytes, before base64.  Source: EC2 User Guide, "Run commands when you launch an EC2 instance"."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where an instance is put: the ids of its network, as moto knows them."""

    subnet: str
    vpc: str
    zone: str
    groups: tuple[tuple[str, str], ...]
    is_public: bool


def check_request(asked: Parameters) -> None:
    """Of the request alone."""
    if unknown := asked.keys() - KNOWN:
        raise Refusal("UnsupportedOperation", f"The practice cloud does not know the parameter {min(unknown)}")
    if (asked["MinCount"], asked["MaxCount"]) != (1, 1):
        raise Refusal("UnsupportedOperation", "The practice cloud launches one instance at a time")
    kinds = {spec["ResourceType"] for spec in asked.get("TagSpecifications", ())}
    if others := kinds - TAGGABLE:
        raise Refusal("InvalidParameterValue", f"'{min(others)}' is not a valid taggable resource type here")
    if len(user_data(asked) or "") > MOST_USER_DATA:
        raise Refusal("InvalidParameterValue", "User data is limited to 16384 bytes")


def user_data(asked: Parameters) -> str | None:
    if "UserData" not in asked:
        return None
    try:
        return base64.b64decode(asked["UserData"], validate=True).decode("utf-8", "replace")
    except binascii.Error:
        raise Refusal("InvalidParameterValue", "Invalid BASE64 encoding of user data.") from None


def type_of(asked: Parameters) -> Instances:
    """What is known of the instance type."""
    name = asked.get("InstanceType", DEFAULT_TYPE)
    row = types.of_type(name)
    if row is None:
        raise Refusal("Unsupported", f"The practice cloud does not know the instance type '{name}'")
    return row


def check_account(region: Path, asked: Parameters) -> tuple[Instances, Place]:
    """Of what the account has: the programs of this machine, the key pair, the network.

    Gives what is known of the instance type, and where the instance is put.
    """
    row = type_of(asked)
    require_programs("uefi" if "arm64" in row.architectures else "bios", row.architectures[-1])
    if "KeyName" in asked:
        key_pairs.find(region, asked["KeyName"])
    return row, place_of(region, asked)


def check_image(image: Mapping[str, Any], name: str, row: Instances) -> None:
    """Whether instances of that type start such an image."""
    arch, virtualization = image["Architecture"], image["VirtualizationType"]
    if arch not in row.architectures:
        raise Refusal(
            "InvalidParameterValue",
            f"The architecture '{','.join(row.architectures)}' of the specified instance type does not match the "
            f"architecture '{arch}' of the specified AMI. Specify an instance type and an AMI that have matching "
            "architectures, and try again.",
        )
    if virtualization not in row.virtualization:
        raise Refusal(
            "InvalidParameterCombination",
            f"Virtualization type '{row.virtualization[-1]}' is required for instances of type '{name}'. Ensure that "
            f"you are using an AMI with virtualization type '{row.virtualization[-1]}'.",
        )
    if row.ena == "required" and not image.get("EnaSupport"):
        raise Refusal(
            "InvalidParameterCombination",
            f"Enhanced networking with the Elastic Network Adapter (ENA) is required for the '{name}' instance type. "
            "Ensure that you are using an AMI that is enabled for ENA.",
        )
    if image["RootDeviceType"] == "instance-store" and not row.instance_store_root:
        raise Refusal(
            "InvalidParameterCombination",
            f"The instance type '{name}' does not support an AMI with root device type 'instance-store'.",
        )


def way_of(image: Mapping[str, Any], name: str) -> "Way":
    """How the machine of an instance of that type starts."""
    from wizard.plan import launch

    return launch.way_of(image["VirtualizationType"], image["Architecture"], image.get("BootMode"), name)


def check_startable(image: Mapping[str, Any], way: "Way") -> None:
    """What EC2 can start and this machine cannot."""
    from wizard.plan.launch import not_here

    storage = "s3" if image["RootDeviceType"] == "instance-store" else "ebs"
    if reason := not_here(storage, way, image["Architecture"]):
        raise Refusal("UnsupportedOperation", f"The practice cloud cannot start this image: {reason}")


def require_programs(way: "Way", arch: str) -> None:
    """Starting an instance takes programs of this machine."""
    from wizard import host
    from wizard.plan.launch import programs

    lacking = host.missing(programs(way, arch))
    if lacking:
        named = ", ".join(f"{tool.name} (package {tool.package})" for tool in lacking)
        text = f"The practice cloud starts instances in QEMU, and this machine lacks: {named}."
        raise Refusal("PracticeProgramsMissing", f"{text} {host.install_command(lacking)}")


def place_of(region: Path, asked: Parameters) -> Place:
    """The subnet and the security groups that were asked for, or the default ones."""
    if subnet_id := asked.get("SubnetId"):
        found = by_moto.ask(region.name, "DescribeSubnets", **{"SubnetId.1": subnet_id})["Subnets"]
    else:
        default = {"Filter.1.Name": "default-for-az", "Filter.1.Value.1": "true"}
        found = by_moto.ask(region.name, "DescribeSubnets", **default)["Subnets"]
    if not found:
        raise Refusal("VPCIdNotSpecified", "No default VPC for this user.")
    subnet = min(found, key=lambda one: one["AvailabilityZone"])
    groups = _groups(region, asked, subnet["VpcId"])
    return Place(subnet["SubnetId"], subnet["VpcId"], subnet["AvailabilityZone"], groups, subnet["MapPublicIpOnLaunch"])


def _groups(region: Path, asked: Parameters, vpc: str) -> tuple[tuple[str, str], ...]:
    if wanted := asked.get("SecurityGroupIds"):
        named = {f"GroupId.{number}": group for number, group in enumerate(wanted, start=1)}
    else:
        named = {"Filter.1.Name": "group-name", "Filter.1.Value.1": "default"}
        named |= {"Filter.2.Name": "vpc-id", "Filter.2.Value.1": vpc}
    found = by_moto.ask(region.name, "DescribeSecurityGroups", **named)["SecurityGroups"]
    if strange := [group["GroupId"] for group in found if group["VpcId"] != vpc]:
        text = f"Security group {strange[0]} and the subnet belong to different networks."
        raise Refusal("InvalidParameter", text)
    return tuple((group["GroupId"], group["GroupName"]) for group in found)


def image_to_start(region: Path, image_id: str) -> Mapping[str, Any]:
    """An image that is there and ready."""
    image = state.find_image(region, image_id)
    if image["State"] != "available":
        raise Refusal("InvalidAMIID.Unavailable", f"The image ID '[{image_id}]' is not available")
    return image
