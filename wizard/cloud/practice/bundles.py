"""What EC2 looks at when an AMI is registered from a bundle in S3.

EC2's own private key nobody has, so what is encrypted stays so; all that can be seen without it is checked.
Sources: those of wizard/bundle/manifest.py; RegisterImage, `ImageLocation`; EC2 API
Reference, "Error codes", InvalidManifest.
"""

import re
from pathlib import Path
from typing import Any
from xml.etree.ElementTree import Element, ParseError, fromstring

from wizard.cloud.practice import s3
from wizard.cloud.practice.messages import Refusal
from wizard.cloud.practice.s3 import Bucket, Object
from wizard.cloud.practice.state import ACCOUNT
from wizard.targets.instances import most_s3_gib

GIB = 1 << 30
LEAVES = (
    *("name", "digest", "size", "bundled_size"),
    *("ec2_encrypted_key", "user_encrypted_key", "ec2_encrypted_iv", "user_encrypted_iv"),
)


def check(region: Path, asked: dict[str, Any]) -> str:
    """The root device that the manifest names.  Refuses, as EC2 does, what instances could not be started from."""
    cloud = region.parent
    name, _, key = str(asked["ImageLocation"]).partition("/")
    try:
        bucket = s3.find_bucket(cloud, name)
        manifest = _parsed(cloud, bucket, key)
    except Refusal as refusal:
        raise _invalid(f"{refusal.message} ({asked['ImageLocation']})") from refusal
    if bucket.region != region.name:
        raise _invalid(f"the bucket {name} is in {bucket.region}")
    image, machine = _element(manifest, "image"), _element(manifest, "machine_configuration")
    if _text(manifest, "version") != "2007-10-10":
        raise _invalid("the version of the manifest is not known")
    _check_machine(machine, asked)
    _check_image(image)
    # An empty one is an internal error of EC2's (euca2ools).
    if not re.fullmatch(r"([0-9a-f]{2}){64,}", _text(manifest, "signature")):
        raise Refusal("InternalError", "An internal error has occurred", status=500)
    _check_parts(cloud, bucket, key.rpartition("/")[0], image)
    devices = {_text(one, "virtual"): _text(one, "device") for one in machine.iter("mapping")}
    return devices.get("root", "/dev/sda1")


def _parsed(cloud: Path, bucket: Bucket, key: str) -> Element:
    _check_readable(s3.find_object(cloud, bucket, key))
    try:
        return fromstring(s3.content(cloud, bucket, key))
    except ParseError as error:
        raise _invalid(f"the manifest cannot be parsed: {error}") from None


def _check_readable(found: Object) -> None:
    if found.acl not in ("aws-exec-read", "public-read"):
        raise _invalid(f"EC2 may not read {found.key}, whose ACL is {found.acl}")


def _check_machine(machine: Element, asked: dict[str, Any]) -> None:
    architecture = _text(machine, "architecture")
    if asked.get("Architecture", architecture) != architecture:
        raise _invalid(f"the manifest is of {architecture}")


def _check_image(image: Element) -> None:
    for leaf in LEAVES:
        _text(image, leaf)
    if _text(image, "user") != ACCOUNT:
        raise _invalid("the manifest is of another account")
    if [one.tag for one in image][1:3] != ["user", "type"]:
        raise _invalid("the type does not stand right behind the user")
    if int(_text(image, "size")) > most_s3_gib() * GIB:
        raise _invalid(f"the image has more than {most_s3_gib()} GiB")


def _check_parts(cloud: Path, bucket: Bucket, folder: str, image: Element) -> None:
    listed = _element(image, "parts")
    found = list(listed.iter("part"))
    if [one.get("index") for one in found] != [str(index) for index in range(int(listed.get("count", "-1")))]:
        raise _invalid("the parts are not numbered in order")
    total = 0
    for one in found:
        name = _text(one, "filename")
        try:
            part = s3.find_object(cloud, bucket, f"{folder}/{name}" if folder else name)
        except Refusal as refusal:
            raise _invalid(f"{name}: {refusal.message}") from refusal
        _check_readable(part)
        if part.sha1 != _text(one, "digest"):
            raise _invalid(f"{name} has another digest than the manifest says")
        total += part.size
    if total != int(_text(image, "bundled_size")):
        raise _invalid(f"the parts have {total} bytes together")


def _element(parent: Element, tag: str) -> Element:
    found = parent.find(tag)
    if found is None:
        raise _invalid(f"the manifest has no {tag}")
    return found


def _text(parent: Element, tag: str) -> str:
    text = _element(parent, tag).text
    if not text and tag != "signature":
        raise _invalid(f"the manifest's {tag} is empty")
    return text or ""


def _invalid(message: str) -> Refusal:
    return Refusal("InvalidManifest", message[0].upper() + message[1:])
