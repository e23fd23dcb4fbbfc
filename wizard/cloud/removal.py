"""Everything that a build or an upload has made in a cloud, found and removed, in every region."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from wizard.cloud import bucket, images, instances, parameters, protection
from wizard.cloud.bucket import Place
from wizard.cloud.session import Client, client
from wizard.cloud.volume import volumes
from wizard.run.journal import Journal


@dataclass(frozen=True, slots=True)
class Traces:
    """Where to look: what the tag says, the regions, and the journals of all that was asked.

    `removal` is the journal of the removal itself; `has_parameters`, `has_volumes`, `has_instances`: whether AWS is
    asked for them at all, for which an ordinary build has no permission; `bundles`: where those of S3-backed images
    may lie, with the region; `only_copies`: regions in which nothing ran and nothing was attached.
    """

    tag: str
    regions: Sequence[str]
    journals: Sequence[Journal]
    removal: Journal
    has_parameters: bool
    has_volumes: bool
    has_instances: bool = False
    bundles: Sequence[tuple[str, Place]] = ()
    only_copies: frozenset[str] = frozenset()


def tagged(endpoint: str | None, traces: Traces) -> Iterator[tuple[str, str, str]]:
    """What carries the tag: kind ("instance", "image", "snapshot", "volume", "parameter"), id and region."""
    for region in traces.regions:
        ec2 = client("ec2", region, endpoint)
        for instance in instances.tagged(ec2, traces.tag) if _has_instances(traces, region) else ():
            yield "instance", instance, region
        for kind, found in images.tagged(ec2, traces.tag):
            yield kind, found, region
        for volume in volumes.tagged(ec2, [traces.tag]) if _has_volumes(traces, region) else ():
            yield "volume", volume, region
        if traces.has_parameters:
            for name in parameters.tagged(client("ssm", region, endpoint), traces.tag):
                yield "parameter", name, region


def _has_instances(traces: Traces, region: str) -> bool:
    return traces.has_instances and region not in traces.only_copies


def _has_volumes(traces: Traces, region: str) -> bool:
    return traces.has_volumes and region not in traces.only_copies


def stored(endpoint: str | None, traces: Traces) -> Iterator[tuple[str, str, bool]]:
    """The bundles: manifest, region, and whether anything of it is there."""
    for region, place in traces.bundles:
        is_there = bool(bucket.stored(client("s3", region, endpoint), place))
        yield f"{place.bucket}/{place.manifest}", region, is_there


def remove(endpoint: str | None, traces: Traces) -> Iterator[str]:
    """Removes it all; gives a line for each thing that was there.  Calling it again does no harm.

    Instances first of all, as they cost by the hour.  Then what names the images, then what protects them, in all
    regions, as a protection may hold on for a day; then the images, then their snapshots, volumes and bundles.  Raises
    deregistration-cooldown, deregistration-protected, snapshot-in-use, and what AWS refuses.
    """
    for region in (one for one in traces.regions if _has_instances(traces, one)):
        yield from (f"removed {made}" for made in _remove_instances(client("ec2", region, endpoint), traces))
    for region in traces.regions if traces.has_parameters else ():
        yield from _remove_parameters(endpoint, region, traces)
    for region in traces.regions:
        protection.lift(client("ec2", region, endpoint), traces.journals, traces.removal)
    for region in traces.regions:
        ec2 = client("ec2", region, endpoint)
        for journal in traces.journals:
            yield from (f"removed {made}" for made in images.remove(ec2, journal))
        yield from (f"removed {made}" for made in images.remove_tagged(ec2, traces.removal, traces.tag))
        if _has_volumes(traces, region):
            yield from (f"removed {made}" for made in _remove_volumes(ec2, traces))
    # EC2 reads a bundle whenever an instance of its AMI starts.
    for region, place in traces.bundles:
        if count := bucket.delete(client("s3", region, endpoint), traces.removal, place):
            yield f"removed {count} objects {place.bucket}/{place.base}.*"


def _remove_instances(ec2: Client, traces: Traces) -> Iterator[str]:
    for journal in traces.journals:
        yield from instances.remove(ec2, journal)
    yield from instances.remove_tagged(ec2, traces.removal, traces.tag)


def _remove_volumes(ec2: Client, traces: Traces) -> Iterator[str]:
    for journal in traces.journals:
        yield from volumes.discard(ec2, journal)
    for volume in volumes.tagged(ec2, [traces.tag]):
        if volumes.delete(ec2, traces.removal, volume):
            yield volume


def _remove_parameters(endpoint: str | None, region: str, traces: Traces) -> Iterator[str]:
    found = images.tagged(client("ec2", region, endpoint), traces.tag)
    ours = [made for kind, made in found if kind == "image"]
    ssm = client("ssm", region, endpoint)
    for name, before in parameters.remove(ssm, traces.journals, traces.removal, ours, traces.tag):
        yield f"{name} in {region} holds {before} again" if before else f"removed {name} in {region}"
