"""The instance is reached over a real ssh, known by its host key, and written by the real command."""

import json
import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import sshd
from botocore.exceptions import ClientError

from wizard import folders
from wizard.cloud.practice.process import practice_cloud
from wizard.cloud.practice.volumes import THIS_MACHINE, far_root
from wizard.cloud.read_back import read_back
from wizard.cloud.session import client
from wizard.cloud.volume.actions import perform
from wizard.cloud.volume.instance import Instance, id_of_this_machine
from wizard.cloud.volume.ssh import learn_host_keys, ssh_command
from wizard.explain import Failure, explain
from wizard.plan.actions import BUILD_TAG, FarEnd, SnapshotByVolume
from wizard.plan.build import plan
from wizard.recipe import load
from wizard.run import builds
from wizard.run.journal import Journal
from wizard.run.store import Store

ROOT = Path(__file__).parent.parent
REGION = "eu-west-1"
BLOCK = 524288
INSTANCE = Instance("i-0123456789abcdef0", "eu-west-1a", "203.0.113.7", frozenset())


@pytest.fixture
def practice(home: Path) -> Iterator[str]:
    with practice_cloud(folders.practice()) as endpoint:
        yield endpoint


@pytest.fixture
def server(practice: str, tmp_path: Path) -> Iterator[sshd.Server]:
    """The far end of the practice cloud's instance."""
    root = far_root(folders.practice() / REGION, THIS_MACHINE)
    with sshd.running(tmp_path / "sshd", {"AMI_WIZARD_FAR_ROOT": str(root)}) as running:
        yield running


@pytest.fixture
def work(tmp_path: Path) -> Path:
    folder = tmp_path / "work"
    folder.mkdir()
    with (folder / "disk.img").open("wb") as file:
        file.truncate(100 * BLOCK)
        file.write(os.urandom(35 * BLOCK))
    return folder


def write(endpoint: str, work: Path, far_end: FarEnd) -> dict[str, Any]:
    tags = {"Name": "over ssh", BUILD_TAG: "build-1"}
    action = SnapshotByVolume(REGION, "disk.img", "snapshot-id", "a test", tags, far_end)
    return perform(endpoint, action, work, Journal(work / "snapshot-1.jsonl"), lambda *_: None, lambda: False)


def far_end_of(server: sshd.Server, user: str | None = None) -> FarEnd:
    who = user or os.environ.get("USER") or "root"
    return FarEnd(THIS_MACHINE, f"{who}@127.0.0.1", str(server.key), server.port)


def refusal(endpoint: str, work: Path, far_end: FarEnd) -> Failure:
    with pytest.raises(Failure) as caught:
        write(endpoint, work, far_end)
    assert "not known" not in str(explain(caught.value).as_dict())
    return caught.value


# Over ssh


def test_an_image_is_written_over_ssh(practice: str, server: sshd.Server, work: Path) -> None:
    said = write(practice, work, far_end_of(server))

    read_back(client("ebs", REGION, practice), said["snapshot"], work / "copy")
    with (work / "copy").open("rb") as copy:
        assert copy.read(100 * BLOCK) == (work / "disk.img").read_bytes()
    assert "first sight" in said["instance"]
    assert (work / "known_hosts").read_text().split()[:3] == [THIS_MACHINE, *server.host_key.split()]
    assert client("ec2", REGION, practice).describe_volumes()["Volumes"] == []


def test_nobody_who_shows_another_host_key_is_spoken_to(practice: str, server: sshd.Server, work: Path) -> None:
    (work / "known_hosts").write_text(f"{THIS_MACHINE} ssh-ed25519 {'A' * 68}\n")
    assert refusal(practice, work, far_end_of(server)).code == "ssh-host-key-changed"
    assert client("ec2", REGION, practice).describe_volumes()["Volumes"] == [], "known before anything is made"


