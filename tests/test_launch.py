"""An instance of the AMI is run once, watched, explained and ended, whatever happens on the way."""

import json
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import tiny
from botocore.exceptions import ConnectionClosedError
from botocore.stub import Stubber
from click.testing import CliRunner
from fake_qemu import UP, FakeQemu, cloud_with
from test_practice_cloud import completed, hvm
from test_practice_instances import everything

from screens.done import next_lines
from wizard import presets, questions
from wizard.cli.build import _say_what_runs
from wizard.cli.clean import clean
from wizard.cloud import instances
from wizard.cloud import launch as launching
from wizard.cloud.actions import perform
from wizard.cloud.launch import Seen, came_up
from wizard.cloud.practice.process import practice_cloud
from wizard.cloud.session import client
from wizard.cloud.waiting import Cancelled
from wizard.explain import Failure, explain
from wizard.explain.catalogue import entries
from wizard.plan.actions import (
    BUILD_TAG,
    NO_IMAGE,
    CheckAccount,
    CheckLaunch,
    CloudAction,
    LaunchInstance,
    RegisterImage,
    UploadSnapshot,
    fill,
)
from wizard.plan.build import Occasion, plan, tools_to_launch_here
from wizard.plan.cost import launch_estimate
from wizard.plan.launch import default_type, login_line
from wizard.plan.prose import prose
from wizard.plan.script import script
from wizard.questions import answers_of, known
from wizard.recipe import Recipe, Target, from_answers, problems_of
from wizard.run import builds
from wizard.run.journal import Journal
from wizard.targets import target
from wizard.targets.instances import of_type
from wizard.targets.target import Abilities

REGION = "us-east-1"
TARGET = {"region": REGION, "arch": "x86_64"}
OCCASION = Occasion("launched-1", "2026-11-24")
BUILD = "launched-1"
GRAVITON = {"region": "us-east-1", "arch": "arm64"}
PV = {**TARGET, "virtualization": "paravirtual"}

LAUNCH_AND_DIE = """
import json, os, signal, sys
from pathlib import Path
from wizard.cloud import instances
from wizard.cloud.session import client
from wizard.run.journal import Journal

url, region, journal, moment, parameters = sys.argv[1:]
ec2 = client("ec2", region, url)
event = f"{moment}-call.ec2.RunInstances"
ec2.meta.events.register_first(event, lambda **_: os.kill(os.getpid(), signal.SIGKILL))
instances.run(ec2, Journal(Path(journal)), json.loads(parameters), keep=False)
"""


# The plan


def recipe(launch: dict[str, Any] | None = None, **target: Any) -> Recipe:
    answers: dict[str, Any] = {"name": "launched", "target": {**TARGET, **target}}
    return from_answers(answers if launch is None else {**answers, "launch": launch})


def action(launch: dict[str, Any] | None = None) -> LaunchInstance:
    (made,) = plan(recipe(launch or {}), OCCASION).step("launch").actions
    assert isinstance(made, LaunchInstance)
    return made


def test_a_recipe_without_a_launch_is_planned_as_ever_and_with_one_only_the_launch_is_more() -> None:
    without, with_one = plan(recipe(), OCCASION), plan(recipe({}), OCCASION)
    assert [step.id for step in with_one.steps] == [*(step.id for step in without.steps), "launch"]
    kept = [step.id for step in without.steps if step.kept]
    assert {step: with_one.keys()[step] for step in kept} == {step: without.keys()[step] for step in kept}
    assert [type(one) for one in without.step("account").actions] == [CheckAccount]
    assert [type(one) for one in with_one.step("account").actions] == [CheckAccount, CheckLaunch]


