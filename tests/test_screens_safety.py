"""Whatever comes in from outside, however large the window, however it ends: nothing breaks, nothing leaks."""

import fcntl
import os
import pty
import re
import select
import signal
import struct
import subprocess
import sys
import termios
import threading
import time
from pathlib import Path

import pytest
from test_screens_build import FAILURE, STARTED, runner
from textual.app import App
from textual.color import Color
from textual.pilot import Pilot
from waits import settle, wait_for

from screens.app import Wizard
from screens.background import in_background
from screens.dialogs import Ask
from screens.safety import crash_text
from wizard import questions
from wizard.run import builds

ROOT = Path(__file__).parent.parent
NASTY = ["[/dev/nvme0n1p1]", "[red]", "\x1b[2J", "[/]", "[@click=app.quit]x", "$(reboot)", "[bold", "]]]"]


@pytest.fixture(autouse=True)
def _own_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AMI_WIZARD_HOME", str(tmp_path))
    monkeypatch.setenv("AWS_REGION", "us-east-1")


def screen_text(app: App[int]) -> str:
    return "\n".join("".join(segment.text for segment in strip) for strip in app.screen._compositor.render_strips())


async def walk(pilot: Pilot[int]) -> None:
    """Through every asking screen, with help on the first, to the confirmation."""
    await pilot.press("enter", "f1", "escape")
    for _ in range(5):
        await pilot.press("tab", "down", "ctrl+n")
        await settle(pilot)


@pytest.mark.slow
@pytest.mark.parametrize("first", [0, 3, 6])
async def test_outside_text_is_never_markup(first: int) -> None:
    one, two, three = (NASTY * 2)[first : first + 3]
    answers = {
        "name": f"name {one}",
        "kernel.source": "files",
        "kernel.image": f"/no/{two}",
        "distro.packages": three,
        "system.hostname": one,
        "target.region": two,
    }
    app = Wizard(practice=True, answers=answers)
    async with app.run_test(size=(120, 40)) as pilot:
        await walk(pilot)
        shown = screen_text(app)
        assert "\x1b" not in shown
        for text in (one, two, three):
            assert "\x1b" in text or text in shown


@pytest.mark.parametrize("text", NASTY[:3])
async def test_a_failure_shows_its_evidence_as_it_is(text: str) -> None:
    card = {"code": text, "what": text, "why": text, "do": [text], "evidence": [text]}
    build = builds.create(questions.recipe({"name": "mine"}), practice=True)
    said = (
        STARTED,
        ("step_started", {"step": "bootstrap"}),
        ("command", {"step": "bootstrap", "command": text}),
        ("output", {"step": "bootstrap", "lines": [text]}),
        ("failed", {"explanation": card}),
    )
    app = Wizard(practice=True, build=build, engine=runner(said))
    async with app.run_test(size=(100, 40)) as pilot:
        await wait_for(pilot, lambda: "What to do" in screen_text(app))
        shown = screen_text(app)
        assert "\x1b" not in shown
        if "\x1b" not in text:
            assert shown.count(text) >= 4


@pytest.mark.slow
@pytest.mark.parametrize("size", [(160, 50), (120, 40), (80, 24), (60, 20)])
async def test_every_screen_is_drawn_at_every_size(size: tuple[int, int]) -> None:
    app = Wizard(practice=True)
    async with app.run_test(size=size) as pilot:
        await walk(pilot)
        assert isinstance(app.screen, Ask)
        await pilot.press("escape")
        await pilot.pause()
        assert "AMI name" in screen_text(app)
        build = builds.create(questions.recipe({}), practice=True)
        app._engine = runner(FAILURE)
        await app._start(build)
        await wait_for(pilot, lambda: "The disk is full." in screen_text(app))
        assert "Quit, resume later" in screen_text(app)


@pytest.mark.slow
async def test_resizing_never_raises_and_a_window_too_small_says_so_and_loses_nothing() -> None:
    app = Wizard(practice=True, answers={})
    async with app.run_test(size=(120, 40)) as pilot:
        await pilot.press("enter", "tab", "tab", *"eu-w")
        for size in ((60, 20), (30, 8), (1, 1), (300, 5), (80, 24), (59, 40), (160, 50)):
            await pilot.resize_terminal(*size)
            await pilot.pause(0.05)
            if size == (30, 8):
                assert "Too small" in screen_text(app)
        assert "narrowed to “eu-w”" in screen_text(app)
        await pilot.press("enter")
        await pilot.pause()
        assert app.answers["target.region"].startswith("eu-w")


def contrast(front: Color, ground: Color) -> float:
    def light(color: Color) -> float:
        parts = [part / 255 for part in (color.r, color.g, color.b)]
        linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    high, low = sorted((light(front), light(ground)), reverse=True)
    return (high + 0.05) / (low + 0.05)


def faint(app: App[int]) -> list[tuple[str, float]]:
    """Every piece of text with a contrast below 4.5: on the screen, or in the window that stands before it."""
    found = []
    window = next(iter(app.screen.query(".dialog")), None)
    region = window.region if window else app.screen.region
    for strip in app.screen._compositor.render_strips()[region.y : region.bottom]:
        for segment in strip.crop(region.x, region.right):
            if segment.style is None or not re.search(r"\w", segment.text):
                continue
            front, ground = segment.style.color, segment.style.bgcolor
            if front and ground and front.triplet and ground.triplet:
                ratio = contrast(Color(*front.triplet), Color(*ground.triplet))
                if ratio < 4.5:
                    found.append((segment.text, round(ratio, 2)))
    return found


