"""A parameter of the SSM Parameter Store that holds an image's id, and names what it held before when it goes.

Source: Systems Manager User Guide, "Native parameter support for Amazon Machine Image IDs": of the data type
aws:ec2:image AWS checks the image after the answer, and leaves the parameter as it was where it does not like it.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from botocore.exceptions import ClientError

from wizard.cloud.errors import aws_code, aws_errors
from wizard.cloud.session import Client
from wizard.cloud.waiting import Asked, never, until
from wizard.explain import Failure
from wizard.plan.actions import BUILD_TAG
from wizard.run.journal import Journal, Record

IMAGE_TYPE = "aws:ec2:image"

LONGEST_CHECK = 180.0
"""Seconds until a parameter must hold what it was given; AWS gives no time for its check."""


def put(
    ssm: Client, journal: Journal, name: str, image_id: str, tags: Mapping[str, str], cancelled: Asked = never
) -> None:
    """Writes an image's id to the parameter, a new one with these tags, or one of that data type that is there.

    Raises Cancelled, parameter-in-use, parameter-not-taken, and what AWS refuses.
    """
    region, there = ssm.meta.region_name, find(ssm, name)
    if there and there["Value"] == image_id:
        return
    request: dict[str, Any] = {"Name": name, "Value": image_id, "Type": "String", "DataType": IMAGE_TYPE}
    if there:
        check_kind(there, region)
        # AWS takes no tags with it; those that are there stay.
        request["Overwrite"] = True
    else:
        request["Tags"] = [{"Key": key, "Value": value} for key, value in tags.items()]
    before = there["Value"] if there else None
    journal.asked("PutParameter", region=region, name=name, image_id=image_id, before=before)
    with aws_errors("PutParameter", region):
        ssm.put_parameter(**request)
    journal.answered("PutParameter", region=region, name=name, image_id=image_id)
    late = Failure("parameter-not-taken", name=name, region=region, image_id=image_id)
    until(lambda: (find(ssm, name) or {}).get("Value") == image_id or None, LONGEST_CHECK, late, cancelled)


def find(ssm: Client, name: str) -> dict[str, Any] | None:
    """The parameter as GetParameter gives it; None where there is none."""
    with aws_errors("GetParameter", ssm.meta.region_name):
        try:
            found: dict[str, Any] = ssm.get_parameter(Name=name)["Parameter"]
        except ClientError as error:
            if aws_code(error) != "ParameterNotFound":
                raise
            return None
    return found


def check_kind(there: Mapping[str, Any], region: str) -> None:
    """Raises parameter-in-use for a parameter that holds something else than an image's id."""
    if there.get("DataType") != IMAGE_TYPE:
        evidence = [f"{there['Name']} has the data type {there.get('DataType')}"]
        raise Failure("parameter-in-use", name=there["Name"], region=region, evidence=evidence)


def tagged(ssm: Client, tag: str) -> list[str]:
    """The names of the parameters that carry the build's tag."""
    filters = [{"Key": f"tag:{BUILD_TAG}", "Option": "Equals", "Values": [tag]}]
    with aws_errors("DescribeParameters", ssm.meta.region_name):
        pages = ssm.get_paginator("describe_parameters").paginate(ParameterFilters=filters)
        return [str(one["Name"]) for page in pages for one in page["Parameters"]]


def remove(
    ssm: Client, journals: Iterable[Journal], journal: Journal, images: Sequence[str], tag: str
) -> Iterator[tuple[str, str | None]]:
    """Takes a build's images out of its parameters again: `images`, and those that the journals name.

    Gives the name of each parameter that changed, and the id that it holds again: one that was there before gets back
    what it held.  One that we made, which its tag says too, is deleted (None).  One that holds another id by now is
    left alone.
    """
    region = ssm.meta.region_name
    asked = [
        record
        for one in journals
        for record in one.records()
        if (record["operation"], record["kind"], record.get("region")) == ("PutParameter", "asked", region)
    ]
    ours = {*images, *(record["image_id"] for record in asked)}
    for name in dict.fromkeys([*(record["name"] for record in asked), *tagged(ssm, tag)]):
        there = find(ssm, name)
        if there is None or there["Value"] not in ours:
            continue
        before = _before(name, asked, ours)
        if before is None:
            _delete(ssm, journal, name)
        else:
            _put_back(ssm, journal, name, before)
        yield name, before


def _before(name: str, asked: Sequence[Record], ours: set[str]) -> str | None:
    """What a parameter held before the first of our images; None where we made it."""
    records = sorted((record for record in asked if record["name"] == name), key=lambda record: str(record["at"]))
    return next((record["before"] for record in records if record["before"] not in (None, *ours)), None)


def _delete(ssm: Client, journal: Journal, name: str) -> None:
    region = ssm.meta.region_name
    journal.asked("DeleteParameter", region=region, name=name)
    with aws_errors("DeleteParameter", region):
        ssm.delete_parameter(Name=name)
    journal.answered("DeleteParameter", region=region, name=name)


def _put_back(ssm: Client, journal: Journal, name: str, before: str) -> None:
    """Where the older image is gone by now AWS changes nothing: nobody's image is then named, as it is without us."""
    region = ssm.meta.region_name
    journal.asked("RestoreParameter", region=region, name=name, image_id=before)
    with aws_errors("PutParameter", region):
        ssm.put_parameter(Name=name, Value=before, Type="String", DataType=IMAGE_TYPE, Overwrite=True)
    journal.answered("RestoreParameter", region=region, name=name, image_id=before)