def test_nobody_sees_an_ami_before_it_is_known_to_start_and_copies_do_not_wait_for_that() -> None:
    publish = {"regions": ["eu-west-1"], "share_with": ["everyone"], "ssm_parameter": "/images/web"}
    answers = {"name": "launched", "target": TARGET, "launch": {}, "publish": publish}
    steps = {step.id: step.waits_for for step in plan(from_answers(answers), OCCASION).steps}
    assert "launch" in steps["share"] and "launch" in steps["parameter"]
    assert "launch" not in steps["copy-eu-west-1"]


def test_run_instances_is_asked_for_one_tagged_instance_that_ends_for_good() -> None:
    wanted = {"key_name": "laptop", "subnet": "subnet-01234567", "security_group": "sg-01234567"}
    tags = [{"Key": "Name", "Value": "launched"}, {"Key": BUILD_TAG, "Value": BUILD}]
    assert action(wanted).parameters == {
        "ImageId": "<image>",
        "InstanceType": "t3.micro",
        "MinCount": 1,
        "MaxCount": 1,
        "KeyName": "laptop",
        "SubnetId": "subnet-01234567",
        "SecurityGroupIds": ["sg-01234567"],
        "InstanceInitiatedShutdownBehavior": "terminate",
        "TagSpecifications": [{"ResourceType": kind, "Tags": tags} for kind in ("instance", "volume")],
    }


@pytest.mark.parametrize(
    ("where", "able", "kind"),
    [
        (TARGET, Abilities(), "t3.micro"),
        (TARGET, Abilities(ena=False), "t2.micro"),
        ({**TARGET, "boot_mode": "uefi"}, Abilities(ena=False), None),
        (GRAVITON, Abilities(), "t4g.micro"),
        (PV, Abilities(), "m1.small"),
        ({**PV, "region": "eu-central-1"}, Abilities(), "m3.medium"),
        ({**PV, "arch": "i386"}, Abilities(), "m1.small"),
    ],
    ids=["hvm", "no ena", "uefi without ena", "arm64", "pv", "pv without m1", "i386"],
)
def test_the_cheapest_type_that_starts_it_is_taken(where: dict[str, Any], able: Abilities, kind: str | None) -> None:
    chosen = Target.model_validate(where)
    table = "none" if chosen.virtualization == "paravirtual" else "gpt"
    modes = ("legacy-bios", "uefi", "uefi-preferred")
    assert default_type(chosen, target.consequences(chosen, table, modes), able) == kind


@pytest.mark.parametrize(
    ("launch", "said"),
    [
        ({"instance_type": "t4g.micro"}, "launch.instance_type: is 't4g.micro', which is not known to start such an"),
        ({"instance_type": "t99.micro"}, "Did you mean t3.micro?"),
        ({"instance_type": "micro"}, "launch.instance_type: is 'micro', which cannot stand there; a right one is like"),
        ({"subnet": "default"}, "a right one is like subnet-0123456789abcdef0"),
        ({"security_group": "default"}, "a right one is like sg-0123456789abcdef0"),
        ({"key_name": "a\nb"}, "a right one is like laptop"),
        ({"wait_seconds": 5}, "launch.wait_seconds: is 5; it must be at least 30."),
        ({"instance_typ": "t3.micro"}, "Did you mean instance_type?"),
    ],
    ids=lambda value: next(iter(value)) + str(value)[-12:-2] if isinstance(value, dict) else "",
)
def test_what_cannot_be_launched_is_said_with_the_recipe(launch: dict[str, Any], said: str) -> None:
    (problem,) = problems_of({"name": "launched", "target": TARGET, "launch": launch})
    assert said in str(problem)


def test_the_table_is_carried_along_by_the_questions_that_do_not_ask_for_it() -> None:
    given = recipe({"key_name": "laptop", "keep": True})
    answers = known(answers_of(given))
    assert questions.recipe(answers).launch == given.launch
    assert "launch" not in known({**answers, "launch": "nonsense"})
    assert "launch" not in answers_of(recipe())


