"""The practice cloud's key pairs: public keys, imported or put there by hand, as REGION/key-pairs/NAME.pub."""

import base64
import binascii
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from wizard.cloud.practice.ec2 import Operation, Parameters
from wizard.cloud.practice.messages import Refusal

NAME = re.compile(r"[A-Za-z0-9 ._@+=-]{1,255}")
"""Of a file, too: on AWS a name may hold any printable ASCII character."""

PUBLIC_KEY = re.compile(r"(ssh-rsa|ssh-ed25519) [A-Za-z0-9+/=]+( [^\n]*)?\n?")
"""What EC2 imports.  Source: EC2 User Guide, "Create a key pair for your Amazon EC2 instance"."""


def find(region: Path, name: str) -> str:
    """The public key.  Fails as EC2 does where there is no such key pair."""
    try:
        return _path(region, name).read_text(encoding="ascii").strip()
    except FileNotFoundError:
        raise Refusal("InvalidKeyPair.NotFound", f"The key pair '{name}' does not exist") from None


def import_key_pair(region: Path, asked: Parameters) -> dict[str, Any]:
    path = _path(region, asked["KeyName"])
    try:
        text = base64.b64decode(asked["PublicKeyMaterial"], validate=True).decode("ascii")
    except (binascii.Error, UnicodeDecodeError):
        text = ""
    if not PUBLIC_KEY.fullmatch(text):
        raise Refusal("InvalidKey.Format", "Key is not in valid OpenSSH public key format")
    if path.exists():
        raise Refusal("InvalidKeyPair.Duplicate", f"The keypair '{path.stem}' already exists.")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="ascii")
    return {"KeyName": path.stem}


def describe_key_pairs(region: Path, asked: Parameters) -> dict[str, Any]:
    names = asked.get("KeyNames") or [path.stem for path in sorted((region / "key-pairs").glob("*.pub"))]
    pairs = [{"KeyName": name, "PublicKey": find(region, name)} for name in names]
    shown = ("KeyName", "PublicKey") if asked.get("IncludePublicKey") else ("KeyName",)
    return {"KeyPairs": [{field: pair[field] for field in shown} for pair in pairs]}


def delete_key_pair(region: Path, asked: Parameters) -> dict[str, Any]:
    _path(region, asked.get("KeyName", "")).unlink(missing_ok=True)
    return {}


def create_key_pair(_region: Path, _asked: Parameters) -> dict[str, Any]:
    raise Refusal("UnsupportedOperation", "The practice cloud makes no keys: import a public key of yours")


def _path(region: Path, name: str) -> Path:
    if not NAME.fullmatch(name):
        raise Refusal("InvalidParameterValue", f"Value ({name}) for parameter KeyName is invalid.")
    return region / "key-pairs" / f"{name}.pub"


OPERATIONS: Mapping[str, Operation] = {
    "CreateKeyPair": create_key_pair,
    "DeleteKeyPair": delete_key_pair,
    "DescribeKeyPairs": describe_key_pairs,
    "ImportKeyPair": import_key_pair,
}
"""moto's would be gone with its process."""
