"""A bundle is what EC2 and Amazon's own tools read: other programs take it apart and find the image."""

import hashlib
import os
import tarfile
from io import BytesIO
from pathlib import Path

import pytest
from cryptography import x509
from unbundle import KeyPair, is_signed_by, key_pair, listed, unbundle, value

from wizard import presets
from wizard.bundle.archive import data_size, tar_stream
from wizard.bundle.keys import Sealed, ec2_key, new_secret, seal, signing_pair, unseal
from wizard.bundle.manifest import Contents, Machine, manifest, part_name
from wizard.bundle.stream import PART, Tap, parts
from wizard.explain import Failure, explain
from wizard.targets.regions import regions

TIME = 1686355200
MACHINE = Machine("x86_64", "aki-919dcaf8", {"root": "/dev/sda1", "ami": "sda1"})


@pytest.fixture(scope="module")
def user(tmp_path_factory: pytest.TempPathFactory) -> KeyPair:
    return key_pair(tmp_path_factory.mktemp("user"), "user")


@pytest.fixture(scope="module")
def ec2(tmp_path_factory: pytest.TempPathFactory) -> KeyPair:
    """Stands in for EC2, whose private key nobody has."""
    return key_pair(tmp_path_factory.mktemp("ec2"), "ec2", bits=1024)


def image_of(folder: Path, size: int, data: dict[int, bytes]) -> Path:
    """A sparse file of that size with data at these offsets."""
    path = folder / "disk.img"
    with path.open("wb") as file:
        for offset, content in data.items():
            file.seek(offset)
            file.write(content)
        file.truncate(size)
    return path


def bundle(image: Path, user: KeyPair, ec2: KeyPair, name: str = "disk") -> tuple[bytes, dict[str, bytes]]:
    """The manifest and the parts by their names."""
    pair, secret = signing_pair(user.certificate, user.private_key), new_secret()
    sealed = seal(secret, ec2_key("us-east-1", ec2.certificate), pair.private.public_key())
    with image.open("rb") as file:
        archive = Tap(tar_stream(file.fileno(), name, TIME))
        made = list(parts(archive, secret))
    size = sum(len(part.data) for part in made)
    contents = Contents(name, "123456789012", image.stat().st_size, archive.sha1, size, [part.sha1 for part in made])
    return manifest(MACHINE, contents, sealed, pair), {part_name(name, part.index): part.data for part in made}


SHAPES = {
    "data at both ends": (40 << 20, {0: b"a" * 5000, (40 << 20) - 3000: os.urandom(3000)}),
    "a hole at each end": (40 << 20, {20 << 20: os.urandom(100_000)}),
    "nothing but a hole": (40 << 20, {}),
    "no hole, and no whole block at the end": (1_234_567, {0: os.urandom(1_234_567)}),
    "more stretches of data than the header holds": (64 << 20, {at << 20: os.urandom(9000) for at in range(0, 60, 2)}),
    "several parts": (64 << 20, {1 << 20: os.urandom(2 * PART + 12345)}),
}


@pytest.mark.parametrize("shape", SHAPES)
def test_openssl_gzip_and_tar_find_the_image_in_it(shape: str, tmp_path: Path, user: KeyPair, ec2: KeyPair) -> None:
    image = image_of(tmp_path, *SHAPES[shape])

    told, made = bundle(image, user, ec2)

    for reader, keys in (("user", user), ("ec2", ec2)):
        found = unbundle(told, made, keys.private_key, tmp_path / reader, reader)
        assert digest(found) == digest(image)
    assert {len(data) for data in made.values()} <= {PART} | {len(made[listed(told)[-1][0]])}
    assert is_signed_by(told, user, tmp_path)


def digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def test_python_s_own_tar_reads_the_archive_too(tmp_path: Path) -> None:
    image = image_of(tmp_path, *SHAPES["more stretches of data than the header holds"])
    with image.open("rb") as file:
        archive = b"".join(tar_stream(file.fileno(), "disk", TIME))
    with tarfile.open(fileobj=BytesIO(archive)) as tar:
        (member,) = tar.getmembers()
        assert (member.name, member.size, member.uid, member.gid, member.mtime) == ("disk", 64 << 20, 0, 0, TIME)
        content = tar.extractfile(member)
        assert content is not None
        assert content.read() == image.read_bytes()


def test_sizes_beyond_what_octal_digits_hold_are_told(tmp_path: Path) -> None:
    image = image_of(tmp_path, 10 << 30, {9 << 30: b"far behind"})
    with image.open("rb") as file:
        archive = b"".join(tar_stream(file.fileno(), "disk", TIME))
    with tarfile.open(fileobj=BytesIO(archive)) as tar:
        (member,) = tar.getmembers()
        assert member.size == 10 << 30
        content = tar.extractfile(member)
        assert content is not None
        content.seek(9 << 30)
        assert content.read(10) == b"far behind"


