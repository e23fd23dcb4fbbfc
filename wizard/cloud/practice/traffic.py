"""What came to the practice cloud, counted: for benchmarks, and for whoever asks its health."""

import threading
import time
from dataclasses import asdict, dataclass
from typing import Any


@dataclass(slots=True)
class Counts:
    """Blocks that were taken and that were refused; bytes of all requests' bodies; when the last block was taken.

    The time is the machine's monotonic clock, in seconds.
    """

    puts: int = 0
    refused: int = 0
    body_bytes: int = 0
    last_put: float = 0.0


class Traffic:
    """Counts requests.  The server's threads share one."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._counts = Counts()

    def note(self, method: str, path: str, body_bytes: int, status: int) -> None:
        """A request that was answered."""
        is_put = method == "PUT" and "/blocks/" in path
        with self._lock:
            self._counts.body_bytes += body_bytes
            if is_put and status < 300:
                self._counts.puts += 1
                self._counts.last_put = time.monotonic()
            elif is_put:
                self._counts.refused += 1

    def as_dict(self) -> dict[str, Any]:
        """The counts so far."""
        with self._lock:
            return asdict(self._counts)
