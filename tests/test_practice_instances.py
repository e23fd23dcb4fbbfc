"""The practice cloud's instances start what was uploaded, are as strict as EC2's, and leave no process behind.

QEMU is a small program of the tests here (fake_qemu); test_launch starts a real image.
"""

import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import pytest
from fake_qemu import UP, FakeQemu, cloud_with, is_running
from test_practice_cloud import DATA, completed, hvm, pv, refused, server_pid

from wizard.cloud.practice.process import practice_cloud
from wizard.cloud.session import client

REGION = "eu-west-1"
GIB = 1 << 30
Found = TypeVar("Found")
PUBLIC_KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJc me@home"


def test_an_instance_runs_speaks_and_ends(ec2: Any, image: str, folder: Path) -> None:
    launched = run(ec2, image)
    assert launched["State"] == {"Code": 0, "Name": "pending"}
    instance_id = launched["InstanceId"]
    wait_for(ec2, instance_id, "running")
    pid = int(eventually(lambda: in_folder(folder, instance_id, "pid")))

    assert is_running(pid)
    assert eventually(lambda: console(ec2, instance_id)) == UP
    (status,) = ec2.describe_instance_status(InstanceIds=[instance_id])["InstanceStatuses"]
    assert (status["InstanceStatus"]["Status"], status["SystemStatus"]["Status"]) == ("ok", "ok")

    (ending,) = ec2.terminate_instances(InstanceIds=[instance_id])["TerminatingInstances"]
    assert (ending["PreviousState"]["Name"], ending["CurrentState"]["Name"]) == ("running", "shutting-down")
    gone = wait_for(ec2, instance_id, "terminated")
    assert gone["StateReason"]["Code"] == "Client.UserInitiatedShutdown"
    assert "PublicIpAddress" not in gone
    assert not is_running(pid)
    assert console(ec2, instance_id) == UP, "what it said can still be read"
    assert not (folder / REGION / "instances" / instance_id / "disk.img").exists()
    (again,) = ec2.terminate_instances(InstanceIds=[instance_id])["TerminatingInstances"]
    assert again["CurrentState"]["Name"] == "terminated"


def test_the_disk_holds_what_was_uploaded_and_is_as_large_as_the_volume(ec2: Any, ebs: Any, folder: Path) -> None:
    snapshot = completed(ebs, ec2, blocks={3: DATA, 2047: DATA[::-1]})
    made = ec2.register_image(**hvm("to be read", snapshot))["ImageId"]
    with launched(ec2, made) as instance_id:
        wait_for(ec2, instance_id, "running")
        disk = folder / REGION / "instances" / instance_id / "disk.img"
        with disk.open("rb") as file:
            file.seek(3 * len(DATA))
            assert file.read(len(DATA)) == DATA
            assert file.read(len(DATA)) == bytes(len(DATA))
            file.seek(2047 * len(DATA))
            assert file.read(len(DATA)) == DATA[::-1]
        assert disk.stat().st_size == 8 * GIB, "the image's mapping asks for 8 GiB"
        assert disk.stat().st_blocks * 512 < 8 << 20
        assert str(disk) in command_of(folder, instance_id)


def test_how_it_starts_follows_from_the_image_and_the_type(ec2: Any, ebs: Any, folder: Path) -> None:
    snapshot = completed(ebs, ec2)
    modes = {"uefi-preferred": "if=pflash", "legacy-bios": "isa-debugcon"}
    for mode, sign in modes.items():
        made = ec2.register_image(**{**hvm(f"by {mode}", snapshot), "BootMode": mode})["ImageId"]
        with launched(ec2, made) as instance_id:
            command = command_of(folder, instance_id)
            assert sign in command
            assert ("if=pflash" in command) == (mode != "legacy-bios")
            assert "-no-reboot" not in command
        with launched(ec2, made, InstanceType="t2.micro") as instance_id:
            assert "if=pflash" not in command_of(folder, instance_id)


