"""A bundle goes to its bucket once, can be ended anywhere, goes on where it stood, and goes away again whole."""

import base64
import hashlib
import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field, replace
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from botocore.stub import Stubber
from moto.server import ThreadedMotoServer
from unbundle import KeyPair, decrypted, is_signed_by, key_pair, listed, unbundle, value

from wizard.bundle import stream
from wizard.cloud import bucket, bundles, images
from wizard.cloud.actions import perform
from wizard.cloud.bucket import Place
from wizard.cloud.bundles import Sent
from wizard.cloud.practice.faults import wish
from wizard.cloud.practice.process import practice_cloud
from wizard.cloud.session import ONCE, client
from wizard.cloud.waiting import Cancelled
from wizard.explain import Failure
from wizard.plan.actions import BUILD_TAG, CheckBucket, RegisterImage, UploadBundle
from wizard.run.journal import Journal

REGION = "eu-west-1"
BUCKET = f"practice-{REGION}"
NUMBERS = count(1)

SIZE = 64 << 20
PART = 1 << 20
"""Bytes of a part in these tests."""

UPLOAD_AND_DIE = """
import json, os, signal, sys
from pathlib import Path
from wizard.bundle import stream
from wizard.cloud import bundles
from wizard.cloud.session import ONCE, client
from wizard.plan.actions import UploadBundle
from wizard.run.journal import Journal

action, image, journal, url = sys.argv[1:]
action = UploadBundle(**json.loads(action))
stream.PART = 1 << 20
def progress(done, total, parts):
    if parts["sent"] >= 2 * stream.PART:
        os.kill(os.getpid(), signal.SIGKILL)

bundles.upload(action, Path(image), s3=client("s3", action.region, url), sender=client("s3", action.region, url, ONCE),
       account="123456789012", journal=Journal(Path(journal)), others=[], progress=progress, cancelled=lambda: False)
"""


@pytest.fixture(autouse=True)
def small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stream, "PART", PART)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cloud")


@pytest.fixture(scope="module")
def url(folder: Path) -> Iterator[str]:
    with practice_cloud(folder) as endpoint:
        yield endpoint


@pytest.fixture(scope="module")
def user(tmp_path_factory: pytest.TempPathFactory) -> KeyPair:
    return key_pair(tmp_path_factory.mktemp("user"), "user")


@pytest.fixture(scope="module")
def ec2_keys(tmp_path_factory: pytest.TempPathFactory) -> KeyPair:
    """Stand in for EC2's, whose private key nobody has."""
    return key_pair(tmp_path_factory.mktemp("ec2"), "ec2", bits=1024)


