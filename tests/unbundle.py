"""An S3 bundle taken apart by other programs than those that made it: openssl, gzip and tar."""

import re
import subprocess
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class KeyPair:
    """An X.509 pair in PEM files."""

    certificate: Path
    private_key: Path


def key_pair(folder: Path, name: str, bits: int = 2048) -> KeyPair:
    """A fresh pair, made as the explanation tells a user to."""
    pair = KeyPair(folder / f"{name}-cert.pem", folder / f"{name}-key.pem")
    making = ["openssl", "req", "-x509", "-newkey", f"rsa:{bits}", "-nodes", "-sha256", "-days", "3650"]
    run(*making, "-subj", f"/CN={name}", "-keyout", str(pair.private_key), "-out", str(pair.certificate))
    return pair


def run(*command: str, given: bytes = b"") -> bytes:
    return subprocess.run(command, input=given, check=True, capture_output=True).stdout


def value(manifest: bytes, name: str) -> str:
    """The text of the first element of that name."""
    found = re.search(rb"<%s(?: [^>]*)?>([^<]*)</" % name.encode(), manifest)
    assert found, f"{name} is not in the manifest"
    return found[1].decode()


def listed(manifest: bytes) -> list[tuple[str, str]]:
    """Name and SHA-1 of every part, in the order of their indexes."""
    pattern = (
        rb'<part index="(\d+)"><filename>([^<]+)</filename><digest algorithm="SHA1">([0-9a-f]{40})</digest></part>'
    )
    found = sorted(
        (int(index), name.decode(), digest.decode()) for index, name, digest in re.findall(pattern, manifest)
    )
    assert value_of_count(manifest) == len(found)
    assert [index for index, _, _ in found] == list(range(len(found)))
    return [(name, digest) for _, name, digest in found]


def value_of_count(manifest: bytes) -> int:
    found = re.search(rb'<parts count="(\d+)">', manifest)
    assert found
    return int(found[1])


def is_signed_by(manifest: bytes, pair: KeyPair, folder: Path) -> bool:
    """Whether the signature is of machine_configuration and image, byte for byte as they stand there."""
    text = b"".join(
        re.search(rb"<%s>.*</%s>" % (name, name), manifest, re.DOTALL)[0]  # type: ignore[index]
        for name in (b"machine_configuration", b"image")
    )
    signature, public = folder / "signature", folder / "public.pem"
    signature.write_bytes(bytes.fromhex(value(manifest, "signature")))
    public.write_bytes(run("openssl", "x509", "-in", str(pair.certificate), "-pubkey", "-noout"))
    command = ["openssl", "dgst", "-sha1", "-verify", str(public), "-signature", str(signature)]
    return subprocess.run(command, input=text, capture_output=True).returncode == 0


def decrypted(hexadecimal: str, private_key: Path) -> str:
    """Hexadecimal digits, encrypted and written as such, back again."""
    command = ["openssl", "pkeyutl", "-decrypt", "-inkey", str(private_key), "-pkeyopt", "rsa_padding_mode:pkcs1"]
    return run(*command, given=bytes.fromhex(hexadecimal)).decode()


def unbundle(manifest: bytes, parts: dict[str, bytes], private_key: Path, folder: Path, reader: str = "user") -> Path:
    """The image file that lay in the bundle, unpacked below `folder`; every digest on the way is checked.

    `reader`: "user" or "ec2", whose key `private_key` is.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for name, digest in listed(manifest):
        assert run("openssl", "dgst", "-sha1", "-r", given=parts[name]).split()[0].decode() == digest
    joined, archive = folder / "joined", folder / "archive.tar"
    joined.write_bytes(b"".join(parts[name] for name, _ in listed(manifest)))
    assert joined.stat().st_size == int(value(manifest, "bundled_size"))
    key, iv = (decrypted(value(manifest, f"{reader}_encrypted_{what}"), private_key) for what in ("key", "iv"))
    unpack = 'openssl enc -d -aes-128-cbc -K "$1" -iv "$2" -in "$3" | gzip -dc > "$4"'
    run("bash", "-o", "pipefail", "-c", unpack, "bash", key, iv, str(joined), str(archive))
    sha1 = run("openssl", "dgst", "-sha1", "-r", str(archive)).split()[0].decode()
    assert sha1 == value(manifest, "digest")
    (name,) = run("tar", "-tf", str(archive)).decode().splitlines()
    assert name == listed(manifest)[0][0].rpartition(".part.")[0]
    run("tar", "--sparse", "-xf", str(archive), "-C", str(folder))
    joined.unlink()
    archive.unlink()
    return folder / name