def test_a_key_or_a_user_that_is_not_let_in_is_said(practice: str, server: sshd.Server, work: Path) -> None:
    failure = refusal(practice, work, far_end_of(server, "nobody-of-this-name"))
    assert failure.code == "ssh-no-permission"
    assert failure.facts["login"] == "nobody-of-this-name@127.0.0.1"
    wrong = replace(far_end_of(server), ssh_key=str(server.folder / "host_key"))
    assert refusal(practice, work, wrong).code == "ssh-no-permission"


def test_where_nobody_listens_it_is_said(practice: str, server: sshd.Server, work: Path) -> None:
    nobody = replace(far_end_of(server), ssh_port=sshd.free_port())
    assert refusal(practice, work, nobody).code == "ssh-unreachable"


# The command


def test_ssh_is_never_asked_a_question_and_its_host_key_is_the_instance_s(tmp_path: Path) -> None:
    command = ssh_command(FarEnd(INSTANCE.id), INSTANCE, tmp_path / "known_hosts")
    assert command[-2:] == ["--", "ec2-user@203.0.113.7"]
    options = {word for word in command if "=" in word}
    assert {"BatchMode=yes", f"HostKeyAlias={INSTANCE.id}", "StrictHostKeyChecking=accept-new"} <= options
    assert "-i" not in command


def test_a_key_of_one_s_own_is_the_only_one_that_is_offered(tmp_path: Path) -> None:
    command = ssh_command(FarEnd(INSTANCE.id, "me@host", "my key", 2222), INSTANCE, tmp_path / "known_hosts")
    assert command[-6:] == ["-i", "my key", "-p", "2222", "--", "me@host"]
    assert "IdentitiesOnly=yes" in command


@pytest.mark.parametrize(
    ("host", "packed"),
    [("198.51.100.300", "yes"), ("10.0.0.7", "no"), ("fd00::1", "no"), ("9.9.9.9", "yes"), ("my-host", "yes")],
)
def test_what_goes_a_long_way_is_packed(tmp_path: Path, host: str, packed: str) -> None:
    command = ssh_command(FarEnd(INSTANCE.id, f"me@{host}"), INSTANCE, tmp_path / "known_hosts")
    assert f"Compression={packed}" in command


def test_an_instance_without_an_address_is_said(tmp_path: Path) -> None:
    with pytest.raises(Failure) as caught:
        ssh_command(FarEnd(INSTANCE.id), replace(INSTANCE, address=""), tmp_path / "known_hosts")
    assert caught.value.code == "instance-without-address"


# Host keys

CONSOLE = """\
[   12.3] cloud-init[600]: ssh-rsa AAAAwrongwrong before
-----BEGIN SSH HOST KEY KEYS-----
ecdsa-sha2-nistp256 AAAAE2VjZHNhLXNoYTItbmlzdHAyNTY= root@ip-10-0-0-7
ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAA+/x= root@ip-10-0-0-7
-----END SSH HOST KEY KEYS-----
"""


def console(said: str | Exception) -> Any:
    def get_console_output(InstanceId: str) -> Mapping[str, str]:
        assert InstanceId
        if isinstance(said, Exception):
            raise said
        return {"Output": said} if said else {}

    return SimpleNamespace(get_console_output=get_console_output)


def test_the_keys_that_the_console_showed_are_the_only_ones_taken(tmp_path: Path) -> None:
    known_hosts = tmp_path / "known_hosts"
    assert learn_host_keys(console(CONSOLE), INSTANCE, known_hosts) == "console"
    assert known_hosts.read_text() == (
        f"{INSTANCE.id} ecdsa-sha2-nistp256 AAAAE2VjZHNhLXNoYTItbmlzdHAyNTY=\n"
        f"{INSTANCE.id} ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAA+/x=\n"
    )
    assert "StrictHostKeyChecking=yes" in ssh_command(FarEnd(INSTANCE.id), INSTANCE, known_hosts)
    assert learn_host_keys(console(""), INSTANCE, known_hosts) == "build", "it is not forgotten"
    other = replace(INSTANCE, id="i-0fedcba9876543210")
    assert learn_host_keys(console(""), other, known_hosts) == "first sight", "another instance is another matter"
    assert "StrictHostKeyChecking=accept-new" in ssh_command(FarEnd(other.id), other, known_hosts)


