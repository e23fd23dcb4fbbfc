"""The way by a volume in the recipe, the plan, the policy, the prose, the cost and the script."""

import os
import re
import shlex
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from wizard import cloud, presets, questions
from wizard.plan.actions import (
    BUILD_TAG,
    NO_SNAPSHOT,
    CheckFarEnd,
    RegisterImage,
    SnapshotByVolume,
    SnapshotVolume,
    UseSnapshot,
)
from wizard.plan.build import Occasion, identity, plan, tools_of, tools_to_prove
from wizard.plan.cost import estimate_by_volume
from wizard.plan.policy import policy
from wizard.plan.prose import prose
from wizard.plan.script import action_script, script
from wizard.plan.steps import Plan
from wizard.recipe import Recipe, dumps, from_answers, load, problems_of

INSTANCE, VOLUME, SNAPSHOT = "i-0123456789abcdef0", "vol-0123456789abcdef0", "snap-0123456789abcdef0"
OCCASION = Occasion("build-1", "2026-11-24")
MIB = 1 << 20


def answers(volume: Mapping[str, Any] | None = None, **target: Any) -> dict[str, Any]:
    way = {"upload": "volume"} if volume is not None else {}
    made = {"name": "an image", "target": {"region": "us-east-1", "arch": "x86_64", **way, **target}}
    return {**made, **({"volume": dict(volume)} if volume is not None else {})}


def recipe(volume: Mapping[str, Any] | None = None, **target: Any) -> Recipe:
    return from_answers(answers(volume, **target))


def planned(volume: Mapping[str, Any] | None = None, **target: Any) -> Plan:
    return plan(recipe(volume, **target), OCCASION)


def places(given: dict[str, Any]) -> list[str]:
    return [problem.place for problem in problems_of(given)]


# The recipe


def test_each_of_the_three_ways_is_a_recipe(tmp_path: Path) -> None:
    key = tmp_path / "key"
    key.touch()
    ssh = {"ssh": "admin@203.0.113.7", "ssh_key": str(key), "ssh_port": 2222}
    for volume in ({"instance": INSTANCE, **ssh}, {"id": VOLUME}, {"snapshot": SNAPSHOT}):
        made = recipe(volume)
        path = tmp_path / "recipe.toml"
        path.write_text(dumps(made))
        assert load(path) == made


def test_a_key_is_looked_for_beside_the_recipe(tmp_path: Path) -> None:
    (tmp_path / "my.pem").touch()
    made = from_answers(answers({"instance": INSTANCE, "ssh_key": "my.pem"}), tmp_path)
    assert made.volume
    assert made.volume.ssh_key == str(tmp_path / "my.pem")


@pytest.mark.parametrize(
    ("volume", "target", "place"),
    [
        (None, {"upload": "volume"}, "volume"),
        ({"instance": INSTANCE}, {"upload": "direct"}, "target.upload"),
        ({}, {}, "volume"),
        ({"id": VOLUME, "snapshot": SNAPSHOT}, {}, "volume"),
        ({"id": VOLUME, "ssh": "admin@host"}, {}, "volume.ssh"),
        ({"instance": INSTANCE, "ssh_key": "/no/such/key"}, {}, "volume.ssh_key"),
        ({"snapshot": SNAPSHOT}, {"encrypted": True}, "target.encrypted"),
        ({"instance": "i-12345"}, {}, "volume.instance"),
        ({"instance": INSTANCE, "ssh_port": 0}, {}, "volume.ssh_port"),
        ({"instances": INSTANCE}, {}, "volume.instances"),
        ({"instance": INSTANCE}, {"upload": "volumes"}, "target.upload"),
    ],
)
def test_what_does_not_go_together_is_said(volume: dict[str, Any] | None, target: dict[str, Any], place: str) -> None:
    assert place in places(answers(volume, **target))


@pytest.mark.parametrize(
    "address", ["-oProxyCommand=id", "me@-host", "a b", "me@host\n", "", "me@ho;st", "@host", "$(id)"]
)
def test_what_ssh_or_a_shell_could_take_for_something_else_is_no_address(address: str) -> None:
    assert places(answers({"instance": INSTANCE, "ssh": address})) == ["volume.ssh"]


