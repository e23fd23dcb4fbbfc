"""An image file put into S3 as a bundle, part by part, so that it can be stopped and gone on with anywhere.

Unlike EBS direct, S3 says what it has: a part that lies there with the right MD5 is not sent again, and no ledger is
needed.  A part is one PutObject; its 10 MiB would not be worth a multipart upload.
"""

import base64
import hashlib
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from itertools import takewhile
from pathlib import Path
from threading import Event
from typing import Any

from wizard.bundle import keys
from wizard.bundle.archive import data_size, tar_stream
from wizard.bundle.keys import Sealed, Secret, SigningPair
from wizard.bundle.manifest import Contents, Machine, manifest
from wizard.bundle.stream import Part, Tap, parts
from wizard.cloud import bucket
from wizard.cloud.bucket import Place
from wizard.cloud.patience import patiently
from wizard.cloud.sending import Progress, Tally
from wizard.cloud.session import Client
from wizard.cloud.waiting import Asked, Cancelled, as_ready
from wizard.explain import Failure
from wizard.plan.actions import UploadBundle
from wizard.run.journal import Journal, Record
from wizard.targets.instances import most_s3_gib

GIB = 1 << 30

CONNECTIONS = 4
"""Parts sent side by side: enough to be faster than one core packs, and each takes 10 MiB of memory."""

READABLE_FOR_EC2 = "aws-exec-read"
"""The ACL of every object.  Source: RegisterImage, `ImageLocation`; ec2-upload-bundle sets it, too."""


@dataclass(frozen=True, slots=True)
class Sent:
    """A whole bundle in its bucket: the number of its parts, and their bytes together."""

    parts: int
    size: int


def upload(
    action: UploadBundle,
    image: Path,
    *,
    s3: Client,
    sender: Client,
    account: str,
    journal: Journal,
    others: Sequence[Journal],
    progress: Progress,
    cancelled: Asked,
) -> Sent:
    """Makes the bundle of a raw image and puts it into its bucket, the manifest last.

    Called again with the same journal after any kind of end, it makes the same bundle again and sends what is missing.
    `sender` is a client for S3 that tries once; `account` has 12 digits.  `others` are the journals of earlier answers
    to the same build: what they left unfinished goes.

    Raises image-too-large-for-s3, Cancelled, what keys.py raises of the files, and what AWS refuses.
    """
    size, most = image.stat().st_size, most_s3_gib()
    if size > most * GIB:
        raise Failure("image-too-large-for-s3", image=image, size=size, most=most)
    pair = keys.signing_pair(Path(action.certificate), Path(action.private_key))
    for_ec2 = keys.ec2_key(action.region, Path(action.ec2_certificate) if action.ec2_certificate else None)
    place = Place(action.bucket, action.base)
    for other in others:
        _discard_elsewhere(s3, other, place)
    if whole := _whole(s3, place, image, journal, others):
        return whole
    _check_place(s3, place, (journal, *others))
    secret, sealed = _begun(s3, place, image, journal, pair, for_ec2)
    contents = _send_parts(action, image, s3, sender, place, secret, account, progress, cancelled)
    machine = Machine(action.arch, action.aki, action.devices)
    text = manifest(machine, contents, sealed, pair)
    sha1 = hashlib.sha1(text, usedforsecurity=False).hexdigest()
    _put(sender, place.bucket, place.manifest, text, sha1, Tally(), cancelled)
    sent = Sent(len(contents.parts), contents.bundled_size)
    journal.answered("PutObject", region=action.region, bucket=place.bucket, base=place.base, **asdict(sent))
    return sent


def places(journal: Journal, region: str) -> list[Place]:
    """Where a journal says that bundles were begun, in a region."""
    found = (item for item in _records(journal, "asked") if item["region"] == region)
    return list(dict.fromkeys(Place(item["bucket"], item["base"]) for item in found))


# Where it stands


def _whole(s3: Client, place: Place, image: Path, journal: Journal, others: Sequence[Journal]) -> Sent | None:
    """The bundle of this image, if it was finished and all of it is there.

    A journal is of one step key, and the same key means the same bytes, also where the image was made again.  Another
    key with the same image file means that only the way to the bundle was changed; an AMI may stand on it already.
    """
    for one in (journal, *others):
        asked, answered = one.last("PutObject", "asked"), one.last("PutObject")
        if not (asked and answered and Place(answered["bucket"], answered["base"]) == place):
            continue
        if one is not journal and asked["image"] != _facts(image):
            continue
        there = [item for item in bucket.stored(s3, place) if item.is_latest and item.etag]
        sizes = [item.size for item in there if item.key != place.manifest]
        if len(sizes) < len(there) and (len(sizes), sum(sizes)) == (answered["parts"], answered["size"]):
            return Sent(answered["parts"], answered["size"])
    return None