@pytest.mark.parametrize(
    "said",
    ["", "a console without keys", ClientError({"Error": {"Code": "UnauthorizedOperation"}}, "GetConsoleOutput")],
    ids=["empty", "no keys", "not allowed"],
)
def test_without_them_the_first_key_is_taken(tmp_path: Path, said: str | Exception) -> None:
    assert learn_host_keys(console(said), INSTANCE, tmp_path / "known_hosts") == "first sight"
    assert "StrictHostKeyChecking=accept-new" in ssh_command(FarEnd(INSTANCE.id), INSTANCE, tmp_path / "known_hosts")


# This machine as the instance


class Metadata(BaseHTTPRequestHandler):
    """The metadata service, which gives nothing without a token."""

    def do_PUT(self) -> None:
        is_right = self.path == "/latest/api/token" and self.headers["X-aws-ec2-metadata-token-ttl-seconds"] == "60"
        self._say("a-token" if is_right else None)

    def do_GET(self) -> None:
        is_right = self.path == "/latest/dynamic/instance-identity/document"
        is_allowed = self.headers["X-aws-ec2-metadata-token"] == "a-token"
        self._say(json.dumps({"instanceId": INSTANCE.id, "region": REGION}) if is_right and is_allowed else None)

    def _say(self, text: str | None) -> None:
        self.send_response(200 if text else 401)
        self.end_headers()
        self.wfile.write((text or "").encode())

    def log_message(self, *_: Any) -> None:
        """Nobody reads it."""


def test_this_machine_knows_whether_it_is_an_instance(monkeypatch: pytest.MonkeyPatch) -> None:
    service = HTTPServer(("127.0.0.1", 0), Metadata)
    threading.Thread(target=service.serve_forever, daemon=True).start()
    monkeypatch.setenv("AWS_EC2_METADATA_SERVICE_ENDPOINT", f"http://127.0.0.1:{service.server_port}/")
    try:
        assert id_of_this_machine() is None, "switched off, as for botocore"
        monkeypatch.delenv("AWS_EC2_METADATA_DISABLED")
        assert id_of_this_machine() == INSTANCE.id
    finally:
        service.shutdown()
        service.server_close()
    assert id_of_this_machine() is None, "nobody answers on any other machine"


# By the real command


def ami_wizard(*arguments: str) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", "wizard", *arguments]
    return subprocess.run(command, capture_output=True, text=True, stdin=subprocess.DEVNULL, cwd=ROOT)


def built(recipe: Path) -> dict[str, Any]:
    """The last event of a build."""
    done = ami_wizard("build", str(recipe), "--practice", "--json")
    assert done.returncode == 0, done.stderr
    last: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return last


def recipe_file(folder: Path, volume: str, name: str = "by a volume") -> Path:
    path = folder / "recipe.toml"
    target = f'[target]\nregion = "{REGION}"\narch = "x86_64"\nupload = "volume"\n'
    path.write_text(f'name = "{name}"\nprove = false\n{target}[volume]\n{volume}\n')
    return path


def publish_image(recipe: Path, image: Path) -> None:
    """As if all that comes before AWS had been done: an image, and nothing else that anybody looks at."""
    chosen = load(recipe)
    steps = plan(chosen, builds.create(chosen, practice=True).occasion())
    keys, store = steps.keys(), Store(folders.results())
    for step in steps.steps:
        if not step.in_cloud:
            made = recipe.parent / step.id
            made.mkdir()
            if step.id == "image":
                shutil.copy(image, made / "disk.img")
            if step.id == "checksum":
                (made / "disk.img.sha256").write_text(f"{'0' * 64}  disk.img\n")
            store.publish(keys[step.id], made, step=step.id, seconds=0.0)


