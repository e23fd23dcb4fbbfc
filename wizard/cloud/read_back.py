"""A completed snapshot turned back into an image file."""

import base64
import hashlib
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from wizard.cloud.blocks import BLOCK, GIB
from wizard.cloud.errors import aws_errors
from wizard.cloud.session import Client
from wizard.cloud.waiting import as_ready
from wizard.explain import Failure

THREADS = 16

PAGE = 1000
"""Blocks in one answer of ListSnapshotBlocks, of 100 to 10,000."""


def read_back(ebs: Client, snapshot_id: str, to: Path) -> None:
    """Writes a completed snapshot's blocks into a sparse file of the volume's size, each checked by its SHA-256."""
    region = ebs.meta.region_name

    def fetch(block: Mapping[str, Any]) -> tuple[int, bytes]:
        index = block["BlockIndex"]
        with aws_errors("GetSnapshotBlock", region):
            said = ebs.get_snapshot_block(SnapshotId=snapshot_id, BlockIndex=index, BlockToken=block["BlockToken"])
            data: bytes = said["BlockData"].read()
        if base64.b64encode(hashlib.sha256(data).digest()).decode() != said["Checksum"]:
            evidence = [f"block {index} of {snapshot_id} came with another checksum than its data has"]
            raise Failure("snapshot-failed", evidence=evidence, snapshot_id=snapshot_id, region=region)
        return index, data

    with to.open("wb") as file, ThreadPoolExecutor(THREADS) as pool:
        for page in _pages(ebs, snapshot_id):
            file.truncate(page["VolumeSize"] * GIB)
            for index, data in as_ready(pool, fetch, page["Blocks"], 2 * THREADS):
                file.seek(index * BLOCK)
                file.write(data)


def _pages(ebs: Client, snapshot_id: str) -> Iterator[dict[str, Any]]:
    """The list of a snapshot's blocks; botocore has no paginator for it."""
    more: dict[str, str] = {}
    while True:
        with aws_errors("ListSnapshotBlocks", ebs.meta.region_name):
            page = ebs.list_snapshot_blocks(SnapshotId=snapshot_id, MaxResults=PAGE, **more)
        yield page
        if "NextToken" not in page:
            return
        more = {"NextToken": page["NextToken"]}