def test_the_metadata_service_knows_the_instance_its_key_and_its_user_data(ec2: Any, image: str, folder: Path) -> None:
    ec2.import_key_pair(KeyName="laptop", PublicKeyMaterial=PUBLIC_KEY)
    with launched(ec2, image, KeyName="laptop", UserData="#!/bin/sh\n") as instance_id:
        said = eventually(lambda: in_folder(folder, instance_id, "answers.json"))
    for fact in (instance_id, PUBLIC_KEY, image, "t3.micro", f"{REGION}a", "#!/bin/sh\\n"):
        assert fact in said
    assert '"allows_v1": true' in said, "the image does not ask for version 2 alone"


def test_a_client_token_gives_the_same_instance_but_only_for_the_same_request_and_while_it_is_there(
    ec2: Any, image: str
) -> None:
    first = run(ec2, image, ClientToken="token")["InstanceId"]
    assert run(ec2, image, ClientToken="token")["InstanceId"] == first
    other = refused(lambda: run(ec2, image, ClientToken="token", InstanceType="t3.small"))
    assert other == "IdempotentParameterMismatch"
    end(ec2, first)
    assert refused(lambda: run(ec2, image, ClientToken="token")) == "IdempotentInstanceTerminated"


@pytest.mark.parametrize(
    ("given", "code"),
    [
        ({"InstanceType": "t4g.micro"}, "InvalidParameterValue"),
        ({"InstanceType": "t3.enormous"}, "InvalidParameterValue"),
        ({"ImageId": "ami-0123456789abcdef0"}, "InvalidAMIID.NotFound"),
        ({"KeyName": "nobody's"}, "InvalidParameterValue"),
        ({"KeyName": "lost"}, "InvalidKeyPair.NotFound"),
        ({"SubnetId": "subnet-0123456789abcdef0"}, "InvalidSubnetID.NotFound"),
        ({"SecurityGroupIds": ["sg-0123456789abcdef0"]}, "InvalidGroup.NotFound"),
        ({"MaxCount": 2}, "UnsupportedOperation"),
        ({"EbsOptimized": True}, "UnsupportedOperation"),
        ({"TagSpecifications": [{"ResourceType": "image", "Tags": []}]}, "InvalidParameterValue"),
        ({"UserData": "x" * 16385}, "InvalidParameterValue"),
    ],
    ids=lambda value: next(iter(value)) + str(next(iter(value.values())))[:9] if isinstance(value, dict) else value,
)
def test_what_ec2_would_not_launch_is_refused(ec2: Any, image: str, given: dict[str, Any], code: str) -> None:
    assert refused(lambda: run(ec2, image, **given)) == code


def test_an_image_is_launched_on_types_that_can_start_it(ec2: Any, ebs: Any) -> None:
    snapshot = completed(ebs, ec2)
    paravirtual = ec2.register_image(**pv("pv to launch", snapshot))["ImageId"]
    without_ena = {key: value for key, value in hvm("no ena", snapshot).items() if key != "EnaSupport"}
    plain = ec2.register_image(**without_ena)["ImageId"]

    assert refused(lambda: run(ec2, paravirtual)) == "InvalidParameterCombination"
    assert refused(lambda: run(ec2, plain)) == "InvalidParameterCombination"
    end(ec2, run(ec2, plain, InstanceType="t2.micro")["InstanceId"])


def test_a_dry_run_checks_all_and_makes_nothing(ec2: Any, image: str) -> None:
    before = len(everything(ec2))
    assert refused(lambda: run(ec2, image, DryRun=True)) == "DryRunOperation"
    assert refused(lambda: run(ec2, image, DryRun=True, KeyName="lost")) == "InvalidKeyPair.NotFound"
    assert len(everything(ec2)) == before


