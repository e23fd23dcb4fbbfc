"""The least IAM policy that a plan needs, from its own AWS actions.

Sources: Amazon EC2 User Guide, "IAM permissions for EBS direct APIs"; Service Authorization Reference, "Actions,
resources, and condition keys for Amazon EC2" and "… for Amazon Elastic Block Store"; AWS KMS Developer Guide, "How
Amazon Elastic Block Store uses AWS KMS"; Service Authorization Reference, "Actions, resources, and condition keys for
Amazon S3".
"""

from collections.abc import Iterator
from typing import Any

from wizard.plan.actions import (
    BUILD_TAG,
    CheckAccount,
    CheckBucket,
    CheckFarEnd,
    CheckLaunch,
    CheckPublishing,
    CloudAction,
    CopyImage,
    DeprecateImage,
    LaunchInstance,
    ProtectImage,
    PutParameter,
    RegisterImage,
    ShareImage,
    SnapshotByVolume,
    SnapshotVolume,
    UploadBundle,
    UploadSnapshot,
    UseSnapshot,
)
from wizard.plan.steps import Plan
from wizard.targets.regions import regions

Statement = dict[str, Any]


def policy(plan: Plan) -> dict[str, Any]:
    """The policy as IAM takes it.  GetCallerIdentity needs no permission; describing knows no resources.

    What changes or removes something is allowed for what carries the build's tag alone.
    """
    actions = [action for step in plan.steps for action in step.actions if isinstance(action, CloudAction)]
    statements: dict[str, Statement] = {}
    for statement in (found for action in actions for found in _statements(action)):
        sid = statement["Sid"]
        statements[sid] = _union(statements[sid], statement) if sid in statements else statement
    return {"Version": "2012-10-17", "Statement": list(statements.values())}


def _union(one: Any, other: Any) -> Any:
    """What two statements of the same name allow together: IAM takes 6,144 letters, and there may be 30 regions."""
    if one == other:
        return one
    if isinstance(one, dict):
        return {key: _union(one[key], other[key]) for key in one}
    lists = [value if isinstance(value, list) else [value] for value in (one, other)]
    return list(dict.fromkeys([*lists[0], *lists[1]]))


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
        case CheckFarEnd():
            yield _describing("ec2:DescribeInstances", action.region)
        case SnapshotByVolume():
            yield from _of_writing_a_volume(action)
            volumes = _arn(action.region, "volume", account="*")
            yield _on_our_own("CreateSnapshotOfVolume", ["ec2:CreateSnapshot"], volumes, action.tags[BUILD_TAG])
            yield from _of_volume_snapshot(action)
        case SnapshotVolume():
            volume = _arn(action.region, "volume", account="*", one=action.volume)
            yield {
                "Sid": "CreateSnapshotOfVolume",
                "Effect": "Allow",
                "Action": "ec2:CreateSnapshot",
                "Resource": volume,
            }
            yield _describing("ec2:DescribeVolumes", action.region)
            yield from _of_volume_snapshot(action)
        case UseSnapshot():
            yield _describing("ec2:DescribeSnapshots", action.region)
        case UploadBundle():
            yield from _of_bundle(action)
        case RegisterImage():
            yield from _of_registration(action)
        case CheckLaunch():
            pass
        case LaunchInstance():
            yield from _of_launch(action)
        case CheckPublishing():
            yield from _of_checks(action)
        case CopyImage():
            yield from _of_copy(action)
        case PutParameter():
            yield from _of_parameter(action)
        case ShareImage():
            yield _on_images(["ec2:ModifyImageAttribute", "ec2:DescribeImageAttribute"], action)
        case DeprecateImage():
            yield _on_images(["ec2:EnableImageDeprecation"], action)
        case ProtectImage():
            names = ["ec2:EnableImageDeregistrationProtection", "ec2:DisableImageDeregistrationProtection"]
            yield _on_images(names, action)


def _of_upload(action: UploadSnapshot) -> Iterator[Statement]:
    build, snapshots = action.tags[BUILD_TAG], _arn(action.region, "snapshot")
    yield {
        "Sid": "StartSnapshot",
        "Effect": "Allow",
        "Action": "ebs:StartSnapshot",
        "Resource": snapshots,
        "Condition": _tag("RequestTag", build),
    }
    yield _on_our_own("WriteSnapshot", ["ebs:PutSnapshotBlock", "ebs:CompleteSnapshot"], snapshots, build)
    yield _on_our_own("DeleteSnapshot", ["ec2:DeleteSnapshot"], snapshots, build)
    yield {"Sid": "TagSnapshot", "Effect": "Allow", "Action": "ec2:CreateTags", "Resource": snapshots}
    yield _describing("ec2:DescribeSnapshots", action.region)
    if action.encryption:
        yield _of_encryption("Encrypt", action.region, action.encryption.get("KmsKeyArn"))


