"""The tar archive on its way into parts: gzip, AES-128-CBC, 10 MiB each.

Source of the order, the algorithms and the size: ec2-ami-tools 1.5, ec2/amitools/bundle.rb; euca2ools 3.4.1,
euca2ools/bundle/pipes/core.py.
"""

import hashlib
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.padding import PKCS7

from wizard.bundle.keys import Secret

PART = 10 << 20
"""Bytes of every part but the last."""

AS_GZIP = 31
"""zlib's window bits for the largest window in a gzip file, whose header then has no time and no name."""


@dataclass(frozen=True, slots=True)
class Part:
    """A part of a bundle: its place among them from 0, its bytes, and how much of the archive had been read for it."""

    index: int
    data: bytes
    read: int

    @property
    def sha1(self) -> str:
        """Its digest in the manifest."""
        return hashlib.sha1(self.data, usedforsecurity=False).hexdigest()


class Tap:
    """Lets an archive through, and knows its length so far, and its SHA-1."""

    def __init__(self, archive: Iterable[bytes]) -> None:
        self.length = 0
        self._archive = archive
        self._sha1 = hashlib.sha1(usedforsecurity=False)

    def __iter__(self) -> Iterator[bytes]:
        for piece in self._archive:
            self.length += len(piece)
            self._sha1.update(piece)
            yield piece

    @property
    def sha1(self) -> str:
        return self._sha1.hexdigest()


def parts(archive: Tap, secret: Secret) -> Iterator[Part]:
    """The parts of a bundle, each made when it is asked for; the same archive and secret give the same parts."""
    held = bytearray()
    index = 0
    for piece in _encrypted(_packed(archive), secret):
        held += piece
        while len(held) >= PART:
            with memoryview(held) as view:
                whole = bytes(view[:PART])
            del held[:PART]
            yield Part(index, whole, archive.length)
            index += 1
    if held:
        yield Part(index, bytes(held), archive.length)


def _packed(pieces: Iterable[bytes]) -> Iterator[bytes]:
    packer = zlib.compressobj(wbits=AS_GZIP)
    for piece in pieces:
        yield packer.compress(piece)
    yield packer.flush()


def _encrypted(pieces: Iterable[bytes], secret: Secret) -> Iterator[bytes]:
    cipher = Cipher(algorithms.AES128(secret.key), modes.CBC(secret.iv)).encryptor()
    padder = PKCS7(algorithms.AES128.block_size).padder()
    for piece in pieces:
        yield cipher.update(padder.update(piece))
    yield cipher.update(padder.finalize()) + cipher.finalize()
