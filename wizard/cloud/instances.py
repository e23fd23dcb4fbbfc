"""Instances: run once, waited for, and terminated with all that belongs to them."""

import uuid
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from typing import Any

from botocore.exceptions import ClientError

from wizard.cloud.errors import aws_code, aws_errors
from wizard.cloud.images import LONGEST_UNSEEN
from wizard.cloud.session import Client
from wizard.cloud.waiting import Asked, Cancelled, never, until
from wizard.explain import Failure
from wizard.plan.actions import BUILD_TAG, NO_IMAGE, fill
from wizard.run.journal import Journal, Record, is_fresh

ALIVE = ("pending", "running", "stopping", "stopped")
"""States in which an instance is there, or can be again.  (One that is shutting down only ends.)"""

LONGEST_PENDING = 600.0
LONGEST_ENDING = 600.0

REASONS = {
    "Server.InsufficientInstanceCapacity": "no-capacity",
    "Client.VolumeLimitExceeded": "volume-limit",
}
"""Our code for such of AWS's reasons for an instance's end as have an explanation of their own.  Source: EC2 API
Reference, "StateReason"."""

SAID_EARLY = frozenset(
    {
        *("access-denied", "no-such-key-pair", "no-such-network", "no-default-vpc", "account-not-verified"),
        *("practice-programs-missing", "instance-type-not-here"),
    }
)
"""Of what a dry run without an image is answered, that which will be no better with one."""


def check_permission(ec2: Client, parameters: Mapping[str, Any]) -> None:
    """Asks whether we may run such an instance, and whether what it names is there, without doing it.

    The image is not there yet, so whatever AWS says of it tells nothing.  Raises what of SAID_EARLY it is.
    """
    try:
        with aws_errors("RunInstances", ec2.meta.region_name):
            ec2.run_instances(**fill(parameters, {"<image>": NO_IMAGE}), DryRun=True)
    except Failure as failure:
        if failure.code in SAID_EARLY:
            raise


def run(ec2: Client, journal: Journal, parameters: Mapping[str, Any], *, keep: bool) -> str:
    """Runs an instance with the parameters of RunInstances, once; gives its id.

    The client token, which the journal has before AWS, finds one whose answer was lost; one that has ended since is
    followed by another.  `keep` is written down for those who tidy up.  Raises what AWS refuses.
    """
    region = ec2.meta.region_name
    asked = journal.last("RunInstances", "asked")
    if asked and asked["region"] == region and {**asked["request"], **parameters} == asked["request"]:
        known = find_asked(ec2, asked)
        if known and known["State"]["Name"] in ALIVE:
            journal.answered("RunInstances", **_answer(region, asked["request"], known["InstanceId"]))
            return str(known["InstanceId"])
        if known is None and (again := _ask_again(ec2, journal, asked)):
            return again
    request = {**parameters, "ClientToken": str(uuid.uuid4())}
    journal.asked("RunInstances", region=region, keep=keep, request=request)
    return _ask(ec2, journal, request)


def _ask_again(ec2: Client, journal: Journal, asked: Record) -> str | None:
    """The same request again: AWS may not have got it, or may only not show its instance yet.

    None where that instance has ended.
    """
    if _heard(journal, asked) and not is_fresh(asked, LONGEST_UNSEEN):
        return None
    try:
        return _ask(ec2, journal, asked["request"])
    except Failure as failure:
        if failure.facts.get("aws_code") != "IdempotentInstanceTerminated":
            raise
        return None


def _ask(ec2: Client, journal: Journal, request: Mapping[str, Any]) -> str:
    region = ec2.meta.region_name
    with aws_errors("RunInstances", region):
        instance_id = str(ec2.run_instances(**request)["Instances"][0]["InstanceId"])
    journal.answered("RunInstances", **_answer(region, request, instance_id))
    return instance_id


def _answer(region: str, request: Mapping[str, Any], instance_id: str) -> dict[str, str]:
    return {"region": region, "token": request["ClientToken"], "instance_id": instance_id}


def _heard(journal: Journal, asked: Record) -> str | None:
    """The instance that came of a journaled RunInstances, if its answer was heard."""
    token = asked["request"]["ClientToken"]
    return next((str(item["instance_id"]) for item in journal.records() if item.get("token") == token), None)


def find_asked(ec2: Client, asked: Record) -> dict[str, Any] | None:
    """The instance that came of a journaled RunInstances, as far as AWS shows it."""
    return next(iter(_found(ec2, "client-token", asked["request"]["ClientToken"])), None)


def describe(ec2: Client, instance_id: str) -> dict[str, Any] | None:
    """As DescribeInstances gives it; None where AWS knows no such instance."""
    with aws_errors("DescribeInstances", ec2.meta.region_name):
        try:
            said = ec2.describe_instances(InstanceIds=[instance_id])
        except ClientError as error:
            if aws_code(error) != "InvalidInstanceID.NotFound":
                raise
            return None
    return next(_each(said), None)