def _of_encryption(sid: str, region: str, key: str | None) -> Statement:
    """The use of one key, or by EBS alone of whichever is the account's default one."""
    if key and ":alias/" in key:
        # As a resource an alias is itself, and not its key (KMS Developer Guide, "Use aliases to control access").
        account, _, alias = key.partition(":alias/")
        named = {"ForAnyValue:StringEquals": {"kms:ResourceAliases": f"alias/{alias}"}}
        return {**_of_encryption(sid, region, f"{account}:key/*"), "Condition": named}
    used_by_ebs = {"StringLike": {"kms:ViaService": ["ec2.*.amazonaws.com*", "ebs.*.amazonaws.com*"]}}
    return {
        "Sid": sid,
        "Effect": "Allow",
        "Action": [
            *("kms:Encrypt", "kms:Decrypt", "kms:GenerateDataKey", "kms:GenerateDataKeyWithoutPlaintext"),
            *("kms:ReEncrypt*", "kms:CreateGrant", "kms:DescribeKey"),
        ],
        "Resource": key or f"arn:{_partition(region)}:kms:{region}:*:key/*",
        **({} if key else {"Condition": used_by_ebs}),
    }


def _of_writing_a_volume(action: SnapshotByVolume) -> Iterator[Statement]:
    """Attaching and detaching concern the instance too, which is not ours and is named."""
    build, volumes = action.tags[BUILD_TAG], _arn(action.region, "volume", account="*")
    instance = _arn(action.region, "instance", account="*", one=action.far_end.instance)
    yield _tagged_when_made("CreateVolume", volumes, build)
    yield _tagging("Volume", volumes, "CreateVolume")
    yield _on_our_own("AttachVolume", ["ec2:AttachVolume", "ec2:DetachVolume"], volumes, build)
    yield {
        "Sid": "AttachToInstance",
        "Effect": "Allow",
        "Action": ["ec2:AttachVolume", "ec2:DetachVolume"],
        "Resource": instance,
    }
    yield {"Sid": "GetConsoleOutput", "Effect": "Allow", "Action": "ec2:GetConsoleOutput", "Resource": instance}
    yield _on_our_own("DeleteVolume", ["ec2:DeleteVolume"], volumes, build)
    yield _describing("ec2:DescribeInstances", action.region)
    yield _describing("ec2:DescribeVolumes", action.region)
    if action.encryption:
        yield _of_encryption("Encrypt", action.region, action.encryption.get("KmsKeyId"))


def _of_volume_snapshot(action: SnapshotByVolume | SnapshotVolume) -> Iterator[Statement]:
    build, snapshots = action.tags[BUILD_TAG], _arn(action.region, "snapshot")
    yield _tagged_when_made("CreateSnapshot", snapshots, build)
    yield _tagging("Snapshot", snapshots, "CreateSnapshot")
    yield _on_our_own("DeleteSnapshot", ["ec2:DeleteSnapshot"], snapshots, build)
    yield _describing("ec2:DescribeSnapshots", action.region)


def _tagged_when_made(operation: str, resource: str, build: str) -> Statement:
    return {
        "Sid": operation,
        "Effect": "Allow",
        "Action": f"ec2:{operation}",
        "Resource": resource,
        "Condition": _tag("RequestTag", build),
    }