def test_the_script_does_the_same_and_bash_accepts_it_whatever_the_key_is_called() -> None:
    for key_name in ("laptop", "it's $(mine)"):
        text = script(plan(recipe({"key_name": key_name}), OCCASION))
        checked = subprocess.run(["bash", "-n"], input=text, text=True, capture_output=True)
        assert checked.returncode == 0, checked.stderr
    assert "aws ec2 run-instances --dry-run" in text
    assert "aws ec2 terminate-instances" in text
    assert "aws ec2 terminate-instances" not in script(plan(recipe({"keep": True}), OCCASION))


def test_how_to_log_in_names_the_user_the_address_and_the_key() -> None:
    line = login_line("192.0.2.1", "the key pair laptop", port=2222)
    assert line == "ssh -i KEY-FILE -p 2222 root@192.0.2.1 (KEY-FILE: the private key of the key pair laptop)"
    assert login_line("192.0.2.1", "").startswith("nobody can")


def test_a_finished_build_says_what_became_of_its_instance_or_how_to_start_one() -> None:
    facts = {"image_id": "ami-1", "region": REGION, "instance_id": "i-1", "came_up": "so", "login": "ssh root@there"}
    assert next_lines(facts, recipe({})) == ["Instance i-1: so;", "  ssh root@there"]
    start, login = next_lines({"image_id": "ami-1", "region": REGION}, recipe())
    assert "--image-id ami-1 --instance-type t3.micro --key-name YOUR-KEY" in start
    assert "root@ITS-ADDRESS" in login


def test_what_the_practice_cloud_takes_to_start_it_is_known_before_the_build() -> None:
    def needed(**target: Any) -> list[str]:
        return tools_to_launch_here(recipe({}, **target))

    assert needed() == ["qemu-system-x86_64", "/usr/share/OVMF/OVMF_CODE_4M.fd"]
    assert needed(boot_mode="legacy-bios") == ["qemu-system-x86_64"]
    assert "cpio" in needed(virtualization="paravirtual")
    assert "qemu-system-aarch64" in needed(arch="arm64")
    assert tools_to_launch_here(recipe()) == []
    with pytest.raises(Failure) as caught:
        of_s3 = Recipe.model_validate({"name": "old", "target": {**PV, "storage": "s3"}, "launch": {}})
        tools_to_launch_here(of_s3)
    assert caught.value.code == "practice-cannot-launch"


def test_what_a_launch_costs_is_an_estimate_by_the_hour_with_its_date() -> None:
    prices = presets.load("prices")
    hourly = prices["instance_hour"]["t3.micro"] + prices["public_address_hour"]
    assert f"about ${hourly:.4f} an hour" in launch_estimate("t3.micro")
    assert f"an estimate, by the prices of {prices['region']} on {prices['date']}" in launch_estimate("t3.micro")
    assert "no price of m5.large is known" in launch_estimate("m5.large")
    assert launch_estimate("t3.micro") in prose(plan(recipe({}), OCCASION))


def test_every_type_with_a_price_is_known() -> None:
    assert all(of_type(name) for name in presets.load("prices")["instance_hour"])


# What is seen


KERNEL = "Linux version 6.1\n"
NO_FILE = "GRUB loading.\nerror: file `/vmlinuz' not found.\n"
PANIC = "Linux version 6.1\nKernel panic - not syncing: VFS: Unable to mount root fs on unknown-block(0,0)\n"
CASES: dict[str, tuple[Seen, bool, str | None]] = {
    "a login prompt": (Seen(UP, 1, "", True), False, "its console shows a login prompt"),
    "nothing yet": (Seen("", 1, "", True), False, None),
    "a kernel at work": (Seen(KERNEL, 1, "initializing", True), False, None),
    "reachable, and still talking": (Seen(KERNEL, 1, "ok", True), False, None),
    "reachable, and silent": (Seen(KERNEL, 90, "ok", True), False, "it answers on its network"),
    "reachable, its console not fetched yet": (Seen("", 90, "ok", False), False, "it answers on its network"),
    "reachable, and late": (Seen(KERNEL, 1, "ok", True), True, "it answers on its network"),
    "no root": (Seen(PANIC, 1, "initializing", True), False, "!proof-no-root"),
    "no root, and yet reachable": (Seen(PANIC, 90, "ok", False), False, "!proof-no-root"),
    "no kernel": (Seen(NO_FILE, 9, "initializing", True), False, "!proof-kernel-not-found"),
    "no kernel, as it was a while ago": (Seen(NO_FILE, 9, "initializing", False), False, None),
    "no kernel, and late": (Seen(NO_FILE, 9, "initializing", False), True, "!proof-kernel-not-found"),
    "impaired": (Seen(KERNEL, 1, "impaired", True), False, "!instance-unreachable"),
    "late in the kernel": (Seen(KERNEL, 1, "initializing", True), True, "!proof-stuck-kernel"),
    "late without a word": (Seen("", 700, "initializing", False), True, "!instance-silent"),
}