@dataclass
class Work:
    """A build's dealings with S3: one journal, and what was asked of AWS."""

    action: UploadBundle
    url: str
    folder: Path
    others: list[Journal] = field(default_factory=list)
    puts: list[dict[str, Any]] = field(default_factory=list)
    progress: list[tuple[int, int]] = field(default_factory=list)
    parts: dict[str, int] = field(default_factory=dict)
    number: int = 1

    @property
    def journal(self) -> Journal:
        return Journal(self.folder / f"bundle-{self.number}.jsonl")

    @property
    def place(self) -> Place:
        return Place(self.action.bucket, self.action.base)

    @property
    def s3(self) -> Any:
        return client("s3", REGION, self.url)

    def upload(self, image: Path, **more: Any) -> Sent:
        sender = client("s3", REGION, self.url, ONCE)
        sender.meta.events.register("provide-client-params.s3.PutObject", self._record)
        asked = {"s3": self.s3, "sender": sender, "cancelled": lambda: False, "others": self.others, **more}
        return bundles.upload(
            self.action, image, account="123456789012", journal=self.journal, progress=self._take, **asked
        )

    def _record(self, params: dict[str, Any], **_: Any) -> None:
        self.puts.append(dict(params))

    def _take(self, done: int, total: int, parts: Any) -> None:
        self.progress.append((done, total))
        self.parts = dict(parts)

    def turn_over(self) -> None:
        """Another step key from now on, as after a changed answer."""
        self.others.append(self.journal)
        self.number += 1

    def names(self) -> list[str]:
        """The objects of the folder in the bucket, without the folder."""
        found = self.s3.list_object_versions(Bucket=self.action.bucket, Prefix=f"{self.action.folder}/")
        return [item["Key"].removeprefix(f"{self.action.folder}/") for item in found.get("Versions", ())]

    def objects(self) -> tuple[bytes, dict[str, bytes]]:
        """The manifest, and everything by name."""
        found = {name: self.content(name) for name in self.names()}
        return found[f"{self.action.name}.manifest.xml"], found

    def content(self, name: str) -> bytes:
        said = self.s3.get_object(Bucket=self.action.bucket, Key=f"{self.action.folder}/{name}")
        return bytes(said["Body"].read())

    def holds(self, image: Path, user: KeyPair, reader: str = "user") -> bool:
        """Whether the bundle is this image, and nothing lies beside it."""
        manifest, found = self.objects()
        names = [name for name, _ in listed(manifest)]
        assert sorted(found) == sorted([*names, f"{self.action.name}.manifest.xml"])
        back = unbundle(manifest, found, user.private_key, self.folder / f"back-{next(NUMBERS)}", reader)
        return digest(back) == digest(image)


@pytest.fixture
def work(url: str, user: KeyPair, tmp_path: Path) -> Work:
    number = next(NUMBERS)
    action = UploadBundle(
        REGION,
        "disk.img",
        "image-location",
        BUCKET,
        f"images/{number}",
        f"build-{number}",
        str(user.certificate),
        str(user.private_key),
        "",
        "x86_64",
        "aki-52a34525",
        {"ami": "sda1", "root": "/dev/sda1"},
        1686355200,
    )
    return Work(action, url, tmp_path)


def image_of(folder: Path, parts: float, name: str = "disk.img") -> Path:
    """A sparse image whose bundle has about so many parts."""
    path = folder / name
    with path.open("wb") as file:
        file.seek(4096)
        file.write(os.urandom(int(parts * PART)))
        file.truncate(SIZE)
    return path


def digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def test_what_lies_in_the_bucket_is_the_image(work: Work, user: KeyPair, ec2_keys: KeyPair, tmp_path: Path) -> None:
    work.action = replace(work.action, ec2_certificate=str(ec2_keys.certificate))
    image = image_of(tmp_path, 2.5)

    sent = work.upload(image)

    assert sent.parts == 3
    assert work.holds(image, user)
    assert work.holds(image, ec2_keys, reader="ec2")
    manifest, _ = work.objects()
    assert is_signed_by(manifest, user, tmp_path)
    assert value(manifest, "kernel_id") == "aki-52a34525"


def test_every_put_says_who_may_read_it_and_what_it_is(work: Work, tmp_path: Path) -> None:
    work.upload(image_of(tmp_path, 1.5))

    base = work.action.base
    *parts, last = [put["Key"] for put in work.puts]
    assert sorted(parts) == [f"{base}.part.00", f"{base}.part.01"]
    assert last == f"{base}.manifest.xml"
    for put in work.puts:
        assert {name: put[name] for name in ("Bucket", "ACL", "ServerSideEncryption")} == {
            "Bucket": BUCKET,
            "ACL": "aws-exec-read",
            "ServerSideEncryption": "AES256",
        }
        assert put.keys() == {"Bucket", "Key", "Body", "ACL", "ChecksumSHA1", "ServerSideEncryption"}
        content = work.content(put["Key"].rpartition("/")[2])
        assert put["ChecksumSHA1"] == base64.b64encode(hashlib.sha1(content).digest()).decode()


