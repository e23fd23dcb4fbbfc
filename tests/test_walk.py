"""The walk of a first-time user: Enter, and nothing but Enter, ends with an AMI made from a real Debian."""

import asyncio
import json
import os
import pty
import select
import subprocess
import sys
import time
from pathlib import Path

import pyte
import pytest

from screens.app import Wizard
from wizard import questions
from wizard.cloud.practice.process import practice_cloud
from wizard.cloud.session import client
from wizard.recipe import dumps
from wizard.run.builds import all_builds

pytestmark = pytest.mark.slow

PATIENCE_SECONDS = 600


@pytest.fixture(autouse=True)
def in_world(world: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("AMI_WIZARD_HOME", str(world))
    return world


async def test_enter_alone_ends_with_an_ami_in_the_practice_cloud(world: Path) -> None:
    expected = dumps(questions.recipe({}))
    app = Wizard(practice=True)
    async with app.run_test(size=(80, 24)) as pilot:
        deadline = time.monotonic() + PATIENCE_SECONDS
        while app.flow.current != "done":
            assert time.monotonic() < deadline, app.flow.current
            if app.flow.current == "build":
                await asyncio.sleep(0.5)
                await pilot.pause()
            else:
                await pilot.press("enter")
                await pilot.pause(0.1)
        build = app.build
    assert build is not None
    assert build.recipe_path.read_text() == expected, "the screens and the questions write the same recipe"
    assert_registered(world, build.recipe().name)


def test_the_prompts_make_the_same_recipe_and_go_on_from_the_same_results(world: Path) -> None:
    expected = dumps(questions.recipe({}))
    with Terminal(["new", "--practice", "--plain"], {"ACCESSIBLE": "1"}) as terminal:
        terminal.press_enter_until("Build ")
        assert terminal.wait() == 0, terminal.text()
    newest = all_builds()[0]
    assert newest.recipe_path.read_text() == expected
    assert_registered(world, newest.recipe().name)


def test_enter_alone_in_a_real_terminal_ends_with_an_ami_and_two_lines_that_say_so(world: Path) -> None:
    with Terminal(["--practice"], {}) as terminal:
        terminal.press_enter_until("Done ·", at_least="step 7 of 8")
        shown = terminal.text()
        assert "ami-" in shown
        terminal.send("\x03")
        terminal.press_enter_until(None)
        assert terminal.wait() == 0, terminal.text()
    newest = all_builds()[0]
    assert newest.state().state == "finished"
    assert_registered(world, newest.recipe().name)


def test_closing_the_terminal_loses_nothing_and_resume_ends_the_build(world: Path) -> None:
    with Terminal(["--practice"], {}) as terminal:
        terminal.press_enter_until("step 7 of 8")
        terminal.hang_up()
    newest = all_builds()[0]
    name = newest.recipe().name
    done = subprocess.run(
        [sys.executable, "-m", "wizard", "resume", newest.id, "--json"], capture_output=True, text=True
    )
    assert json.loads(done.stdout.splitlines()[-1])["event"] == "finished", done.stdout[-2000:]
    assert_registered(world, name)


def assert_registered(world: Path, name: str) -> None:
    """Exactly one AMI of that name, in the practice cloud."""
    with practice_cloud(world / "practice") as endpoint:
        images = client("ec2", "us-east-1", endpoint).describe_images(Owners=["self"])["Images"]
    assert [image["State"] for image in images if image["Name"] == name] == ["available"]


class Terminal:
    """A terminal of 80 by 24 with ami-wizard in it."""

    def __init__(self, arguments: list[str], environment: dict[str, str]) -> None:
        self._screen = pyte.Screen(80, 24)
        self._stream = pyte.ByteStream(self._screen)
        self._code: int | None = None
        self.pid, self._fd = pty.fork()
        if self.pid == 0:
            os.environ.update({"TERM": "xterm-256color", "COLUMNS": "80", "LINES": "24", **environment})
            os.execv(sys.executable, [sys.executable, "-m", "wizard", *arguments])

    def __enter__(self) -> "Terminal":
        return self

    def __exit__(self, *_: object) -> None:
        if self._code is None:
            os.kill(self.pid, 9)
            os.waitpid(self.pid, 0)

    def text(self) -> str:
        return "\n".join(self._screen.display)

    def send(self, keys: str) -> None:
        os.write(self._fd, keys.encode())

    def press_enter_until(self, sign: str | None, at_least: str = "") -> None:
        """Enter once a second, as a person would, until the sign is there; behind `at_least` it only waits."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        while sign is None or sign not in self.text():
            assert time.monotonic() < deadline, self.text()
            try:
                self._read(1.0)
                if not (at_least and at_least in self.text()):
                    self.send("\r")
            except OSError:
                assert sign is None, f"it ended before {sign!r} was there:\n{self.text()}"
                return

    def hang_up(self) -> None:
        """The window is closed: the program's terminal is gone."""
        os.close(self._fd)
        _, self._code = os.waitpid(self.pid, 0)

    def wait(self) -> int:
        """The exit code, once the program has ended."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        while time.monotonic() < deadline:
            try:
                self._read(0.5)
            except OSError:
                break
        _, status = os.waitpid(self.pid, 0)
        self._code = os.waitstatus_to_exitcode(status)
        return self._code

    def _read(self, seconds: float) -> None:
        """What the program says within so many seconds.  Raises OSError when it has closed the terminal."""
        deadline = time.monotonic() + seconds
        while (left := deadline - time.monotonic()) > 0:
            if select.select([self._fd], [], [], left)[0]:
                said = os.read(self._fd, 65536)
                if not said:
                    raise OSError("closed")
                self._stream.feed(said)
