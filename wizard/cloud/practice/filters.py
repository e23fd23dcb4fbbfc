"""The filters of EC2's Describe operations."""

import re
from collections.abc import Callable, Mapping
from fnmatch import fnmatchcase
from typing import Any

from wizard.cloud.practice.messages import Refusal

Record = Mapping[str, Any]
Reader = Callable[[dict[str, Any]], list[Any]]
"""The values of a record that a filter looks at."""


def filtered(
    records: list[dict[str, Any]], asked: Record, fields: Mapping[str, str], readers: Mapping[str, Reader]
) -> list[dict[str, Any]]:
    """The records that pass every filter of a request.

    `fields`: the names of filters that look at one field; `readers`: those that look elsewhere.
    """
    tests = [(_reader(item["Name"], fields, readers), item["Values"]) for item in asked.get("Filters", [])]
    return [record for record in records if all(_matches(read(record), wanted) for read, wanted in tests)]


def fields_of(shape: Any) -> dict[str, str]:
    """ImageId → image-id: a filter is named after the field of the answer that it looks at."""
    return {re.sub(r"(?<=[a-z])(?=[A-Z])", "-", field).lower(): field for field in shape.members}


def _reader(name: str, fields: Mapping[str, str], readers: Mapping[str, Reader]) -> Reader:
    if name in readers:
        return readers[name]
    if name.startswith("tag:"):
        return lambda record: [tag["Value"] for tag in record["Tags"] if tag["Key"] == name[4:]]
    if name == "tag-key":
        return lambda record: [tag["Key"] for tag in record["Tags"]]
    if name not in fields:
        raise Refusal("InvalidParameterValue", f"The filter '{name}' is invalid")
    return lambda record: [record[fields[name]]] if fields[name] in record else []


def _matches(values: list[Any], wanted: list[str]) -> bool:
    texts = [str(value).lower() if isinstance(value, bool) else str(value) for value in values]
    # EC2 knows * and ? alone; fnmatch would read [ as the start of a set.
    patterns = [pattern.replace("[", "[[]") for pattern in wanted]
    return any(fnmatchcase(text, pattern) for text in texts for pattern in patterns)