def test_progress_ends_at_the_data_of_the_image(work: Work, tmp_path: Path) -> None:
    work.upload(image_of(tmp_path, 2.5))
    dones = [done for done, _ in work.progress]
    assert dones == sorted(dones)
    assert work.progress[-1][0] == work.progress[-1][1]
    manifest, _ = work.objects()
    assert work.parts["sent"] == int(value(manifest, "bundled_size"))
    assert work.parts["holes"] > SIZE - 3 * PART


def test_a_part_goes_up_while_the_next_one_is_made(work: Work, tmp_path: Path) -> None:
    both = threading.Barrier(2, timeout=30)
    sender = client("s3", REGION, work.url, ONCE)

    def meet(params: dict[str, Any], **_: Any) -> None:
        if params["Key"].endswith((".part.00", ".part.01")):
            both.wait()

    sender.meta.events.register("provide-client-params.s3.PutObject", meet)
    assert work.upload(image_of(tmp_path, 2.5), sender=sender).parts == 3


@pytest.mark.slow
def test_an_upload_that_was_killed_goes_on(work: Work, user: KeyPair, tmp_path: Path) -> None:
    image = image_of(tmp_path, 9.5)
    arguments = [json.dumps(asdict(work.action)), str(image), str(work.journal.path), work.url]
    killed = subprocess.run([sys.executable, "-c", UPLOAD_AND_DIE, *arguments])
    assert killed.returncode == -signal.SIGKILL
    there = work.names()
    assert len(there) >= 2
    assert f"{work.action.name}.manifest.xml" not in there

    work.upload(image)

    assert len(work.puts) == 10 - len(there) + 1, "what lay there was sent again"
    assert work.parts["there"] == len(there) * PART
    assert work.holds(image, user)


def test_a_cancelled_upload_goes_on_later(work: Work, user: KeyPair, tmp_path: Path) -> None:
    image = image_of(tmp_path, 3.5)
    with pytest.raises(Cancelled):
        work.upload(image, cancelled=lambda: bool(work.puts))
    first = len(work.puts)
    assert not any(put["Key"].endswith(".xml") for put in work.puts)

    work.upload(image)

    assert len(work.puts) <= 4 + 1 + first
    assert work.holds(image, user)


def test_a_finished_bundle_is_not_sent_again_even_if_the_image_was_made_again(work: Work, tmp_path: Path) -> None:
    image = image_of(tmp_path, 1.5)
    sent = work.upload(image)
    work.puts.clear()
    os.utime(image, (1, 1))
    assert work.upload(image) == sent
    assert work.puts == []


def test_a_finished_bundle_that_lost_a_part_is_sent_again(work: Work, user: KeyPair, tmp_path: Path) -> None:
    image = image_of(tmp_path, 1.5)
    work.upload(image)
    work.s3.delete_object(Bucket=BUCKET, Key=work.place.part(0))
    work.puts.clear()

    work.upload(image)

    assert [put["Key"] for put in work.puts] == [work.place.part(0), work.place.manifest]
    assert work.holds(image, user)


def test_a_part_that_was_changed_in_the_bucket_is_sent_again(work: Work, user: KeyPair, tmp_path: Path) -> None:
    image = image_of(tmp_path, 2.5)
    with pytest.raises(Cancelled):
        work.upload(image, cancelled=lambda: len(work.puts) >= 2)
    work.s3.put_object(Bucket=BUCKET, Key=work.place.part(0), Body=b"something else")

    work.upload(image)

    assert work.holds(image, user)


def test_a_bundle_that_was_not_put_there_by_this_build_is_left_alone(work: Work, tmp_path: Path) -> None:
    """Its name may be anybody's; an AMI may stand on it."""
    work.s3.put_object(Bucket=BUCKET, Key=f"{work.action.base}.manifest.xml", Body=b"somebody's")
    with pytest.raises(Failure) as caught:
        work.upload(image_of(tmp_path, 1.2))
    assert caught.value.code == "name-taken-in-bucket"
    assert work.content(f"{work.action.name}.manifest.xml") == b"somebody's"


