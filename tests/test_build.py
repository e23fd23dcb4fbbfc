"""The main job, on a real Debian: from a recipe to a registered AMI, however often it is killed on the way.

These tests share one home, so that packages are fetched and a userland is installed as seldom as possible.
"""

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from fake_qemu import FakeQemu
from real_builds import CLASSIC, RECIPE, ami_wizard, build, digest, recipe_file
from unbundle import key_pair, unbundle
from users import ORDINARY_USER, has_ordinary_user

from wizard.cloud.practice.process import practice_cloud
from wizard.cloud.read_back import read_back
from wizard.cloud.session import client
from wizard.run.builds import Build

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def hvm(world: Path) -> dict[str, Any]:
    """The default build: HVM on x86_64, GPT, ext4."""
    return build(world, RECIPE.format(name="first"), home=world)


@pytest.fixture(scope="module")
def classic(world: Path) -> dict[str, Any]:
    """The build of 2011: paravirtual, ext3 /boot, btrfs root."""
    return build(world, CLASSIC, home=world)


@contextlib.contextmanager
def cloud(home: Path, region: str = "us-east-1") -> Iterator[tuple[Any, Any]]:
    with practice_cloud(home / "practice") as endpoint:
        yield client("ec2", region, endpoint), client("ebs", region, endpoint)


def test_a_recipe_becomes_an_ami_that_describes_itself_truly(hvm: dict[str, Any], in_world: Path) -> None:
    with cloud(in_world) as (ec2, _):
        image = ec2.describe_images(ImageIds=[hvm["image_id"]])["Images"][0]
    told = {name: image[name] for name in ("Name", "Architecture", "VirtualizationType", "BootMode", "ImdsSupport")}
    assert told == {
        "Name": "first",
        "Architecture": "x86_64",
        "VirtualizationType": "hvm",
        "BootMode": "uefi-preferred",
        "ImdsSupport": "v2.0",
    }
    assert image["EnaSupport"] is True
    assert image["State"] == "available"
    assert image["BlockDeviceMappings"][0]["Ebs"]["SnapshotId"] == hvm["snapshot_id"]
    assert {tag["Key"] for tag in image["Tags"]} >= {"Name", "ami-wizard:build"}


def test_a_paravirtual_ami_has_its_aki_and_the_root_device_that_pv_grub_counts_on(
    classic: dict[str, Any], in_world: Path
) -> None:
    with cloud(in_world, "eu-west-1") as (ec2, _):
        image = ec2.describe_images(ImageIds=[classic["image_id"]])["Images"][0]
    assert image["VirtualizationType"] == "paravirtual"
    assert image["KernelId"] == "aki-dc9ed9af"
    assert image["RootDeviceName"] == image["BlockDeviceMappings"][0]["DeviceName"] == "/dev/sda"
    assert "BootMode" not in image


def test_the_uploaded_blocks_read_back_equal_the_image(hvm: dict[str, Any], in_world: Path, tmp_path: Path) -> None:
    with cloud(in_world) as (_, ebs):
        read_back(ebs, hvm["snapshot_id"], tmp_path / "back.img")
    assert digest(tmp_path / "back.img") == digest(Path(hvm["image"])) == hvm["sha256"]


def test_building_the_same_again_makes_nothing_new(hvm: dict[str, Any], in_world: Path) -> None:
    again = build(in_world, RECIPE.format(name="first"))
    assert {key: again[key] for key in ("image_id", "snapshot_id")} == {
        key: hvm[key] for key in ("image_id", "snapshot_id")
    }


def test_another_name_reruns_only_what_is_done_in_the_cloud(hvm: dict[str, Any], in_world: Path) -> None:
    done = ami_wizard(
        "build", str(recipe_file(in_world, RECIPE.format(name="second"))), "--practice", "--json", home=in_world
    )
    events = [json.loads(line) for line in done.stdout.splitlines()]
    reused = {event["step"] for event in events if event["event"] == "step_reused"}
    assert reused == {"bootstrap", "system", "bootloader", "image", "checksum"}
    assert events[-1]["image_id"] != hvm["image_id"]