@pytest.mark.parametrize("name", CASES)
def test_what_is_seen_of_an_instance_decides_and_is_explained(name: str) -> None:
    seen, is_late, expected = CASES[name]
    try:
        found = came_up(seen, "console: there", is_late=is_late)
    except Failure as failure:
        found = f"!{failure.code}"
        assert failure.evidence[-1] == "console: there"
        assert failure.code in entries()
    assert (found or "").startswith(expected or "")
    assert bool(found) == bool(expected)


# At AWS


@pytest.mark.parametrize(
    ("theirs", "ours"),
    [
        ("InsufficientInstanceCapacity", "no-capacity"),
        ("VcpuLimitExceeded", "launch-limit"),
        ("VPCIdNotSpecified", "no-default-vpc"),
        ("InvalidKeyPair.NotFound", "no-such-key-pair"),
        ("InvalidSubnetID.NotFound", "no-such-network"),
        ("InvalidGroup.NotFound", "no-such-network"),
        ("Unsupported", "instance-type-not-here"),
        ("PendingVerification", "account-not-verified"),
        ("UnauthorizedOperation", "access-denied"),
        ("InvalidParameterCombination", "aws-refused"),
    ],
)
def test_what_aws_refuses_is_explained_and_nothing_was_run(theirs: str, ours: str, tmp_path: Path) -> None:
    ec2, journal = stubbed(), Journal(tmp_path / "journal")
    with Stubber(ec2) as stub:
        stub.add_client_error("run_instances", theirs, "no")
        with pytest.raises(Failure) as caught:
            instances.run(ec2, journal, {"ImageId": "ami-1", "MinCount": 1, "MaxCount": 1}, keep=False)
    assert caught.value.code == ours
    assert ours in entries()
    assert "not known)" not in " ".join(explain(caught.value).do), "an explanation lacks a fact"
    assert journal.last("RunInstances") is None


@pytest.mark.parametrize(
    ("theirs", "is_said"),
    [
        ("DryRunOperation", False),
        ("InvalidAMIID.NotFound", False),
        ("UnauthorizedOperation", True),
        ("InvalidKeyPair.NotFound", True),
        ("VPCIdNotSpecified", True),
    ],
)
def test_before_the_long_work_a_dry_run_tells_what_will_be_no_better_later(theirs: str, is_said: bool) -> None:
    ec2, parameters = stubbed(), action().parameters
    with Stubber(ec2) as stub:
        asked = {**fill(parameters, {"<image>": NO_IMAGE}), "DryRun": True}
        stub.add_client_error("run_instances", theirs, "no", expected_params=asked)
        try:
            instances.check_permission(ec2, parameters)
        except Failure:
            assert is_said
        else:
            assert not is_said


