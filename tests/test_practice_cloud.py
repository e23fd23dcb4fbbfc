"""The practice cloud is as strict as AWS, keeps what it was given, and leaves nothing behind."""

import base64
import hashlib
import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from botocore.exceptions import ClientError

from wizard.cloud.practice.process import practice_cloud
from wizard.cloud.session import client, identity
from wizard.explain import Failure

REGION = "eu-west-1"
BLOCK = 524288
DATA = bytes(range(256)) * (BLOCK // 256)


# EBS direct


def test_a_block_comes_back_as_it_was_put(ebs: Any, ec2: Any) -> None:
    snapshot = completed(ebs, ec2, blocks={3: DATA, 2047: DATA[::-1]})

    listed = ebs.list_snapshot_blocks(SnapshotId=snapshot)
    tokens = {block["BlockIndex"]: block["BlockToken"] for block in listed["Blocks"]}
    got = ebs.get_snapshot_block(SnapshotId=snapshot, BlockIndex=2047, BlockToken=tokens[2047])

    assert sorted(tokens) == [3, 2047]
    assert listed["BlockSize"] == BLOCK
    assert got["BlockData"].read() == DATA[::-1]
    assert got["Checksum"] == checksum(DATA[::-1])


def test_the_list_of_blocks_comes_in_pages(ebs: Any, ec2: Any) -> None:
    snapshot = completed(ebs, ec2, blocks=dict.fromkeys(range(0, 260, 2), DATA))

    first = ebs.list_snapshot_blocks(SnapshotId=snapshot, MaxResults=100)
    second = ebs.list_snapshot_blocks(SnapshotId=snapshot, MaxResults=100, NextToken=first["NextToken"])

    found = [block["BlockIndex"] for block in first["Blocks"] + second["Blocks"]]
    assert found == list(range(0, 260, 2))
    assert "NextToken" not in second


@pytest.mark.parametrize(
    "wrong",
    [
        {"Checksum": base64.b64encode(bytes(32)).decode()},
        {"BlockData": DATA[:-1]},
        {"BlockData": DATA[:512], "DataLength": 512},
        {"BlockIndex": 2048},
    ],
    ids=["checksum", "length", "short block", "index"],
)
def test_a_wrong_block_is_refused(ebs: Any, wrong: dict[str, Any]) -> None:
    snapshot = ebs.start_snapshot(VolumeSize=1)["SnapshotId"]
    assert refused(lambda: put(ebs, snapshot, 0, **wrong)) == "ValidationException"


def test_nothing_is_put_into_a_snapshot_that_is_sealed(ebs: Any, ec2: Any) -> None:
    snapshot = completed(ebs, ec2)
    assert refused(lambda: put(ebs, snapshot, 1)) == "ValidationException"


def test_nothing_is_put_into_a_snapshot_that_does_not_exist(ebs: Any) -> None:
    assert refused(lambda: put(ebs, "snap-0123456789abcdef0", 1)) == "ResourceNotFoundException"


def test_a_wrong_count_and_a_wrong_checksum_do_not_complete_a_snapshot(ebs: Any, ec2: Any) -> None:
    snapshot = ebs.start_snapshot(VolumeSize=1)["SnapshotId"]
    put(ebs, snapshot, 0)
    linear = {"ChecksumAlgorithm": "SHA256", "ChecksumAggregationMethod": "LINEAR"}
    right = base64.b64encode(hashlib.sha256(hashlib.sha256(DATA).digest()).digest()).decode()

    def complete(**parameters: Any) -> Any:
        return ebs.complete_snapshot(SnapshotId=snapshot, **parameters)

    assert refused(lambda: complete(ChangedBlocksCount=2)) == "ValidationException"
    assert refused(lambda: complete(ChangedBlocksCount=1, Checksum=checksum(DATA), **linear)) == "ValidationException"
    assert complete(ChangedBlocksCount=1, Checksum=right, **linear)["Status"] == "pending"
    assert state(ec2, snapshot) == "pending"


def test_a_client_token_gives_the_same_snapshot_again_but_only_for_the_same_request(ebs: Any) -> None:
    first = ebs.start_snapshot(VolumeSize=1, ClientToken="token-of-this-test")["SnapshotId"]

    assert ebs.start_snapshot(VolumeSize=1, ClientToken="token-of-this-test")["SnapshotId"] == first
    assert refused(lambda: ebs.start_snapshot(VolumeSize=2, ClientToken="token-of-this-test")) == "ConflictException"


def test_a_snapshot_that_nobody_wrote_to_for_too_long_has_failed(ebs: Any, ec2: Any, folder: Path) -> None:
    snapshot = ebs.start_snapshot(VolumeSize=1, Timeout=10)["SnapshotId"]
    long_ago = time.time() - 11 * 60
    os.utime(folder / REGION / "snapshots" / snapshot / "digests", (long_ago, long_ago))

    assert state(ec2, snapshot) == "error"
    assert refused(lambda: put(ebs, snapshot, 0)) == "ValidationException"


def test_a_region_does_not_see_the_snapshots_of_another(ebs: Any, url: str) -> None:
    snapshot = ebs.start_snapshot(VolumeSize=1)["SnapshotId"]
    elsewhere = client("ec2", "us-east-1", url)
    assert refused(lambda: elsewhere.describe_snapshots(SnapshotIds=[snapshot])) == "InvalidSnapshot.NotFound"


# Images


def test_a_pv_image_is_described_as_it_was_registered(ebs: Any, ec2: Any) -> None:
    snapshot = completed(ebs, ec2)
    asked = {**pv("pv image", snapshot), "Description": "a & b < c"}

    image_id = ec2.register_image(**asked, TagSpecifications=[tagged("image", "build", "7")])["ImageId"]
    (image,) = ec2.describe_images(ImageIds=[image_id])["Images"]

    for field in ("Name", "Description", "Architecture", "VirtualizationType", "KernelId", "RootDeviceName"):
        assert image[field] == asked[field]
    assert image["State"] == "available"
    assert image["RootDeviceType"] == "ebs"
    assert image["Tags"] == [{"Key": "build", "Value": "7"}]
    assert "EnaSupport" not in image
    assert "BootMode" not in image
    (mapping,) = image["BlockDeviceMappings"]
    assert mapping["DeviceName"] == "/dev/sda"
    assert mapping["Ebs"]["SnapshotId"] == snapshot
    assert mapping["Ebs"]["VolumeSize"] == 1


def test_an_hvm_image_is_described_as_it_was_registered(ebs: Any, ec2: Any) -> None:
    asked = {**hvm("hvm image", completed(ebs, ec2)), "ImdsSupport": "v2.0"}

    image_id = ec2.register_image(**asked)["ImageId"]
    (image,) = ec2.describe_images(Filters=[{"Name": "name", "Values": ["hvm im*"]}])["Images"]

    assert image["ImageId"] == image_id
    for field in ("Architecture", "VirtualizationType", "BootMode", "EnaSupport", "ImdsSupport", "RootDeviceName"):
        assert image[field] == asked[field]
    assert "KernelId" not in image
    assert image["BlockDeviceMappings"][0]["Ebs"]["VolumeSize"] == 8


def test_what_would_not_boot_is_not_registered(ebs: Any, ec2: Any) -> None:
    snapshot = completed(ebs, ec2)

    def said(parameters: dict[str, Any], **other: Any) -> str:
        return refused(lambda: ec2.register_image(**{**parameters, **other}))

    assert said(hvm("x1 hvm", snapshot), KernelId="aki-dc9ed9af") == "InvalidParameterCombination"
    assert said(pv("x2 pv", snapshot), EnaSupport=True) == "InvalidParameterCombination"
    assert said(pv("x3 pv", snapshot), BootMode="uefi") == "InvalidParameterCombination"
    assert said(pv("x4 pv", snapshot), Architecture="arm64") == "InvalidParameterCombination"
    assert said(pv("x5 pv", snapshot), KernelId="aki-nonsense") == "InvalidAMIID.Malformed"
    only_in_virginia = "aki-5c21674b"
    assert said(pv("x5 pv", snapshot), KernelId=only_in_virginia) == "InvalidAMIID.NotFound"
    assert said(hvm("x6 hvm", snapshot), BootMode="bios") == "InvalidParameterValue"
    assert said(hvm("no, commas", snapshot)) == "InvalidAMIName.Malformed"
    assert said(hvm("x7 hvm", "snap-0123456789abcdef0")) == "InvalidSnapshot.NotFound"
    assert said(hvm("x8 hvm", snapshot), RootDeviceName="/dev/sdb") == "InvalidBlockDeviceMapping"
    pending = ebs.start_snapshot(VolumeSize=1)["SnapshotId"]
    assert said(hvm("x9 hvm", pending)) == "IncorrectState"


def test_a_name_is_given_once(ebs: Any, ec2: Any) -> None:
    asked = hvm("only one", completed(ebs, ec2))
    ec2.register_image(**asked)
    assert refused(lambda: ec2.register_image(**asked)) == "InvalidAMIName.Duplicate"


def test_a_snapshot_stays_as_long_as_an_image_needs_it(ebs: Any, ec2: Any) -> None:
    snapshot = completed(ebs, ec2)
    image_id = ec2.register_image(**hvm("needs it", snapshot))["ImageId"]

    assert refused(lambda: ec2.delete_snapshot(SnapshotId=snapshot)) == "InvalidSnapshot.InUse"
    ec2.deregister_image(ImageId=image_id)
    ec2.delete_snapshot(SnapshotId=snapshot)

    assert refused(lambda: ec2.describe_images(ImageIds=[image_id])) == "InvalidAMIID.NotFound"
    assert refused(lambda: ec2.describe_snapshots(SnapshotIds=[snapshot])) == "InvalidSnapshot.NotFound"


def test_tags_are_kept_and_found(ebs: Any, ec2: Any) -> None:
    snapshot = ebs.start_snapshot(VolumeSize=1, Tags=[{"Key": "build", "Value": "9"}])["SnapshotId"]
    ec2.create_tags(Resources=[snapshot], Tags=[{"Key": "colour", "Value": "blue"}])

    (found,) = ec2.describe_snapshots(Filters=[{"Name": "tag:colour", "Values": ["blue"]}])["Snapshots"]
    listed = ec2.describe_tags(Filters=[{"Name": "resource-id", "Values": [snapshot]}])["Tags"]

    assert found["SnapshotId"] == snapshot
    assert {tag["Key"]: tag["Value"] for tag in listed} == {"build": "9", "colour": "blue"}


def test_a_filter_that_does_not_exist_is_refused_and_not_ignored(ec2: Any) -> None:
    nonsense = [{"Name": "no-such-filter", "Values": ["x"]}]
    assert refused(lambda: ec2.describe_images(Filters=nonsense)) == "InvalidParameterValue"


def test_a_dry_run_makes_nothing(ec2: Any, ebs: Any) -> None:
    asked = hvm("dry run", completed(ebs, ec2))
    assert refused(lambda: ec2.register_image(**asked, DryRun=True)) == "DryRunOperation"
    assert ec2.describe_images(Filters=[{"Name": "name", "Values": ["dry run"]}])["Images"] == []


def test_no_image_is_there_that_nobody_made(url: str) -> None:
    assert client("ec2", "us-west-2", url).describe_images()["Images"] == []


@pytest.mark.slow
def test_what_is_not_ours_is_answered_by_moto(ec2: Any, url: str) -> None:
    assert identity(REGION, url).account == "123456789012"
    assert REGION in [region["RegionName"] for region in ec2.describe_regions()["Regions"]]


# The server


def test_a_request_that_is_not_signed_is_refused(url: str) -> None:
    connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=5)
    connection.request("POST", "/", "Action=DescribeImages&Version=2016-11-15")
    assert connection.getresponse().status == 403