def test_the_wizard_carries_the_way_along_though_it_does_not_ask_for_it(tmp_path: Path) -> None:
    (tmp_path / "key").touch()
    volume = {"instance": INSTANCE, "ssh": "me@host", "ssh_key": str(tmp_path / "key"), "ssh_port": 2222}
    given = recipe(volume)
    again = questions.recipe(questions.known(questions.answers_of(given)))
    assert (again.volume, again.target.upload) == (given.volume, "volume")
    assert questions.recipe(questions.answers_of(recipe())).volume is None


# The plan


def test_the_image_is_the_same_whichever_way_it_goes_up() -> None:
    direct, by_volume = planned().keys(), planned({"instance": INSTANCE}).keys()
    assert identity(recipe()) == identity(recipe({"instance": INSTANCE}))
    assert direct["image"] == by_volume["image"]
    assert direct["snapshot"] != by_volume["snapshot"]


def test_another_address_or_instance_goes_on_with_the_same_volume() -> None:
    one = planned({"instance": INSTANCE, "ssh": "admin@203.0.113.7"}).keys()
    other = planned({"instance": "i-0fedcba9876543210", "ssh_port": 22}).keys()
    assert {step for step in one if one[step] != other[step]} == {"instance"}, "which is looked at anew"
    assert planned({"instance": INSTANCE}, encrypted=True).keys()["snapshot"] != one["snapshot"]


def test_the_key_for_encryption_goes_to_the_volume() -> None:
    key = "arn:aws:kms:us-east-1:123456789012:key/0f3a"
    (action,) = planned({"instance": INSTANCE}, encrypted=True, kms_key=key).step("snapshot").actions
    assert isinstance(action, SnapshotByVolume)
    assert action.encryption == {"Encrypted": True, "KmsKeyId": key}


def test_the_instance_is_looked_at_before_the_long_work() -> None:
    made = planned({"instance": INSTANCE})
    assert [step.id for step in made.steps][:2] == ["account", "instance"]
    assert made.step("instance").needs == ("account",)
    assert "instance" in made.step("snapshot").after
    (look,), (write,) = made.step("instance").actions, made.step("snapshot").actions
    assert isinstance(look, CheckFarEnd) and isinstance(write, SnapshotByVolume)
    assert look.far_end == write.far_end


@pytest.mark.parametrize(("volume", "kind"), [({"id": VOLUME}, SnapshotVolume), ({"snapshot": SNAPSHOT}, UseSnapshot)])
def test_of_what_exists_no_image_is_made(volume: dict[str, str], kind: type) -> None:
    made = planned(volume)
    assert [step.id for step in made.steps] == ["account", "snapshot", "register"]
    assert isinstance(made.step("snapshot").actions[0], kind)
    (register,) = made.step("register").actions
    (as_usual,) = planned().step("register").actions
    assert isinstance(register, RegisterImage) and isinstance(as_usual, RegisterImage)
    assert {**register.parameters, "TagSpecifications": ""} == {**as_usual.parameters, "TagSpecifications": ""}
    assert tools_of(recipe(volume)) == tools_to_prove(recipe(volume)) == []


def test_ssh_is_needed_where_an_instance_writes() -> None:
    assert "ssh" in tools_of(recipe({"instance": INSTANCE}))
    assert "ssh" not in tools_of(recipe())


def test_the_prose_names_every_call_and_what_is_done_there() -> None:
    said = prose(planned({"instance": INSTANCE, "ssh": "admin@host"}), 500)
    calls = ("CreateVolume", "AttachVolume", "DetachVolume", "CreateSnapshot", "DeleteVolume", "GetConsoleOutput")
    assert all(f"ec2:{call}" in said for call in calls)
    assert "ssh to admin@host" in said
    assert f"CreateSnapshot in us-east-1 of {VOLUME}" in prose(planned({"id": VOLUME}))
    assert f"is {SNAPSHOT} complete?" in prose(planned({"snapshot": SNAPSHOT}))


def test_the_volume_costs_by_the_hour() -> None:
    prices = presets.load("prices")
    said = estimate_by_volume(40 << 30, 1000, 73)
    assert f"${40 * prices['snapshot_gib_month']:.2f} a month" in said
    assert f"${100 * prices['volume_gib_month']:.2f} once for the volume of 1000 GiB" in said


# The policy


