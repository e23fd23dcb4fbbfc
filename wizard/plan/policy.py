"""The least IAM policy that a plan needs, from its own AWS actions.

Sources: Amazon EC2 User Guide, "IAM permissions for EBS direct APIs"; Service Authorization Reference, "Actions,
resources, and condition keys for Amazon EC2" and "… for Amazon Elastic Block Store"; AWS KMS Developer Guide, "How
Amazon Elastic Block Store uses AWS KMS"; Service Authorization Reference, "Actions, resources, and condition keys for
Amazon S3".
"""

from collections.abc import Iterator
from typing import Any

from wizard.plan.steps import (
    BUILD_TAG,
    CheckAccount,
    CheckBucket,
    CheckLaunch,
    CloudAction,
    LaunchInstance,
    Plan,
    RegisterImage,
    UploadBundle,
    UploadSnapshot,
)
from wizard.targets.regions import regions

Statement = dict[str, Any]


def policy(plan: Plan) -> dict[str, Any]:
    """The policy as IAM takes it.  GetCallerIdentity needs no permission; describing knows no resources.

    What changes or removes something is allowed for what carries the build's tag alone.
    """
    actions = [action for step in plan.steps for action in step.actions if isinstance(action, CloudAction)]
    statements: list[Statement] = []
    for statement in (found for action in actions for found in _statements(action)):
        if statement not in statements:
            statements.append(statement)
    return {"Version": "2012-10-17", "Statement": statements}


def _statements(action: CloudAction) -> Iterator[Statement]:
    match action:
        case CheckAccount():
            yield _describing("ec2:DescribeImages", action.region)
        case CheckBucket():
            yield {
                "Sid": "CheckBucket",
                "Effect": "Allow",
                "Action": ["s3:GetBucketLocation", "s3:GetBucketOwnershipControls"],
                "Resource": _bucket(action),
            }
        case UploadSnapshot():
            yield from _of_upload(action)
        case UploadBundle():
            yield from _of_bundle(action)
        case RegisterImage():
            yield from _of_registration(action)
        case CheckLaunch():
            pass
        case LaunchInstance():
            yield from _of_launch(action)


def _of_upload(action: UploadSnapshot) -> Iterator[Statement]:
    build, snapshots = action.tags[BUILD_TAG], _arn(action.region, "snapshot")
    yield {
        "Sid": "StartSnapshot",
        "Effect": "Allow",
        "Action": "ebs:StartSnapshot",
        "Resource": snapshots,
        "Condition": {"StringEquals": {f"aws:RequestTag/{BUILD_TAG}": build}},
    }
    yield _on_our_own("WriteSnapshot", ["ebs:PutSnapshotBlock", "ebs:CompleteSnapshot"], snapshots, build)
    yield _on_our_own("DeleteSnapshot", ["ec2:DeleteSnapshot"], snapshots, build)
    yield {"Sid": "TagSnapshot", "Effect": "Allow", "Action": "ec2:CreateTags", "Resource": snapshots}
    yield _describing("ec2:DescribeSnapshots", action.region)
    if action.encryption:
        yield _of_encryption(action)


def _of_encryption(action: UploadSnapshot) -> Statement:
    key = action.encryption.get("KmsKeyArn", f"arn:{_partition(action.region)}:kms:{action.region}:*:key/*")
    used_by_ebs = {"StringLike": {"kms:ViaService": ["ec2.*.amazonaws.com*", "ebs.*.amazonaws.com*"]}}
    return {
        "Sid": "Encrypt",
        "Effect": "Allow",
        "Action": [
            *("kms:Encrypt", "kms:Decrypt", "kms:GenerateDataKey", "kms:GenerateDataKeyWithoutPlaintext"),
            *("kms:ReEncrypt*", "kms:CreateGrant", "kms:DescribeKey"),
        ],
        "Resource": key,
        **({} if "KmsKeyArn" in action.encryption else {"Condition": used_by_ebs}),
    }


