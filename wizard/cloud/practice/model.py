"""AWS's own description of its operations, as botocore carries it: what may be asked, and in which form.

The EC2 query protocol is read and written from it, so that no operation needs a template.
Source: botocore/data/*/service-2.json; Smithy, "AWS EC2 query protocol".
"""

import re
from collections.abc import Mapping
from datetime import datetime
from functools import cache
from typing import Any
from urllib.parse import parse_qsl
from xml.etree.ElementTree import Element, SubElement, tostring

from botocore.loaders import Loader
from botocore.model import ListShape, OperationModel, ServiceModel, Shape, StructureShape
from botocore.validate import ParamValidator

from wizard.cloud.practice.messages import Refusal


@cache
def service(name: str) -> ServiceModel:
    return ServiceModel(Loader().load_service_model(name, "service-2"), name)


def operation(service_name: str, name: str) -> OperationModel:
    return service(service_name).operation_model(name)


def problems(shape: Shape, value: Any, name: str = "") -> list[str]:
    """What is wrong with a value: botocore's own check, and the limits that AWS alone enforces."""
    if name == "":
        report = ParamValidator().validate(value, shape)
        if report.has_errors():
            return [str(report.generate_report())]
    match shape:
        case StructureShape():
            inner = [(shape.members[key], value[key], key) for key in value]
        case ListShape():
            inner = [(shape.member, item, name) for item in value]
        case _:
            return _limits(shape, value, name)
    return [problem for member, item, key in inner for problem in problems(member, item, key)]


def _limits(shape: Shape, value: Any, name: str) -> list[str]:
    enum, limits = getattr(shape, "enum", []), shape.metadata
    size = len(value) if isinstance(value, str) else value
    found = []
    if enum and value not in enum:
        found.append(f"{name} is {value!r}; it must be one of {', '.join(enum)}")
    if "max" in limits and size > limits["max"]:
        found.append(f"{name} is over the limit of {limits['max']}")
    # Java's classes of letters (\p{L}) Python has not; they stand in what tags may be.
    if "pattern" in limits and "\\p" not in limits["pattern"] and not re.fullmatch(limits["pattern"], value):
        found.append(f"{name} does not match {limits['pattern']}")
    return found


# The EC2 query protocol


def read_query(action: OperationModel, body: bytes) -> dict[str, Any]:
    """The parameters of a request, `BlockDeviceMapping.1.Ebs.SnapshotId=…` turned into nested values."""
    tree: dict[str, Any] = {}
    for key, value in parse_qsl(body.decode(), keep_blank_values=True):
        *parents, leaf = key.split(".")
        branch = tree
        for parent in parents:
            branch = branch.setdefault(parent, {})
        branch[leaf] = value
    del tree["Action"], tree["Version"]
    parameters: dict[str, Any] = _value(action.input_shape, tree) if action.input_shape else {}
    if action.input_shape and (wrong := problems(action.input_shape, parameters)):
        raise Refusal("InvalidParameterValue", "; ".join(wrong))
    return parameters


def _value(shape: Shape, raw: Any) -> Any:
    match shape.type_name:
        case "structure":
            members = {_query_name(name, member): name for name, member in shape.members.items()}  # type: ignore[attr-defined]
            if unknown := raw.keys() - members.keys():
                raise Refusal("UnknownParameter", f"The parameter {min(unknown)} is not recognized")
            return {members[key]: _value(shape.members[members[key]], raw[key]) for key in raw}  # type: ignore[attr-defined]
        case "list":
            return [_value(shape.member, raw[key]) for key in sorted(raw, key=int)]  # type: ignore[attr-defined]
        case "boolean":
            return raw == "true"
        case "integer" | "long":
            return _number(raw)
        case _:
            return raw


def _number(raw: str) -> int:
    try:
        return int(raw)
    except ValueError:
        raise Refusal("InvalidParameterValue", f"'{raw}' is not a number") from None


def _query_name(name: str, member: Shape) -> str:
    given: str = member.serialization.get("queryName") or member.serialization.get("name", name)
    return given[0].upper() + given[1:]


def write_answer(action: OperationModel, answer: Mapping[str, Any], request_id: str) -> bytes:
    """The XML of an answer; a key that the operation's output does not have is an error of ours."""
    root = Element(f"{action.name}Response", xmlns=action.service_model.metadata["xmlNamespace"])
    SubElement(root, "requestId").text = request_id
    if action.output_shape:
        _fill(root, action.output_shape, answer)
    return bytes(tostring(root, encoding="utf-8", xml_declaration=True))


def _fill(element: Element, shape: Shape, value: Any) -> None:
    match shape:
        case StructureShape():
            for name, item in value.items():
                member = shape.members[name]
                _fill(SubElement(element, member.serialization.get("name", name)), member, item)
        case ListShape():
            for item in value:
                _fill(SubElement(element, "item"), shape.member, item)
        case _:
            element.text = _text(value)


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return value.isoformat() if isinstance(value, datetime) else str(value)


def write_refusal(refusal: Refusal, request_id: str) -> bytes:
    """The XML in which EC2 says no."""
    root = Element("Response")
    error = SubElement(SubElement(root, "Errors"), "Error")
    SubElement(error, "Code").text = refusal.code
    SubElement(error, "Message").text = refusal.message
    SubElement(root, "RequestID").text = request_id
    return bytes(tostring(root, encoding="utf-8", xml_declaration=True))
