"""Who may launch an image beside its owner."""

from collections.abc import Mapping, Sequence
from typing import Any

from wizard.cloud.errors import aws_errors
from wizard.cloud.session import Client
from wizard.cloud.waiting import Asked, never, until
from wizard.explain import Failure
from wizard.plan.actions import EVERYONE
from wizard.plan.publish.sharing import AWS_KEY, permission
from wizard.run.journal import Journal

LONGEST_UNSEEN = 120.0
"""Seconds for which AWS may not show yet what it has taken: it is eventually consistent."""


def share(ec2: Client, journal: Journal, image_id: str, shares: Sequence[str], cancelled: Asked = never) -> None:
    """Lets these launch the image too; what others were allowed before stays.

    Raises public-sharing-blocked, not-shared, and what AWS refuses.
    """
    region = ec2.meta.region_name
    if not (missing := _missing(ec2, image_id, shares)):
        return
    if EVERYONE in missing:
        check_public(ec2)
    journal.asked("ModifyImageAttribute", region=region, image_id=image_id, shares=missing)
    with aws_errors("ModifyImageAttribute", region):
        add = [permission(who) for who in missing]
        ec2.modify_image_attribute(ImageId=image_id, LaunchPermission={"Add": add})
    journal.answered("ModifyImageAttribute", region=region, image_id=image_id)
    late = Failure("not-shared", image_id=image_id, region=region, missing=", ".join(missing))
    until(lambda: None if _missing(ec2, image_id, shares) else True, LONGEST_UNSEEN, late, cancelled)


def check_public(ec2: Client) -> None:
    """Raises public-sharing-blocked where the account shares nothing with everyone in the client's region."""
    region = ec2.meta.region_name
    with aws_errors("GetImageBlockPublicAccessState", region):
        said = ec2.get_image_block_public_access_state()
    state, by = said["ImageBlockPublicAccessState"], said.get("ManagedBy", "account")
    if state != "unblocked":
        evidence = [f"ImageBlockPublicAccessState is {state}, ManagedBy is {by}"]
        raise Failure("public-sharing-blocked", region=region, evidence=evidence)


def check_encryption(ec2: Client, shares: Sequence[str]) -> None:
    """Raises encrypted-by-default where the account encrypts every new snapshot in a way that cannot be shared so."""
    region = ec2.meta.region_name
    with aws_errors("GetEbsEncryptionByDefault", region):
        if not ec2.get_ebs_encryption_by_default().get("EbsEncryptionByDefault"):
            return
    with aws_errors("GetEbsDefaultKmsKeyId", region):
        key = str(ec2.get_ebs_default_kms_key_id()["KmsKeyId"])
    if EVERYONE in shares or key.endswith(AWS_KEY):
        evidence = [f"EbsEncryptionByDefault is true, the default key is {key}"]
        raise Failure("encrypted-by-default", region=region, shares=", ".join(shares), evidence=evidence)


def _missing(ec2: Client, image_id: str, shares: Sequence[str]) -> list[str]:
    there = launch_permissions(ec2, image_id)
    return [who for who in shares if permission(who) not in there]


def launch_permissions(ec2: Client, image_id: str) -> list[Mapping[str, Any]]:
    """Who may launch the image, as DescribeImageAttribute says it."""
    with aws_errors("DescribeImageAttribute", ec2.meta.region_name):
        said = ec2.describe_image_attribute(ImageId=image_id, Attribute="launchPermission")
    found: list[Mapping[str, Any]] = said.get("LaunchPermissions", [])
    return found