def test_another_image_of_the_same_build_leaves_nothing_of_the_first(work: Work, user: KeyPair, tmp_path: Path) -> None:
    work.upload(image_of(tmp_path, 3.5, "first.img"))
    work.turn_over()
    image = image_of(tmp_path, 1.2, "second.img")

    work.upload(image)

    assert work.holds(image, user)


def test_another_way_to_the_same_bundle_keeps_it_for_its_ami(work: Work, tmp_path: Path) -> None:
    image = image_of(tmp_path, 1.2)
    sent = work.upload(image)
    work.turn_over()
    work.puts.clear()
    assert work.upload(image) == sent
    assert work.puts == []


def test_what_was_begun_elsewhere_goes_and_what_was_finished_there_stays(work: Work, tmp_path: Path) -> None:
    image = image_of(tmp_path, 2.5)
    finished, begun, last = (replace(work.action, folder=f"{work.action.folder}/{name}") for name in "abc")
    work.action = finished
    work.upload(image)
    work.turn_over()
    work.action = begun
    with pytest.raises(Cancelled):
        work.upload(image, cancelled=lambda: len(work.puts) > 4)
    assert work.names() != []
    work.turn_over()
    work.action = last

    work.upload(image)

    work.action = begun
    assert work.names() == []
    work.action = finished
    assert len(work.names()) == 4


def test_with_another_private_key_it_begins_anew(work: Work, user: KeyPair, tmp_path: Path) -> None:
    image = image_of(tmp_path, 2.5)
    with pytest.raises(Cancelled):
        work.upload(image, cancelled=lambda: len(work.puts) >= 2)
    other = key_pair(tmp_path, "other")
    work.action = replace(work.action, certificate=str(other.certificate), private_key=str(other.private_key))

    work.upload(image)

    assert work.holds(image, other)


def test_the_key_of_a_bundle_lies_nowhere_to_be_read(work: Work, user: KeyPair, tmp_path: Path) -> None:
    work.upload(image_of(tmp_path, 0.1))
    manifest, _ = work.objects()
    key = decrypted(value(manifest, "user_encrypted_key"), user.private_key)
    assert len(key) == 32
    assert key not in work.journal.path.read_text()


def test_an_s3_that_we_did_not_write_understands_the_same_and_keeps_no_version_of_it(
    work: Work, user: KeyPair, tmp_path: Path
) -> None:
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    try:
        _, port = server.get_host_and_port()
        work.url = f"http://127.0.0.1:{port}"
        work.action = replace(work.action, bucket="versioned")
        where = {"LocationConstraint": REGION}
        work.s3.create_bucket(
            Bucket="versioned", CreateBucketConfiguration=where, ObjectOwnership="BucketOwnerPreferred"
        )
        work.s3.put_bucket_versioning(Bucket="versioned", VersioningConfiguration={"Status": "Enabled"})
        bucket.check(work.s3, "versioned")
        image = image_of(tmp_path, 2.5)
        work.upload(image)
        work.s3.delete_object(Bucket="versioned", Key=work.place.part(1))
        work.puts.clear()

        work.upload(image)

        assert sorted(put["Key"] for put in work.puts) == [work.place.manifest, work.place.part(1)]
        manifest, found = work.objects()
        assert digest(unbundle(manifest, found, user.private_key, tmp_path / "back")) == digest(image)
        assert bucket.delete(work.s3, work.journal, work.place) == 4
        left = work.s3.list_object_versions(Bucket="versioned")
        assert left.keys().isdisjoint({"Versions", "DeleteMarkers"})
    finally:
        server.stop()


# What is refused


def test_a_pair_that_does_not_match_is_found_out_before_anything_is_sent(
    work: Work, ec2_keys: KeyPair, tmp_path: Path
) -> None:
    work.action = replace(work.action, certificate=str(ec2_keys.certificate))
    assert refusal(work, image_of(tmp_path, 0.1)) == "signing-pair-mismatch"