def test_an_instance_that_ends_at_its_start_is_explained_by_the_reason_that_aws_gives() -> None:
    reasons = {"Server.InsufficientInstanceCapacity": "no-capacity", "Client.InternalError": "instance-ended"}
    for code, ours in reasons.items():
        ec2 = stubbed()
        reason = {"Code": code, "Message": f"{code}: of the test"}
        one = {"InstanceId": "i-1", "State": {"Name": "terminated"}, "StateReason": reason}
        with Stubber(ec2) as stub:
            stub.add_response("describe_instances", {"Reservations": [{"Instances": [one]}]}, {"InstanceIds": ["i-1"]})
            with pytest.raises(Failure) as caught:
                instances.wait_until_running(ec2, "i-1", lambda: False)
        assert (caught.value.code, caught.value.evidence) == (ours, (f"{code}: of the test",))


def test_an_instance_that_stays_pending_is_not_waited_for_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(instances, "LONGEST_PENDING", 0.0)
    ec2 = stubbed()
    with Stubber(ec2) as stub:
        # AWS does not show it at once.
        stub.add_client_error("describe_instances", "InvalidInstanceID.NotFound", "no")
        stub.add_response(
            "describe_instances",
            {"Reservations": [{"Instances": [{"InstanceId": "i-1", "State": {"Name": "pending"}}]}]},
        )
        with pytest.raises(Failure) as caught:
            instances.wait_until_running(ec2, "i-1", lambda: False)
    assert caught.value.code == "instance-pending"


def test_a_type_that_cannot_show_its_latest_console_is_asked_for_the_last_that_was_fetched() -> None:
    ec2 = stubbed()
    with Stubber(ec2) as stub:
        latest = {"InstanceId": "i-1", "Latest": True}
        stub.add_client_error("get_console_output", "UnsupportedOperation", "no", expected_params=latest)
        stub.add_response("get_console_output", {"Output": "aGVsbG8="}, {"InstanceId": "i-1"})
        assert launching.console_output(ec2, "i-1", latest=True) == "hello"


# In the practice cloud


def test_an_instance_is_run_watched_and_terminated(place: "Place") -> None:
    facts = place.launch()

    assert facts["came_up"] == "its console shows a login prompt"
    assert facts["instance_state"] == "it was terminated"
    assert place.states() == ["terminated"]
    assert (place.work / "launch/console.log").read_text() == UP
    assert json.loads((place.work / "launch/instance.json").read_text())["instance_id"] == facts["instance_id"]
    assert "Run /sbin/init as init process" in place.said
    operations = [asked for asked, _ in place.asked]
    assert operations[0] == "RunInstances"
    assert operations[-1] == "DescribeInstances"
    assert {"GetConsoleOutput", "DescribeInstanceStatus", "TerminateInstances"} <= set(operations)
    _, request = place.asked[0]
    token = (place.journal.last("RunInstances", "asked") or {})["request"]["ClientToken"]
    assert (request["ImageId"], request["ClientToken"]) == (place.image, token)
    assert dict(place.asked)["GetConsoleOutput"] == {"InstanceId": facts["instance_id"], "Latest": True}
    assert dict(place.asked)["TerminateInstances"] == {"InstanceIds": [facts["instance_id"]]}


def test_the_journal_knows_the_token_before_aws_does(place: "Place") -> None:
    def look(**_: Any) -> None:
        assert (place.journal.last("RunInstances", "asked") or {})["request"]["ClientToken"]

    place.ec2.meta.events.register_first("before-call.ec2.RunInstances", look)
    place.launch()


def test_an_instance_that_is_to_be_kept_runs_on_and_is_told_how_to_be_reached(place: "Place") -> None:
    place.ec2.import_key_pair(KeyName=place.name, PublicKeyMaterial="ssh-ed25519 AAAA me@home")
    facts = place.launch(keep=True, key_name=place.name)
    assert place.states() == ["running"]
    assert facts["login"].startswith(f"ssh -i KEY-FILE -p 2222 root@{facts['address']} (KEY-FILE: the private key of")


