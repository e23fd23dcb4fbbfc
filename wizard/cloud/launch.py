"""An instance of the AMI: run, watched until it has come up or failed, explained, and ended."""

import json
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from botocore.exceptions import ClientError

from wizard.boot.lab.watch import Consoles, judge, last_phase, last_words, readable, troubles
from wizard.boot.proof.judgement import STUCK
from wizard.cloud import instances
from wizard.cloud.errors import aws_code, aws_errors
from wizard.cloud.practice.machines import SSH_PORT
from wizard.cloud.session import Client
from wizard.cloud.waiting import Asked, Cancelled, rest
from wizard.explain import Failure
from wizard.plan.actions import LaunchInstance, fill
from wizard.plan.launch import login_line
from wizard.run.journal import Journal
from wizard.targets.instances import is_nitro

CONSOLE = "console.log"
FACTS = "instance.json"

FIRST_PAUSE_SECONDS = 0.5
LONGEST_PAUSE_SECONDS = 5.0

SILENT_SECONDS = 60
"""A console that says nothing more, and no login prompt either, may still be that of an instance that has come up."""

NOT_OF_THE_INSTANCE = frozenset(
    {"expired-credentials", "invalid-credentials", "no-credentials", "no-network-to-aws", "throttled"}
)
"""Failures that say nothing of the instance: the next start goes on with it."""

Said = Callable[[list[str]], None]


@dataclass(frozen=True, slots=True)
class Seen:
    """What was seen of an instance so far.

    console  what its console says, as far as EC2 shows it
    silent   for how many seconds that has been nothing more
    status   of EC2's check whether it answers on its network: "ok", "initializing", "impaired"; "" before
    latest   whether EC2 shows the console as it is, and not only what it has fetched of it some time ago
    """

    console: str
    silent: float
    status: str
    latest: bool


def launch(
    ec2: Client,
    journal: Journal,
    action: LaunchInstance,
    work: Path,
    said: Said,
    cancelled: Asked,
    *,
    practice: bool,
) -> dict[str, str]:
    """Carries the action out; gives what a person wants to know.

    The instance is terminated in the end, whatever was seen, unless it is to be kept; where the user stops before
    that, it runs on, and the next call finds it.  Raises Cancelled, why the instance did not come up, and what AWS
    refuses.
    """
    for path in sorted(journal.path.parent.glob("launch-*.jsonl")):
        if path != journal.path:
            instances.discard_unkept(ec2, Journal(path))
    image_id = (work / action.image).read_text(encoding="ascii").strip()
    parameters = fill(action.parameters, {"<image>": image_id})
    instance_id = instances.run(ec2, journal, parameters, keep=action.keep)
    try:
        address, how = _until_up(ec2, instance_id, action.wait_seconds, work / action.saves, said, cancelled)
    except Cancelled:
        said([f"Instance {instance_id} runs on. The next start of this build goes on with it, and then ends it."])
        raise
    except Failure as failure:
        if failure.code not in NOT_OF_THE_INSTANCE and not action.keep:
            # Why it did not come up is what is to be told; `clean --cloud` knows of it.
            with suppress(Failure):
                instances.terminate(ec2, journal, instance_id)
        raise
    if not action.keep:
        instances.terminate(ec2, journal, instance_id, cancelled)
    facts = {"instance_id": instance_id, "came_up": how, **_afterwards(action, address, practice=practice)}
    (work / action.saves / FACTS).write_text(json.dumps(facts), encoding="utf-8")
    return facts


def _afterwards(action: LaunchInstance, address: str, *, practice: bool) -> dict[str, str]:
    """What is to be said of an instance that has come up: whether it runs on, and how to log in to it, or to others."""
    if not action.keep:
        login = login_line("ITS-ADDRESS", action.key or "the key pair that it is launched with", action.user)
        return {"instance_state": "it was terminated", "login": f"any other: {login}"}
    ends = "until the practice cloud ends, which is with the last that uses it" if practice else "on"
    login = login_line(address, action.key, action.user, SSH_PORT if practice else None)
    return {"instance_state": f"it runs {ends}", "address": address, "login": login}


def _until_up(
    ec2: Client, instance_id: str, seconds: float, saves: Path, said: Said, cancelled: Asked
) -> tuple[str, str]:
    """The instance's address, and how one sees that it has come up."""
    said([f"Instance {instance_id} was launched; waiting until it runs."])
    instance = instances.wait_until_running(ec2, instance_id, cancelled)
    address = str(instance.get("PublicIpAddress") or instance.get("PrivateIpAddress", "no address"))
    nitro = is_nitro(instance["InstanceType"])
    said([f"It runs, at {address}. Its console{'' if nitro else ', which EC2 shows some minutes late on this type'}:"])
    return address, watch(ec2, instance_id, seconds, saves / CONSOLE, said, cancelled, latest=nitro)