def _tagging(kind: str, resource: str, while_in: str) -> Statement:
    return {
        "Sid": f"Tag{kind}",
        "Effect": "Allow",
        "Action": "ec2:CreateTags",
        "Resource": resource,
        "Condition": {"StringEquals": {"ec2:CreateAction": while_in}},
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
    yield {"Sid": "DeleteBundle", "Effect": "Allow", "Action": DELETING, "Resource": objects}


DELETING = ["s3:DeleteObject", "s3:DeleteObjectVersion"]
"""Source: S3 API Reference, "DeleteObjects": the first always, the second for a version."""


def _bucket(action: CheckBucket | UploadBundle) -> str:
    return f"arn:{_partition(action.region)}:s3:::{action.bucket}"


def _of_registration(action: RegisterImage) -> Iterator[Statement]:
    images, snapshots = _arn(action.region, "image"), _arn(action.region, "snapshot")
    made_of = [images, snapshots] if action.snapshot else images
    yield {"Sid": "RegisterImage", "Effect": "Allow", "Action": "ec2:RegisterImage", "Resource": made_of}
    yield _tagging("Image", images, "RegisterImage")
    yield _on_our_own("DeregisterImage", ["ec2:DeregisterImage"], images, action.build)
    yield _describing("ec2:DescribeImages", action.region)
    # For `clean`, which looks for what carries the build's tag.
    yield _describing("ec2:DescribeSnapshots", action.region)


def _of_launch(action: LaunchInstance) -> Iterator[Statement]:
    """What is run must carry the build's tag; the image is looked at by its id alone, for the dry run's is nobody's."""
    region = action.region
    made = [_arn(region, kind, "*") for kind in ("instance", "volume")]
    used = [_arn(region, kind, "*") for kind in ("key-pair", "network-interface", "security-group", "subnet")]
    yield {
        "Sid": "RunInstances",
        "Effect": "Allow",
        "Action": "ec2:RunInstances",
        "Resource": made,
        "Condition": _tag("RequestTag", action.build),
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
    yield _on_our_own("ReadAndEndInstance", of_one, _arn(region, "instance", "*"), action.build)
    yield _describing("ec2:DescribeInstances", region)
    yield _describing("ec2:DescribeInstanceStatus", region)


def _of_checks(action: CheckPublishing) -> Iterator[Statement]:
    if action.copies:
        yield _describing("ec2:DescribeImages", action.region)
    names = ["ec2:GetEbsEncryptionByDefault", "ec2:GetEbsDefaultKmsKeyId"] if action.shares else []
    if action.public:
        names.append("ec2:GetImageBlockPublicAccessState")
    if names:
        yield {**_describing("", action.region), "Sid": "AccountSettings", "Action": names}


def _of_copy(action: CopyImage) -> Iterator[Statement]:
    """The image and its snapshot, on both sides.  Source: EC2 User Guide, "Grant permissions to copy AMIs"."""
    region, source = action.region, action.parameters["SourceRegion"]
    images, snapshots = _arn(region, "image"), _arn(region, "snapshot")
    sources = [_arn(source, "image"), _arn(source, "snapshot")]
    yield {"Sid": "CopyImage", "Effect": "Allow", "Action": "ec2:CopyImage", "Resource": [*sources, images, snapshots]}
    yield {
        "Sid": "TagCopies",
        "Effect": "Allow",
        "Action": "ec2:CreateTags",
        "Resource": [images, snapshots],
        "Condition": {"StringEquals": {"ec2:CreateAction": "CopyImage"}},
    }
    yield _on_our_own("DeregisterImage", ["ec2:DeregisterImage"], images, action.build)
    yield _on_our_own("DeleteSnapshot", ["ec2:DeleteSnapshot"], snapshots, action.build)
    yield _describing("ec2:DescribeImages", region)
    yield _describing("ec2:DescribeSnapshots", region)
    if action.parameters.get("Encrypted"):
        key = action.parameters.get("KmsKeyId")
        yield _of_encryption("EncryptCopies", region, key)


def _of_parameter(action: PutParameter) -> Iterator[Statement]:
    """AWS checks the image in the caller's name.  Source: Systems Manager User Guide, "Native parameter support …"."""
    region = action.region
    names = ("PutParameter", "GetParameter", "GetParameters", "DeleteParameter", "AddTagsToResource")
    yield {
        "Sid": "Parameter",
        "Effect": "Allow",
        "Action": [f"ssm:{name}" for name in names],
        "Resource": f"arn:{_partition(region)}:ssm:{region}:*:parameter/{action.name.lstrip('/')}",
    }
    yield _describing("ssm:DescribeParameters", region)
    yield _describing("ec2:DescribeImages", region)


def _on_images(actions: list[str], action: ShareImage | DeprecateImage | ProtectImage) -> Statement:
    return _on_our_own("PublishImage", actions, _arn(action.region, "image"), action.build)


def _on_our_own(sid: str, actions: list[str], resource: str, build: str) -> Statement:
    return {
        "Sid": sid,
        "Effect": "Allow",
        "Action": actions,
        "Resource": resource,
        "Condition": _tag("ResourceTag", build),
    }


def _tag(of: str, build: str) -> Statement:
    """The condition on the build's tag, of what is asked for or of what is there.

    The tag is the build's id with eight digits more, which are drawn when it begins (wizard/run/builds.py).
    """
    return {"StringLike": {f"aws:{of}/{BUILD_TAG}": f"{build}*"}}


def _describing(action: str, region: str) -> Statement:
    return {
        "Sid": action.partition(":")[2],
        "Effect": "Allow",
        "Action": action,
        "Resource": "*",
        "Condition": {"StringEquals": {"aws:RequestedRegion": region}},
    }


def _arn(region: str, kind: str, account: str = "", one: str = "*") -> str:
    """One resource of a kind in a region, or every one: snapshots and images have no account in their ARNs."""
    return f"arn:{_partition(region)}:ec2:{region}:{account}:{kind}/{one}"


def _partition(region: str) -> str:
    return next(known.partition for known in regions() if known.name == region)