def test_a_lost_answer_makes_no_second_instance(place: "Place") -> None:
    place.lose_answer("RunInstances")
    with pytest.raises(Failure) as caught:
        place.launch()
    assert caught.value.code == "no-network-to-aws"
    assert len(place.states()) == 1

    place.launch()

    assert place.states() == ["terminated"]


@pytest.mark.parametrize("moment", ["before", "after"])
def test_killed_between_asked_and_answered_there_is_one_instance_all_the_same(place: "Place", moment: str) -> None:
    arguments = (place.url, REGION, str(place.journal.path), moment, json.dumps(place.parameters()))
    killed = subprocess.run([sys.executable, "-c", LAUNCH_AND_DIE, *arguments], capture_output=True, check=False)
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    assert place.journal.last("RunInstances", "asked")
    assert place.journal.last("RunInstances") is None
    assert len(place.states()) == (0 if moment == "before" else 1)

    place.launch()

    assert place.states() == ["terminated"]


def test_an_instance_that_ended_while_nobody_looked_is_followed_by_another(place: "Place") -> None:
    place.lose_answer("RunInstances")
    with pytest.raises(Failure):
        place.launch()
    place.ec2.terminate_instances(InstanceIds=[place.every()[0]["InstanceId"]])
    place.until_ended()

    place.launch()

    assert place.states() == ["terminated", "terminated"]


def test_who_is_stopped_finds_the_instance_again_and_ends_it(place: "Place", qemu: FakeQemu) -> None:
    qemu.says("Linux version 6.1\n", gets_address=False)
    with pytest.raises(Cancelled):
        place.launch(cancelled=lambda: "Linux version 6.1" in place.said)
    assert place.states() == ["running"]
    assert any("runs on" in line for line in place.said)
    assert [one["kind"] for one in place.resources()] == ["instance"]
    qemu.says(UP)

    with pytest.raises(Failure):
        # The machine that was started still says no more.
        place.launch(wait_seconds=0)

    assert place.states() == ["terminated"]
    assert place.resources() == []


def test_credentials_that_expire_in_the_middle_leave_the_instance_to_the_next_start(place: "Place") -> None:
    place.refuse("GetConsoleOutput", "RequestExpired")
    with pytest.raises(Failure) as caught:
        place.launch()
    assert caught.value.code == "expired-credentials"
    assert place.states() == ["running"]

    facts = place.launch()

    assert place.states() == ["terminated"]
    assert facts["instance_id"] == place.every()[0]["InstanceId"]


def test_an_instance_that_does_not_come_up_is_explained_by_its_console_and_ended(
    place: "Place", qemu: FakeQemu
) -> None:
    qemu.says(PANIC, gets_address=False)
    with pytest.raises(Failure) as caught:
        place.launch()
    assert caught.value.code == "proof-no-root"
    assert f"console: {place.work / 'launch/console.log'}" in caught.value.evidence
    assert place.states() == ["terminated"]


def test_an_instance_that_switches_itself_off_is_told_with_its_last_words(place: "Place", qemu: FakeQemu) -> None:
    qemu.says("reboot: Power down\n", gets_address=False, halts=0)
    with pytest.raises(Failure) as caught:
        place.launch()
    assert caught.value.code == "instance-ended"
    assert "reboot: Power down" in caught.value.evidence


def test_the_instance_of_answers_that_were_changed_since_is_ended_but_not_one_that_was_kept(place: "Place") -> None:
    for name, keep in (("launch-old", False), ("launch-older", True)):
        other = Journal(place.journal.path.with_name(f"{name}.jsonl"))
        instances.run(place.ec2, other, place.parameters(), keep=keep)
    place.launch()
    assert sorted(place.states()) == ["running", "terminated", "terminated"]


