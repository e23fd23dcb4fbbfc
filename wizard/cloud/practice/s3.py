"""S3: buckets and their objects, as far as the bundle of an AMI needs them, with the checks that S3 makes.

moto has an S3 of its own, but keeps it no longer than its process lives, and this server ends with its last user: an
AMI would outlive the bundle that it is made of.

    s3/BUCKET/bucket.json           the bucket: its region, who owns what is in it
    s3/BUCKET/objects/….json        an object: its key, ETag, SHA-1, size, ACL
    s3/BUCKET/objects/….data        its content; both are named by the key's SHA-256

Source: Amazon S3 API Reference.
"""

import base64
import hashlib
import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import quote, unquote, urlsplit
from xml.etree.ElementTree import Element, SubElement, fromstring, tostring

from wizard.cloud.practice.messages import Refusal, Request, Response
from wizard.cloud.practice.state import save

NAMESPACE = "http://s3.amazonaws.com/doc/2006-03-01/"
XML = {"Content-Type": "application/xml"}

BUCKET_NAME = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")

FROM_THE_START = "practice-"
"""A bucket of that name with the region behind it is there from the start, with ACLs."""

ACLS = frozenset(
    {
        *("private", "public-read", "public-read-write", "aws-exec-read"),
        *("authenticated-read", "bucket-owner-read", "bucket-owner-full-control"),
    }
)

PAGE = 1000


@dataclass(frozen=True, slots=True)
class Bucket:
    """A bucket as it is kept."""

    name: str
    region: str
    ownership: str


@dataclass(frozen=True, slots=True)
class Object:
    """An object as it is kept; the digests are hexadecimal."""

    key: str
    etag: str
    sha1: str
    size: int
    acl: str
    modified: str


def answer(cloud: Path, region: str, request: Request) -> Response:
    """Answers one request that was signed for a region; S3's state is the whole cloud's, as names of buckets are."""
    name, _, key = unquote(request.path).lstrip("/").partition("/")
    operation = OPERATIONS.get((request.method, "object" if key else "bucket", _subresource(request)))
    try:
        if operation is None:
            raise Refusal("NotImplemented", f"The practice cloud has no {request.method} of this kind.", status=501)
        if operation is create_bucket:
            return create_bucket(cloud, region, name)
        bucket = find_bucket(cloud, name)
        # Where a bucket is can be asked anywhere: AWS sends the question on.
        if bucket.region != region and operation is not location:
            raise Refusal("PermanentRedirect", f"The bucket is in {bucket.region}.", status=301)
        return operation(cloud, bucket, key, request)
    except Refusal as refusal:
        return refused(refusal, name)


def refused(refusal: Refusal, bucket: str = "") -> Response:
    """A refusal as S3 writes it."""
    root = Element("Error")
    for tag, text in (("Code", refusal.code), ("Message", refusal.message), ("BucketName", bucket)):
        SubElement(root, tag).text = text
    return Response(refusal.status, tostring(root), XML)


def _subresource(request: Request) -> str:
    """What of a bucket or object a request is about: a name in its query that has no value, such as `location`."""
    return next((name for name in urlsplit(request.target).query.split("&") if "=" not in name), "")


# Buckets


def find_bucket(cloud: Path, name: str) -> Bucket:
    """Fails as S3 does where there is no such bucket."""
    path = _folder(cloud, name) / "bucket.json"
    if path.exists():
        return Bucket(**json.loads(path.read_text()))
    region = name.removeprefix(FROM_THE_START)
    if name.startswith(FROM_THE_START) and re.fullmatch(r"[a-z]{2}(-[a-z]+)+-\d+", region):
        return Bucket(name, region, "BucketOwnerPreferred")
    raise Refusal("NoSuchBucket", "The specified bucket does not exist", status=404)


def create_bucket(cloud: Path, region: str, name: str) -> Response:
    if not BUCKET_NAME.fullmatch(name):
        raise Refusal("InvalidBucketName", "The specified bucket is not valid.")
    try:
        find_bucket(cloud, name)
    except Refusal:
        # ACLs are off in a new bucket, since April 2023.
        save(_folder(cloud, name) / "bucket.json", asdict(Bucket(name, region, "BucketOwnerEnforced")))
        return Response(200, headers={"Location": f"/{name}"})
    raise Refusal("BucketAlreadyOwnedByYou", "You own a bucket of this name already.", status=409)


def delete_bucket(cloud: Path, bucket: Bucket, _key: str, _request: Request) -> Response:
    if any(objects(cloud, bucket)):
        raise Refusal("BucketNotEmpty", "The bucket you tried to delete is not empty", status=409)
    (_folder(cloud, bucket.name) / "bucket.json").unlink(missing_ok=True)
    return Response(204)


def location(_cloud: Path, bucket: Bucket, _key: str, _request: Request) -> Response:
    root = Element("LocationConstraint", xmlns=NAMESPACE)
    root.text = None if bucket.region == "us-east-1" else bucket.region
    return Response(200, tostring(root), XML)


def ownership(_cloud: Path, bucket: Bucket, _key: str, _request: Request) -> Response:
    root = Element("OwnershipControls", xmlns=NAMESPACE)
    SubElement(SubElement(root, "Rule"), "ObjectOwnership").text = bucket.ownership
    return Response(200, tostring(root), XML)


def set_ownership(cloud: Path, bucket: Bucket, _key: str, request: Request) -> Response:
    wanted = _texts(request.body, "ObjectOwnership")[0]
    save(_folder(cloud, bucket.name) / "bucket.json", {**asdict(bucket), "ownership": wanted})
    return Response(200)


# Objects