def test_holes_are_neither_read_nor_stored(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    image = image_of(tmp_path, 2 << 30, {0: b"x" * 8192, 1 << 30: b"y" * 8192})
    read: list[int] = []
    real = os.pread

    def counted(fd: int, length: int, at: int) -> bytes:
        read.append(length)
        return real(fd, length, at)

    monkeypatch.setattr(os, "pread", counted)
    with image.open("rb") as file:
        archive = b"".join(tar_stream(file.fileno(), "disk", TIME))
        assert sum(read) == data_size(file.fileno()) == 16384
    assert len(archive) == 20480


def test_no_more_is_read_than_the_parts_that_were_asked_for(tmp_path: Path) -> None:
    image = image_of(tmp_path, 64 << 20, {0: os.urandom(64 << 20)})
    with image.open("rb") as file:
        made = parts(Tap(tar_stream(file.fileno(), "disk", TIME)), new_secret())
        assert next(made).read < 2 * PART
        assert next(made).read < 3 * PART


def test_the_same_image_and_secret_give_the_same_bytes(tmp_path: Path) -> None:
    image, secret = image_of(tmp_path, *SHAPES["several parts"]), new_secret()

    def made() -> list[bytes]:
        with image.open("rb") as file:
            return [part.data for part in parts(Tap(tar_stream(file.fileno(), "disk", TIME)), secret)]

    assert made() == made()


def test_a_changed_manifest_is_not_signed_any_more(tmp_path: Path, user: KeyPair, ec2: KeyPair) -> None:
    told, _ = bundle(image_of(tmp_path, 10_000, {0: b"x"}), user, ec2)
    assert not is_signed_by(told.replace(b"aki-919dcaf8", b"aki-00000000"), user, tmp_path)


def test_the_manifest_says_what_the_machine_is(tmp_path: Path, user: KeyPair, ec2: KeyPair) -> None:
    told, _ = bundle(image_of(tmp_path, 10_000, {0: b"x"}), user, ec2)
    expected = {"version": "2007-10-10", "architecture": "x86_64", "kernel_id": "aki-919dcaf8", "type": "machine"}
    assert {name: value(told, name) for name in expected} == expected
    assert (value(told, "user"), value(told, "size")) == ("123456789012", "10000")
    assert b"<mapping><virtual>ami</virtual><device>sda1</device></mapping>" in told
    assert b"</user><type>machine</type>" in told, "EC2 wants the type right behind the user"


# Keys


def test_a_secret_is_read_by_its_own_key_alone(user: KeyPair, ec2: KeyPair) -> None:
    mine, others = (signing_pair(keys.certificate, keys.private_key) for keys in (user, ec2))
    secret = new_secret()
    sealed = seal(secret, others.private.public_key(), mine.private.public_key())

    assert unseal(sealed, mine) == secret
    assert unseal(sealed, others) is None
    assert unseal(Sealed(sealed.ec2_key, "00", sealed.ec2_iv, sealed.user_iv), mine) is None


def test_no_secret_shows_itself(user: KeyPair) -> None:
    secret = new_secret()
    assert secret.key.hex() not in repr(secret)
    assert "private" not in repr(signing_pair(user.certificate, user.private_key)).lower()


def test_a_certificate_of_another_key_is_found_out(user: KeyPair, ec2: KeyPair) -> None:
    assert refused(ec2.certificate, user.private_key) == "signing-pair-mismatch"


def test_files_that_are_no_keys_are_told_apart(tmp_path: Path, user: KeyPair) -> None:
    nothing = tmp_path / "nothing.pem"
    nothing.write_text("not a key")
    assert refused(nothing, user.private_key) == "bad-signing-certificate"
    assert refused(tmp_path / "missing.pem", user.private_key) == "bad-signing-certificate"
    assert refused(user.certificate, nothing) == "bad-signing-key"
    assert refused(user.certificate, user.certificate) == "bad-signing-key"


def refused(certificate: Path, private_key: Path) -> str:
    with pytest.raises(Failure) as caught:
        signing_pair(certificate, private_key)
    card = explain(caught.value)
    assert "not known)" not in " ".join([card.what, card.why, *card.do])
    return card.code


def test_ec2_s_key_is_known_where_an_s3_backed_ami_can_run_and_never_guessed_elsewhere() -> None:
    paravirtual = {region.name for region in regions() if region.paravirtual}
    assert all(ec2_key(name, None).key_size >= 1024 for name in paravirtual)
    with pytest.raises(Failure) as caught:
        ec2_key("eu-north-1", None)
    assert caught.value.code == "no-ec2-certificate"


def test_a_certificate_that_is_given_counts_before_the_known_one(user: KeyPair) -> None:
    given = x509.load_pem_x509_certificate(user.certificate.read_bytes()).public_key()
    assert ec2_key("us-east-1", user.certificate) == given


def test_every_known_key_names_its_source() -> None:
    for row in presets.load("bundles")["ec2_key"]:
        assert row["source"]
        assert len(bytes.fromhex(row["certificate_sha256"])) == 32
        assert int(row["modulus"], 16).bit_length() in (1024, 2048)
