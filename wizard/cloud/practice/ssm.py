"""The SSM Parameter Store, as far as images need it: on disk, and with the check of images after the answer.

moto has parameters too, but keeps them in memory, which ends with the server, and checks no image.
Sources: botocore's `ssm` model of 2014-11-06; Systems Manager User Guide, "Native parameter support for Amazon Machine
Image IDs".

REGION/parameters/NAME.json    a parameter, with all its versions
"""

import json
import re
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote

from wizard.cloud.practice import model, offers, state
from wizard.cloud.practice.messages import Refusal, Response

Parameters = dict[str, Any]

CHECKING = 0.5
"""Seconds until an image's id is taken; AWS does it after its answer, and gives no time."""

IMAGE_TYPE = "aws:ec2:image"
NAME = re.compile(r"(/?[A-Za-z0-9_.-]+)+")


def answer(region: Path, action: str, body: bytes) -> Response:
    """Answers one of OPERATIONS in a region's folder."""
    try:
        asked: Parameters = json.loads(body)
        shape = model.operation("ssm", action).input_shape
        if shape and (wrong := model.problems(shape, asked)):
            raise Refusal("ValidationException", "; ".join(wrong))
        return _json(200, OPERATIONS[action](region, asked))
    except Refusal as refusal:
        return refused(refusal)


def refused(refusal: Refusal) -> Response:
    """A refusal as SSM writes it."""
    return _json(refusal.status, {"__type": refusal.code, "message": refusal.message})


def put_parameter(region: Path, asked: Parameters) -> Parameters:
    name, kind = asked["Name"], asked.get("DataType", "text")
    if not NAME.fullmatch(name) or ("/" in name and not name.startswith("/")):
        raise Refusal("ValidationException", "Parameter name must be a fully qualified name.")
    if name.lower().lstrip("/").startswith(("aws", "ssm")):
        raise Refusal("ValidationException", 'Parameter name: can\'t be prefixed with "aws" or "ssm".')
    if asked.get("Tags") and asked.get("Overwrite"):
        raise Refusal("ValidationException", "Invalid request: tags and overwrite can't be used together.")
    record, there = _record(region, name), _now(region, name)
    if there and not asked.get("Overwrite"):
        raise Refusal("ParameterAlreadyExists", "The parameter already exists. To overwrite it, set overwrite to true.")
    versions = record.get("versions", [])
    if kind == IMAGE_TYPE and not _is_image(region, asked["Value"]):
        # The answer is the same, and nothing happens.
        return {"Version": len(versions) + 1, "Tier": "Standard"}
    since = time.time() + (CHECKING if kind == IMAGE_TYPE else 0)
    version = {"Value": asked["Value"], "Type": asked.get("Type", "String"), "DataType": kind, "since": since}
    tags = asked.get("Tags", record.get("tags", []))
    state.save(_path(region, name), {"name": name, "tags": tags, "versions": [*versions, version]})
    return {"Version": len(versions) + 1, "Tier": "Standard"}


def _is_image(region: Path, image_id: str) -> bool:
    try:
        return bool(offers.described(region, state.find_image(region, image_id))["State"] == "available")
    except Refusal:
        return False


def get_parameter(region: Path, asked: Parameters) -> Parameters:
    return {"Parameter": _existing(region, asked["Name"])}


def delete_parameter(region: Path, asked: Parameters) -> Parameters:
    _existing(region, asked["Name"])
    _path(region, asked["Name"]).unlink()
    return {}


def describe_parameters(region: Path, asked: Parameters) -> Parameters:
    tests = asked.get("ParameterFilters", [])
    if others := [one["Key"] for one in tests if not one["Key"].startswith("tag:")]:
        raise Refusal("InvalidFilterKey", f"The practice cloud filters parameters by tags alone, not by {others[0]}")
    found = [one for name in _names(region) if _matches(region, name, tests) and (one := _now(region, name))]
    return {"Parameters": [{key: value for key, value in one.items() if key != "Value"} for one in found]}


def _names(region: Path) -> Iterator[str]:
    for path in sorted((region / "parameters").glob("*.json")):
        yield json.loads(path.read_text())["name"]


def _matches(region: Path, name: str, tests: list[Parameters]) -> bool:
    tags = {tag["Key"]: tag["Value"] for tag in _record(region, name)["tags"]}
    return all(tags.get(test["Key"].removeprefix("tag:")) in test["Values"] for test in tests)


def _existing(region: Path, name: str) -> Parameters:
    if (there := _now(region, name)) is None:
        raise Refusal("ParameterNotFound", f"Parameter {name} not found.")
    return there


def _now(region: Path, name: str) -> Parameters | None:
    """The parameter as it is at this moment: its newest version that was checked."""
    versions = _record(region, name).get("versions", [])
    numbered = [(number, one) for number, one in enumerate(versions, start=1) if one["since"] <= time.time()]
    if not numbered:
        return None
    number, version = numbered[-1]
    told = {key: version[key] for key in ("Value", "Type", "DataType")}
    return {"Name": name, **told, "Version": number, "LastModifiedDate": version["since"]}


def _record(region: Path, name: str) -> Parameters:
    try:
        record: Parameters = json.loads(_path(region, name).read_text())
    except FileNotFoundError:
        return {}
    return record


def _path(region: Path, name: str) -> Path:
    return region / "parameters" / f"{quote(name, safe='')}.json"


def _json(status: int, value: Parameters) -> Response:
    return Response(status, json.dumps(value).encode(), {"Content-Type": "application/x-amz-json-1.1"})


OPERATIONS: Mapping[str, Callable[[Path, Parameters], Parameters]] = {
    "DeleteParameter": delete_parameter,
    "DescribeParameters": describe_parameters,
    "GetParameter": get_parameter,
    "PutParameter": put_parameter,
}