def put(cloud: Path, bucket: Bucket, key: str, request: Request) -> Response:
    acl = request.headers.get("x-amz-acl", "private")
    if acl not in ACLS:
        raise Refusal("InvalidArgument", f"no canned ACL is called {acl}")
    if acl != "private" and bucket.ownership == "BucketOwnerEnforced":
        raise Refusal("AccessControlListNotSupported", "The bucket does not allow ACLs")
    body = request.body
    sha1 = hashlib.sha1(body, usedforsecurity=False)
    _check_digest(request, "x-amz-checksum-sha1", sha1.digest())
    _check_digest(request, "Content-MD5", hashlib.md5(body, usedforsecurity=False).digest())
    etag = hashlib.md5(body, usedforsecurity=False).hexdigest()
    made = Object(key, etag, sha1.hexdigest(), len(body), acl, datetime.now(UTC).isoformat())
    path = _record(cloud, bucket, key)
    path.parent.mkdir(parents=True, exist_ok=True)
    data = _data(path)
    aside = data.with_suffix(".new-data")
    aside.write_bytes(body)
    aside.replace(data)
    save(path, asdict(made))
    return Response(200, headers={"ETag": f'"{etag}"'})


def _check_digest(request: Request, header: str, digest: bytes) -> None:
    given = request.headers.get(header)
    if given is not None and given != base64.b64encode(digest).decode():
        raise Refusal("BadDigest", f"{header} did not match what was received.")


def get(cloud: Path, bucket: Bucket, key: str, request: Request) -> Response:
    found = find_object(cloud, bucket, key)
    headers = {"ETag": f'"{found.etag}"', "Content-Type": "binary/octet-stream"}
    return Response(200, b"" if request.method == "HEAD" else content(cloud, bucket, key), headers)


def list_versions(cloud: Path, bucket: Bucket, _key: str, request: Request) -> Response:
    """ListObjectVersions, of a bucket without versioning: each object once, its version called null."""
    query = request.query
    prefix, marker = query.get("prefix", ""), query.get("key-marker", "")
    size = min(int(query.get("max-keys", PAGE)), PAGE)
    found = [item for item in objects(cloud, bucket) if item.key.startswith(prefix) and item.key > marker]
    root = Element("ListVersionsResult", xmlns=NAMESPACE)
    told = {"Name": bucket.name, "Prefix": prefix, "IsTruncated": "true" if len(found) > size else "false"}
    if len(found) > size:
        told |= {"NextKeyMarker": found[size - 1].key, "NextVersionIdMarker": "null"}
    for tag, text in told.items():
        SubElement(root, tag).text = text
    for item in found[:size]:
        version = SubElement(root, "Version")
        fields = {"Key": item.key, "VersionId": "null", "IsLatest": "true", "LastModified": item.modified}
        for tag, text in {**fields, "ETag": f'"{item.etag}"', "Size": str(item.size)}.items():
            SubElement(version, tag).text = text
    return Response(200, tostring(root), XML)


def delete(cloud: Path, bucket: Bucket, key: str, _request: Request) -> Response:
    _remove(cloud, bucket, key)
    return Response(204)


def delete_many(cloud: Path, bucket: Bucket, _key: str, request: Request) -> Response:
    for key in _texts(request.body, "Key"):
        _remove(cloud, bucket, key)
    return Response(200, tostring(Element("DeleteResult", xmlns=NAMESPACE)), XML)


def find_object(cloud: Path, bucket: Bucket, key: str) -> Object:
    """Fails as S3 does where there is no such object."""
    try:
        return Object(**json.loads(_record(cloud, bucket, key).read_text()))
    except FileNotFoundError:
        raise Refusal("NoSuchKey", "The specified key does not exist.", status=404) from None


def content(cloud: Path, bucket: Bucket, key: str) -> bytes:
    """The bytes of an object that is there."""
    return _data(_record(cloud, bucket, key)).read_bytes()


def objects(cloud: Path, bucket: Bucket) -> Iterator[Object]:
    """Every object of a bucket, by key."""
    found = (
        Object(**json.loads(path.read_text())) for path in (_folder(cloud, bucket.name) / "objects").glob("*.json")
    )
    return iter(sorted(found, key=lambda item: item.key))


def _remove(cloud: Path, bucket: Bucket, key: str) -> None:
    path = _record(cloud, bucket, key)
    # Without its record the object is gone, even if its data is never removed.
    path.unlink(missing_ok=True)
    _data(path).unlink(missing_ok=True)


def _folder(cloud: Path, name: str) -> Path:
    return cloud / "s3" / quote(name, safe="")


def _record(cloud: Path, bucket: Bucket, key: str) -> Path:
    # A key may be longer than a file's name.
    return _folder(cloud, bucket.name) / "objects" / f"{hashlib.sha256(key.encode()).hexdigest()}.json"


def _data(record: Path) -> Path:
    return record.with_name(f"{record.name.removesuffix('.json')}.data")


def _texts(body: bytes, tag: str) -> list[str]:
    return [str(element.text) for element in fromstring(body).iter(f"{{{NAMESPACE}}}{tag}")]


OPERATIONS: Mapping[tuple[str, str, str], Callable[..., Response]] = {
    ("PUT", "bucket", ""): create_bucket,
    ("DELETE", "bucket", ""): delete_bucket,
    ("GET", "bucket", "location"): location,
    ("GET", "bucket", "ownershipControls"): ownership,
    ("PUT", "bucket", "ownershipControls"): set_ownership,
    ("GET", "bucket", "versions"): list_versions,
    ("POST", "bucket", "delete"): delete_many,
    ("PUT", "object", ""): put,
    ("GET", "object", ""): get,
    ("HEAD", "object", ""): get,
    ("DELETE", "object", ""): delete,
}
"""What is answered: method, on what, and the part of its query that says which operation it is."""