def watch(
    ec2: Client, instance_id: str, seconds: float, console: Path, said: Said, cancelled: Asked, *, latest: bool
) -> str:
    """Looks until the instance has come up, and gives how that was seen; its console is left in a file.

    Raises Cancelled, why it did not come up, and after so many `seconds` what it was last doing.
    """
    listener, deadline, pause = _Listener(said), time.monotonic() + seconds, FIRST_PAUSE_SECONDS
    while True:
        text = readable(console_output(ec2, instance_id, latest=latest).encode())
        console.write_text(text, encoding="utf-8")
        silent = listener.hear(text)
        where = f"console: {console}"
        instances.check_alive(ec2, instances.describe(ec2, instance_id), [*last_words(text), where])
        seen = Seen(text, silent, status(ec2, instance_id), latest)
        if how := came_up(seen, where, is_late=time.monotonic() > deadline):
            said([f"The kernel complains: {line}" for line in troubles(text)])
            return how
        rest(pause, cancelled)
        pause = min(1.5 * pause, LONGEST_PAUSE_SECONDS)


def came_up(seen: Seen, where: str, *, is_late: bool) -> str | None:
    """How one sees that an instance has come up; None where more has to be seen.  Pure.

    Raises a Failure where it has not: what its console says, that it does not answer, or what it was last doing when
    its time was up.  `where` is a line of evidence: where the console can be read.
    """
    consoles, words = Consoles(seen.console), last_words(seen.console)
    verdict = judge(consoles, "login", seen.silent if seen.latest or is_late else 0.0)
    if verdict and verdict.came_up:
        return "its console shows a login prompt"
    if verdict:
        raise Failure(verdict.code, evidence=[*verdict.last_words, where], phase=verdict.phase, said="nothing")
    may_say_more = seen.silent < SILENT_SECONDS and not is_late
    if seen.status == "ok" and not may_say_more:
        return "it answers on its network (EC2's status checks), though no login prompt was seen on its console"
    if seen.status == "impaired":
        raise Failure("instance-unreachable", evidence=[*words, where])
    if is_late:
        phase = last_phase(consoles)
        code = STUCK.get(phase, "instance-silent") if seen.console.strip() else "instance-silent"
        raise Failure(code, evidence=[*words, where], phase=phase, said="nothing")
    return None


def console_output(ec2: Client, instance_id: str, *, latest: bool) -> str:
    """What EC2 shows of the instance's console, at most its last 64 KiB; "" before there is anything."""
    with aws_errors("GetConsoleOutput", ec2.meta.region_name):
        try:
            said = ec2.get_console_output(InstanceId=instance_id, **({"Latest": True} if latest else {}))
        except ClientError as error:
            if latest and aws_code(error) == "UnsupportedOperation":
                return console_output(ec2, instance_id, latest=False)
            if aws_code(error) != "InvalidInstanceID.NotFound":
                raise
            return ""
    return str(said.get("Output", ""))


def status(ec2: Client, instance_id: str) -> str:
    """Of EC2's status checks, the worse one; "" while there is none."""
    with aws_errors("DescribeInstanceStatus", ec2.meta.region_name):
        try:
            found = ec2.describe_instance_status(InstanceIds=[instance_id])["InstanceStatuses"]
        except ClientError as error:
            if aws_code(error) != "InvalidInstanceID.NotFound":
                raise
            return ""
    said = {check["Status"] for one in found for check in (one["InstanceStatus"], one["SystemStatus"])}
    return next((worse for worse in ("impaired", "initializing", "ok") if worse in said), "")


@dataclass(slots=True)
class _Listener:
    """Says every whole line of a growing console once."""

    said: Said
    heard: str = ""
    changed: float = field(default_factory=time.monotonic)

    def hear(self, console: str) -> float:
        """The console as it is now; gives for how many seconds it has not changed.

        EC2 shows the end alone: of a long one nobody can tell what is new, and it stands in the file.
        """
        if console != self.heard:
            self.changed = time.monotonic()
            if console.startswith(self.heard):
                whole = console.rpartition("\n")[0].split("\n")
                self.said(whole[self.heard.count("\n") :])
            self.heard = console
        return time.monotonic() - self.changed