@pytest.mark.slow
async def test_all_text_can_be_read() -> None:
    app = Wizard(practice=True, answers={"target.arch": "arm64", "disk.size_gib": "x"})
    async with app.run_test(size=(120, 40)) as pilot:
        for keys in ("f2", "enter", "tab", "f1", "escape", "ctrl+n", "ctrl+n", "ctrl+n", "ctrl+n", "ctrl+n", "ctrl+c"):
            await pilot.press(keys)
            await settle(pilot)
            assert faint(app) == [], keys


async def test_an_error_beside_the_screen_is_explained_and_not_lost() -> None:
    app = Wizard(practice=True)

    def broken() -> None:
        raise RuntimeError("from a thread")

    with pytest.raises(RuntimeError, match="from a thread"):
        async with app.run_test() as pilot:
            in_background(app, broken, lambda _: None)
            await wait_for(pilot, lambda: app.return_code == 1)
    assert app.return_code == 1


def test_a_crash_names_the_place_and_never_a_variable() -> None:
    def crashes() -> None:
        password = "canary-4711"
        raise ValueError(f"a wrong length: {len(password)}")

    with pytest.raises(ValueError) as caught:
        crashes()
    text = crash_text(caught.value)
    assert "canary-4711" not in text
    assert "ValueError: a wrong length: 11" in text
    assert "in crashes" in text
    assert "ami-wizard resume" in text


class Terminal:
    """The wizard in a terminal of its own, as a process."""

    def __init__(self, code: str, home: Path, **environ: str) -> None:
        self.master, slave = pty.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
        env = {**os.environ, "AMI_WIZARD_HOME": str(home), "TERM": "xterm-256color", "PYTHONPATH": str(ROOT), **environ}
        env = {name: value for name, value in env.items() if name not in ("CI", "COLORTERM")}
        self.process = subprocess.Popen(
            [sys.executable, "-c", code], stdin=slave, stdout=slave, stderr=slave, env=env, start_new_session=True
        )
        os.close(slave)
        self.output = ""

    def read_until(self, words: str, seconds: float = 60) -> None:
        end = time.monotonic() + seconds
        while words not in self.output and time.monotonic() < end:
            if not select.select([self.master], [], [], 0.1)[0]:
                continue
            try:
                self.output += os.read(self.master, 65536).decode(errors="replace")
            except OSError:
                break
        assert words in self.output, self.output[-2000:]

    def ends(self) -> int:
        reader = threading.Thread(target=self._drain, daemon=True)
        reader.start()
        code = self.process.wait(60)
        reader.join(2)
        return code

    def _drain(self) -> None:
        try:
            while data := os.read(self.master, 65536):
                self.output += data.decode(errors="replace")
        except OSError:
            return


RUN = "import sys; from screens.app import run; sys.exit(run(practice=True))"
CRASH = """
import sys
from screens import app
def broken(self):
    secret = "canary-4711"
    raise ValueError("it broke")
app.Wizard.action_help = broken
sys.exit(app.run(practice=True))
"""


@pytest.mark.slow
def test_a_crash_on_a_real_terminal_shows_a_card_and_no_secret(tmp_path: Path) -> None:
    terminal = Terminal(CRASH, tmp_path)
    terminal.read_until("Begin a new build")
    os.write(terminal.master, b"\x1bOP")
    assert terminal.ends() == 1
    assert "it broke" in terminal.output and "What to do:" in terminal.output
    assert "canary-4711" not in terminal.output
    assert "Traceback" not in terminal.output


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_signal_restores_the_terminal_and_says_how_to_go_on(tmp_path: Path, number: signal.Signals) -> None:
    terminal = Terminal(RUN, tmp_path)
    terminal.read_until("Begin a new build")
    terminal.process.send_signal(number)
    assert terminal.ends() == 130
    behind = terminal.output.rpartition("\x1b[?1049l")[2]
    assert "ami-wizard new" in behind
    assert "\x1b[?1000l" in terminal.output


@pytest.mark.slow
@pytest.mark.parametrize("keys", [b"", b"\r"], ids=["on Welcome", "on Target"])
@pytest.mark.parametrize("told", [True, False], ids=["told by a signal", "told nothing, as below make"])
def test_a_terminal_that_is_closed_ends_the_wizard(tmp_path: Path, keys: bytes, told: bool) -> None:
    terminal = Terminal(RUN, tmp_path)
    terminal.read_until("Begin a new build")
    os.write(terminal.master, keys)
    if keys:
        terminal.read_until("Architecture")
    os.close(terminal.master)
    if told:
        terminal.process.send_signal(signal.SIGHUP)
    assert terminal.process.wait(20) == 130


@pytest.mark.slow
@pytest.mark.parametrize(("no_color", "has_colours"), [("1", False), ("", True)])
def test_no_color_gives_no_colour_codes_and_an_empty_one_means_nothing(
    tmp_path: Path, no_color: str, has_colours: bool
) -> None:
    terminal = Terminal(RUN, tmp_path, NO_COLOR=no_color)
    terminal.read_until("Begin a new build")
    os.write(terminal.master, b"\r")
    terminal.read_until("Architecture")
    terminal.process.send_signal(signal.SIGTERM)
    terminal.ends()
    codes = re.findall(r"\x1b\[([\d;]*)m", terminal.output)
    coloured = [code for code in codes if re.search(r"(^|;)([34]8;[25]|[34][0-7]|9[0-7]|10[0-7])(;|$)", code)]
    assert bool(coloured) is has_colours, coloured[:5]