def test_only_loopback_is_listened_on(url: str) -> None:
    # A server on every address would also be on this one.
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.2", urlsplit(url).port or 0), timeout=5)


def test_everybody_who_names_the_folder_shares_one_server(folder: Path, url: str) -> None:
    with practice_cloud(folder) as mine:
        assert mine == url


def test_starting_the_cloud_imports_neither_boto3_nor_moto() -> None:
    program = "import sys, wizard.cloud.practice.process; print({'boto3', 'botocore', 'moto'} & sys.modules.keys())"
    said = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert said.stdout.strip() == "set()"


def test_a_server_that_does_not_start_is_explained(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    broken = tmp_path / "python"
    broken.write_text("#!/bin/sh\necho no such module; exit 3\n")
    broken.chmod(0o700)
    monkeypatch.setattr(sys, "executable", str(broken))

    with pytest.raises(Failure) as caught, practice_cloud(tmp_path / "cloud"):
        pass

    assert caught.value.code == "practice-cloud-did-not-start"
    assert caught.value.evidence == ("no such module",)


@pytest.mark.slow
def test_what_was_stored_survives_the_death_of_the_server(tmp_path: Path) -> None:
    with practice_cloud(tmp_path) as url:
        ebs, ec2 = client("ebs", REGION, url), client("ec2", REGION, url)
        image_id = ec2.register_image(**hvm("survivor", completed(ebs, ec2)))["ImageId"]
        half = ebs.start_snapshot(VolumeSize=1, ClientToken="half")["SnapshotId"]
        put(ebs, half, 5)
        os.kill(server_pid(tmp_path), signal.SIGKILL)

        with practice_cloud(tmp_path) as again:
            ebs, ec2 = client("ebs", REGION, again), client("ec2", REGION, again)
            assert ec2.describe_images(ImageIds=[image_id])["Images"][0]["Name"] == "survivor"
            assert ebs.start_snapshot(VolumeSize=1, ClientToken="half")["SnapshotId"] == half
            put(ebs, half, 6)
            ebs.complete_snapshot(SnapshotId=half, ChangedBlocksCount=2)


@pytest.mark.slow
def test_the_server_ends_by_itself_when_its_last_user_is_killed(tmp_path: Path) -> None:
    program = (
        "import sys, time; from pathlib import Path; from wizard.cloud.practice.process import practice_cloud\n"
        "with practice_cloud(Path(sys.argv[1])): print('up', flush=True); time.sleep(60)"
    )
    with subprocess.Popen([sys.executable, "-c", program, str(tmp_path)], stdout=subprocess.PIPE) as user:
        assert user.stdout is not None
        assert user.stdout.readline() == b"up\n"
        pid = server_pid(tmp_path)
        time.sleep(2.5)
        assert is_running(pid), "it ended while it was used"
        user.kill()

    deadline = time.monotonic() + 10
    while is_running(pid):
        assert time.monotonic() < deadline, "the server is still there"
        time.sleep(0.1)
    assert not (tmp_path / "server.json").exists()


# Helpers


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cloud")


@pytest.fixture(scope="module")
def url(folder: Path) -> Iterator[str]:
    with practice_cloud(folder) as url:
        yield url


@pytest.fixture(scope="module")
def ebs(url: str) -> Any:
    return client("ebs", REGION, url)


@pytest.fixture(scope="module")
def ec2(url: str) -> Any:
    return client("ec2", REGION, url)


def checksum(data: bytes) -> str:
    return base64.b64encode(hashlib.sha256(data).digest()).decode()


def put(ebs: Any, snapshot: str, index: int, **other: Any) -> None:
    data = other.get("BlockData", DATA)
    asked = {"BlockIndex": index, "BlockData": data, "DataLength": BLOCK, "Checksum": checksum(data), **other}
    ebs.put_snapshot_block(SnapshotId=snapshot, ChecksumAlgorithm="SHA256", **asked)


def completed(ebs: Any, ec2: Any, blocks: dict[int, bytes] | None = None) -> str:
    blocks = blocks or {0: DATA}
    snapshot = str(ebs.start_snapshot(VolumeSize=1)["SnapshotId"])
    for index, data in blocks.items():
        put(ebs, snapshot, index, BlockData=data)
    ebs.complete_snapshot(SnapshotId=snapshot, ChangedBlocksCount=len(blocks))
    while state(ec2, snapshot) != "completed":
        time.sleep(0.1)
    return snapshot


def state(ec2: Any, snapshot: str) -> str:
    return str(ec2.describe_snapshots(SnapshotIds=[snapshot])["Snapshots"][0]["State"])


def refused(call: Callable[[], Any]) -> str:
    """AWS's code of the refusal."""
    with pytest.raises(ClientError) as caught:
        call()
    return str(caught.value.response["Error"]["Code"])


def pv(name: str, snapshot: str) -> dict[str, Any]:
    return {
        "Name": name,
        "Architecture": "x86_64",
        "VirtualizationType": "paravirtual",
        "KernelId": "aki-dc9ed9af",
        "RootDeviceName": "/dev/sda",
        "BlockDeviceMappings": [{"DeviceName": "/dev/sda", "Ebs": {"SnapshotId": snapshot}}],
    }


def hvm(name: str, snapshot: str) -> dict[str, Any]:
    return {
        "Name": name,
        "Architecture": "x86_64",
        "VirtualizationType": "hvm",
        "BootMode": "uefi-preferred",
        "EnaSupport": True,
        "RootDeviceName": "/dev/xvda",
        "BlockDeviceMappings": [{"DeviceName": "/dev/xvda", "Ebs": {"SnapshotId": snapshot, "VolumeSize": 8}}],
    }


def tagged(kind: str, key: str, value: str) -> dict[str, Any]:
    return {"ResourceType": kind, "Tags": [{"Key": key, "Value": value}]}


def server_pid(folder: Path) -> int:
    return int(json.loads((folder / "server.json").read_text())["pid"])


def is_running(pid: int) -> bool:
    """Also true of nothing but a zombie's name, hence the look at its state."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False
