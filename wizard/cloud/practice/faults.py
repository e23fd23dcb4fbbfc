"""What can go wrong between us and AWS, on demand: `--practice-faults throttle,reset,500,stall,expire,delay=20`.

The faults that are wished for stand in a file of the cloud's folder, which the server looks at with every request.
"""

import random
import re
import threading
import time
from collections.abc import Mapping
from pathlib import Path

from wizard.explain import Failure

FAULTS: Mapping[str, str] = {
    "throttle": "one request in twenty is refused as one too many, whatever the rate",
    "rate": "no more than 150 requests a second are answered, the others are refused",
    "reset": "one request in fifty ends without an answer, before or after it took effect",
    "500": "one request in thirty fails inside AWS",
    "stall": "one request in two hundred is answered after 25 seconds, which is too late",
    "expire": "after 60 requests the credentials count as expired",
}
"""Their names, and what they do."""

DELAY = re.compile(r"delay=([0-9]{1,5})")
"""What every answer takes longer, in milliseconds: AWS is far away."""

FILE = "faults"

CHANCES = {"throttle": 1 / 20, "reset": 1 / 50, "500": 1 / 30, "stall": 1 / 200}
REQUESTS_A_SECOND = 150
REQUESTS_UNTIL_EXPIRED = 60
STALL_SECONDS = 25.0


def wish(folder: Path, names: str) -> None:
    """Faults for the practice cloud in `folder` from now on, by their names with commas between; "" for none.

    Raises Failure "unknown-practice-fault".
    """
    wished = [name.strip() for name in names.split(",") if name.strip()]
    if unknown := [name for name in wished if name not in FAULTS and not DELAY.fullmatch(name)]:
        raise Failure("unknown-practice-fault", name=unknown[0], names=", ".join((*FAULTS, "delay=MILLISECONDS")))
    folder.mkdir(parents=True, exist_ok=True)
    (folder / FILE).write_text("\n".join(wished), encoding="ascii")


class Faults:
    """Draws a fault for each request.  The server's threads share one."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / FILE
        self._random = random.Random()
        self._lock = threading.Lock()
        self._stamp: int | None = None
        self._wished: frozenset[str] = frozenset()
        self._delay = 0.0
        self._requests = 0
        self._room, self._filled = float(REQUESTS_A_SECOND), time.monotonic()

    def draw(self) -> str | None:
        """The fault that this request meets: one of FAULTS, of which "throttle" is what "rate" comes to."""
        with self._lock:
            self._look()
            if not self._wished:
                return None
            self._requests += 1
            if "expire" in self._wished and self._requests > REQUESTS_UNTIL_EXPIRED:
                return "expire"
            if "rate" in self._wished and not self._has_room():
                return "throttle"
            lot = self._random.random()
            for name, chance in CHANCES.items():
                if name in self._wished:
                    if lot < chance:
                        return name
                    lot -= chance
            return None

    def delay(self) -> float:
        """The seconds by which every answer is late."""
        with self._lock:
            self._look()
            return self._delay

    def is_before(self) -> bool:
        """Whether a connection breaks before the request takes effect, or after it."""
        return self._random.random() < 1 / 2

    def _has_room(self) -> bool:
        now = time.monotonic()
        self._room = min(REQUESTS_A_SECOND, self._room + (now - self._filled) * REQUESTS_A_SECOND)
        self._filled = now
        if self._room < 1:
            return False
        self._room -= 1
        return True

    def _look(self) -> None:
        try:
            stamp = self._path.stat().st_mtime_ns
        except FileNotFoundError:
            stamp = None
        if stamp != self._stamp:
            self._stamp = stamp
            self._wished = frozenset(self._path.read_text(encoding="ascii").split() if stamp else ())
            self._delay = sum(int(found[1]) / 1000 for name in self._wished if (found := DELAY.fullmatch(name)))
            self._requests = 0
