"""What is done after registering, as bash with the AWS CLI."""

import json
import shlex
from pathlib import PurePosixPath

from wizard.plan.actions import (
    EVERYONE,
    NO_IMAGE,
    CheckPublishing,
    CopyImage,
    DeprecateImage,
    ProtectImage,
    PublishAction,
    PutParameter,
    ShareImage,
    fill,
)
from wizard.plan.publish.sharing import AWS_KEY, permission


def publishing_script(action: PublishAction) -> str:
    """One action as bash text."""
    match action:
        case CheckPublishing():
            return "\n".join(_check(action))
        case CopyImage():
            return _copy(action)
        case ShareImage():
            add = shlex.quote(json.dumps({"Add": [permission(who) for who in action.shares]}))
            return f"{_on('modify-image-attribute', action)} \\\n  --launch-permission {add}"
        case DeprecateImage():
            return _deprecate(action)
        case ProtectImage():
            cooldown = " --with-cooldown" if action.cooldown else ""
            return f"{_on('enable-image-deregistration-protection', action)}{cooldown}"
        case PutParameter():
            return _put_parameter(action)


def _on(command: str, action: ShareImage | DeprecateImage | ProtectImage) -> str:
    return f'aws ec2 {command} --region {action.region} --image-id "$(cat {action.image})"'


def _check(action: CheckPublishing) -> list[str]:
    region, lines = action.region, []
    if action.copies:
        name = shlex.quote(f"Name=name,Values={action.copies['Name']}")
        lines += [
            f"taken=$(aws ec2 describe-images --region {region} --owners self \\",
            f"  --filters {name} \\",
            "  --query 'Images[].ImageId' --output text)",
            f'if [ -n "$taken" ]; then echo "The name is taken by $taken in {region}" >&2; exit 1; fi',
            f"cat > account/copy-{region}.json <<'END'",
            json.dumps(fill(action.copies, {"<image>": NO_IMAGE}), indent=2),
            "END",
            f"said=$(aws ec2 copy-image --dry-run --region {region} \\",
            f"  --cli-input-json file://account/copy-{region}.json 2>&1 || true)",
            'case "$said" in *UnauthorizedOperation*) echo "$said" >&2; exit 1;; esac',
        ]
    if action.shares:
        lines += _check_encryption(action)
    if action.public:
        lines += [
            f"state=$(aws ec2 get-image-block-public-access-state --region {region} \\",
            "  --query ImageBlockPublicAccessState --output text)",
            f'if [ "$state" != unblocked ]; then echo "Public images in {region}: $state" >&2; exit 1; fi',
        ]
    if action.parameter:
        lines += [
            f"kind=$(aws ssm get-parameter --region {region} --name {action.parameter} \\",
            "  --query Parameter.DataType --output text 2>/dev/null || true)",
            f'case "$kind" in ""|aws:ec2:image) ;; *) echo "{action.parameter} holds no image" >&2; exit 1;; esac',
        ]
    return lines


def _check_encryption(action: CheckPublishing) -> list[str]:
    region = action.region
    return [
        f"if [ $(aws ec2 get-ebs-encryption-by-default --region {region} \\",
        "  --query EbsEncryptionByDefault --output text) = True ]; then",
        f"  key=$(aws ec2 get-ebs-default-kms-key-id --region {region} --query KmsKeyId --output text)",
        '  echo "Every snapshot is encrypted by $key" >&2',
        "  exit 1" if EVERYONE in action.shares else f'  case "$key" in *{AWS_KEY}) exit 1;; esac',
        "fi",
    ]


def _copy(action: CopyImage) -> str:
    region, saves = action.region, action.saves
    request = PurePosixPath(saves).with_name("request.json")
    state = f"aws ec2 describe-images --region {region} --image-ids \"$(cat {saves})\" --query 'Images[0].State'"
    return f"""\
cat > {request} <<'END'
{json.dumps(action.parameters, indent=2)}
END
sed -i "s/<image>/$(cat {action.image})/" {request}
aws ec2 copy-image --region {region} --cli-input-json file://{request} \\
  --query ImageId --output text > {saves}
while [ "$({state} --output text)" = pending ]; do sleep 15; done
aws ec2 wait image-available --region {region} --image-ids "$(cat {saves})\""""


def _deprecate(action: DeprecateImage) -> str:
    return f"""\
created=$(aws ec2 describe-images --region {action.region} --image-ids "$(cat {action.image})" \\
  --query 'Images[0].CreationDate' --output text)
{_on("enable-image-deprecation", action)} \\
  --deprecate-at "$(date -u -d "$created {action.days} days" +%Y-%m-%dT%H:%M:00Z)\""""


def _put_parameter(action: PutParameter) -> str:
    tags = shlex.quote(json.dumps([{"Key": key, "Value": value} for key, value in action.tags.items()]))
    which = f"--region {action.region} --name {action.name}"
    return f"""\
if aws ssm get-parameter {which} > /dev/null 2>&1; then how=(--overwrite); else how=(--tags {tags}); fi
aws ssm put-parameter {which} --type String --data-type aws:ec2:image --value "$(cat {action.image})" "${{how[@]}}"
# AWS checks the image after it has answered.
for (( second = 0; second < 180; second += 5 )); do
  held=$(aws ssm get-parameter {which} --query Parameter.Value --output text)
  if [ "$held" = "$(cat {action.image})" ]; then break; fi
  sleep 5
done
[ "$held" = "$(cat {action.image})" ]"""
