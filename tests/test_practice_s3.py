"""The practice cloud's S3 is as strict as AWS's where a bundle needs it, and keeps what it was given."""

import base64
import hashlib
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from wizard.cloud.practice.process import SERVER_FILE, practice_cloud
from wizard.cloud.session import client

REGION = "eu-west-1"
THERE = f"practice-{REGION}"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cloud")


@pytest.fixture(scope="module")
def url(folder: Path) -> Iterator[str]:
    with practice_cloud(folder) as endpoint:
        yield endpoint


@pytest.fixture
def s3(url: str) -> Any:
    return client("s3", REGION, url)


def refused(call: Callable[[], Any]) -> str:
    with pytest.raises(ClientError) as caught:
        call()
    return str(caught.value.response["Error"]["Code"])


def test_an_object_comes_back_as_it_was_put(s3: Any) -> None:
    said = s3.put_object(Bucket=THERE, Key="a folder/ä & b.txt", Body=b"content")
    assert said["ETag"] == f'"{hashlib.md5(b"content").hexdigest()}"'
    assert s3.get_object(Bucket=THERE, Key="a folder/ä & b.txt")["Body"].read() == b"content"
    s3.delete_object(Bucket=THERE, Key="a folder/ä & b.txt")
    assert refused(lambda: s3.get_object(Bucket=THERE, Key="a folder/ä & b.txt")) == "NoSuchKey"


def test_a_list_comes_in_pages_and_only_of_what_was_asked_for(s3: Any) -> None:
    names = [f"pages/{number}" for number in range(5)]
    for name in [*names, "other/1"]:
        s3.put_object(Bucket=THERE, Key=name, Body=b"x")
    pages = list(
        s3.get_paginator("list_object_versions").paginate(
            Bucket=THERE, Prefix="pages/", PaginationConfig={"PageSize": 2}
        )
    )
    assert [len(page["Versions"]) for page in pages] == [2, 2, 1]
    assert [item["Key"] for page in pages for item in page["Versions"]] == names
    assert {item["VersionId"] for page in pages for item in page["Versions"]} == {"null"}


def test_many_are_deleted_at_once_and_what_is_not_there_does_no_harm(s3: Any) -> None:
    for name in ("many/1", "many/2", "many/3"):
        s3.put_object(Bucket=THERE, Key=name, Body=b"x")
    named = [{"Key": name, "VersionId": "null"} for name in ("many/1", "many/3", "many/9")]
    assert "Errors" not in s3.delete_objects(Bucket=THERE, Delete={"Objects": named})
    left = s3.list_object_versions(Bucket=THERE, Prefix="many/")["Versions"]
    assert [item["Key"] for item in left] == ["many/2"]


def test_a_digest_that_does_not_fit_is_refused(s3: Any) -> None:
    other = base64.b64encode(hashlib.sha1(b"other").digest()).decode()
    assert refused(lambda: s3.put_object(Bucket=THERE, Key="x", Body=b"this", ChecksumSHA1=other)) == "BadDigest"


def test_a_new_bucket_takes_acls_only_once_it_was_told_to(s3: Any) -> None:
    s3.create_bucket(Bucket="new-one", CreateBucketConfiguration={"LocationConstraint": REGION})

    def put() -> Any:
        return s3.put_object(Bucket="new-one", Key="x", Body=b"x", ACL="aws-exec-read")

    assert refused(put) == "AccessControlListNotSupported"
    rules = {"Rules": [{"ObjectOwnership": "BucketOwnerPreferred"}]}
    s3.put_bucket_ownership_controls(Bucket="new-one", OwnershipControls=rules)
    put()
    assert refused(lambda: s3.delete_bucket(Bucket="new-one")) == "BucketNotEmpty"
    s3.delete_object(Bucket="new-one", Key="x")
    s3.delete_bucket(Bucket="new-one")
    assert refused(put) == "NoSuchBucket"


@pytest.mark.parametrize("name", ["nobody-has-it", "practice-nowhere"])
def test_what_is_no_bucket_is_none(name: str, s3: Any) -> None:
    assert refused(lambda: s3.put_object(Bucket=name, Key="x", Body=b"x")) == "NoSuchBucket"


def test_a_bucket_belongs_to_a_region(url: str) -> None:
    elsewhere = client("s3", "us-east-1", url)
    assert elsewhere.get_bucket_location(Bucket=THERE)["LocationConstraint"] == REGION
    assert elsewhere.get_bucket_location(Bucket="practice-us-east-1")["LocationConstraint"] is None
    assert refused(lambda: elsewhere.put_object(Bucket=THERE, Key="x", Body=b"x")) == "PermanentRedirect"


def test_what_it_does_not_have_it_says(s3: Any) -> None:
    assert refused(lambda: s3.get_bucket_policy(Bucket=THERE)) == "NotImplemented"
    assert refused(lambda: s3.put_bucket_policy(Bucket="never-made", Policy="{}")) == "NotImplemented"


@pytest.mark.slow
def test_it_keeps_its_objects_longer_than_its_server_lives(tmp_path: Path) -> None:
    with practice_cloud(tmp_path) as first:
        client("s3", REGION, first).put_object(Bucket=THERE, Key="kept", Body=b"content")
    deadline = time.monotonic() + 30
    while (tmp_path / SERVER_FILE).exists():
        assert time.monotonic() < deadline, "the server outlives its last user"
        time.sleep(0.05)
    with practice_cloud(tmp_path) as second:
        assert client("s3", REGION, second).get_object(Bucket=THERE, Key="kept")["Body"].read() == b"content"
