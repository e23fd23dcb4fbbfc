"""Protection of an image from being deregistered.

Sources: EC2 API Reference, "EnableImageDeregistrationProtection"; of what DescribeImages says of it
(`DeregistrationProtection`) ekristen/aws-nuke, resources/ec2-image.go: "disabled", "enabled-with-cooldown",
"enabled-without-cooldown", "disabled after TIME".
"""

from collections.abc import Iterable, Mapping
from typing import Any

from wizard.cloud.errors import aws_errors
from wizard.cloud.images import look_up
from wizard.cloud.session import Client
from wizard.run.journal import Journal


def protect(ec2: Client, journal: Journal, image: Mapping[str, Any], *, cooldown: bool) -> None:
    """Protects an image of DescribeImages; one that is protected so already is left as it is."""
    image_id, region = image["ImageId"], ec2.meta.region_name
    if image.get("DeregistrationProtection") == wanted(cooldown=cooldown):
        return
    request = {"ImageId": image_id, "WithCooldown": cooldown}
    journal.asked("EnableImageDeregistrationProtection", region=region, image_id=image_id, request=request)
    with aws_errors("EnableImageDeregistrationProtection", region):
        ec2.enable_image_deregistration_protection(**request)
    journal.answered("EnableImageDeregistrationProtection", region=region, image_id=image_id)


def wanted(*, cooldown: bool) -> str:
    """What DescribeImages then says."""
    return "enabled-with-cooldown" if cooldown else "enabled-without-cooldown"


def lift(ec2: Client, journals: Iterable[Journal], journal: Journal) -> None:
    """Lifts the protection of those images that these journals say were protected by us; of others never."""
    region = ec2.meta.region_name
    asked = ("EnableImageDeregistrationProtection", "asked", region)
    records = [record for one in journals for record in one.records()]
    ours = [item for item in records if (item["operation"], item["kind"], item.get("region")) == asked]
    for image_id in dict.fromkeys(str(item["image_id"]) for item in ours):
        image = look_up(ec2, image_id)
        if image and str(image.get("DeregistrationProtection")).startswith("enabled"):
            journal.asked("DisableImageDeregistrationProtection", region=region, image_id=image_id)
            with aws_errors("DisableImageDeregistrationProtection", region):
                ec2.disable_image_deregistration_protection(ImageId=image_id)
            journal.answered("DisableImageDeregistrationProtection", region=region, image_id=image_id)