def test_an_image_above_the_limit_is_refused_before_anything_is_sent(work: Work, tmp_path: Path) -> None:
    image = tmp_path / "disk.img"
    image.touch()
    os.truncate(image, (10 << 30) + 512)
    assert refusal(work, image) == "image-too-large-for-s3"


def test_a_bucket_that_is_gone_by_then_is_told(work: Work, tmp_path: Path) -> None:
    work.action = replace(work.action, bucket="nobody-has-it")
    assert refusal(work, image_of(tmp_path, 0.1), sends=True) == "no-such-bucket"


def refusal(work: Work, image: Path, *, sends: bool = False) -> str:
    with pytest.raises(Failure) as caught:
        work.upload(image)
    assert bool(work.puts) == sends
    return caught.value.code


@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("nobody-has-it", "no-such-bucket"),
        ("practice-us-east-1", "bucket-elsewhere"),
        ("fresh-bucket", "bucket-without-acls"),
    ],
)
def test_a_bucket_that_will_not_do_is_told_before_the_long_work(
    name: str, code: str, work: Work, tmp_path: Path
) -> None:
    if name.startswith("fresh"):
        work.s3.create_bucket(Bucket=name, CreateBucketConfiguration={"LocationConstraint": REGION})
    with pytest.raises(Failure) as caught:
        perform(work.url, CheckBucket(REGION, name), tmp_path, work.journal, lambda *_: None, lambda: False)
    assert caught.value.code == code
    assert caught.value.facts["bucket"] == name


def test_a_bucket_in_the_oldest_region_has_no_location() -> None:
    s3 = client("s3", "us-east-1", "http://127.0.0.1:1")
    with Stubber(s3) as stub:
        stub.add_response("get_bucket_location", {}, {"Bucket": "mine"})
        stub.add_client_error("get_bucket_ownership_controls", "OwnershipControlsNotFoundError", http_status_code=404)
        bucket.check(s3, "mine")
        stub.assert_no_pending_responses()


# Away again


def test_what_is_deleted_is_the_bundle_and_nothing_beside_it(work: Work, tmp_path: Path) -> None:
    work.upload(image_of(tmp_path, 1.2))
    others = [
        f"{work.action.name}0.part.00",
        f"{work.action.name}.part.00.bak",
        f"{work.action.name}.txt",
        "else.part.00",
    ]
    for name in others:
        work.s3.put_object(Bucket=BUCKET, Key=f"{work.action.folder}/{name}", Body=b"mine")

    assert bucket.delete(work.s3, work.journal, work.place) == 3
    assert sorted(work.names()) == sorted(others)
    assert bucket.delete(work.s3, work.journal, work.place) == 0


def test_old_versions_and_marks_of_deletion_go_too(tmp_path: Path) -> None:
    s3, place = client("s3", REGION, "http://127.0.0.1:1"), Place("mine", "folder/name")
    part, manifest = place.part(0), place.manifest
    versions = [
        {"Key": part, "VersionId": "v2", "IsLatest": True, "ETag": '"e"', "Size": 1},
        {"Key": part, "VersionId": "v1", "IsLatest": False, "ETag": '"d"', "Size": 1},
    ]
    marks = [{"Key": manifest, "VersionId": "v9", "IsLatest": True}]
    named = [{"Key": manifest, "VersionId": "v9"}, {"Key": part, "VersionId": "v2"}, {"Key": part, "VersionId": "v1"}]
    with Stubber(s3) as stub:
        asked = {"Bucket": "mine", "Prefix": "folder/name."}
        stub.add_response("list_object_versions", {"Versions": versions, "DeleteMarkers": marks}, asked)
        stub.add_response("delete_objects", {}, {"Bucket": "mine", "Delete": {"Objects": named, "Quiet": True}})
        assert bucket.delete(s3, Journal(tmp_path / "journal"), place) == 2
        stub.assert_no_pending_responses()


