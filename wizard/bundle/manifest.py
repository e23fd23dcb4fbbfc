"""The manifest of a bundle: what EC2 reads first, and what it is registered by.

Sources: ec2-ami-tools 1.5, ec2/amitools/manifestv20071010.rb; euca2ools 3.4.1, euca2ools/bundle/manifest.py.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from xml.etree.ElementTree import Element, SubElement, tostring

from wizard import __version__
from wizard.bundle.keys import Sealed, SigningPair
from wizard.bundle.names import part_name

VERSION = "2007-10-10"


@dataclass(frozen=True, slots=True)
class Machine:
    """What an instance needs to know: its architecture, its AKI, and which device the image is (see UploadBundle)."""

    arch: str
    aki: str
    devices: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Contents:
    """What is in a bundle.

    name          what the parts' names begin with
    account       12 digits
    size          of the image, in bytes
    archive_sha1  of the tar archive
    bundled_size  of all parts together
    parts         the SHA-1 of each, in order
    """

    name: str
    account: str
    size: int
    archive_sha1: str
    bundled_size: int
    parts: Sequence[str]


def manifest(machine: Machine, contents: Contents, sealed: Sealed, pair: SigningPair) -> bytes:
    """The signed manifest.  What is signed are the bytes of two of its elements exactly as they stand in it."""
    signed = _machine(machine) + _image(contents, sealed)
    bundler = _text("bundler", name="ami-wizard", version=__version__, release="0")
    return b"".join(
        [
            b'<?xml version="1.0"?><manifest>',
            tostring(_leaf("version", VERSION)),
            tostring(bundler),
            signed,
            tostring(_leaf("signature", pair.sign(signed))),
            b"</manifest>",
        ]
    )


def _machine(machine: Machine) -> bytes:
    root = _text("machine_configuration", architecture=machine.arch)
    mapping = SubElement(root, "block_device_mapping")
    for virtual, device in sorted(machine.devices.items()):
        mapping.append(_text("mapping", virtual=virtual, device=device))
    if machine.aki:
        root.append(_leaf("kernel_id", machine.aki))
    return tostring(root)


def _image(contents: Contents, sealed: Sealed) -> bytes:
    # EC2 wants the type right behind the user (euca2ools).
    root = _text("image", name=contents.name, user=contents.account, type="machine")
    root.append(_leaf("digest", contents.archive_sha1, algorithm="SHA1"))
    root.append(_leaf("size", str(contents.size)))
    root.append(_leaf("bundled_size", str(contents.bundled_size)))
    root.append(_leaf("ec2_encrypted_key", sealed.ec2_key, algorithm="AES-128-CBC"))
    root.append(_leaf("user_encrypted_key", sealed.user_key, algorithm="AES-128-CBC"))
    root.append(_leaf("ec2_encrypted_iv", sealed.ec2_iv))
    root.append(_leaf("user_encrypted_iv", sealed.user_iv))
    listed = SubElement(root, "parts", count=str(len(contents.parts)))
    for index, digest in enumerate(contents.parts):
        part = SubElement(listed, "part", index=str(index))
        part.append(_leaf("filename", part_name(contents.name, index)))
        part.append(_leaf("digest", digest, algorithm="SHA1"))
    return tostring(root)


def _text(tag: str, **leaves: str) -> Element:
    root = Element(tag)
    root.extend(_leaf(name, text) for name, text in leaves.items())
    return root


def _leaf(tag: str, text: str, **attributes: str) -> Element:
    leaf = Element(tag, attributes)
    leaf.text = text
    return leaf