def test_clean_up_ends_what_the_journal_and_the_tag_name_and_nothing_of_others(place: "Place") -> None:
    place.lose_answer("RunInstances")
    with pytest.raises(Failure):
        place.launch()
    tagged = {"TagSpecifications": [{"ResourceType": "instance", "Tags": [{"Key": BUILD_TAG, "Value": place.name}]}]}
    by_tag = place.run(**tagged)

    assert instances.remove(place.ec2, place.journal) == [place.every()[0]["InstanceId"]]
    assert instances.tagged(place.ec2, place.name) == [by_tag]
    assert instances.tagged(place.ec2, "another build") == []
    assert instances.remove_tagged(place.ec2, place.journal, place.name) == [by_tag]
    assert instances.remove(place.ec2, place.journal) == []
    assert instances.remove_tagged(place.ec2, place.journal, place.name) == []


def test_clean_ends_the_instance_before_anything_else(place: "Place", monkeypatch: pytest.MonkeyPatch) -> None:
    build = builds.create(questions.recipe({"name": place.name}), practice=True)
    monkeypatch.setattr("wizard.folders.practice", lambda: place.folder)
    journal = build.journal("launch", "0" * 64)
    instance_id = instances.run(place.ec2, journal, place.parameters(), keep=True)
    image_journal = build.journal("register", "0" * 64)
    image_journal.answered("RegisterImage", region=REGION, image_id=place.image)
    assert {"kind": "instance", "id": instance_id, "region": REGION} in builds.resources(build)

    result = CliRunner().invoke(clean, [build.id, "--cloud", "--yes"], standalone_mode=False)

    assert result.exception is None
    removed = [line.removeprefix("removed ") for line in result.stderr.splitlines() if line.startswith("removed ")]
    assert removed == [instance_id, place.image]


def test_who_stops_a_build_is_told_of_the_instance_that_runs_on_in_aws(capsys: pytest.CaptureFixture[str]) -> None:
    for practice in (True, False):
        build = builds.create(questions.recipe({"name": "left-running"}), practice=practice)
        build.journal("launch", "0" * 64).answered("RunInstances", region=REGION, token="t", instance_id="i-1")
        _say_what_runs(build)
        said = capsys.readouterr().err
        assert said == "" if practice else f"clean {build.id} --cloud ends it" in said