def test_instances_are_found_by_tag_token_and_state(ec2: Any, image: str) -> None:
    tags = [{"ResourceType": kind, "Tags": [{"Key": "build", "Value": "7"}]} for kind in ("instance", "volume")]
    with launched(ec2, image, ClientToken="found", TagSpecifications=tags) as instance_id:
        wait_for(ec2, instance_id, "running")

        def found(name: str, *values: str) -> list[str]:
            return [one["InstanceId"] for one in everything(ec2, Filters=[{"Name": name, "Values": list(values)}])]

        assert found("tag:build", "7") == found("client-token", "found") == [instance_id]
        assert instance_id in found("instance-state-name", "pending", "running")
        assert instance_id not in found("instance-state-name", "terminated")
        assert refused(lambda: found("no-such-filter", "x")) == "InvalidParameterValue"


def test_the_console_is_empty_at_first_and_the_latest_is_nitros_alone(ec2: Any, image: str, qemu: FakeQemu) -> None:
    qemu.says("", gets_address=False)
    with launched(ec2, image) as instance_id:
        assert "Output" not in ec2.get_console_output(InstanceId=instance_id, Latest=True)
        (status,) = ec2.describe_instance_status(InstanceIds=[instance_id], IncludeAllInstances=True)[
            "InstanceStatuses"
        ]
        assert status["InstanceStatus"]["Status"] in ("initializing", "not-applicable")
    with launched(ec2, image, InstanceType="t2.micro") as instance_id:
        latest = refused(lambda: ec2.get_console_output(InstanceId=instance_id, Latest=True))
        assert latest == "UnsupportedOperation"
    assert refused(lambda: ec2.get_console_output(InstanceId="i-nonsense")) == "InvalidInstanceID.Malformed"
    assert refused(lambda: ec2.get_console_output(InstanceId="i-0123456789abcdef0")) == "InvalidInstanceID.NotFound"


@pytest.mark.parametrize(
    ("behaviour", "state"), [({"InstanceInitiatedShutdownBehavior": "terminate"}, "terminated"), ({}, "stopped")]
)
def test_an_instance_that_switches_itself_off_ends_as_it_was_asked_to(
    ec2: Any, image: str, qemu: FakeQemu, behaviour: dict[str, str], state: str
) -> None:
    qemu.says("Power down\n", halts=0)
    instance = wait_for(ec2, run(ec2, image, **behaviour)["InstanceId"], state)
    assert instance["StateReason"]["Code"] == "Client.InstanceInitiatedShutdown"
    end(ec2, instance["InstanceId"])


def test_a_machine_that_cannot_run_is_the_clouds_fault(ec2: Any, image: str, qemu: FakeQemu) -> None:
    qemu.says("", halts=1)
    assert wait_for(ec2, run(ec2, image)["InstanceId"], "terminated")["StateReason"]["Code"] == "Server.InternalError"


def test_no_more_instances_run_than_this_machine_bears(ec2: Any, image: str) -> None:
    with launched(ec2, image), launched(ec2, image):
        assert refused(lambda: run(ec2, image)) == "VcpuLimitExceeded"


def test_key_pairs_are_imported_shown_and_removed(ec2: Any) -> None:
    ec2.import_key_pair(KeyName="mine", PublicKeyMaterial=PUBLIC_KEY)
    assert refused(lambda: ec2.import_key_pair(KeyName="mine", PublicKeyMaterial=PUBLIC_KEY)) == (
        "InvalidKeyPair.Duplicate"
    )
    assert refused(lambda: ec2.import_key_pair(KeyName="bad", PublicKeyMaterial="no key")) == "InvalidKey.Format"
    assert refused(lambda: ec2.import_key_pair(KeyName="../up", PublicKeyMaterial=PUBLIC_KEY)) == (
        "InvalidParameterValue"
    )
    (shown,) = ec2.describe_key_pairs(KeyNames=["mine"], IncludePublicKey=True)["KeyPairs"]
    assert shown["PublicKey"] == PUBLIC_KEY
    ec2.delete_key_pair(KeyName="mine")
    assert refused(lambda: ec2.describe_key_pairs(KeyNames=["mine"])) == "InvalidKeyPair.NotFound"


