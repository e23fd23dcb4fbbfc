"""What the practice cloud knows of an image beside its record: who may launch it, its protection, its client token.

REGION/offers/ami-….json
"""

import json
import time
from pathlib import Path
from typing import Any

from wizard.cloud.practice import state
from wizard.cloud.practice.messages import Refusal

COOLDOWN = 24 * 3600
"""Seconds for which a protection with cooldown holds on.  Source: EnableImageDeregistrationProtection."""

PUBLIC = {"Group": "all"}

Offer = dict[str, Any]


def find(region: Path, image_id: str) -> Offer:
    """`permissions`, `protection`, `lifted` (Unix seconds), and of a copy `token` and `request`, as far as known."""
    try:
        offer: Offer = json.loads(_path(region, image_id).read_text())
    except FileNotFoundError:
        return {}
    return offer


def change(region: Path, image_id: str, **facts: Any) -> None:
    state.save(_path(region, image_id), {**find(region, image_id), **facts})


def forget(region: Path, image_id: str) -> None:
    _path(region, image_id).unlink(missing_ok=True)


def copied_with(region: Path, token: str) -> tuple[str, Offer] | None:
    """The copy that was asked for with this client token."""
    for path in sorted((region / "offers").glob("ami-*.json")):
        offer = find(region, path.stem)
        if offer.get("token") == token:
            return path.stem, offer
    return None


def described(region: Path, image: dict[str, Any]) -> dict[str, Any]:
    """An image with what DescribeImages says of it now: a copy is pending while its snapshots are."""
    offer = find(region, image["ImageId"])
    is_pending = image["State"] == "pending" and not _has_all_snapshots(region, image)
    return {
        **image,
        "State": "available" if image["State"] == "pending" and not is_pending else image["State"],
        "Public": PUBLIC in offer.get("permissions", []),
        "DeregistrationProtection": protection(offer),
    }


def protection(offer: Offer) -> str:
    """In the words of DescribeImages.  Source of these: ekristen/aws-nuke, resources/ec2-image.go."""
    if "lifted" not in offer:
        return str(offer.get("protection", "disabled"))
    until = offer["lifted"] + COOLDOWN
    return "disabled" if time.time() >= until else f"disabled after {state.timestamp(until):%Y-%m-%dT%H:%M:%SZ}"


def check_may_go(region: Path, image_id: str) -> None:
    """Refuses what is protected from being deregistered."""
    if protection(find(region, image_id)) != "disabled":
        message = f"You can't deregister the image '{image_id}' because deregistration protection is enabled."
        raise Refusal("OperationNotPermitted", message)


def snapshots_of(region: Path, image: dict[str, Any]) -> list[state.Snapshot]:
    """The snapshots that an image is made of."""
    ids = [one["Ebs"]["SnapshotId"] for one in image["BlockDeviceMappings"] if "SnapshotId" in one.get("Ebs", {})]
    return [found for snapshot_id in ids if (found := state.find_snapshot(region, snapshot_id))]


def _has_all_snapshots(region: Path, image: dict[str, Any]) -> bool:
    return all(state.snapshot_state(region, one) == "completed" for one in snapshots_of(region, image))


def _path(region: Path, image_id: str) -> Path:
    return region / "offers" / f"{image_id}.json"
