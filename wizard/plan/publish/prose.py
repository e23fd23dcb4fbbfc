"""What is done after registering, as prose: in a sentence, and the AWS calls of each action."""

import json

from wizard.plan.actions import (
    CheckPublishing,
    CopyImage,
    DeprecateImage,
    ProtectImage,
    PublishAction,
    PutParameter,
    ShareImage,
)
from wizard.recipe import Publish


def in_short(publish: Publish | None) -> str:
    """A sentence for the last question before it begins, with a space before it; "" where nothing is done."""
    if publish is None:
        return ""
    said = [
        *([f"copied to {', '.join(publish.regions)}, where it costs the same again"] if publish.regions else []),
        *([f"shared with {', '.join(publish.share_with)}"] if publish.share_with else []),
        *([f"deprecated after {publish.deprecate_after_days} days"] if publish.deprecate_after_days else []),
        *(["protected from being deregistered"] if publish.protect else []),
        *([f"named by the parameter {publish.ssm_parameter}"] if publish.ssm_parameter else []),
    ]
    return f" Then it is {'; '.join(said)}." if said else ""


def publishing_lines(action: PublishAction) -> list[str]:
    """One action, exactly: `AWS` and the call, a line each."""
    region = action.region
    match action:
        case CheckPublishing():
            return _check(action)
        case CopyImage():
            parameters = json.dumps(action.parameters, indent=2).splitlines()
            return [f"AWS ec2:CopyImage in {region}:", *(f"  {line}" for line in parameters)]
        case ShareImage():
            return [f"AWS ec2:ModifyImageAttribute in {region}: {who} may launch it" for who in action.shares]
        case DeprecateImage():
            return [f"AWS ec2:EnableImageDeprecation in {region}: {action.days} days after its creation"]
        case ProtectImage():
            longer = ", with a cooldown of 24 hours" if action.cooldown else ""
            return [f"AWS ec2:EnableImageDeregistrationProtection in {region}{longer}"]
        case PutParameter():
            tags = ", ".join(f"{key}={value}" for key, value in action.tags.items())
            return [f"AWS ssm:PutParameter in {region}: {action.name}, of type aws:ec2:image, tags {tags}"]


def _check(action: CheckPublishing) -> list[str]:
    region, lines = action.region, []
    if action.copies:
        lines += [
            f"AWS ec2:DescribeImages in {region}: is the name “{action.copies['Name']}” free?",
            f"AWS ec2:CopyImage in {region} as a dry run: may you?",
        ]
    if action.shares:
        lines.append(f"AWS ec2:GetEbsEncryptionByDefault in {region}: can its snapshots be shared?")
    if action.public:
        lines.append(f"AWS ec2:GetImageBlockPublicAccessState in {region}: may an image be public?")
    if action.parameter:
        lines.append(f"AWS ssm:GetParameter in {region}: is {action.parameter} free, or another image's?")
    return lines
