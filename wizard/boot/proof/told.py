"""What an instance is told of itself by the metadata service of `metadata`."""

import json
import secrets
from dataclasses import dataclass
from typing import Any

from wizard.boot.proof.network import ADDRESS

NAME = f"ip-{ADDRESS.replace('.', '-')}.ec2.internal"


@dataclass(frozen=True, slots=True)
class Told:
    """An instance, as it may know itself.

    zone        its Availability Zone, such as "us-east-1a"
    public_key  its key pair's, as a line of authorized_keys; None without a key pair
    user_data   the text given at its launch; None without
    allows_v1   whether the service answers without a token
    """

    public_key: str | None
    allows_v1: bool
    image_id: str = "ami-0123456789abcdef0"
    instance_id: str = "i-0123456789abcdef0"
    instance_type: str = "m5.large"
    zone: str = "us-east-1a"
    user_data: str | None = None


def settings(told: Told) -> dict[str, Any]:
    """The content of the file ANSWERS (see `metadata`)."""
    region = told.zone[:-1]
    partition, domain = ("aws-cn", "amazonaws.com.cn") if region.startswith("cn-") else ("aws", "amazonaws.com")
    values = {
        "ami-id": told.image_id,
        "hostname": NAME,
        "instance-id": told.instance_id,
        "instance-type": told.instance_type,
        "local-hostname": NAME,
        "local-ipv4": ADDRESS,
        "placement/availability-zone": told.zone,
        "placement/region": region,
        **({"public-keys/0/openssh-key": told.public_key} if told.public_key else {}),
        "services/domain": domain,
        "services/partition": partition,
    }
    identity = {"region": region, "instanceId": told.instance_id, "instanceType": told.instance_type}
    return {
        "secret": secrets.token_hex(),
        "allows_v1": told.allows_v1,
        "answers": {
            **{f"meta-data/{path}": value for path, value in values.items()},
            **({"user-data": told.user_data} if told.user_data is not None else {}),
            "dynamic/instance-identity/document": json.dumps(identity),
        },
    }