def test_a_name_that_is_taken_is_found_out_before_the_long_work(hvm: dict[str, Any], tmp_path: Path) -> None:
    """The same account, seen from another machine: nothing here knows of the first build."""
    (tmp_path / "practice").symlink_to(Path(hvm["image"]).parents[2] / "practice")
    done = ami_wizard(
        "build", str(recipe_file(tmp_path, RECIPE.format(name="first"))), "--practice", "--json", home=tmp_path
    )
    last = json.loads(done.stdout.splitlines()[-1])
    assert done.returncode == 1
    assert last["explanation"]["code"] == "duplicate-ami-name"
    assert not list((tmp_path / "results").glob("*/root.tar"))


def test_the_script_makes_the_same_image_without_ami_wizard_and_without_root(
    hvm: dict[str, Any], world: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Promise 1: what you see is what runs.  By an ordinary user where the machine has one for tests."""
    assert run_script(RECIPE.format(name="first"), world, ordinary=has_ordinary_user()) == hvm["sha256"]


def run_script(recipe: str, world: Path, *, ordinary: bool) -> str:
    """Runs the exported script by bash in an empty folder; gives the checksum that it printed."""
    done = ami_wizard("plan", str(recipe_file(world, recipe)), "--script", home=world)
    assert done.returncode == 0, done.stderr
    folder = Path(f"/var/tmp/ami-wizard-script-{os.getpid()}")
    folder.mkdir()
    try:
        (folder / "build.sh").write_text(done.stdout)
        shutil.copytree(world / "downloads", folder / "downloads", ignore=shutil.ignore_patterns("lock", "partial"))
        command = ["bash", "build.sh", "--image-only"]
        if ordinary:
            subprocess.run(["chown", "-R", f"{ORDINARY_USER}:", str(folder)], check=True)
            command = ["runuser", "-u", ORDINARY_USER, "--", *command]
        ran = subprocess.run(command, cwd=folder, capture_output=True, text=True, stdin=subprocess.DEVNULL)
        assert ran.returncode == 0, ran.stdout[-2000:] + ran.stderr[-3000:]
        return (folder / "checksum" / "disk.img.sha256").read_text().split()[0]
    finally:
        shutil.rmtree(folder)


def test_killed_at_every_stage_a_build_still_ends_with_one_snapshot_and_one_ami(
    hvm: dict[str, Any], world: Path, tmp_path: Path
) -> None:
    """Promise 2.  kill -9 of the runner while it installs, while it assembles and while it uploads."""
    shutil.copytree(world / "downloads", tmp_path / "downloads", ignore=shutil.ignore_patterns("lock", "partial"))
    recipe = recipe_file(tmp_path, RECIPE.format(name="killed"))
    for stage in (
        lambda event: event.get("step") == "bootstrap" and "Unpacking" in str(event.get("lines")),
        lambda event: event.get("step") == "image" and "mke2fs" in str(event.get("command")),
        lambda event: event.get("step") == "snapshot" and event.get("done", 0) > event.get("total", 0) / 4,
    ):
        kill_runner_when(stage, recipe, tmp_path)
    last = build(tmp_path, RECIPE.format(name="killed"), home=tmp_path)
    assert last["sha256"] == hvm["sha256"]
    with cloud(tmp_path) as (ec2, ebs):
        assert [image["ImageId"] for image in ec2.describe_images(Owners=["self"])["Images"]] == [last["image_id"]]
        snapshots = ec2.describe_snapshots(OwnerIds=["self"])["Snapshots"]
        assert [found["SnapshotId"] for found in snapshots] == [last["snapshot_id"]]
        read_back(ebs, last["snapshot_id"], tmp_path / "back.img")
    assert digest(tmp_path / "back.img") == last["sha256"]
    scratch = Build(tmp_path / "builds" / last["build"]).scratch("*")
    assert not list(scratch.parent.glob(scratch.name)), "temporary files are left"
    assert scratch.name.rstrip("*") not in Path("/proc/mounts").read_text()


def kill_runner_when(stage: Callable[[dict[str, Any]], bool], recipe: Path, home: Path) -> None:
    """Starts the build, waits for the moment, kills the runner; nothing that it started may live on."""
    environment = {**os.environ, "AMI_WIZARD_HOME": str(home)}
    command = [sys.executable, "-m", "wizard", "build", str(recipe), "--practice", "--json"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as front:
        assert front.stdout is not None
        said = []
        for line in front.stdout:
            event = json.loads(line)
            said.append(line)
            assert event["event"] != "finished", "it finished before it could be killed"
            if stage(event):
                break
        else:
            raise AssertionError("".join(said[-5:]))
        holder = next((home / "builds").glob("*/holder"))
        os.kill(int(holder.read_text().split()[0]), signal.SIGKILL)
        rest = front.stdout.read().splitlines()
    assert json.loads(rest[-1])["explanation"]["code"] == "runner-killed"
    assert front.returncode == 1
    deadline = time.monotonic() + 10
    while left := processes_in(holder.parent / "work"):
        assert time.monotonic() < deadline, f"left behind: {left}"
        time.sleep(0.1)


def processes_in(folder: Path) -> list[str]:
    """Processes that work in a folder."""
    found = []
    for place in Path("/proc").glob("[0-9]*/cwd"):
        with contextlib.suppress(OSError):
            if str(place.readlink()).startswith(str(folder)):
                found.append((place.parent / "cmdline").read_text().replace("\0", " ")[:200])
    return found


def test_the_recorded_kernel_config_is_judged_like_the_one_in_the_image(
    hvm: dict[str, Any], world: Path, tmp_path: Path
) -> None:
    """What the Kernel screen says of the distribution's kernel is what its package really holds."""
    from wizard.kernel.audit import audit
    from wizard.kernel.config import read_config, recorded

    archive = next(world.glob("results/*/root.tar"))
    name = next(
        line
        for line in subprocess.run(["tar", "-tf", archive], capture_output=True, text=True, check=True).stdout.split()
        if line.startswith("./boot/config-")
    )
    config = tmp_path / "config"
    config.write_bytes(subprocess.run(["tar", "-xOf", archive, name], capture_output=True, check=True).stdout)
    kind = "debian-bookworm-cloud-amd64" if "cloud" in name else "debian-bookworm-amd64"
    real, known = audit(read_config(config), "hvm-x86_64"), audit(recorded(kind), "hvm-x86_64")
    assert (real.boots, real.reachable) == (known.boots, known.reachable) == (True, True)


def test_no_password_no_host_key_and_no_machine_id_is_in_the_userland(hvm: dict[str, Any], tmp_path: Path) -> None:
    image = f"{hvm['image']}?offset={66 << 20}"

    def read(path: str) -> str:
        return subprocess.run(["debugfs", "-R", path, image], capture_output=True, text=True, check=True).stdout

    locked = {
        line.split(":")[0]: line.split(":")[1] in ("*", "!", "!*") for line in read("cat /etc/shadow").splitlines()
    }
    assert locked["root"]
    assert all(locked.values())
    assert "ssh_host_" not in read("ls /etc/ssh")
    assert read("cat /etc/machine-id") == ""


@pytest.mark.parametrize("kind", ["hvm", "classic"])
def test_inspect_finds_nothing_wrong_with_a_real_image(kind: str, request: pytest.FixtureRequest) -> None:
    done = ami_wizard("inspect", request.getfixturevalue(kind)["image"], "--json")
    said = json.loads(done.stdout)
    assert said["system"] == "Debian GNU/Linux 12 (bookworm)"
    modes = {"hvm": ["legacy-bios", "uefi"], "classic": ["paravirtual"]}[kind]
    assert [way["mode"] for way in said["boots_by"]] == modes
    profile = {"hvm": "hvm-x86_64", "classic": "pv-x86_64"}[kind]
    assert said["kernel"]["verdicts"] == {profile: {"boots": True, "reachable": True}}
    assert [one["what"] for one in said["findings"]] == []
    assert done.returncode == 0


def test_an_s3_backed_ami_stands_on_a_bundle_of_the_image_and_goes_away_with_it(
    classic: dict[str, Any], in_world: Path, tmp_path: Path
) -> None:
    pem, bucket = key_pair(tmp_path, "user"), "practice-eu-west-1"
    in_s3 = CLASSIC.replace('"classic"', '"bundled"').replace("[disk]", 'storage = "s3"\n[disk]')
    files = f'certificate = "{pem.certificate}"\nprivate_key = "{pem.private_key}"\n'
    made = build(in_world, f'{in_s3}[bundle]\nbucket = "{bucket}"\n{files}')
    assert made["sha256"] == classic["sha256"], "where it is put makes no other image"

    with cloud(in_world, "eu-west-1") as (ec2, _), practice_cloud(in_world / "practice") as endpoint:
        s3 = client("s3", "eu-west-1", endpoint)
        (image,) = ec2.describe_images(ImageIds=[made["image_id"]])["Images"]
        assert (image["RootDeviceType"], image["ImageLocation"]) == ("instance-store", made["image_location"])
        keys = [item["Key"] for item in s3.list_object_versions(Bucket=bucket)["Versions"]]
        found = {key.rpartition("/")[2]: s3.get_object(Bucket=bucket, Key=key)["Body"].read() for key in keys}
        manifest = found[made["image_location"].rpartition("/")[2]]
        assert digest(unbundle(manifest, found, pem.private_key, tmp_path)) == made["sha256"]

        assert ami_wizard("clean", made["build"], "--cloud", "--yes").returncode == 0

        assert "Versions" not in s3.list_object_versions(Bucket=bucket)
        assert made["image_id"] not in [image["ImageId"] for image in ec2.describe_images(Owners=["self"])["Images"]]


def test_clean_removes_what_a_build_made_and_twice_does_no_harm(hvm: dict[str, Any], in_world: Path) -> None:
    made = build(in_world, RECIPE.format(name="to-be-removed"))
    assert ami_wizard("clean", made["build"], "--cloud", "--yes").returncode == 0
    with cloud(in_world) as (ec2, _):
        assert made["image_id"] not in [image["ImageId"] for image in ec2.describe_images(Owners=["self"])["Images"]]
        assert made["snapshot_id"] not in [
            found["SnapshotId"] for found in ec2.describe_snapshots(OwnerIds=["self"])["Snapshots"]
        ]
        assert ec2.describe_images(ImageIds=[hvm["image_id"]])["Images"], "another build's image stays"
    assert ami_wizard("clean", made["build"], "--cloud", "--yes").returncode == 2


def test_an_instance_of_the_ami_is_launched_and_its_end_is_told(
    hvm: dict[str, Any], in_world: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By the real command; a small program stands in QEMU's place, and test_launch boots a real image."""
    monkeypatch.setenv("PATH", FakeQemu(tmp_path / "qemu").path)
    made = build(in_world, RECIPE.format(name="to-be-launched") + "[launch]\n")
    assert made["came_up"] == "its console shows a login prompt"
    assert made["login"].startswith("any other: ssh -i KEY-FILE root@ITS-ADDRESS")
    with cloud(in_world) as (ec2, _):
        (group,) = ec2.describe_instances(InstanceIds=[made["instance_id"]])["Reservations"]
        (instance,) = group["Instances"]
    assert (instance["ImageId"], instance["State"]["Name"]) == (made["image_id"], "terminated")
    listed = json.loads(ami_wizard("builds", "--json").stdout)["builds"]
    (kinds,) = [{one["kind"] for one in row["resources"]} for row in listed if row["id"] == made["build"]]
    assert kinds == {"image", "snapshot"}