def test_nothing_is_left_of_a_machine_when_its_cloud_is_killed(qemu: FakeQemu, tmp_path: Path) -> None:
    with cloud_with(qemu, tmp_path) as url:
        ebs, ec2 = client("ebs", REGION, url), client("ec2", REGION, url)
        made = ec2.register_image(**hvm("killed", completed(ebs, ec2)))["ImageId"]
        instance_id = run(ec2, made)["InstanceId"]
        pid = int(eventually(lambda: in_folder(tmp_path, instance_id, "pid")))
        os.kill(server_pid(tmp_path), signal.SIGKILL)
        eventually(lambda: not is_running(pid))

        with practice_cloud(tmp_path) as again:
            ec2 = client("ec2", REGION, again)
            (gone,) = everything(ec2)
            assert (gone["State"]["Name"], gone["StateReason"]["Code"]) == ("terminated", "Server.InternalError")
            assert not (tmp_path / REGION / "instances" / instance_id / "disk.img").exists()


def test_without_qemu_it_says_which_program_is_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with practice_cloud(tmp_path) as url:
        ec2 = client("ec2", REGION, url)
        with pytest.raises(ec2.exceptions.ClientError) as caught:
            run(ec2, "ami-0123456789abcdef0")
    error = caught.value.response["Error"]
    assert error["Code"] == "PracticeProgramsMissing"
    assert "qemu-system-x86_64 (package qemu-system-x86)" in error["Message"]


# Helpers


@pytest.fixture(scope="module")
def qemu_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("qemu")


@pytest.fixture
def qemu(qemu_folder: Path) -> Iterator[FakeQemu]:
    fake = FakeQemu(qemu_folder)
    yield fake
    fake.says(UP)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cloud")


@pytest.fixture(scope="module")
def url(folder: Path, qemu_folder: Path) -> Iterator[str]:
    with cloud_with(FakeQemu(qemu_folder), folder) as url:
        yield url


@pytest.fixture(scope="module")
def ebs(url: str) -> Any:
    return client("ebs", REGION, url)


@pytest.fixture(scope="module")
def ec2(url: str) -> Any:
    return client("ec2", REGION, url)


@pytest.fixture(scope="module")
def image(ebs: Any, ec2: Any) -> str:
    return str(ec2.register_image(**hvm("to be launched", completed(ebs, ec2)))["ImageId"])


def run(ec2: Any, image: str, **more: Any) -> dict[str, Any]:
    asked = {"ImageId": image, "InstanceType": "t3.micro", "MinCount": 1, "MaxCount": 1, **more}
    (instance,) = ec2.run_instances(**asked)["Instances"]
    return dict(instance)


@contextmanager
def launched(ec2: Any, image: str, **more: Any) -> Iterator[str]:
    """An instance for as long as the context lasts."""
    instance_id = run(ec2, image, **more)["InstanceId"]
    yield instance_id
    end(ec2, instance_id)


def end(ec2: Any, instance_id: str) -> None:
    ec2.terminate_instances(InstanceIds=[instance_id])
    wait_for(ec2, instance_id, "terminated")


def everything(ec2: Any, **asked: Any) -> list[dict[str, Any]]:
    return [one for group in ec2.describe_instances(**asked)["Reservations"] for one in group["Instances"]]


def wait_for(ec2: Any, instance_id: str, state: str) -> dict[str, Any]:
    def look() -> dict[str, Any] | None:
        (instance,) = everything(ec2, InstanceIds=[instance_id])
        return instance if instance["State"]["Name"] == state else None

    return eventually(look)


def console(ec2: Any, instance_id: str) -> str:
    """boto3 decodes it."""
    return str(ec2.get_console_output(InstanceId=instance_id, Latest=True).get("Output", ""))


def in_folder(folder: Path, instance_id: str, name: str) -> str | None:
    path = folder / REGION / "instances" / instance_id / name
    return (path.read_text() or None) if path.exists() else None


def command_of(folder: Path, instance_id: str) -> str:
    """The command line that its machine was started by."""
    return eventually(lambda: in_folder(folder, instance_id, "command"))


def eventually(look: Callable[[], Found | None]) -> Found:
    deadline = time.monotonic() + 20
    while not (found := look()):
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.05)
    return found
