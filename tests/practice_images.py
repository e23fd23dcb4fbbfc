"""Images of the practice cloud, as small as can be, for tests of what is done with an image."""

import base64
import functools
import hashlib
import time
from collections.abc import Mapping
from functools import cached_property
from itertools import count
from pathlib import Path
from typing import Any

from botocore.exceptions import ConnectionClosedError

from wizard.cloud import copying, removal, session
from wizard.cloud.actions import perform
from wizard.plan.actions import BUILD_TAG, IMAGE_TAG, fill
from wizard.plan.publish.steps import copy_parameters
from wizard.recipe import from_answers
from wizard.run.journal import Journal

BLOCK = 524288
NUMBERS = count(1)
DATA = b"boot me." * (BLOCK // 8)

client = functools.cache(session.client)
"""Making one takes longer than most of what it is asked.  Who listens to its requests needs one of their own."""


def snapshot(endpoint: str, region: str, build: str = "", **request: Any) -> str:
    """A completed snapshot with one block."""
    ebs, ec2 = client("ebs", region, endpoint), client("ec2", region, endpoint)
    tags = {"Tags": [{"Key": BUILD_TAG, "Value": build}]} if build else {}
    snapshot_id = str(ebs.start_snapshot(VolumeSize=1, **tags, **request)["SnapshotId"])
    ebs.put_snapshot_block(
        SnapshotId=snapshot_id,
        BlockIndex=0,
        BlockData=DATA,
        DataLength=BLOCK,
        Checksum=base64.b64encode(hashlib.sha256(DATA).digest()).decode(),
        ChecksumAlgorithm="SHA256",
    )
    ebs.complete_snapshot(SnapshotId=snapshot_id, ChangedBlocksCount=1)
    while ec2.describe_snapshots(SnapshotIds=[snapshot_id])["Snapshots"][0]["State"] != "completed":
        time.sleep(0.1)
    return snapshot_id


def image(endpoint: str, region: str, name: str, snapshot_id: str, build: str = "", **fields: Any) -> str:
    """A registered image of that snapshot."""
    device = fields.get("RootDeviceName", "/dev/xvda")
    tags = [{"Key": BUILD_TAG, "Value": build}, {"Key": IMAGE_TAG, "Value": "image-1"}] if build else []
    asked = {
        "Name": name,
        "Architecture": "x86_64",
        "VirtualizationType": "hvm",
        "RootDeviceName": device,
        "BlockDeviceMappings": [{"DeviceName": device, "Ebs": {"SnapshotId": snapshot_id}}],
        "TagSpecifications": [{"ResourceType": "image", "Tags": tags}],
        **fields,
    }
    return str(client("ec2", region, endpoint).register_image(**asked)["ImageId"])


def described(endpoint: str, region: str, image_id: str) -> dict[str, Any]:
    found: list[dict[str, Any]] = client("ec2", region, endpoint).describe_images(ImageIds=[image_id])["Images"]
    return found[0]


def own_images(endpoint: str, region: str, build: str) -> list[str]:
    filters = [{"Name": f"tag:{BUILD_TAG}", "Values": [build]}]
    found = client("ec2", region, endpoint).describe_images(Owners=["self"], Filters=filters)["Images"]
    return [str(one["ImageId"]) for one in found]


def own_snapshots(endpoint: str, region: str, build: str) -> list[str]:
    filters = [{"Name": f"tag:{BUILD_TAG}", "Values": [build]}]
    found = client("ec2", region, endpoint).describe_snapshots(OwnerIds=["self"], Filters=filters)["Snapshots"]
    return [str(one["SnapshotId"]) for one in found]


def recorded(maker: Any) -> list[tuple[str, Mapping[str, Any]]]:
    """A list that grows with each request of a client: the operation and its parameters."""
    said: list[tuple[str, Mapping[str, Any]]] = []

    def note(params: Mapping[str, Any], model: Any, **_: Any) -> None:
        said.append((model.name, dict(params)))

    maker.meta.events.register("provide-client-params.*.*", note)
    return said


def lose_answer(maker: Any, operation: str) -> None:
    """The next call takes effect, but its answer does not come back."""
    event = f"after-call.*.{operation}"

    def lose(**_: Any) -> None:
        maker.meta.events.unregister(event, lose)
        raise ConnectionClosedError(endpoint_url="https://aws")

    maker.meta.events.register(event, lose)


class Made:
    """A registered image with a name and a build of its own, a journal, and clients that can be listened to."""

    def __init__(self, endpoint: str, folder: Path, snapshot_id: str = "", home: str = "us-east-1") -> None:
        number = next(NUMBERS)
        self.endpoint, self.folder, self.home, self.there = endpoint, folder, home, "eu-west-1"
        self.build, self.ami, self.name = f"build-{number}", f"web-{number}", f"/images/web-{number}"
        self.snapshot = snapshot_id or snapshot(endpoint, home, self.build)
        self.image = image(endpoint, home, self.ami, self.snapshot, self.build, EnaSupport=True, BootMode="uefi")
        self.journal = Journal(folder / "copy-1.jsonl")
        (folder / "image-id").write_text(f"{self.image}\n")

    @cached_property
    def ec2(self) -> Any:
        return session.client("ec2", self.there, self.endpoint)

    @cached_property
    def ssm(self) -> Any:
        return session.client("ssm", self.home, self.endpoint)

    @property
    def source(self) -> dict[str, Any]:
        return described(self.endpoint, self.home, self.image)

    @property
    def parameters(self) -> dict[str, Any]:
        answers = {"name": self.ami, "target": {"region": self.home, "arch": "x86_64"}}
        asked = copy_parameters(from_answers(answers), self.there, self.build, "image-1")
        return {str(key): value for key, value in fill(asked, {"<image>": self.image}).items()}

    def images(self, region: str) -> list[str]:
        return own_images(self.endpoint, region, self.build)

    def snapshots(self, region: str) -> list[str]:
        return own_snapshots(self.endpoint, region, self.build)

    def copy(self) -> dict[str, Any]:
        return copying.copy(self.ec2, self.source, self.journal, self.parameters)

    def perform(self, action: Any) -> dict[str, Any]:
        return perform(self.endpoint, action, self.folder, self.journal, lambda *_: None, lambda: False)

    def clean(self) -> list[str]:
        journals = [Journal(path) for path in sorted(self.folder.glob("*.jsonl"))]
        removed = Journal(self.folder / "clean.jsonl")
        regions = [self.home, self.there]
        traces = removal.Traces(self.build, regions, journals, removed, has_parameters=True, has_volumes=False)
        return list(removal.remove(self.endpoint, traces))
