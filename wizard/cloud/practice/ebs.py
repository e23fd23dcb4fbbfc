"""EBS direct: snapshots written and read block by block, with the checks that AWS makes.

Source: botocore's `ebs` model of 2019-11-02; Amazon EBS User Guide, "EBS direct APIs".
"""

import base64
import hashlib
import json
import re
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from wizard.cloud.practice import model, state
from wizard.cloud.practice.messages import Refusal, Request, Response
from wizard.cloud.practice.state import BLOCK, GIB, Snapshot

DEFAULT_PAGE = 100
TOKEN_LIFE = 7 * 24 * 3600
"""Seconds after which block tokens expire on AWS.  Source: ListSnapshotBlocks, `ExpiryTime`."""

MAX_GIB = 65536


def answer(region: Path, request: Request) -> Response:
    """Answers one request to EBS direct in a region's folder."""
    try:
        for method, pattern, respond in ROUTES:
            if request.method == method and (match := re.fullmatch(pattern, request.path)):
                return respond(region, request, *match.groups())
        raise Refusal("UnknownOperationException", f"no such operation: {request.method} {request.path}", status=404)
    except Refusal as refusal:
        return refused(refusal)


def refused(refusal: Refusal) -> Response:
    """A refusal as EBS direct writes it."""
    said = {"Message": refusal.message, **({"Reason": refusal.reason} if refusal.reason else {})}
    return _json(refusal.status, said, {"x-amzn-ErrorType": refusal.code})


def start(region: Path, request: Request) -> Response:
    """StartSnapshot: the same client token gives the same snapshot, or a conflict if anything else was asked."""
    asked: dict[str, Any] = json.loads(request.body)
    shape = model.operation("ebs", "StartSnapshot").input_shape
    assert shape is not None
    if wrong := model.problems(shape, asked):
        raise _invalid("; ".join(wrong))
    if asked["VolumeSize"] > MAX_GIB:
        raise _invalid(f"VolumeSize is over {MAX_GIB} GiB", "INVALID_VOLUME_SIZE")
    _check_parent_and_encryption(region, asked)
    for known in state.snapshots(region):
        if "ClientToken" in asked and known.request.get("ClientToken") == asked["ClientToken"]:
            if known.request == asked:
                return _json(201, _started(region, known))
            raise Refusal("ConflictException", "the client token was used with other parameters", status=409)
    return _json(201, _started(region, state.create_snapshot(region, asked)))


def _check_parent_and_encryption(region: Path, asked: dict[str, Any]) -> None:
    """A child has its parent's encryption and is at least as large; a key is only for what is encrypted."""
    encryption = asked.keys() & {"Encrypted", "KmsKeyArn"}
    if "KmsKeyArn" in asked and not asked.get("Encrypted"):
        raise _invalid("KmsKeyArn is only valid with Encrypted", "INVALID_PARAMETER_VALUE")
    if "ParentSnapshotId" not in asked:
        return
    if encryption:
        raise _invalid(f"not valid with ParentSnapshotId: {', '.join(sorted(encryption))}")
    parent = _completed_snapshot(region, asked["ParentSnapshotId"])
    if asked["VolumeSize"] < parent.request["VolumeSize"]:
        raise _invalid("the volume is smaller than its parent's", "INVALID_VOLUME_SIZE")


def put(region: Path, request: Request, snapshot_id: str, block: str) -> Response:
    """PutSnapshotBlock: 512 KiB with their SHA-256, into a snapshot that is still open."""
    headers, index, body = request.headers, int(block), request.body
    snapshot = _open_snapshot(region, snapshot_id)
    if not 0 <= index < snapshot.request["VolumeSize"] * GIB // BLOCK:
        raise _invalid(f"block {index} lies outside the volume", "INVALID_BLOCK")
    if not headers["x-amz-Data-Length"] == str(len(body)) == str(BLOCK):
        raise _invalid(f"a block has {BLOCK} bytes, these are {len(body)}")
    digest = hashlib.sha256(body).digest()
    _check_checksum(headers["x-amz-Checksum-Algorithm"], headers["x-amz-Checksum"], digest)
    state.write_block(state.snapshot_folder(region, snapshot_id), index, body, digest)
    return Response(201, headers=_checksum_headers(digest))


def complete(region: Path, request: Request, snapshot_id: str) -> Response:
    """CompleteSnapshot: the count must be right, and the LINEAR checksum if there is one."""
    snapshot = _open_snapshot(region, snapshot_id)
    digests = state.digests(state.snapshot_folder(region, snapshot_id))
    counted = request.headers["x-amz-ChangedBlocksCount"]
    if counted != str(len(digests)):
        raise _invalid(f"ChangedBlocksCount is {counted}, but {len(digests)} blocks were put")
    if (given := request.headers["x-amz-Checksum"]) is not None:
        if request.headers["x-amz-Checksum-Aggregation-Method"] != "LINEAR":
            raise _invalid("ChecksumAggregationMethod must be LINEAR")
        linear = hashlib.sha256(b"".join(digests.values())).digest()
        _check_checksum(request.headers["x-amz-Checksum-Algorithm"], given, linear)
    state.save_snapshot(region, replace(snapshot, sealed=time.time()))
    return _json(202, {"Status": "pending"})


