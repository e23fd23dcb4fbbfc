"""A snapshot of a volume, made once: CreateSnapshot knows no client token, so a tag finds what was made unheard."""

import time
import uuid
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from wizard.cloud.errors import PASSING, aws_errors
from wizard.cloud.sending import Target
from wizard.cloud.session import Client
from wizard.cloud.snapshot import LONGEST_COMPLETION, delete_snapshot, snapshot_state, wait_until_completed
from wizard.cloud.volume.volumes import LONGEST_UNSEEN
from wizard.cloud.waiting import Asked, rest
from wizard.explain import Failure
from wizard.run.journal import Journal, Record, is_fresh

TOKEN_TAG = "ami-wizard:token"
"""The tag on a snapshot that says which call made it."""

ATTEMPTS = 6
PAUSE = 2.0
"""Seconds between two looks; and before the second attempt where AWS asks us to slow down, twice as many before the
next."""


def create(
    ec2: Client,
    once: Client,
    journal: Journal,
    volume_id: str,
    description: str,
    tags: Mapping[str, str],
    cancelled: Asked,
) -> str:
    """The id of the snapshot of a volume, which AWS may still be at work on.

    It is the one that the journal names where that is good.  `once` is a client that asks once: one that repeats a
    call by itself would make a second snapshot where only the answer was lost.
    """
    asked = last_asked(journal, volume_id)
    if asked:
        snapshot_id = _made(ec2, journal, asked, cancelled)
        state = snapshot_state(ec2, snapshot_id) if snapshot_id else None
        if snapshot_id and (state in ("pending", "completed") or (state is None and is_fresh(asked, LONGEST_UNSEEN))):
            return snapshot_id
        if snapshot_id:
            delete_snapshot(ec2, journal, snapshot_id)
    region = ec2.meta.region_name
    for attempt in range(ATTEMPTS):
        token = str(uuid.uuid4())
        request = _request(volume_id, description, {**tags, TOKEN_TAG: token})
        journal.asked("CreateSnapshot", region=region, token=token, request=request)
        try:
            with aws_errors("CreateSnapshot", region):
                return _answered(journal, region, token, once.create_snapshot(**request)["SnapshotId"])
        except Failure as failure:
            if failure.code not in PASSING or attempt == ATTEMPTS - 1:
                raise
            if failure.code == "throttled":
                rest(PAUSE * 2**attempt, cancelled)
                continue
        if found := _made(ec2, journal, journal.records()[-1], cancelled):
            return found
    raise AssertionError("the last attempt returns or raises")


def last_asked(journal: Journal, volume_id: str) -> Record | None:
    """The newest record of a snapshot that was asked for of this volume."""
    asked = journal.last("CreateSnapshot", "asked")
    return asked if asked and asked["request"]["VolumeId"] == volume_id else None


def created_id(journal: Journal, asked: Record) -> str | None:
    """The snapshot that came of a journaled CreateSnapshot, if its answer was heard."""
    answers = (
        item for item in journal.records() if (item["operation"], item["kind"]) == ("CreateSnapshot", "answered")
    )
    return next((str(item["snapshot_id"]) for item in answers if item["token"] == asked["token"]), None)


def until_completed(ec2: Client, snapshot_id: str, cancelled: Asked) -> None:
    """Waits for three answers in a row that say so.  Raises "snapshot-failed"."""
    target = Target(snapshot_id, ec2.meta.region_name, datetime.now(UTC))
    wait_until_completed(target, ec2, LONGEST_COMPLETION, cancelled)


def _made(ec2: Client, journal: Journal, asked: Record, cancelled: Asked) -> str | None:
    """The snapshot that a call made, also where its answer was lost: it may take a while to be seen."""
    if heard := created_id(journal, asked):
        return heard
    age = (datetime.now(UTC) - datetime.fromisoformat(asked["at"])).total_seconds()
    ends = time.monotonic() + LONGEST_UNSEEN - age
    while not (found := with_token(ec2, asked["token"])):
        if time.monotonic() > ends:
            return None
        rest(PAUSE, cancelled)
    return _answered(journal, ec2.meta.region_name, asked["token"], found[0])


def with_token(ec2: Client, token: str) -> list[str]:
    """The snapshots that one call made: none or one."""
    with aws_errors("DescribeSnapshots", ec2.meta.region_name):
        filters = [{"Name": f"tag:{TOKEN_TAG}", "Values": [token]}]
        found = ec2.describe_snapshots(OwnerIds=["self"], Filters=filters)["Snapshots"]
    return [str(snapshot["SnapshotId"]) for snapshot in found]


def _answered(journal: Journal, region: str, token: str, snapshot_id: str) -> str:
    journal.answered("CreateSnapshot", region=region, token=token, snapshot_id=snapshot_id)
    return snapshot_id


def _request(volume_id: str, description: str, tags: Mapping[str, str]) -> dict[str, Any]:
    listed = [{"Key": key, "Value": value} for key, value in tags.items()]
    return {
        "VolumeId": volume_id,
        "Description": description,
        "TagSpecifications": [{"ResourceType": "snapshot", "Tags": listed}],
    }