def _check_place(s3: Client, place: Place, journals: Sequence[Journal]) -> None:
    """Raises name-taken-in-bucket where something lies at the place that none of these journals has put there."""
    if not any(place in places(one, s3.meta.region_name) for one in journals) and bucket.stored(s3, place):
        raise Failure("name-taken-in-bucket", bucket=place.bucket, base=place.base)


def _begun(
    s3: Client, place: Place, image: Path, journal: Journal, pair: SigningPair, for_ec2: Any
) -> tuple[Secret, Sealed]:
    """The secret of the bundle that the journal has begun with this image; otherwise a new one.

    The journal has it as the manifest will: encrypted, so that it lies nowhere for everybody to read.
    """
    asked = journal.last("PutObject", "asked")
    if asked and asked["image"] == _facts(image) and Place(asked["bucket"], asked["base"]) == place:
        sealed = Sealed(**asked["sealed"])
        if secret := keys.unseal(sealed, pair):
            return secret, sealed
    bucket.delete(s3, journal, place)
    secret = keys.new_secret()
    sealed = keys.seal(secret, for_ec2, pair.private.public_key())
    where = {"region": s3.meta.region_name, "bucket": place.bucket, "base": place.base}
    journal.asked("PutObject", **where, image=_facts(image), sealed=asdict(sealed))
    return secret, sealed


def _discard_elsewhere(s3: Client, journal: Journal, place: Place) -> None:
    """Deletes a bundle that was begun at another place and not finished; a finished one may belong to an AMI."""
    finished = {Place(item["bucket"], item["base"]) for item in _records(journal, "answered")}
    for other in places(journal, s3.meta.region_name):
        if other != place and other not in finished:
            bucket.delete(s3, journal, other)


def _facts(image: Path) -> dict[str, int]:
    status = image.stat()
    return {"size": status.st_size, "mtime_ns": status.st_mtime_ns}


def _records(journal: Journal, kind: str) -> Iterator[Record]:
    return (item for item in journal.records() if (item["operation"], item["kind"]) == ("PutObject", kind))


# Sending


@dataclass(frozen=True, slots=True)
class _Settled:
    """A part that lies in its bucket: as Part without its data; `became` is a field of Tally."""

    index: int
    sha1: str
    size: int
    read: int
    became: str


def _send_parts(
    action: UploadBundle,
    image: Path,
    s3: Client,
    sender: Client,
    place: Place,
    secret: Secret,
    account: str,
    progress: Progress,
    cancelled: Asked,
) -> Contents:
    """Sends what S3 lacks; the threads only send, while this one makes the next part."""
    there = {item.key: (item.etag, item.size) for item in bucket.stored(s3, place) if item.is_latest}
    tally, failed = Tally(), Event()

    def settle(part: Part) -> _Settled:
        key, size, sha1 = place.part(part.index), len(part.data), part.sha1
        md5 = hashlib.md5(part.data, usedforsecurity=False).hexdigest()
        is_there = there.get(key) == (md5, size)
        if not is_there:
            _put(sender, place.bucket, key, part.data, sha1, tally, lambda: failed.is_set() or cancelled())
        return _Settled(part.index, sha1, size, part.read, "there" if is_there else "sent")

    digests: dict[int, str] = {}
    bundled = read = 0
    with image.open("rb") as file, ThreadPoolExecutor(CONNECTIONS) as pool:
        size = image.stat().st_size
        total = data_size(file.fileno())
        tally.holes = size - total
        archive = Tap(tar_stream(file.fileno(), action.name, action.time))
        todo = takewhile(lambda _: not cancelled(), parts(archive, secret))
        try:
            for part in as_ready(pool, settle, todo, CONNECTIONS + 1):
                digests[part.index] = part.sha1
                bundled += part.size
                setattr(tally, part.became, getattr(tally, part.became) + part.size)
                read = max(read, part.read)
                progress(min(read, total), total, asdict(tally))
        except BaseException:
            failed.set()
            pool.shutdown(wait=False, cancel_futures=True)
            raise
    if cancelled():
        raise Cancelled
    listed = [digests[index] for index in sorted(digests)]
    return Contents(action.name, account, size, archive.sha1, bundled, listed)


def _put(sender: Client, into: str, key: str, data: bytes, sha1: str, tally: Tally, halted: Asked) -> None:
    """PutObject, which S3 checks by the SHA-1 that the manifest has, too."""

    def ask() -> None:
        sender.put_object(
            Bucket=into,
            Key=key,
            Body=data,
            ACL=READABLE_FOR_EC2,
            ChecksumSHA1=base64.b64encode(bytes.fromhex(sha1)).decode(),
            # EC2 has no right to a key of KMS, which a bucket may have as its default.
            ServerSideEncryption="AES256",
        )

    patiently(ask, "PutObject", sender.meta.region_name, tally.tried_again, halted)
