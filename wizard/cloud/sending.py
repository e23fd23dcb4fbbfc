"""Sends an image's blocks into an open snapshot, as many at once as AWS bears, and keeps the ledger of them."""

import hashlib
import random
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from itertools import chain, takewhile
from pathlib import Path
from threading import Event

from botocore.exceptions import BotoCoreError, ClientError

from wizard.cloud import blocks
from wizard.cloud.blocks import BLOCK, ZEROS, Ledger
from wizard.cloud.errors import PASSING, as_failure, aws_code
from wizard.cloud.pace import Pace
from wizard.cloud.puts import Put
from wizard.cloud.session import CONNECTIONS
from wizard.cloud.waiting import Asked, Cancelled, as_ready, rest

Progress = Callable[[int, int, Mapping[str, int]], None]
"""Bytes done, of how many that are not holes, and the parts of a Tally."""

ATTEMPTS = 8
PATIENCE = 120.0
"""A block is given up after so many attempts, and not before so many seconds."""

LONGEST_PAUSE = 15.0


@dataclass(slots=True)
class Tally:
    """What became of an image's blocks, in bytes; `retried` and `throttled` count requests."""

    sent: int = 0
    zeros: int = 0
    holes: int = 0
    there: int = 0
    retried: int = 0
    throttled: int = 0


def send_blocks(
    image: Path,
    snapshot_id: str,
    region: str,
    put: Put,
    ledger: Path,
    progress: Progress,
    cancelled: Asked,
    is_fresh: Asked,
) -> Ledger:
    """Puts what the snapshot lacks; gives all that it has then.  The threads only send, this one keeps the books.

    `is_fresh` says whether the snapshot is so new that AWS may not know it everywhere.  Raises Cancelled and what AWS
    refuses.
    """
    present = blocks.read_ledger(ledger, snapshot_id)
    tally, pace, failed = Tally(), Pace(CONNECTIONS), Event()

    def send(index: int, data: bytes, digest: bytes) -> None:
        request = _Request(put, snapshot_id, index, data, digest)
        _patiently(request, region, pace, tally, is_fresh, lambda: failed.is_set() or cancelled())

    with (
        image.open("rb") as file,
        blocks.ledger_writer(ledger, snapshot_id) as record,
        ThreadPoolExecutor(CONNECTIONS) as pool,
    ):
        ranges = blocks.data_blocks(file.fileno())
        total = sum(map(len, ranges)) * BLOCK
        tally.holes = max(image.stat().st_size - total, 0)
        done = 0

        def settle(index: int) -> tuple[int, bytes | None]:
            data = blocks.read_block(file.fileno(), index)
            if data == ZEROS:
                return index, None
            digest = hashlib.sha256(data).digest()
            if present.get(index) != digest:
                send(index, data, digest)
            return index, digest

        todo = takewhile(lambda _: not cancelled(), chain.from_iterable(ranges))
        try:
            for index, digest in as_ready(pool, settle, todo, 2 * CONNECTIONS):
                if digest is None:
                    tally.zeros += BLOCK
                elif present.get(index) == digest:
                    tally.there += BLOCK
                else:
                    tally.sent += BLOCK
                    present[index] = digest
                    record(index, digest)
                done += BLOCK
                progress(done, total, asdict(tally))
        except BaseException:
            failed.set()
            pool.shutdown(wait=False, cancel_futures=True)
            raise
        if cancelled():
            raise Cancelled
        if not present:
            # Nothing but zeros; AWS is not known to complete a snapshot without a block.
            present[0] = hashlib.sha256(ZEROS).digest()
            send(0, ZEROS, present[0])
            record(0, present[0])
    return present


@dataclass(frozen=True, slots=True)
class _Request:
    put: Put
    snapshot_id: str
    index: int
    data: bytes
    digest: bytes

    def __call__(self) -> None:
        self.put(self.snapshot_id, self.index, self.data, self.digest)


def _patiently(request: _Request, region: str, pace: Pace, tally: Tally, is_fresh: Asked, halted: Asked) -> None:
    """Sends one block.  What passes by itself is waited out; the rest stops at once."""
    pause, attempts, deadline = 0.25, 0, None
    while True:
        try:
            with pace.turn():
                request()
            pace.went_well()
            return
        except (ClientError, BotoCoreError) as error:
            failure = as_failure(error, "PutSnapshotBlock", region)
            attempts += 1
            deadline = deadline or time.monotonic() + PATIENCE
            is_over = attempts >= ATTEMPTS and time.monotonic() > deadline
            if is_over or not (failure.code in PASSING or _not_known_yet(error, is_fresh)):
                raise failure from error
            if failure.code == "throttled":
                pace.throttled()
                tally.throttled += 1
            else:
                tally.retried += 1
        rest(random.uniform(0.5, 1.0) * pause, halted)
        pause = min(2 * pause, LONGEST_PAUSE)


def _not_known_yet(error: Exception, is_fresh: Asked) -> bool:
    return isinstance(error, ClientError) and aws_code(error) == "ResourceNotFoundException" and is_fresh()