@pytest.mark.slow
def test_a_whole_build_goes_by_a_volume_over_ssh_and_is_removed(server: sshd.Server, practice: str, work: Path) -> None:
    far_end = far_end_of(server)
    ssh = f'ssh = "{far_end.ssh}"\nssh_key = "{server.key}"\nssh_port = {server.port}'
    recipe = recipe_file(work, f'instance = "{THIS_MACHINE}"\n{ssh}')
    publish_image(recipe, work / "disk.img")
    ec2 = client("ec2", REGION, practice)

    last = built(recipe)

    (image,) = ec2.describe_images(ImageIds=[last["image_id"]])["Images"]
    assert image["BlockDeviceMappings"][0]["Ebs"]["SnapshotId"] == last["snapshot_id"]
    listed = json.loads(ami_wizard("builds", "--json").stdout)["builds"][0]
    assert {made["kind"] for made in listed["resources"]} == {"image", "snapshot"}, "the volume is gone"
    said = ami_wizard("clean", listed["id"], "--cloud", "--yes").stderr
    assert f"removed {last['image_id']}\nremoved {last['snapshot_id']}\n" in said
    assert ec2.describe_snapshots(OwnerIds=["self"])["Snapshots"] == []


@pytest.mark.slow
def test_a_volume_that_a_killed_build_left_is_removed(practice: str, work: Path) -> None:
    recipe = recipe_file(work, f'instance = "{THIS_MACHINE}"')
    build, ec2 = builds.create(load(recipe), practice=True), client("ec2", REGION, practice)
    journaled, lost = (volume_of(ec2, tag) for tag in (build.facts().tag, build.facts().tag))
    others = volume_of(ec2, "another build")
    journal = build.journal("snapshot", "0" * 64)
    journal.asked("CreateVolume", region=REGION, request={"ClientToken": "a", "TagSpecifications": []})
    journal.answered("CreateVolume", region=REGION, token="a", volume_id=journaled)
    ec2.attach_volume(VolumeId=journaled, InstanceId=THIS_MACHINE, Device="/dev/sdf")

    said = ami_wizard("clean", build.id, "--cloud", "--yes").stderr

    shown, gone = said.split("files of the build")
    assert {journaled, lost} == {word for word in shown.split() if word.startswith("vol-")}, "shown before they go"
    assert {journaled, lost} == {word for word in gone.split() if word.startswith("vol-")}
    assert [volume["VolumeId"] for volume in ec2.describe_volumes()["Volumes"]] == [others]


@pytest.mark.slow
def test_what_exists_already_is_registered_and_stays_when_the_build_is_removed(practice: str, tmp_path: Path) -> None:
    ec2 = client("ec2", REGION, practice)
    volume_id = volume_of(ec2, "mine")
    first = built(recipe_file(tmp_path, f'id = "{volume_id}"'))
    snapshot_id = str(ec2.create_snapshot(VolumeId=volume_id)["SnapshotId"])
    second = built(recipe_file(tmp_path, f'snapshot = "{snapshot_id}"', name="by a snapshot"))

    assert second["snapshot_id"] == snapshot_id != first["snapshot_id"]
    assert "image" not in first
    for build in (first["build"], second["build"]):
        assert ami_wizard("clean", build, "--cloud", "--yes").returncode == 0
    assert ec2.describe_images(Owners=["self"])["Images"] == []
    assert [volume["VolumeId"] for volume in ec2.describe_volumes()["Volumes"]] == [volume_id]
    assert [one["SnapshotId"] for one in ec2.describe_snapshots(OwnerIds=["self"])["Snapshots"]] == [snapshot_id]


def volume_of(ec2: Any, tag: str) -> str:
    """A volume that is there, with a build's tag."""
    tags = [{"ResourceType": "volume", "Tags": [{"Key": BUILD_TAG, "Value": tag}]}]
    made = ec2.create_volume(AvailabilityZone=f"{REGION}a", Size=1, TagSpecifications=tags)["VolumeId"]
    ec2.get_waiter("volume_available").wait(VolumeIds=[made], WaiterConfig={"Delay": 1})
    return str(made)
