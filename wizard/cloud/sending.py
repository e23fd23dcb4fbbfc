"""Sends an image's blocks into an open snapshot, as many at once as AWS bears, and keeps the ledger of them."""

import hashlib
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from itertools import takewhile
from pathlib import Path
from threading import Event

from botocore.exceptions import ClientError

from wizard.cloud import blocks
from wizard.cloud.blocks import BLOCK, DIGEST_OF_ZEROS, ZEROS, Ledger
from wizard.cloud.errors import aws_code
from wizard.cloud.pace import Pace
from wizard.cloud.patience import patiently
from wizard.cloud.puts import Put
from wizard.cloud.session import CONNECTIONS
from wizard.cloud.waiting import Asked, Cancelled, as_ready
from wizard.explain import Failure

Progress = Callable[[int, int, Mapping[str, int]], None]
"""Bytes done, of how many that are not holes, and the parts of a Tally."""

FRESH = 120.0
"""Seconds for which a fresh snapshot may be unknown to AWS.

AWS is eventually consistent; 56 s were seen.  Source: coldsnap #43, #56.
"""


@dataclass(frozen=True, slots=True)
class Target:
    """The snapshot that is written: its id, region, when it was started, its last known state."""

    id: str
    region: str
    started: datetime
    state: str | None = None

    @property
    def is_fresh(self) -> bool:
        """So new that AWS may not know it everywhere."""
        return (datetime.now(UTC) - self.started).total_seconds() < FRESH


@dataclass(slots=True)
class Tally:
    """What became of an image's blocks or parts, in bytes; `retried` and `throttled` count requests."""

    sent: int = 0
    zeros: int = 0
    holes: int = 0
    there: int = 0
    retried: int = 0
    throttled: int = 0

    def tried_again(self, failure: Failure) -> None:
        """Counts a request that is made once more."""
        if failure.code == "throttled":
            self.throttled += 1
        else:
            self.retried += 1


def send_blocks(image: Path, target: Target, put: Put, ledger: Path, progress: Progress, cancelled: Asked) -> Ledger:
    """Puts what the snapshot lacks; gives all that was put into it.  The threads only send, this one keeps the books.

    What the snapshot has from its parent is sent only where it changed, and then zeros too.  Raises Cancelled and what
    AWS refuses.
    """
    inherited, present = blocks.read_inherited(ledger, target.id), blocks.read_ledger(ledger, target.id)
    tally, pace, failed = Tally(), Pace(CONNECTIONS), Event()

    def send(index: int, data: bytes, digest: bytes) -> None:
        request = _Request(put, target.id, index, data, digest)
        _patiently(request, target, pace, tally, lambda: failed.is_set() or cancelled())

    with (
        image.open("rb") as file,
        blocks.ledger_writer(ledger) as record,
        ThreadPoolExecutor(CONNECTIONS) as pool,
    ):
        indexes = blocks.to_look_at(file.fileno(), inherited)
        total = len(indexes) * BLOCK
        tally.holes = max(image.stat().st_size - total, 0)
        done = 0

        def settle(index: int) -> tuple[int, bytes, str]:
            data = blocks.read_block(file.fileno(), index)
            digest = DIGEST_OF_ZEROS if data == ZEROS else hashlib.sha256(data).digest()
            had = present.get(index, inherited.get(index, DIGEST_OF_ZEROS))
            if had == digest:
                return index, digest, "zeros" if digest == DIGEST_OF_ZEROS else "there"
            send(index, data, digest)
            return index, digest, "sent"

        todo = takewhile(lambda _: not cancelled(), indexes)
        try:
            for index, digest, part in as_ready(pool, settle, todo, 2 * CONNECTIONS):
                if part == "sent":
                    present[index] = digest
                    record(index, digest)
                setattr(tally, part, getattr(tally, part) + BLOCK)
                done += BLOCK
                progress(done, total, asdict(tally))
        except BaseException:
            failed.set()
            pool.shutdown(wait=False, cancel_futures=True)
            raise
        if cancelled():
            raise Cancelled
        if not present:
            # Nothing but zeros, or nothing new; AWS is not known to complete a snapshot without a block.
            data = blocks.read_block(file.fileno(), 0)
            present[0] = hashlib.sha256(data).digest()
            send(0, data, present[0])
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


def _patiently(request: _Request, target: Target, pace: Pace, tally: Tally, halted: Asked) -> None:
    """Sends one block, at the pace that AWS bears."""

    def ask() -> None:
        with pace.turn():
            request()
        pace.went_well()

    def told(failure: Failure) -> None:
        if failure.code == "throttled":
            pace.throttled()
        tally.tried_again(failure)

    patiently(ask, "PutSnapshotBlock", target.region, told, halted, passes=lambda error: _not_known_yet(error, target))


def _not_known_yet(error: Exception, target: Target) -> bool:
    return isinstance(error, ClientError) and aws_code(error) == "ResourceNotFoundException" and target.is_fresh