def test_an_object_that_aws_does_not_let_go_is_a_failure(tmp_path: Path) -> None:
    s3, place = client("s3", REGION, "http://127.0.0.1:1"), Place("mine", "folder/name")
    version = {"Key": place.part(0), "VersionId": "null", "IsLatest": True, "ETag": '"e"', "Size": 1}
    with Stubber(s3) as stub:
        stub.add_response("list_object_versions", {"Versions": [version]})
        stub.add_response(
            "delete_objects", {"Errors": [{"Key": place.part(0), "Code": "AccessDenied", "Message": "no"}]}
        )
        with pytest.raises(Failure) as caught:
            bucket.delete(s3, Journal(tmp_path / "journal"), place)
    assert (caught.value.code, caught.value.facts["permission"]) == ("access-denied", "s3:DeleteObjectVersion")


# Registered


def parameters(work: Work, **more: Any) -> dict[str, Any]:
    fields = {"Architecture": "x86_64", "VirtualizationType": "paravirtual", "KernelId": "aki-52a34525"}
    return {"Name": work.action.name, **fields, "ImageLocation": work.action.location, **more}


def test_an_ami_is_registered_from_its_manifest(work: Work, tmp_path: Path) -> None:
    work.upload(image_of(tmp_path, 1.2))
    action = RegisterImage(REGION, "", "image-id", parameters(work), work.action.name)

    said = perform(work.url, action, tmp_path, Journal(tmp_path / "register"), lambda *_: None, lambda: False)

    ec2 = client("ec2", REGION, work.url)
    (image,) = ec2.describe_images(ImageIds=[said["image"]])["Images"]
    assert (image["RootDeviceType"], image["RootDeviceName"]) == ("instance-store", "/dev/sda1")
    assert image["ImageLocation"] == f"{BUCKET}/{work.action.base}.manifest.xml"
    assert {"Key": BUILD_TAG, "Value": work.action.name} in image["Tags"]
    assert image["BlockDeviceMappings"] == []


@pytest.mark.parametrize(
    "wrong", ["no manifest", "no part", "another part", "private", "not signed", "too large", "arm64"]
)
def test_ec2_does_not_take_a_bundle_that_is_not_whole(wrong: str, work: Work, tmp_path: Path) -> None:
    work.upload(image_of(tmp_path, 1.2))
    s3, more = work.s3, {"Architecture": "i386"} if wrong == "arm64" else {}
    text = work.content(f"{work.action.name}.manifest.xml")

    def rewrite(old: bytes, new: bytes) -> None:
        assert old in text
        s3.put_object(Bucket=BUCKET, Key=work.place.manifest, Body=text.replace(old, new), ACL="aws-exec-read")

    match wrong:
        case "no manifest":
            s3.delete_object(Bucket=BUCKET, Key=work.place.manifest)
        case "no part":
            s3.delete_object(Bucket=BUCKET, Key=work.place.part(1))
        case "another part":
            s3.put_object(Bucket=BUCKET, Key=work.place.part(1), Body=b"x", ACL="aws-exec-read")
        case "private":
            s3.put_object(Bucket=BUCKET, Key=work.place.manifest, Body=text)
        case "not signed":
            rewrite(value(text, "signature").encode(), b"UNSIGNED")
        case "too large":
            rewrite(b"<size>%d<" % SIZE, b"<size>10737418241<")

    with pytest.raises(Failure) as caught:
        images.register(client("ec2", REGION, work.url, ONCE), work.journal, parameters(work, **more), work.action.name)
    assert caught.value.code == ("no-network-to-aws" if wrong == "not signed" else "invalid-manifest")


@pytest.mark.slow
@pytest.mark.parametrize("names", ["throttle,reset,500"])
def test_whatever_goes_wrong_the_bundle_arrives_whole(
    names: str, work: Work, folder: Path, user: KeyPair, tmp_path: Path
) -> None:
    image = image_of(tmp_path, 6.5)
    wish(folder, names)
    try:
        work.upload(image)
    finally:
        wish(folder, "")
    assert work.holds(image, user)