def _of_bundle(action: UploadBundle) -> Iterator[Statement]:
    """For the objects of this build alone, by their names: each begins with the build's, and what its tag adds."""
    objects = f"{_bucket(action)}/{action.base}*"
    yield {
        "Sid": "ListBundle",
        "Effect": "Allow",
        "Action": "s3:ListBucketVersions",
        "Resource": _bucket(action),
        "Condition": {"StringLike": {"s3:prefix": f"{action.base}*"}},
    }
    yield {
        "Sid": "WriteBundle",
        "Effect": "Allow",
        "Action": ["s3:PutObject", "s3:PutObjectAcl"],
        "Resource": objects,
        "Condition": {"StringEquals": {"s3:x-amz-acl": "aws-exec-read"}},
    }
    yield {"Sid": "DeleteBundle", "Effect": "Allow", "Action": "s3:DeleteObjectVersion", "Resource": objects}


def _bucket(action: CheckBucket | UploadBundle) -> str:
    return f"arn:{_partition(action.region)}:s3:::{action.bucket}"


def _of_registration(action: RegisterImage) -> Iterator[Statement]:
    images, snapshots = _arn(action.region, "image"), _arn(action.region, "snapshot")
    made_of = [images, snapshots] if action.snapshot else images
    yield {"Sid": "RegisterImage", "Effect": "Allow", "Action": "ec2:RegisterImage", "Resource": made_of}
    yield {
        "Sid": "TagImage",
        "Effect": "Allow",
        "Action": "ec2:CreateTags",
        "Resource": images,
        "Condition": {"StringEquals": {"ec2:CreateAction": "RegisterImage"}},
    }
    yield _on_our_own("DeregisterImage", ["ec2:DeregisterImage"], images, action.build)
    yield _describing("ec2:DescribeImages", action.region)


def _of_launch(action: LaunchInstance) -> Iterator[Statement]:
    """What is run must carry the build's tag; the image is looked at by its id alone, for the dry run's is nobody's."""
    region = action.region
    made = [_arn_in_account(region, kind) for kind in ("instance", "volume")]
    used = [_arn_in_account(region, kind) for kind in ("key-pair", "network-interface", "security-group", "subnet")]
    yield {
        "Sid": "RunInstances",
        "Effect": "Allow",
        "Action": "ec2:RunInstances",
        "Resource": made,
        "Condition": {"StringEquals": {f"aws:RequestTag/{BUILD_TAG}": action.build}},
    }
    yield {
        "Sid": "RunInstancesWith",
        "Effect": "Allow",
        "Action": "ec2:RunInstances",
        "Resource": [_arn(region, "image"), _arn(region, "snapshot"), *used],
    }
    yield {
        "Sid": "TagInstance",
        "Effect": "Allow",
        "Action": "ec2:CreateTags",
        "Resource": made,
        "Condition": {"StringEquals": {"ec2:CreateAction": "RunInstances"}},
    }
    of_one = ["ec2:GetConsoleOutput", "ec2:TerminateInstances"]
    yield _on_our_own("ReadAndEndInstance", of_one, _arn_in_account(region, "instance"), action.build)
    yield _describing("ec2:DescribeInstances", region)
    yield _describing("ec2:DescribeInstanceStatus", region)


def _on_our_own(sid: str, actions: list[str], resource: str, build: str) -> Statement:
    return {
        "Sid": sid,
        "Effect": "Allow",
        "Action": actions,
        "Resource": resource,
        "Condition": {"StringEquals": {f"aws:ResourceTag/{BUILD_TAG}": build}},
    }


def _describing(action: str, region: str) -> Statement:
    return {
        "Sid": action.removeprefix("ec2:"),
        "Effect": "Allow",
        "Action": action,
        "Resource": "*",
        "Condition": {"StringEquals": {"aws:RequestedRegion": region}},
    }


def _arn(region: str, kind: str) -> str:
    """Every resource of a kind in a region: snapshots and images have no account in their ARNs."""
    return f"arn:{_partition(region)}:ec2:{region}::{kind}/*"


def _arn_in_account(region: str, kind: str) -> str:
    """Every resource of a kind in a region, of whatever account uses the policy."""
    return f"arn:{_partition(region)}:ec2:{region}:*:{kind}/*"


def _partition(region: str) -> str:
    return next(known.partition for known in regions() if known.name == region)
