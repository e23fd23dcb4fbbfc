"""Runs a plan's bash text, line by line visible, in a process group of its own."""

import asyncio
import contextlib
import os
import re
import signal
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from wizard import host
from wizard.explain import Failure, recognise
from wizard.plan.script import PRELUDE
from wizard.run.warden import Warden

TAIL_LINES = 40
ENDS_WITHIN_SECONDS = 3

Said = Callable[[list[str]], None]


@dataclass(frozen=True, slots=True)
class Shell:
    """Where and how commands run."""

    folder: Path
    environment: Mapping[str, str]
    log: Path
    warden: Warden

    async def run(self, command: str, said: Said) -> None:
        """Runs one command; `said` gets its output in batches of lines.

        Raises Failure: what the catalogue recognises in the output, else `command-failed` or `command-killed`.
        Cancelled, it ends the command's whole process group first.
        """
        # It waits for a word of ours, so that it has done nothing yet when the warden is told of it.
        waiting, word = os.pipe()
        process = await asyncio.create_subprocess_exec(
            "bash",
            "-euo",
            "pipefail",
            "-c",
            f"read -r -u {waiting}; exec {waiting}<&-\numask 022\n{PRELUDE}\n{command}",
            pass_fds=(waiting,),
            cwd=self.folder,
            env={**os.environ, **self.environment, "PATH": host.SEARCH_PATH},
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            start_new_session=True,
        )
        self.warden.guard(process.pid)
        os.close(waiting)
        os.write(word, b"\n")
        os.close(word)
        tail: deque[str] = deque(maxlen=TAIL_LINES)
        try:
            await self._listen(process, tail, said)
            code = await process.wait()
        except BaseException:
            # Cancelled, or nobody can be told any more (a full disk): what was begun must not go on alone.
            await _end(process)
            raise
        finally:
            self.warden.release(process.pid)
        if code != 0:
            raise command_failure(command, code, list(tail), self.log)

    async def _listen(self, process: asyncio.subprocess.Process, tail: deque[str], said: Said) -> None:
        """Everything that is there at once is one batch: a chatty program costs few events, a quiet one no delay."""
        assert process.stdout is not None
        rest = b""
        with self.log.open("ab") as log:
            while chunk := await process.stdout.read(65536):
                log.write(chunk)
                log.flush()
                *lines, rest = re.split(rb"\r?\n|\r", rest + chunk)
                _tell(lines, tail, said)
                await asyncio.sleep(0.05)
            _tell([rest] if rest else [], tail, said)


def _tell(lines: list[bytes], tail: deque[str], said: Said) -> None:
    texts = [printable(line.decode("utf-8", "replace")) for line in lines]
    if texts:
        tail.extend(texts)
        said(texts)


def printable(text: str) -> str:
    """A program's line without the codes that move a cursor or change a colour."""
    bare = re.sub(r"\x1b(?:\[[0-9;?]*[ -/]*[@-~]|\][^\x07]*\x07|[()][0-9A-B]|[=>78])", "", text)
    return "".join(letter for letter in bare if letter.isprintable() or letter == "\t")


async def _end(process: asyncio.subprocess.Process) -> None:
    for how in (signal.SIGTERM, signal.SIGKILL):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, how)
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(process.wait(), ENDS_WITHIN_SECONDS)
            break
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)


def program_of(command: str) -> str:
    """The program that a command is about: its first word that is not one of ours."""
    words = command.split()
    return next(
        (word for word in words if word not in ("as_root", "as_root_apart", "own_mounts") and "=" not in word), "bash"
    )


def command_failure(command: str, code: int, output: list[str], log: Path) -> Failure:
    """What a failed command means, as far as its output or its exit code tells."""
    program = program_of(command)
    facts = {"command": command, "log": log}
    last = "\n".join(output[-12:])
    # A whole script stands in the plan; its first line tells which.
    shown = command.split("\n", 1)[0] if "<<" in command else command
    if known := recognise(program, "\n".join(output), **facts):
        return Failure(known.code, evidence=[*known.evidence, "…", last, f"log: {log}"], **known.facts)
    number = -code if code < 0 else code - 128 if 128 < code < 160 else 0
    if number:
        name = signal.Signals(number).name if number in set(signal.Signals) else f"signal {number}"
        return Failure("command-killed", evidence=[shown, last, f"log: {log}"], program=program, signal=name, log=log)
    evidence = [shown, last, f"log: {log}"]
    return Failure("command-failed", evidence=evidence, program=program, exit_code=code, log=log)