def called() -> set[str]:
    """What wizard/cloud/volume asks of AWS, and what every build does to its account, snapshot and image."""
    texts = [path.read_text() for path in (Path(cloud.__file__).parent / "volume").glob("*.py")]
    names = {name for text in texts for name in re.findall(r'aws_errors\("(\w+)"|ec2\.get_(console_output)\(', text)}
    return {f"ec2:{one or 'GetConsoleOutput'}" for one, _ in names} | {
        *("ec2:DescribeImages", "ec2:RegisterImage", "ec2:DeregisterImage", "ec2:CreateTags", "ec2:DeleteSnapshot"),
    }


def allowed(document: dict[str, Any]) -> set[str]:
    listed = [statement["Action"] for statement in document["Statement"]]
    return {action for found in listed for action in ([found] if isinstance(found, str) else found)}


def test_the_policy_names_what_the_way_by_a_volume_calls_and_nothing_else() -> None:
    assert allowed(policy(planned({"instance": INSTANCE}))) == called()
    assert "kms:CreateGrant" in allowed(policy(planned({"instance": INSTANCE}, encrypted=True)))


def test_the_policy_for_what_exists_is_smaller() -> None:
    of_account = {"ec2:DescribeImages", "ec2:RegisterImage", "ec2:DeregisterImage", "ec2:CreateTags"}
    assert allowed(policy(planned({"snapshot": SNAPSHOT}))) == of_account | {"ec2:DescribeSnapshots"}
    document = policy(planned({"id": VOLUME}))
    assert not any("AttachVolume" in name or "DeleteVolume" in name for name in allowed(document))
    (of_volume,) = [one for one in document["Statement"] if one["Sid"] == "CreateSnapshotOfVolume"]
    assert of_volume["Resource"] == f"arn:aws:ec2:us-east-1:*:volume/{VOLUME}"


def test_only_what_carries_the_build_s_tag_and_the_one_instance_may_be_touched() -> None:
    document = policy(planned({"instance": INSTANCE}))
    names = [statement["Sid"] for statement in document["Statement"]]
    assert len(names) == len(set(names))
    for statement in document["Statement"]:
        listed = statement["Action"] if isinstance(statement["Action"], list) else [statement["Action"]]
        if statement["Resource"] == f"arn:aws:ec2:us-east-1:*:instance/{INSTANCE}":
            assert set(listed) <= {"ec2:AttachVolume", "ec2:DetachVolume", "ec2:GetConsoleOutput"}
        elif any(re.search(r":(Attach|Detach|Delete|Create(Volume|Snapshot))", name) for name in listed):
            (condition,) = statement["Condition"]["StringLike"].items()
            assert condition[1] == "build-1*"
            assert condition[0] in (f"aws:RequestTag/{BUILD_TAG}", f"aws:ResourceTag/{BUILD_TAG}")


# The script


@pytest.fixture
def far(tmp_path: Path) -> Path:
    """A far end below a folder: one disk that is the volume, one that is not."""
    for name, serial in (("nvme0n1", "vol0fedcba9876543210"), ("nvme1n1", VOLUME.replace("-", ""))):
        shown = tmp_path / "far/sys/block" / name
        (shown / "device").mkdir(parents=True)
        (shown / "device/serial").write_text(f"{serial:<20}\n")
        (shown / "size").write_text(f"{GIB // 512}\n")
        disk = tmp_path / "far/dev" / name
        disk.parent.mkdir(exist_ok=True)
        with disk.open("wb") as file:
            file.truncate(GIB)
    return tmp_path / "far"


GIB = 1 << 30

FAKE_AWS = """#!/bin/sh
echo "$*" >> aws-calls
case $2 in
  describe-instances) printf 'us-east-1a\\t203.0.113.7\\n' ;;
  create-volume) echo {volume} ;;
  create-snapshot) echo {snapshot} ;;
esac
"""

FAKE_SSH = """#!/bin/sh
for word; do printf '%s\\n' "$word"; done > ssh-words
for word; do last=$word; done
exec sh -c "$last"
"""

# The far end's /sys and /dev are below a folder, and its disks are files.
FAKE_SUDO = """#!/bin/sh
[ "$1 $2 $3" = "-n sh -euc" ] || exit 1
exec sh -euc "$(printf %s "$4" | sed -e 's|/sys/block|{far}/sys/block|g' -e 's|disk=/dev|disk={far}/dev|' \\
  -e 's/-b "$disk"/-f "$disk"/' -e 's/iflag=direct//')"
"""


