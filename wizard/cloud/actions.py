"""Carries out a plan's AWS actions."""

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from wizard.cloud import blocks, bucket, bundles, images, instances, publishing, snapshot
from wizard.cloud.blocks import BLOCK, GIB
from wizard.cloud.sending import Progress
from wizard.cloud.session import ONCE, block_putter, client, identity, key_in_use
from wizard.cloud.volume import actions as volume_actions
from wizard.cloud.volume import volumes
from wizard.explain import Failure
from wizard.plan.actions import (
    CheckAccount,
    CheckBucket,
    CheckFarEnd,
    CheckLaunch,
    CloudAction,
    LaunchInstance,
    RegisterImage,
    SnapshotByVolume,
    SnapshotVolume,
    UploadBundle,
    UploadSnapshot,
    UseSnapshot,
    fill,
)
from wizard.plan.cost import estimate, launch_estimate
from wizard.run.journal import Journal


def perform(
    endpoint: str | None,
    action: CloudAction,
    work: Path,
    journal: Journal,
    progress: Progress,
    cancelled: Callable[[], bool],
    said: Callable[[list[str]], None] = lambda _: None,
) -> dict[str, Any]:
    """Does it, and gives what a person wants to know of it; `said` gets lines meanwhile.

    `endpoint` is the practice cloud's address, None for AWS; paths in the action are relative to `work`.  Raises
    Cancelled, and Failure for everything that AWS or the network refuses.  Every action can be begun again: where
    credentials ended in the middle and there are others by now, it goes on with those.
    """
    key = key_in_use() if endpoint is None else None
    try:
        return _perform(endpoint, action, work, journal, progress, cancelled, said)
    except Failure as failure:
        if failure.code != "expired-credentials" or endpoint is not None or key_in_use() in (key, None):
            raise
    return perform(endpoint, action, work, journal, progress, cancelled, said)


def _perform(
    endpoint: str | None,
    action: CloudAction,
    work: Path,
    journal: Journal,
    progress: Progress,
    cancelled: Callable[[], bool],
    said: Callable[[list[str]], None],
) -> dict[str, Any]:
    match action:
        case CheckAccount():
            return _check_account(endpoint, action)
        case CheckBucket():
            bucket.check(client("s3", action.region, endpoint), action.bucket)
            return {"bucket": f"{action.bucket} is there, and EC2 can be let in"}
        case UploadBundle():
            return _upload_bundle(endpoint, action, work, journal, progress, cancelled)
        case UploadSnapshot():
            return _upload(endpoint, action, work, journal, progress, cancelled)
        case CheckFarEnd() | SnapshotByVolume() | SnapshotVolume() | UseSnapshot():
            return volume_actions.perform(endpoint, action, work, journal, progress, cancelled)
        case RegisterImage():
            return _register(endpoint, action, work, journal, cancelled)
        case CheckLaunch():
            instances.check_permission(client("ec2", action.region, endpoint), action.parameters)
            return {"launch": f"you may run one {action.parameters['InstanceType']}"}
        case LaunchInstance():
            return _launch(endpoint, action, work, journal, cancelled, said)
        case _:
            return publishing.perform(endpoint, action, work, journal, cancelled)


def _check_account(endpoint: str | None, action: CheckAccount) -> dict[str, Any]:
    who, ec2 = identity(action.region, endpoint), client("ec2", action.region, endpoint)
    found = images.find_by_name(ec2, action.ami_name)
    if found:
        images.check_own(found, action.ami_name, action.region, action.build, action.image)
    images.check_permission(ec2, action.registers)
    name_is = "this build's own" if found else "free"
    return {
        "account": who.account,
        "identity": who.arn,
        "credentials": f"{who.source}, until {who.until}" if who.until else who.source,
        "name": f"{action.ami_name} is {name_is}",
    }


def _upload(
    endpoint: str | None,
    action: UploadSnapshot,
    work: Path,
    journal: Journal,
    progress: Progress,
    cancelled: Callable[[], bool],
) -> dict[str, Any]:
    image, ec2 = work / action.image, client("ec2", action.region, endpoint)
    others = [Journal(path) for path in _by_age(journal.path.parent.glob("snapshot-*.jsonl")) if path != journal.path]
    # Of other answers to the same build: nobody will go on with those.
    for other in others:
        snapshot.discard_unfinished(ec2, other)
        volumes.discard(ec2, other)
    snapshot_id = snapshot.upload(
        image,
        put=block_putter(action.region, endpoint),
        ebs=client("ebs", action.region, endpoint),
        ec2=ec2,
        journal=journal,
        ledger=_ledger_of(journal),
        description=action.description,
        tags=action.tags,
        volume_gib=-(-image.stat().st_size // GIB),
        progress=progress,
        cancelled=cancelled,
        parents=[(other, _ledger_of(other)) for other in others],
        encryption=action.encryption,
    )
    (work / action.saves).write_text(f"{snapshot_id}\n", encoding="ascii")
    ledger = _ledger_of(journal)
    stored, puts = len(blocks.read_contents(ledger, snapshot_id)), len(blocks.read_ledger(ledger, snapshot_id))
    return {"snapshot": snapshot_id, "cost": estimate(stored * BLOCK, puts)}


def _upload_bundle(
    endpoint: str | None,
    action: UploadBundle,
    work: Path,
    journal: Journal,
    progress: Progress,
    cancelled: Callable[[], bool],
) -> dict[str, Any]:
    sent = bundles.upload(
        action,
        work / action.image,
        s3=client("s3", action.region, endpoint),
        sender=client("s3", action.region, endpoint, ONCE),
        account=identity(action.region, endpoint).account,
        journal=journal,
        others=[Journal(path) for path in _by_age(journal.path.parent.glob("bundle-*.jsonl")) if path != journal.path],
        progress=progress,
        cancelled=cancelled,
    )
    (work / action.saves).write_text(f"{action.location}\n", encoding="ascii")
    return {"bundle": f"{action.location}, {sent.parts} parts", "cost": estimate(sent.size, sent.parts + 1, "s3")}


def _by_age(paths: Iterable[Path]) -> list[Path]:
    return sorted(paths, key=lambda path: path.stat().st_mtime_ns)


def _ledger_of(journal: Journal) -> Path:
    return journal.path.with_suffix(".ledger")


def _register(
    endpoint: str | None, action: RegisterImage, work: Path, journal: Journal, cancelled: Callable[[], bool]
) -> dict[str, Any]:
    parameters = action.parameters
    if action.snapshot:
        snapshot_id = (work / action.snapshot).read_text(encoding="ascii").strip()
        parameters = fill(parameters, {"<snapshot>": snapshot_id})
    ec2 = client("ec2", action.region, endpoint)
    image_id = images.register(ec2, journal, parameters, action.build, cancelled)
    (work / action.saves).write_text(f"{image_id}\n", encoding="ascii")
    return {"image": image_id}


def _launch(
    endpoint: str | None,
    action: LaunchInstance,
    work: Path,
    journal: Journal,
    cancelled: Callable[[], bool],
    said: Callable[[list[str]], None],
) -> dict[str, Any]:
    # The reading of consoles takes a moment to load.
    from wizard.cloud.launch import launch

    ec2 = client("ec2", action.region, endpoint)
    facts = launch(ec2, journal, action, work, said, cancelled, practice=endpoint is not None)
    return {**facts, "cost": launch_estimate(action.parameters["InstanceType"])}
