"""The plan as prose: every step, its reason, its exact commands, files and AWS calls."""

import json
import textwrap
from collections.abc import Iterator, Mapping

from wizard.boot.proof.ways import TITLES
from wizard.plan.actions import (
    Action,
    CheckAccount,
    CheckBucket,
    CheckFarEnd,
    CheckLaunch,
    FarEnd,
    LaunchInstance,
    ProveImage,
    RegisterImage,
    Run,
    SnapshotByVolume,
    SnapshotVolume,
    UploadBundle,
    UploadSnapshot,
    UseSnapshot,
    Write,
)
from wizard.plan.cost import launch_estimate
from wizard.plan.publish.prose import publishing_lines
from wizard.plan.steps import Plan, Step

WIDTH = 100


def prose(plan: Plan, width: int = WIDTH) -> str:
    """What the build will do, for a person.  Sentences are wrapped to `width`; commands and files stand as they are."""
    lines = [f"{plan.name}: {len(plan.steps)} steps, in this order.", ""]
    for number, step in enumerate(plan.steps, start=1):
        lines += [*_step(number, step, width), ""]
    return "\n".join(lines)


def _step(number: int, step: Step, width: int) -> Iterator[str]:
    yield f"{number}. {step.title} [{step.id}]"
    yield from textwrap.wrap(step.why, width, initial_indent="   ", subsequent_indent="   ")
    if step.needs:
        yield f"   Needs: {', '.join(step.needs)}."
    if step.after:
        yield f"   Begins when this has ended well: {', '.join(step.after)}."
    for action in step.actions:
        yield from (f"   {line}".rstrip() for line in action_lines(action))


def action_lines(action: Action) -> list[str]:
    """One action, exactly: `$ command`, `write FILE` with its text behind `|`, or `AWS` and the call."""
    match action:
        case Run(command):
            first, *rest = command.splitlines()
            return [f"$ {first}", *(f"  {line}" for line in rest)]
        case Write(path, text, mode):
            what = f"write {path}" if text else f"write {path}, empty"
            return [
                f"{what}{'' if mode == 0o644 else f' (mode {mode:o})'}",
                *(f"  | {line}" for line in text.splitlines()),
            ]
        case ProveImage(image, ways):
            said = [f"prove {image} {TITLES[way]}: root, address, metadata, ssh" for way in ways]
            return [*said, *([f"hold {image} against what PV-GRUB {action.pvgrub} reads"] if action.pvgrub else [])]
        case CheckAccount():
            return [
                "AWS sts:GetCallerIdentity",
                f"AWS ec2:DescribeImages in {action.region}: is the name “{action.ami_name}” free?",
                f"AWS ec2:RegisterImage in {action.region} as a dry run: may you?",
            ]
        case CheckBucket():
            return [
                f"AWS s3:GetBucketLocation: is the bucket {action.bucket} there, and in {action.region}?",
                "AWS s3:GetBucketOwnershipControls: does it take ACLs, by which EC2 is let in?",
            ]
        case UploadBundle():
            return [
                f"AWS s3:ListObjectVersions in {action.bucket}: what of {action.base}.* is there already?",
                f"bundle {action.image}: tar, gzip, AES-128-CBC with a random key, parts of 10 MiB",
                f"encrypt that key for EC2 and for {action.certificate}",
                f"AWS s3:PutObject {action.bucket}/{action.base}.part.…, once for each part, readable for EC2 alone "
                "(the ACL aws-exec-read)",
                f"AWS s3:PutObject {action.location}, the manifest, signed with {action.private_key}",
            ]
        case UploadSnapshot():
            return [
                f"AWS ebs:StartSnapshot in {action.region}: “{action.description}”, tags {_tags(action.tags)}",
                f"AWS ebs:PutSnapshotBlock, once for each block of 512 KiB of {action.image} that holds data",
                "AWS ebs:CompleteSnapshot, then ec2:DescribeSnapshots until the snapshot is complete",
            ]
        case CheckFarEnd():
            return [
                f"AWS ec2:DescribeInstances in {action.region}: does {action.far_end.instance} run?",
                *_connecting(action.far_end),
                "AWS ec2:CreateVolume as a dry run: may you?",
            ]
        case SnapshotByVolume():
            return _by_volume(action)
        case SnapshotVolume():
            return [
                f"AWS ec2:CreateSnapshot in {action.region} of {action.volume}: “{action.description}”, "
                f"tags {_tags(action.tags)}",
                "AWS ec2:DescribeSnapshots until the snapshot is complete; the volume stays as it is",
            ]
        case UseSnapshot():
            return [f"AWS ec2:DescribeSnapshots in {action.region}: is {action.snapshot} complete? It stays as it is"]
        case RegisterImage():
            parameters = json.dumps(action.parameters, indent=2).splitlines()
            return [f"AWS ec2:RegisterImage in {action.region}:", *(f"  {line}" for line in parameters)]
        case CheckLaunch():
            return [
                f"AWS ec2:RunInstances in {action.region} as a dry run: may you, and are key pair and network there?"
            ]
        case LaunchInstance():
            return _launch(action)
        case _:
            return publishing_lines(action)


def _launch(action: LaunchInstance) -> list[str]:
    kind, parameters = action.parameters["InstanceType"], json.dumps(action.parameters, indent=2).splitlines()
    end = "and leave it running" if action.keep else "then ec2:TerminateInstances, whatever was seen"
    return [
        f"AWS ec2:RunInstances in {action.region}, one {kind}: {launch_estimate(kind)}",
        *(f"  {line}" for line in parameters),
        f"AWS ec2:DescribeInstances, ec2:DescribeInstanceStatus and ec2:GetConsoleOutput until it is up, "
        f"for {action.wait_seconds} s at most; {end}",
    ]


def _by_volume(action: SnapshotByVolume) -> list[str]:
    far_end = action.far_end
    return [
        f"AWS ec2:DescribeInstances in {action.region}: {far_end.instance}, which must be running",
        *_connecting(far_end),
        f"AWS ec2:CreateVolume in its zone, of the size of {action.image}, tags {_tags(action.tags)}",
        f"AWS ec2:AttachVolume to {far_end.instance}, under a device name that is free",
        "as root there: find the disk by the volume's id; nothing else is written, and no disk that holds data",
        f"as root there: write the blocks of {action.image} that hold data with dd, read them back with sha256sum",
        f"AWS ec2:DetachVolume, ec2:CreateSnapshot: “{action.description}”, tags {_tags(action.tags)}",
        "AWS ec2:DescribeSnapshots until the snapshot is complete, then ec2:DeleteVolume",
    ]


def _connecting(far_end: FarEnd) -> list[str]:
    to = far_end.ssh or f"the address of {far_end.instance}"
    with_key = f" with the key {far_end.ssh_key}" if far_end.ssh_key else ""
    return [
        f"ssh to {to}{with_key}, or no ssh at all where this machine is that instance",
        "AWS ec2:GetConsoleOutput: its ssh host key; where it shows none, the first one seen is taken and kept",
    ]


def _tags(tags: Mapping[str, str]) -> str:
    return ", ".join(f"{key}={value}" for key, value in tags.items())