def list_blocks(region: Path, request: Request, snapshot_id: str) -> Response:
    """ListSnapshotBlocks: the blocks of a completed snapshot in order, a page at a time."""
    snapshot, query = _completed_snapshot(region, snapshot_id), request.query
    size = int(query.get("maxResults", DEFAULT_PAGE))
    first = int(query.get("startingBlockIndex", 0))
    if token := query.get("pageToken"):
        first = _from_token(token, "INVALID_PAGE_TOKEN")
    indexes = [index for index in state.contents(state.snapshot_folder(region, snapshot_id)) if index >= first]
    page = {
        "Blocks": [{"BlockIndex": index, "BlockToken": _token(index)} for index in indexes[:size]],
        "ExpiryTime": time.time() + TOKEN_LIFE,
        "VolumeSize": snapshot.request["VolumeSize"],
        "BlockSize": BLOCK,
    }
    return _json(200, page | ({"NextToken": _token(indexes[size])} if len(indexes) > size else {}))


def get(region: Path, request: Request, snapshot_id: str, block: str) -> Response:
    """GetSnapshotBlock: one block, with the token that ListSnapshotBlocks gave for it."""
    _completed_snapshot(region, snapshot_id)
    index, folder = int(block), state.snapshot_folder(region, snapshot_id)
    if _from_token(request.query.get("blockToken", ""), "INVALID_BLOCK_TOKEN") != index:
        raise _invalid("the token is for another block", "INVALID_BLOCK_TOKEN")
    data = state.read_block(folder, index)
    headers = {"x-amz-Data-Length": str(BLOCK), **_checksum_headers(hashlib.sha256(data).digest())}
    return Response(200, data, headers)


ROUTES: tuple[tuple[str, str, Callable[..., Response]], ...] = (
    ("PUT", r"/snapshots/(snap-[0-9a-f]+)/blocks/(\d+)", put),
    ("GET", r"/snapshots/(snap-[0-9a-f]+)/blocks/(\d+)", get),
    ("GET", r"/snapshots/(snap-[0-9a-f]+)/blocks", list_blocks),
    ("POST", r"/snapshots/completion/(snap-[0-9a-f]+)", complete),
    ("POST", r"/snapshots", start),
)


def _invalid(message: str, reason: str = "INVALID_PARAMETER_VALUE") -> Refusal:
    return Refusal("ValidationException", message, reason=reason)


def _existing(region: Path, snapshot_id: str) -> Snapshot:
    if snapshot := state.find_snapshot(region, snapshot_id):
        return snapshot
    message = f"The snapshot '{snapshot_id}' does not exist."
    raise Refusal("ResourceNotFoundException", message, status=404, reason="SNAPSHOT_NOT_FOUND")


def _open_snapshot(region: Path, snapshot_id: str) -> Snapshot:
    snapshot = _existing(region, snapshot_id)
    if snapshot.sealed is not None:
        raise _invalid(f"{snapshot_id} is not open for writing any more", "INVALID_SNAPSHOT_ID")
    if state.snapshot_state(region, snapshot) == "error":
        raise _invalid(f"nothing was put into {snapshot_id} for too long", "WRITE_REQUEST_TIMEOUT")
    return snapshot


def _completed_snapshot(region: Path, snapshot_id: str) -> Snapshot:
    snapshot = _existing(region, snapshot_id)
    if state.snapshot_state(region, snapshot) != "completed":
        raise _invalid(f"{snapshot_id} is not completed", "INVALID_SNAPSHOT_ID")
    return snapshot


def _started(region: Path, snapshot: Snapshot) -> dict[str, Any]:
    asked = snapshot.request
    return {
        "SnapshotId": snapshot.id,
        "OwnerId": state.ACCOUNT,
        "Status": state.snapshot_state(region, snapshot),
        "StartTime": snapshot.started,
        "VolumeSize": asked["VolumeSize"],
        "BlockSize": BLOCK,
        **{key: asked[key] for key in ("Description", "Tags", "ParentSnapshotId", "KmsKeyArn") if key in asked},
    }


def _check_checksum(algorithm: str | None, given: str | None, digest: bytes) -> None:
    if algorithm != "SHA256":
        raise _invalid("ChecksumAlgorithm must be SHA256")
    if given != base64.b64encode(digest).decode():
        raise _invalid("the checksum does not match the data")


def _checksum_headers(digest: bytes) -> dict[str, str]:
    return {"x-amz-Checksum": base64.b64encode(digest).decode(), "x-amz-Checksum-Algorithm": "SHA256"}


def _token(index: int) -> str:
    return base64.b64encode(f"block {index}".encode()).decode()


def _from_token(token: str, reason: str) -> int:
    try:
        return int(base64.b64decode(token, validate=True).removeprefix(b"block "))
    except ValueError:
        raise _invalid(f"not a token of this list: {token!r}", reason) from None


def _json(status: int, value: dict[str, Any], headers: dict[str, str] | None = None) -> Response:
    return Response(status, json.dumps(value).encode(), {"Content-Type": "application/json", **(headers or {})})