@pytest.mark.slow
def test_what_was_really_uploaded_boots_and_its_console_shows_a_login_prompt(
    world: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """From the file to the snapshot, the AMI, the instance and its console: all of it is real."""
    monkeypatch.setenv("AMI_WIZARD_HOME", str(world))
    for part in ("image", "snapshot", "register", "launch"):
        (tmp_path / part).mkdir()
    tiny.image(tmp_path / "image")
    upload = UploadSnapshot(REGION, "image/disk.img", "snapshot/snapshot-id", "tiny", {BUILD_TAG: BUILD})
    register = RegisterImage(REGION, "snapshot/snapshot-id", "register/image-id", hvm("tiny", "<snapshot>"), BUILD)
    said: list[str] = []
    with practice_cloud(tmp_path / "cloud") as url:
        steps: tuple[CloudAction, ...] = (upload, register, action())
        for number, one in enumerate(steps):
            journal = Journal(tmp_path / f"{number}.jsonl")
            facts = perform(url, one, tmp_path, journal, lambda *_: None, lambda: False, said.extend)
    assert facts["came_up"] == "its console shows a login prompt"
    assert "tiny login: " in (tmp_path / "launch/console.log").read_text()
    assert any("Linux version" in line for line in said)


# Helpers


def stubbed() -> Any:
    """A client of AWS's that reaches nobody."""
    return client("ec2", REGION, "http://127.0.0.1:1")


class Place:
    """A work folder, a journal, and a client that writes down what it is asked, all for one test."""

    def __init__(self, folder: Path, url: str, image: str, tmp_path: Path, name: str) -> None:
        self.folder, self.url, self.image, self.work, self.name = folder, url, image, tmp_path / "work", name
        self.said: list[str] = []
        self.asked: list[tuple[str, dict[str, Any]]] = []
        self.ec2 = client("ec2", REGION, url)
        self.ec2.meta.events.register("provide-client-params.ec2.*", self._note)
        for part in ("launch", "register"):
            (self.work / part).mkdir(parents=True)
        (self.work / "register/image-id").write_text(f"{image}\n")
        self.journal = Journal(tmp_path / "launch-new.jsonl")
        self._before = {one["InstanceId"] for one in everything(self.ec2)}
        self.asked.clear()

    def _note(self, params: dict[str, Any], model: Any, **_: Any) -> None:
        self.asked.append((model.name, dict(params)))

    def launch(
        self, *, cancelled: Callable[[], bool] = lambda: False, wait_seconds: int | None = None, **launch: Any
    ) -> dict[str, str]:
        self.asked.clear()
        made = action(launch)
        if wait_seconds is not None:
            made = replace(made, wait_seconds=wait_seconds)
        return launching.launch(self.ec2, self.journal, made, self.work, self.said.extend, cancelled, practice=True)

    def parameters(self) -> dict[str, Any]:
        return dict(fill(action().parameters, {"<image>": self.image}))

    def run(self, **more: Any) -> str:
        return str(self.ec2.run_instances(**{**self.parameters(), **more})["Instances"][0]["InstanceId"])

    def every(self) -> list[dict[str, Any]]:
        """The instances of this test, the newest last."""
        mine = [one for one in everything(self.ec2) if one["InstanceId"] not in self._before]
        return sorted(mine, key=lambda one: one["LaunchTime"])

    def states(self) -> list[str]:
        return [one["State"]["Name"] for one in self.every()]

    def until_ended(self) -> None:
        for one in self.every():
            instances.terminate(self.ec2, Journal(self.work / "aside"), one["InstanceId"])

    def resources(self) -> list[dict[str, Any]]:
        build = builds.create(questions.recipe({"name": self.name}), practice=True)
        (build.folder / "journal").mkdir(exist_ok=True)
        (build.folder / "journal/launch.jsonl").write_text(self.journal.path.read_text())
        return builds.resources(build)

    def lose_answer(self, operation: str) -> None:
        """The next call reaches the cloud, but its answer does not come back."""
        event = f"after-call.ec2.{operation}"

        def lose(**_: Any) -> None:
            self.ec2.meta.events.unregister(event, lose)
            raise ConnectionClosedError(endpoint_url="https://aws")

        self.ec2.meta.events.register(event, lose)

    def refuse(self, operation: str, code: str) -> None:
        """The next call is refused."""
        event = f"before-call.ec2.{operation}"

        class Answer:
            status_code = 400

        def no(**_: Any) -> Any:
            self.ec2.meta.events.unregister(event, no)
            return Answer(), {"Error": {"Code": code, "Message": "of the test"}}

        self.ec2.meta.events.register_first(event, no)


@pytest.fixture(scope="module")
def qemu_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("qemu")


@pytest.fixture
def qemu(qemu_folder: Path) -> Iterator[FakeQemu]:
    fake = FakeQemu(qemu_folder)
    yield fake
    fake.says(UP)


@pytest.fixture(scope="module")
def cloud(tmp_path_factory: pytest.TempPathFactory, qemu_folder: Path) -> Iterator[tuple[Path, str]]:
    folder = tmp_path_factory.mktemp("cloud")
    with cloud_with(FakeQemu(qemu_folder), folder) as url:
        yield folder, url


@pytest.fixture(scope="module")
def snapshot(cloud: tuple[Path, str]) -> str:
    _, url = cloud
    return completed(client("ebs", REGION, url), client("ec2", REGION, url))


@pytest.fixture
def place(cloud: tuple[Path, str], snapshot: str, tmp_path: Path, qemu: FakeQemu) -> Iterator[Place]:
    folder, url = cloud
    name = tmp_path.name[:100]
    image = client("ec2", REGION, url).register_image(**hvm(name, snapshot))["ImageId"]
    made = Place(folder, url, image, tmp_path, name)
    yield made
    made.until_ended()
