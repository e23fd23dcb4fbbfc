"""Who an image is shared with, in EC2's words."""

from wizard.plan.actions import EVERYONE

AWS_KEY = "alias/aws/ebs"
"""The key that AWS manages for EBS, which no other account can use."""


def permission(who: str) -> dict[str, str]:
    """LaunchPermission's form of an account, an organization, a unit of one, or everyone."""
    if who == EVERYONE:
        return {"Group": "all"}
    if ":organization/" in who:
        return {"OrganizationArn": who}
    return {"OrganizationalUnitArn" if ":ou/" in who else "UserId": who}
