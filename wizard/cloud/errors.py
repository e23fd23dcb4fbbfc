"""What AWS and botocore raise, turned into failures that say what to do.

Sources of the codes: EC2 API Reference, "Error codes for the Amazon EC2 API"; botocore's `ebs` model; IAM User
Guide, "Troubleshoot access denied error messages".
"""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache

import botocore.session
from botocore import exceptions as boto
from botocore.exceptions import BotoCoreError, ClientError

from wizard.explain import Failure

BY_CODE = {
    "expired-credentials": "ExpiredToken ExpiredTokenException RequestExpired TokenRefreshRequired",
    "invalid-credentials": "AuthFailure InvalidClientTokenId InvalidSignatureException SignatureDoesNotMatch "
    "UnrecognizedClientException IncompleteSignature InvalidAccessKeyId RequestTimeTooSkewed",
    "access-denied": "AccessDenied AccessDeniedException UnauthorizedOperation UnauthorizedAccess",
    "throttled": "Throttling ThrottlingException ThrottledException RequestThrottled RequestThrottledException "
    "RequestLimitExceeded TooManyRequestsException SlowDown BandwidthLimitExceeded EC2ThrottledException",
    "quota-exceeded": "ServiceQuotaExceededException ConcurrentLimitExceededException LimitExceededException",
    "volume-limit": "VolumeLimitExceeded AttachmentLimitExceeded",
    "volume-in-other-zone": "InvalidVolume.ZoneMismatch",
    "duplicate-ami-name": "InvalidAMIName.Duplicate",
    "invalid-aki": "InvalidKernelId.Malformed InvalidKernelId.NotFound",
    "invalid-manifest": "InvalidManifest",
    "no-such-bucket": "NoSuchBucket",
    "bucket-without-acls": "AccessControlListNotSupported",
    "region-not-usable": "OptInRequired InvalidRegion InvalidRegionException",
    "no-network-to-aws": "InternalError InternalFailure InternalServerException ServiceUnavailable Unavailable "
    "RequestTimeout RequestTimeoutException BadDigest 500 502 503 504",
}
"""Our code for each of AWS's."""

OF_AWS = {theirs: ours for ours, listed in BY_CODE.items() for theirs in listed.split()}

BY_TYPE: tuple[tuple[str, tuple[type[BotoCoreError], ...]], ...] = (
    (
        "expired-credentials",
        (
            boto.SSOTokenLoadError,
            boto.UnauthorizedSSOTokenError,
            boto.TokenRetrievalError,
        ),
    ),
    (
        "no-credentials",
        (boto.NoCredentialsError, boto.PartialCredentialsError, boto.CredentialRetrievalError, boto.ProfileNotFound),
    ),
    ("region-not-usable", (boto.InvalidRegionError, boto.NoRegionError, boto.UnknownEndpointError)),
    ("no-network-to-aws", (boto.HTTPClientError, boto.ConnectionError)),
)
"""Our code for each kind of error that botocore raises by itself; the first that fits counts."""

PASSING = frozenset({"throttled", "no-network-to-aws"})
"""Failures that go by themselves: the same call may succeed later."""

EBS_OPERATIONS = frozenset(
    {"StartSnapshot", "PutSnapshotBlock", "CompleteSnapshot", "ListSnapshotBlocks", "GetSnapshotBlock"}
)
SSM_OPERATIONS = frozenset({"PutParameter", "GetParameter", "DeleteParameter", "DescribeParameters"})

S3_PERMISSIONS = {
    "GetBucketLocation": "s3:GetBucketLocation",
    "GetBucketOwnershipControls": "s3:GetBucketOwnershipControls",
    "ListObjectVersions": "s3:ListBucketVersions",
    "PutObject": "s3:PutObject",
    "DeleteObjects": "s3:DeleteObjectVersion",
}
"""S3's operations that we call, and what one must be allowed for each.  Writing an ACL is s3:PutObjectAcl besides.

Source: Service Authorization Reference, "Actions, resources, and condition keys for Amazon S3".
"""


@contextmanager
def aws_errors(operation: str, region: str) -> Iterator[None]:
    """Within it, what botocore raises becomes a Failure; `operation` is AWS's name for what is being asked."""
    try:
        yield
    except (ClientError, BotoCoreError) as error:
        raise as_failure(error, operation, region) from error


def as_failure(error: ClientError | BotoCoreError, operation: str, region: str) -> Failure:
    """The explained form of an error, with AWS's own code and message as the evidence."""
    if isinstance(error, BotoCoreError):
        code = _code_of_type(error, region)
        return Failure(code, evidence=[f"{type(error).__name__}: {error}"], operation=operation, region=region)
    theirs, message = aws_code(error), error.response.get("Error", {}).get("Message", "")
    facts: dict[str, object] = {
        "operation": operation,
        "region": region,
        "aws_code": theirs,
        "permission": _permission(operation, message),
    }
    if bucket := error.response.get("Error", {}).get("BucketName"):
        facts["bucket"] = bucket
    if used_by := re.search(r"\bami-[0-9a-f]+", message):
        facts["image_id"] = used_by[0]
    return Failure(_code(theirs, message), evidence=[f"{theirs}: {message}"], **facts)


SAID = re.compile(
    r"An error occurred \((?P<code>[\w.]+)\) when calling the (?P<operation>\w+) operation[^:]*: (?P<text>.*)"
)
"""How botocore, and so the AWS CLI, writes an error of AWS's down."""


def failure_in(text: str) -> Failure | None:
    """The failure that a text speaks of, when AWS's own words are in it."""
    said = SAID.search(text)
    if said is None:
        return None
    error = ClientError({"Error": {"Code": said["code"], "Message": said["text"]}}, said["operation"])
    return as_failure(error, said["operation"], "the region")


def aws_code(error: ClientError) -> str:
    """AWS's own code of an error, such as InvalidSnapshot.NotFound."""
    return str(error.response.get("Error", {}).get("Code", "Unknown"))


def _code(theirs: str, message: str) -> str:
    if theirs == "InvalidManifest" and "kernel" in message:
        return "invalid-aki"
    if theirs in OF_AWS:
        return OF_AWS[theirs]
    if theirs.startswith("InvalidAMIID.") and "aki-" in message:
        return "invalid-aki"
    if theirs.endswith(("LimitExceeded", "QuotaExceeded")):
        return "quota-exceeded"
    return "aws-refused"


def _code_of_type(error: BotoCoreError, region: str) -> str:
    # A region that does not exist has no host: the same error as no network at all.
    if isinstance(error, boto.EndpointConnectionError) and region not in _regions():
        return "region-not-usable"
    return next((code for code, kinds in BY_TYPE if isinstance(error, kinds)), "aws-refused")


def _permission(operation: str, message: str) -> str:
    """The permission that AWS names in its message, or the one that the operation is known to need."""
    if named := re.search(r"not authorized to perform: ([\w-]+:\w+)", message):
        return named[1]
    if operation in S3_PERMISSIONS:
        return S3_PERMISSIONS[operation]
    if operation in SSM_OPERATIONS:
        return f"ssm:{operation}"
    service = "ebs" if operation in EBS_OPERATIONS else "ec2"
    return f"{service}:{operation}"


@cache
def _regions() -> frozenset[str]:
    session = botocore.session.get_session()
    partitions = session.get_available_partitions()
    return frozenset(region for name in partitions for region in session.get_available_regions("ec2", name))