def wait_until_running(ec2: Client, instance_id: str, cancelled: Asked) -> dict[str, Any]:
    """Raises Cancelled, instance-ended (or why it did, where that is known), instance-pending."""

    def look() -> dict[str, Any] | None:
        # Right after its launch AWS may not show it yet.
        instance = describe(ec2, instance_id)
        check_alive(ec2, instance)
        return instance if instance and instance["State"]["Name"] == "running" else None

    late = Failure("instance-pending", instance_id=instance_id, region=ec2.meta.region_name)
    return until(look, LONGEST_PENDING, late, cancelled)


def check_alive(ec2: Client, instance: Mapping[str, Any] | None, evidence: Iterable[str] = ()) -> None:
    """Raises a Failure with AWS's reason for an instance that has ended, or is about to."""
    if instance is None or instance["State"]["Name"] in ("pending", "running"):
        return
    reason = instance.get("StateReason", {})
    said = str(reason.get("Message", "AWS gave no reason"))
    raise Failure(
        REASONS.get(str(reason.get("Code")), "instance-ended"),
        evidence=[said, *evidence],
        instance_id=instance["InstanceId"],
        state=instance["State"]["Name"],
        region=ec2.meta.region_name,
        operation="RunInstances",
    )


def terminate(ec2: Client, journal: Journal, instance_id: str, cancelled: Asked = never) -> bool:
    """Terminates an instance and waits until it has ended, or nobody wants to; False if there is none any more.

    Raises instance-not-ending, and what AWS refuses.
    """
    region = ec2.meta.region_name
    known = describe(ec2, instance_id)
    if known is None or known["State"]["Name"] == "terminated":
        journal.answered("TerminateInstances", region=region, instance_id=instance_id)
        return False
    journal.asked("TerminateInstances", region=region, instance_id=instance_id)
    with aws_errors("TerminateInstances", region):
        ec2.terminate_instances(InstanceIds=[instance_id])
    # From now on it can only end.
    journal.answered("TerminateInstances", region=region, instance_id=instance_id)

    def has_ended() -> bool | None:
        now = describe(ec2, instance_id)
        return now is None or now["State"]["Name"] == "terminated" or None

    with suppress(Cancelled):
        late = Failure("instance-not-ending", instance_id=instance_id, region=region)
        until(has_ended, LONGEST_ENDING, late, cancelled)
    return True


def discard_unkept(ec2: Client, journal: Journal) -> None:
    """Terminates the instances that a journal names, but for those that are meant to stay.

    For the journal of answers that were changed since: nobody will go on with those.
    """
    _terminate_asked(ec2, journal, [record for record in _asked_here(ec2, journal) if not record["keep"]])


def remove(ec2: Client, journal: Journal) -> list[str]:
    """Terminates what the journal says was run in the client's region; gives the ids that were there and now are not.

    Calling it again does no harm.
    """
    return _terminate_asked(ec2, journal, _asked_here(ec2, journal))


def tagged(ec2: Client, tag: str) -> list[str]:
    """The instances that carry the build's tag in the client's region."""
    return [one["InstanceId"] for one in _found(ec2, f"tag:{BUILD_TAG}", tag) if one["State"]["Name"] in ALIVE]


def remove_tagged(ec2: Client, journal: Journal, tag: str) -> list[str]:
    """Terminates what carries the build's tag; gives the ids that were there and now are not."""
    return [instance_id for instance_id in tagged(ec2, tag) if terminate(ec2, journal, instance_id)]


def _asked_here(ec2: Client, journal: Journal) -> list[Record]:
    asked = ("RunInstances", "asked", ec2.meta.region_name)
    return [item for item in journal.records() if (item["operation"], item["kind"], item.get("region")) == asked]


def _terminate_asked(ec2: Client, journal: Journal, records: Iterable[Record]) -> list[str]:
    answered = ("TerminateInstances", "answered")
    ended = {item["instance_id"] for item in journal.records() if (item["operation"], item["kind"]) == answered}
    made = [_heard(journal, record) or _unheard(ec2, record) for record in records]
    return [one for one in made if one and one not in ended and terminate(ec2, journal, one)]


def _unheard(ec2: Client, asked: Record) -> str | None:
    found = find_asked(ec2, asked)
    return str(found["InstanceId"]) if found else None


def _found(ec2: Client, name: str, value: str) -> list[dict[str, Any]]:
    with aws_errors("DescribeInstances", ec2.meta.region_name):
        pages = ec2.get_paginator("describe_instances").paginate(Filters=[{"Name": name, "Values": [value]}])
        return [instance for page in pages for instance in _each(page)]


def _each(said: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    return (instance for group in said["Reservations"] for instance in group["Instances"])
