"""The place of a bundle in S3: whether its bucket will do, what lies there, and how it goes again."""

from dataclasses import dataclass
from typing import Any

from botocore.exceptions import ClientError

from wizard.bundle.names import any_name, manifest_name, part_name
from wizard.cloud.errors import aws_code, aws_errors
from wizard.cloud.session import Client
from wizard.explain import Failure
from wizard.run.journal import Journal

AT_A_TIME = 1000
"""Objects that one DeleteObjects takes."""

OLD_NAMES = {None: "us-east-1", "": "us-east-1", "EU": "eu-west-1"}
"""What GetBucketLocation says of buckets in the two oldest regions.  Source: S3 API Reference, GetBucketLocation."""

WITHOUT_ACLS = "BucketOwnerEnforced"


@dataclass(frozen=True, slots=True)
class Place:
    """Where a bundle lies: a bucket, and what the keys of its objects begin with.

    That beginning ends with a name which a build has for itself (BUILD_TAG's value), so what is called so is its own.
    """

    bucket: str
    base: str

    @property
    def manifest(self) -> str:
        return manifest_name(self.base)

    def part(self, index: int) -> str:
        return part_name(self.base, index)


@dataclass(frozen=True, slots=True)
class Stored:
    """An object as it lies in a bucket; in a bucket with versioning the old ones are there too, and cost.

    `etag` is the MD5 of its content in hexadecimal digits (for what PutObject stored with S3's own encryption: S3 API
    Reference, "ETag"), "" for a mark that says it was deleted.
    """

    key: str
    version: str
    etag: str
    size: int
    is_latest: bool


def check(s3: Client, bucket: str) -> None:
    """Whether EC2 of the client's region will read what is put there.

    Raises no-such-bucket, bucket-elsewhere, bucket-without-acls, and what AWS refuses.
    """
    region: str = s3.meta.region_name
    with aws_errors("GetBucketLocation", region):
        said = s3.get_bucket_location(Bucket=bucket).get("LocationConstraint")
    is_in = OLD_NAMES.get(said, said)
    if is_in != region:
        raise Failure("bucket-elsewhere", bucket=bucket, is_in=is_in, region=region)
    if _ownership(s3, bucket) == WITHOUT_ACLS:
        raise Failure("bucket-without-acls", bucket=bucket, evidence=[f"ObjectOwnership: {WITHOUT_ACLS}"])


def _ownership(s3: Client, bucket: str) -> str:
    """Who owns objects in a bucket, by AWS's name; "" for a bucket without that setting, older than it."""
    with aws_errors("GetBucketOwnershipControls", s3.meta.region_name):
        try:
            said = s3.get_bucket_ownership_controls(Bucket=bucket)
        except ClientError as error:
            if aws_code(error) != "OwnershipControlsNotFoundError":
                raise
            return ""
    return str(said["OwnershipControls"]["Rules"][0]["ObjectOwnership"])


def stored(s3: Client, place: Place) -> list[Stored]:
    """What of a bundle lies at its place, old versions included; nothing where there is no such bucket."""
    found: list[Stored] = []
    try:
        with aws_errors("ListObjectVersions", s3.meta.region_name):
            for page in s3.get_paginator("list_object_versions").paginate(Bucket=place.bucket, Prefix=f"{place.base}."):
                found += [_stored(item) for item in (*page.get("Versions", ()), *page.get("DeleteMarkers", ()))]
    except Failure as failure:
        if failure.code != "no-such-bucket":
            raise
    ours = any_name(place.base)
    return [item for item in found if ours.fullmatch(item.key)]


def _stored(item: dict[str, Any]) -> Stored:
    etag = item.get("ETag", "").strip('"')
    return Stored(item["Key"], item["VersionId"], etag, item.get("Size", 0), item["IsLatest"])


def delete(s3: Client, journal: Journal, place: Place) -> int:
    """Deletes what of a bundle lies at its place, all versions of it; gives how many objects went.

    Calling it again does no harm.
    """
    there, region = stored(s3, place), s3.meta.region_name
    if not there:
        return 0
    journal.asked("DeleteObjects", region=region, bucket=place.bucket, base=place.base)
    # The manifest first: without it nobody takes what is left for a bundle.
    there.sort(key=lambda item: item.key != place.manifest)
    for first in range(0, len(there), AT_A_TIME):
        named = [{"Key": item.key, "VersionId": item.version} for item in there[first : first + AT_A_TIME]]
        with aws_errors("DeleteObjects", region):
            said = s3.delete_objects(Bucket=place.bucket, Delete={"Objects": named, "Quiet": True})
            if errors := said.get("Errors"):
                raise ClientError({"Error": errors[0]}, "DeleteObjects")
    journal.answered("DeleteObjects", region=region, bucket=place.bucket, base=place.base)
    return len({item.key for item in there})