def run_script(
    folder: Path, far: Path, key: Path, step: str = "snapshot", sudo: str = FAKE_SUDO
) -> "subprocess.CompletedProcess[str]":
    """A step of the exported script, with an AWS and an ssh that are played."""
    tools = folder / "tools"
    for name, text in {
        "aws": FAKE_AWS.format(volume=VOLUME, snapshot=SNAPSHOT),
        "ssh": FAKE_SSH,
        "sudo": sudo.format(far=far),
        "sleep": "#!/bin/sh\n",
    }.items():
        tools.mkdir(exist_ok=True)
        (tools / name).write_text(text)
        (tools / name).chmod(0o755)
    (folder / "snapshot").mkdir(exist_ok=True)
    made = planned({"instance": INSTANCE, "ssh": "admin@host", "ssh_key": str(key), "ssh_port": 2222})
    (action,) = made.step(step).actions
    environment = {**os.environ, "PATH": f"{tools}:{os.environ['PATH']}"}
    command = ["bash", "-euo", "pipefail", "-c", action_script(action)]
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)


@pytest.fixture
def key(tmp_path: Path) -> Path:
    made = tmp_path / 'it\'s $(a) "key".pem'
    made.touch()
    return made


@pytest.fixture
def image(tmp_path: Path) -> Path:
    (tmp_path / "image").mkdir()
    made = tmp_path / "image/disk.img"
    made.write_bytes(os.urandom(3 * MIB) + bytes(5 * MIB) + os.urandom(MIB + 512))
    return made


def test_the_script_writes_the_same_to_the_volume_and_asks_the_same_of_aws(
    tmp_path: Path, far: Path, key: Path, image: Path
) -> None:
    done = run_script(tmp_path, far, key)

    assert done.returncode == 0, done.stderr
    with (far / "dev/nvme1n1").open("rb") as disk:
        assert disk.read(image.stat().st_size) == image.read_bytes()
        assert not any(disk.read(MIB))
    with (far / "dev/nvme0n1").open("rb") as disk:
        assert not any(disk.read(16 * MIB))
    words = (tmp_path / "ssh-words").read_text().split("\n")
    assert words[words.index("-i") + 1] == str(key)
    assert "admin@host" in words
    assert (tmp_path / "snapshot/snapshot-id").read_text() == f"{SNAPSHOT}\n"
    calls = [line.split()[1] for line in (tmp_path / "aws-calls").read_text().splitlines()]
    assert calls == [
        *("describe-instances", "create-volume", "wait", "attach-volume", "wait"),
        *("detach-volume", "wait", "create-snapshot", "wait", "delete-volume"),
    ]
    created = shlex.split((tmp_path / "aws-calls").read_text().splitlines()[1])
    assert created[created.index("--size") + 1] == "1"


def test_the_script_looks_at_the_instance_first(tmp_path: Path, far: Path, key: Path) -> None:
    assert run_script(tmp_path, far, key, "instance").returncode == 0
    assert "describe-instances" in (tmp_path / "aws-calls").read_text()
    assert run_script(tmp_path, far, key, "instance", sudo="#!/bin/sh\nexit 1\n").returncode != 0


@pytest.mark.parametrize("wrong", ["another serial number", "data on it"])
def test_the_script_writes_no_other_disk(tmp_path: Path, far: Path, key: Path, image: Path, wrong: str) -> None:
    disk = far / "dev/nvme1n1"
    if wrong == "data on it":
        with disk.open("r+b") as file:
            file.write(b"somebody's")
    else:
        shutil.rmtree(far / "sys/block/nvme1n1")
    assert run_script(tmp_path, far, key).returncode != 0
    with disk.open("rb") as file:
        assert not any(file.read(4 * MIB).removeprefix(b"somebody's"))
    assert "create-snapshot" not in (tmp_path / "aws-calls").read_text()


@pytest.mark.parametrize("volume", [{"instance": INSTANCE}, {"id": VOLUME}, {"snapshot": SNAPSHOT}])
def test_the_whole_script_is_bash(volume: dict[str, str]) -> None:
    text = script(planned(volume, encrypted="instance" in volume))
    subprocess.run(["bash", "-n"], input=text.encode(), check=True)
    assert NO_SNAPSHOT in text
