"""Who can open a bundle, and who has signed it: a secret of its own, EC2's public key, the account's X.509 pair.

Every bundle has a random key and IV.  They go into the manifest twice: encrypted for EC2, and for the account.
"""

import re
import secrets
from dataclasses import dataclass, field
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, RSAPublicKey, RSAPublicNumbers
from cryptography.hazmat.primitives.hashes import SHA1
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from wizard import presets
from wizard.explain import Failure

KEY_BYTES = 16

HEX_KEY = re.compile(rb"[0-9a-f]{%d}" % (2 * KEY_BYTES))


@dataclass(frozen=True, slots=True)
class Secret:
    """What a bundle is encrypted with."""

    key: bytes = field(repr=False)
    iv: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Sealed:
    """A secret that nobody can read but EC2 and the account, in hexadecimal digits, as it stands in the manifest."""

    ec2_key: str
    user_key: str
    ec2_iv: str
    user_iv: str


@dataclass(frozen=True, slots=True)
class SigningPair:
    """The account's private key; the certificate that belongs to it has its public half."""

    private: RSAPrivateKey = field(repr=False)

    def sign(self, text: bytes) -> str:
        """The signature that EC2 asks for: RSA with SHA-1, in hexadecimal digits."""
        return self.private.sign(text, PKCS1v15(), SHA1()).hex()


def signing_pair(certificate: Path, private_key: Path) -> SigningPair:
    """Reads the pair.  Raises Failure `bad-signing-certificate`, `bad-signing-key`, `signing-pair-mismatch`."""
    public, private = _public_key(certificate), _private_key(private_key)
    if private.public_key().public_numbers() != public.public_numbers():
        raise Failure("signing-pair-mismatch", certificate=certificate, private_key=private_key)
    return SigningPair(private)


def ec2_key(region: str, certificate: Path | None) -> RSAPublicKey:
    """EC2's public key in a region: that of the certificate where one is given, else the one that is known.

    Raises Failure `no-ec2-certificate`, `bad-signing-certificate`.
    """
    if certificate:
        return _public_key(certificate)
    for known in presets.load("bundles")["ec2_key"]:
        if region in known["regions"]:
            return RSAPublicNumbers(known["exponent"], int(known["modulus"], 16)).public_key()
    raise Failure("no-ec2-certificate", region=region)


def new_secret() -> Secret:
    """A secret that was never there before."""
    return Secret(secrets.token_bytes(KEY_BYTES), secrets.token_bytes(KEY_BYTES))


def seal(secret: Secret, for_ec2: RSAPublicKey, for_user: RSAPublicKey) -> Sealed:
    """Encrypts a secret for both.  What is encrypted are its hexadecimal digits (ec2-ami-tools, bundle.rb)."""

    def sealed(value: bytes, reader: RSAPublicKey) -> str:
        return reader.encrypt(value.hex().encode(), PKCS1v15()).hex()

    return Sealed(
        sealed(secret.key, for_ec2),
        sealed(secret.key, for_user),
        sealed(secret.iv, for_ec2),
        sealed(secret.iv, for_user),
    )


def unseal(sealed: Sealed, pair: SigningPair) -> Secret | None:
    """The secret, read with the account's key; None where it was sealed for another one."""
    try:
        found = [pair.private.decrypt(bytes.fromhex(text), PKCS1v15()) for text in (sealed.user_key, sealed.user_iv)]
    except ValueError:
        return None
    # To the wrong key OpenSSL answers with random bytes, so that nobody can learn from the difference.
    if not all(HEX_KEY.fullmatch(text) for text in found):
        return None
    key, iv = (bytes.fromhex(text.decode()) for text in found)
    return Secret(key, iv)


def _public_key(path: Path) -> RSAPublicKey:
    try:
        key = x509.load_pem_x509_certificate(path.read_bytes()).public_key()
    except (OSError, ValueError) as error:
        raise Failure("bad-signing-certificate", path=path, evidence=[str(error)]) from error
    if not isinstance(key, RSAPublicKey):
        raise Failure("bad-signing-certificate", path=path, evidence=["Its key is not an RSA key."])
    return key


def _private_key(path: Path) -> RSAPrivateKey:
    try:
        key = load_pem_private_key(path.read_bytes(), password=None)
    except (OSError, ValueError, TypeError) as error:
        raise Failure("bad-signing-key", path=path, evidence=[str(error)]) from error
    if not isinstance(key, RSAPrivateKey):
        raise Failure("bad-signing-key", path=path, evidence=["It is not an RSA key."])
    return key
