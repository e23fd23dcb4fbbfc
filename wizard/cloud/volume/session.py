"""One conversation with the far end: far.sh, run over ssh, or here where this machine is the instance."""

import os
import select
import shlex
import subprocess
import tempfile
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

from wizard.cloud.waiting import GLANCE, Asked, Cancelled
from wizard.explain import Failure, recognise

FAR_SCRIPT = Path(__file__).with_name("far.sh")

LONGEST_ANSWER = 600.0
"""Seconds without an answer after which the far end counts as lost.  Over ssh, ssh itself notices earlier."""

LAST_WORDS = 20
ENDS_WITHIN = 5.0


@dataclass(frozen=True, slots=True)
class Request:
    """A line for the far end, and the bytes that go behind it."""

    line: str
    data: Iterable[bytes] = ()


@dataclass(frozen=True, slots=True)
class Session:
    """A conversation that goes on; `facts` are for explaining its failures."""

    process: "subprocess.Popen[bytes]"
    errors: IO[bytes]
    command: str
    instance: str
    cancelled: Asked
    heard: bytearray = field(default_factory=bytearray)

    def ask(self, line: str) -> str:
        """The answer to one request."""
        (answer,) = self.talk([Request(line)])
        return answer

    def talk(self, requests: Sequence[Request]) -> Iterator[str]:
        """The answers, in order; the next requests are under way meanwhile, so that the distance costs nothing.

        Raises Cancelled, "volume-connection-lost", and what the far end refuses.
        """
        with ThreadPoolExecutor(1) as pool:
            sending = pool.submit(self._send, requests)
            try:
                for _ in requests:
                    yield self._answer()
            except BaseException:
                # The sender may stand before a full pipe; or it failed itself, and that is the reason.
                self.process.kill()
                if error := sending.exception():
                    raise error from None
                raise

    def _send(self, requests: Sequence[Request]) -> None:
        assert self.process.stdin is not None
        try:
            for request in requests:
                self.process.stdin.write(f"{request.line}\n".encode())
                for data in request.data:
                    self.process.stdin.write(data)
                self.process.stdin.flush()
        except BrokenPipeError:
            # Whoever waits for the answer finds out why.
            return
        except BaseException:
            self.process.kill()
            raise

    def _answer(self) -> str:
        line = self._line()
        if line.startswith("no "):
            _, code, words = line.split(" ", 2)
            raise Failure(code, evidence=[words], instance=self.instance)
        if not line:
            raise Failure(
                "volume-connection-lost", evidence=self.last_words(), instance=self.instance, command=self.command
            )
        return line

    def _line(self) -> str:
        """The next line; "" where there will be none."""
        assert self.process.stdout is not None
        deadline = time.monotonic() + LONGEST_ANSWER
        while b"\n" not in self.heard:
            if self.cancelled():
                raise Cancelled
            if time.monotonic() > deadline:
                return ""
            if select.select([self.process.stdout], [], [], GLANCE)[0]:
                more = os.read(self.process.stdout.fileno(), 4096)
                if not more:
                    return ""
                self.heard.extend(more)
        line, _, rest = bytes(self.heard).partition(b"\n")
        self.heard[:] = rest
        return line.decode(errors="replace")

    def last_words(self) -> list[str]:
        """What ssh or the far end said beside the answers, at the end."""
        try:
            self.process.wait(ENDS_WITHIN)
        except subprocess.TimeoutExpired:
            self.process.kill()
        self.errors.seek(0)
        return self.errors.read().decode(errors="replace").splitlines()[-LAST_WORDS:]


@contextmanager
def conversation(
    command: Sequence[str], instance: str, cancelled: Asked, environment: Mapping[str, str]
) -> Iterator[Session]:
    """Starts the far end by a command that `bootstrap` has ended, and ends it with the context.

    Raises Cancelled, "volume-no-root", what the catalogue recognises in ssh's words, and "volume-far-end-failed".
    """
    with tempfile.TemporaryFile() as errors:
        process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=errors,
            env={**os.environ, **environment},
        )
        session = Session(process, errors, shlex.join(command[:-1]), instance, cancelled)
        try:
            _begin(session)
            yield session
        finally:
            _end(process)


def bootstrap() -> str:
    """What the login shell at the far end, whichever it is, has to run: far.sh as root, read from standard input.

    As an argument the script would have to survive that shell's quoting; and a shell that reads its script from
    standard input may read the requests too.
    """
    as_root = f'eval "$(dd bs=1 count={len(_script())} 2>/dev/null)"'
    root_or_sudo = (
        'if [ "$(id -u)" = 0 ] || [ -n "$AMI_WIZARD_FAR_ROOT" ]; then become=; else become="sudo -n"; fi; '
        f"exec $become sh -c {shlex.quote(as_root)}"
    )
    return f"exec sh -c {shlex.quote(root_or_sudo)}"


def _script() -> bytes:
    return FAR_SCRIPT.read_bytes()


def _begin(session: Session) -> None:
    assert session.process.stdin is not None
    with suppress(BrokenPipeError):
        session.process.stdin.write(_script())
        session.process.stdin.flush()
    # A shell's own greetings may come before it.
    while line := session._line():
        if line == "ready":
            return
    words = session.last_words()
    said = "\n".join(words)
    for program in ("ssh", "sudo"):
        if known := recognise(program, said, command=session.command):
            raise Failure(known.code, evidence=words, **known.facts)
    raise Failure("volume-far-end-failed", evidence=words, command=session.command)


def _end(process: "subprocess.Popen[bytes]") -> None:
    assert process.stdin is not None and process.stdout is not None
    try:
        process.stdin.close()
        process.wait(ENDS_WITHIN)
    except (BrokenPipeError, subprocess.TimeoutExpired):
        process.kill()
        process.wait()
    process.stdout.close()
