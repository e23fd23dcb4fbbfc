"""The instance that is to write a volume, and whether it is this very machine."""

import json
import os
import urllib.request
from dataclasses import dataclass
from typing import Any

from botocore.exceptions import ClientError

from wizard.cloud.errors import aws_code, aws_errors
from wizard.cloud.session import Client
from wizard.explain import Failure

METADATA = "http://169.254.169.254"
PATIENCE = 1.0
"""Seconds; the metadata service answers in a few milliseconds, and elsewhere nobody does."""


@dataclass(frozen=True, slots=True)
class Instance:
    """A running instance: its zone, its address ("" where it has none) and its block device names."""

    id: str
    zone: str
    address: str
    devices: frozenset[str]


def running_instance(ec2: Client, instance_id: str) -> Instance:
    """The instance as DescribeInstances shows it.  Raises "no-such-instance" and "instance-not-running"."""
    region = ec2.meta.region_name
    found = _describe(ec2, instance_id)
    if found is None:
        raise Failure("no-such-instance", instance=instance_id, region=region)
    if (state := found["State"]["Name"]) != "running":
        raise Failure("instance-not-running", instance=instance_id, region=region, state=state)
    return Instance(
        instance_id,
        found["Placement"]["AvailabilityZone"],
        found.get("PublicIpAddress") or found.get("PrivateIpAddress") or "",
        frozenset(mapping["DeviceName"] for mapping in found.get("BlockDeviceMappings", ())),
    )


def _describe(ec2: Client, instance_id: str) -> dict[str, Any] | None:
    with aws_errors("DescribeInstances", ec2.meta.region_name):
        try:
            said = ec2.describe_instances(InstanceIds=[instance_id])
        except ClientError as error:
            if aws_code(error) not in ("InvalidInstanceID.NotFound", "InvalidInstanceID.Malformed"):
                raise
            return None
    found: list[dict[str, Any]] = [one for group in said["Reservations"] for one in group["Instances"]]
    return found[0] if found else None


def id_of_this_machine() -> str | None:
    """EC2's id of the machine that this runs on; None on any other machine.

    Source: EC2 User Guide, "Instance identity documents" and "Use IMDSv2".  The variables are botocore's.
    """
    if os.environ.get("AWS_EC2_METADATA_DISABLED", "").lower() == "true":
        return None
    service = os.environ.get("AWS_EC2_METADATA_SERVICE_ENDPOINT", METADATA).rstrip("/")
    try:
        token = _ask(service, "PUT", "/latest/api/token", {"X-aws-ec2-metadata-token-ttl-seconds": "60"})
        where = "/latest/dynamic/instance-identity/document"
        document = json.loads(_ask(service, "GET", where, {"X-aws-ec2-metadata-token": token}))
        return str(document["instanceId"])
    except (OSError, ValueError, KeyError):
        return None


def _ask(service: str, method: str, path: str, headers: dict[str, str]) -> str:
    # A proxy has a metadata service of its own.
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    request = urllib.request.Request(service + path, method=method, headers=headers)
    with opener.open(request, timeout=PATIENCE) as said:
        return str(said.read(65536).decode())
