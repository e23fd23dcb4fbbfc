"""The prompts ask what the screens ask: by lists, or by numbered lines for those who need them."""

import json
import os
import pty
import select
import signal
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner
from prompt_toolkit.application import create_app_session
from prompt_toolkit.input import create_pipe_input
from prompt_toolkit.output import DummyOutput

from wizard import draft, prompts, questions
from wizard.cli.new import new
from wizard.explain import Failure
from wizard.prompts import choose_unfinished, fancy, interview, numbered, run_prompts, wants_plain
from wizard.recipe import dumps
from wizard.run import builds
from wizard.run.builds import Build

CHILD = """
import pathlib, sys
from wizard.prompts import run_prompts
from wizard.recipe import dumps
try:
    made = run_prompts({}, practice=True)
except KeyboardInterrupt:
    sys.exit(130)
pathlib.Path(sys.argv[1]).write_text(dumps(made))
"""

Typed = Callable[..., None]


@pytest.fixture
def typed(monkeypatch: pytest.MonkeyPatch) -> Typed:
    """What the user types, line by line; after the last line Enter, until patience ends."""
    monkeypatch.setenv("ACCESSIBLE", "1")
    monkeypatch.setattr("sys.stdin.isatty", lambda: True, raising=False)

    def script(*lines: str) -> None:
        left = iter([*lines, *[""] * 60])
        monkeypatch.setattr("builtins.input", lambda _prompt="": next(left))

    return script


def lines_until(path: str, answers: dict[str, str] | None = None) -> list[str]:
    """As many Enters as lead to a question."""
    paths = [question.path for question in prompts.applying(answers or {})]
    return [""] * paths.index(path)


def test_enter_to_everything_gives_the_recipe_of_the_defaults(typed: Typed) -> None:
    typed()
    assert dumps(run_prompts({}, practice=True)) == dumps(questions.recipe({}))


def test_an_option_is_taken_by_its_number_by_its_name_or_by_a_part_of_it(typed: Typed) -> None:
    for answer in ("2", "paravirtual", "parav"):
        typed(*lines_until("target.virtualization"), answer)
        assert run_prompts({}, practice=True).target.virtualization == "paravirtual"


def test_back_asks_the_question_before_again(typed: Typed) -> None:
    typed(*lines_until("target.region"), "eu-west-1", "back", "eu-central-1")
    assert run_prompts({}, practice=True).target.region == "eu-central-1"


def test_back_at_the_first_question_stays_there(typed: Typed) -> None:
    typed("back", "back", "arm64")
    assert run_prompts({}, practice=True).target.arch == "arm64"


def test_a_default_follows_when_another_answer_changes(typed: Typed) -> None:
    typed(*lines_until("kernel.source"), *["back"] * 5, "arm64")
    recipe = run_prompts({}, practice=True)
    assert (recipe.target.boot_mode, "arm64" in recipe.name) == ("uefi", True)


OWN = ["own", "gpt-ext4:", "add", "/home", "change 2", "size", "big", "1.5G"]


def test_partitions_of_ones_own_are_asked_for_line_by_line(typed: Typed, capsys: pytest.CaptureFixture[str]) -> None:
    typed(*lines_until("disk.layout"), *OWN, "keep")
    found = run_prompts({}, practice=True).disk.partitions or ()
    assert [(part.mount, part.size_mib) for part in found] == [
        (None, 1),
        ("/boot/efi", 64),
        ("/home", 1536),
        ("/", None),
    ]
    said = capsys.readouterr().out
    assert "'big' is no size" in said
    assert "2, home: ext4, /home, 1.5 GiB" in said


def test_partitions_that_do_not_start_cannot_be_kept_and_are_undone(
    typed: Typed, capsys: pytest.CaptureFixture[str]
) -> None:
    typed(*lines_until("disk.layout"), *OWN, "change 14", "remove", "", "undo", "keep")
    assert len(run_prompts({}, practice=True).disk.partitions or ()) == 4
    said = capsys.readouterr().out
    assert "! The boot mode uefi-preferred starts by BIOS" in said
    assert "They cannot be kept yet" in said


def test_who_leaves_the_partitions_chooses_another_layout(typed: Typed) -> None:
    typed(*lines_until("disk.layout"), *OWN, "leave", "gpt-xfs")
    disk = run_prompts({}, practice=True).disk
    assert (disk.layout, disk.partitions) == ("gpt-xfs", None)


def test_a_wrong_answer_is_refused_with_its_reason(typed: Typed, capsys: pytest.CaptureFixture[str]) -> None:
    typed(*lines_until("disk.size_gib"), "huge", "-3", "8")
    assert run_prompts({}, practice=True).disk.size_gib == 8
    assert capsys.readouterr().out.count("That does not do:") == 2


def test_an_impossible_option_is_listed_with_its_reason_and_refused(
    typed: Typed, capsys: pytest.CaptureFixture[str]
) -> None:
    typed("arm64", "paravirtual")
    assert run_prompts({}, practice=True).target.virtualization == "hvm"
    shown = capsys.readouterr().out
    assert "paravirtual: PV-GRUB and an AKI; the oldest types only (not possible:" in shown
    assert "That does not do:" in shown


def test_a_question_mark_explains_the_question(typed: Typed, capsys: pytest.CaptureFixture[str]) -> None:
    typed("?")
    run_prompts({}, practice=True)
    assert "The kind of processor that the instances have." in capsys.readouterr().out


def test_a_long_list_is_searched_and_not_read_out(typed: Typed, capsys: pytest.CaptureFixture[str]) -> None:
    typed(*lines_until("system.timezone"), "berl")
    assert run_prompts({}, practice=True).system.timezone == "Europe/Berlin"
    assert "Africa/Abidjan" not in capsys.readouterr().out


def test_the_numbers_belong_to_the_list_that_was_shown_last(typed: Typed, capsys: pytest.CaptureFixture[str]) -> None:
    typed(*lines_until("system.timezone"), "argentina/", "2")
    chosen = run_prompts({}, practice=True).system.timezone
    assert f"  2. {chosen}\n" in capsys.readouterr().out
    assert chosen.startswith("America/Argentina/")


def test_an_answer_that_was_given_before_can_be_emptied(typed: Typed) -> None:
    given = {"system.hostname": "web"}
    typed()
    assert run_prompts(given, practice=True).system.hostname == "web"
    typed(*lines_until("system.hostname"), "-")
    assert run_prompts(given, practice=True).system.hostname is None


def test_an_answer_that_no_longer_fits_is_asked_for_again_with_the_reason(capsys: pytest.CaptureFixture[str]) -> None:
    asked: list[str] = []

    def ask(question: questions.Question, value: str, _answers: prompts.Answers, _place: str) -> str:
        asked.append(question.path)
        return (
            "hvm" if asked.count("target.virtualization") == 2 and question.path == "target.virtualization" else value
        )

    answers = interview(ask, {"target.arch": "arm64", "target.virtualization": "paravirtual"})
    assert questions.invalid(answers) == {}
    assert asked.count("target.arch") == 1
    assert "Virtualization no longer fits the other answers: arm64" in capsys.readouterr().out


def test_every_answer_is_saved_at_once(typed: Typed, monkeypatch: pytest.MonkeyPatch) -> None:
    lines = iter(["arm64"])

    def one_line(_prompt: str = "") -> str:
        try:
            return next(lines)
        except StopIteration:
            raise KeyboardInterrupt from None

    typed()
    monkeypatch.setattr("builtins.input", one_line)
    with pytest.raises(KeyboardInterrupt):
        run_prompts({}, practice=True)
    saved = draft.load()
    assert saved is not None
    assert saved.answers == {"target.arch": "arm64"}


def test_on_aws_enter_does_not_start_and_the_place_and_the_cost_are_named(
    typed: Typed, capsys: pytest.CaptureFixture[str]
) -> None:
    typed(*[""] * len(prompts.applying({})), "")
    with pytest.raises(KeyboardInterrupt):
        run_prompts({}, practice=False)
    shown = " ".join(capsys.readouterr().out.split())
    assert "in us-east-1, in your AWS account?" in shown
    assert "cost money" in shown
    assert "Enter takes no" in shown


def test_back_at_the_end_leads_to_the_last_question(typed: Typed) -> None:
    typed(*[""] * len(prompts.applying({})), "back", "another-name", "yes")
    assert run_prompts({}, practice=False).name == "another-name"


def test_a_closed_input_is_an_interruption(typed: Typed, monkeypatch: pytest.MonkeyPatch) -> None:
    def closed(_prompt: str = "") -> str:
        raise EOFError

    typed()
    monkeypatch.setattr("builtins.input", closed)
    with pytest.raises(KeyboardInterrupt):
        run_prompts({}, practice=True)


def test_a_pipe_never_answers_the_questions(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin.isatty", lambda: False, raising=False)
    with pytest.raises(Failure) as caught:
        run_prompts({}, practice=True)
    assert caught.value.code == "not-a-terminal"


@pytest.mark.parametrize(
    ("environment", "plain"),
    [({"TERM": "xterm"}, False), ({"TERM": "dumb"}, True), ({"ACCESSIBLE": "1"}, True), ({"ACCESSIBLE": "0"}, False)],
)
def test_numbered_lines_are_for_those_who_ask_and_for_dumb_terminals(environment: dict[str, str], plain: bool) -> None:
    assert wants_plain(environment) == plain


def test_no_line_is_wider_than_eighty_columns_but_for_reasons(typed: Typed, capsys: pytest.CaptureFixture[str]) -> None:
    typed()
    interview(numbered.ask, {})
    assert [
        line for line in capsys.readouterr().out.splitlines() if len(line) > 80 and "not possible" not in line
    ] == []


# What was left the last time.


def test_without_answers_the_draft_is_offered_and_enter_goes_on_with_it(
    typed: Typed, capsys: pytest.CaptureFixture[str]
) -> None:
    draft.save({"target.arch": "arm64"})
    os.utime(draft.path(), (time.time() - 7200, time.time() - 7200))
    typed()
    assert run_prompts(None, practice=True).target.arch == "arm64"
    assert "Go on with the answers of 2 hours ago?" in capsys.readouterr().out


@pytest.mark.parametrize("no", ["2", "no", "n"])
def test_a_draft_that_is_not_wanted_fills_in_nothing(typed: Typed, no: str) -> None:
    draft.save({"target.arch": "arm64"})
    typed(no)
    assert dumps(run_prompts(None, practice=True)) == dumps(questions.recipe({}))


def test_given_answers_are_not_mixed_with_a_draft(typed: Typed, capsys: pytest.CaptureFixture[str]) -> None:
    draft.save({"target.arch": "arm64"})
    typed()
    assert run_prompts({"disk.size_gib": "8"}, practice=True).target.arch == "x86_64"
    assert "Go on with" not in capsys.readouterr().out


def test_a_draft_without_an_answer_that_can_be_given_today_is_not_offered(
    typed: Typed, capsys: pytest.CaptureFixture[str]
) -> None:
    draft.save({"target.colour": "red", "target.arch": "vax"})
    typed()
    assert dumps(run_prompts(None, practice=True)) == dumps(questions.recipe({}))
    assert "Go on with" not in capsys.readouterr().out


def test_leaving_at_the_offer_keeps_the_draft_and_names_the_way_back(
    typed: Typed, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    draft.save({"target.arch": "arm64"})
    typed()
    monkeypatch.setattr("builtins.input", interrupted)
    with pytest.raises(KeyboardInterrupt):
        run_prompts(None, practice=True)
    assert (found := draft.load()) and found.answers == {"target.arch": "arm64"}
    assert "kept; go on with: ami-wizard new --plain --practice" in capsys.readouterr().out


def interrupted(_prompt: str = "") -> str:
    raise KeyboardInterrupt


def test_starting_removes_the_draft_and_not_starting_keeps_it(typed: Typed) -> None:
    everything = [""] * len(prompts.applying({}))
    typed("arm64", *everything[1:], "no")
    with pytest.raises(KeyboardInterrupt):
        run_prompts({}, practice=False)
    assert draft.load()
    typed("yes", *everything, "yes")
    run_prompts(None, practice=False)
    assert draft.load() is None


def test_the_draft_of_another_wizard_outlives_a_start(typed: Typed, monkeypatch: pytest.MonkeyPatch) -> None:
    typed("arm64")
    confirm = numbered.confirm

    def meanwhile(question: str, default: bool) -> bool | None:
        draft.save({"target.region": "eu-west-1"})
        return confirm(question, default)

    monkeypatch.setattr(numbered, "confirm", meanwhile)
    run_prompts({}, practice=True)
    assert (found := draft.load()) and found.answers == {"target.region": "eu-west-1"}


def test_answers_that_cannot_be_saved_are_told_of_once_and_the_questions_go_on(
    typed: Typed, home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (home / "drafts").write_text("a file where the folder should be")
    typed("arm64", *[""] * (len(prompts.applying({"target.arch": "arm64"})) - 1), "back", "another-name", "yes")
    assert run_prompts({}, practice=True).name == "another-name"
    assert capsys.readouterr().out.count("Your answers could not be saved") == 1


def test_nothing_is_said_to_be_kept_when_nothing_is(
    typed: Typed, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    typed()
    monkeypatch.setattr("builtins.input", interrupted)
    with pytest.raises(KeyboardInterrupt):
        run_prompts(None, practice=True)
    assert capsys.readouterr().out.endswith("Nothing was started.\n")


def unfinished(name: str) -> Build:
    """A practice build that stopped while it uploaded, two hours ago."""
    made = builds.create(questions.recipe({"name": name}), practice=True)
    event = {"event": "step_started", "step": "upload", "time": time.time() - 7200}
    made.events_path.write_text(json.dumps(event) + "\n", encoding="utf-8")
    made.journal("upload", "0" * 64).answered("StartSnapshot", snapshot_id="snap-1", region="us-east-1")
    return made


def test_unfinished_builds_are_listed_with_step_age_and_what_exists(
    typed: Typed, capsys: pytest.CaptureFixture[str]
) -> None:
    made = unfinished("stopped")
    typed()
    assert choose_unfinished() == made
    shown = " ".join(capsys.readouterr().out.split())
    assert f"1. {made.id}: stopped at upload, 2 hours ago;" in shown
    assert "in the practice cloud: snapshot snap-1 in us-east-1" in shown


@pytest.mark.parametrize("answer", ["3", "a new"])
def test_a_new_build_may_be_begun_beside_unfinished_ones(typed: Typed, answer: str) -> None:
    unfinished("one")
    unfinished("two")
    typed("4", "nonsense", answer)
    assert choose_unfinished() is None


def test_an_unfinished_build_is_chosen_by_its_name(typed: Typed) -> None:
    older = unfinished("older")
    unfinished("newer")
    typed("older")
    assert choose_unfinished() == older


def test_a_finished_build_is_not_offered(typed: Typed, capsys: pytest.CaptureFixture[str]) -> None:
    made = unfinished("done")
    event = {"event": "finished", "image_id": "ami-1", "time": time.time()}
    made.events_path.write_text(json.dumps(event) + "\n", encoding="utf-8")
    typed()
    assert choose_unfinished() is None
    assert capsys.readouterr().out == ""


def test_a_recipe_and_a_preset_together_are_wrong_usage(tmp_path: Path) -> None:
    (tmp_path / "recipe.toml").write_text(dumps(questions.recipe({})), encoding="utf-8")
    result = CliRunner().invoke(new, ["--recipe", str(tmp_path / "recipe.toml"), "--preset", "today"])
    assert result.exit_code == 2
    assert "--recipe and --preset" in result.output


# Questionary, fed with keys.


@pytest.fixture
def keys() -> Iterator[Callable[[str], None]]:
    with create_pipe_input() as pipe, create_app_session(input=pipe, output=DummyOutput()):
        yield pipe.send_text


def test_enter_in_every_list_gives_the_recipe_of_the_defaults(keys: Callable[[str], None]) -> None:
    keys("\r" * len(prompts.applying({})))
    assert interview(fancy.ask, {}) == {}


def test_a_list_is_searched_by_typing(keys: Callable[[str], None]) -> None:
    keys("\r\r" + "eu-cent" + "\r" * len(prompts.applying({})))
    assert questions.value("target.region", interview(fancy.ask, {})) == "eu-central-1"


def test_back_is_an_entry_of_every_list(keys: Callable[[str], None]) -> None:
    up = "\x1b[A"
    keys("\r" + up + "\r" + "\x1b[B" + "\r" * (len(prompts.applying({})) + 1))
    assert interview(fancy.ask, {}).keys() == {"target.arch"}


def test_a_line_that_will_not_do_is_not_taken(keys: Callable[[str], None]) -> None:
    paths = [question.path for question in prompts.applying({})]
    keys("\r" * paths.index("disk.size_gib") + "huge\r" + "\x7f" * 4 + "8\r" + "\r" * len(paths))
    assert interview(fancy.ask, {}) == {"disk.size_gib": "8"}


def test_control_c_in_a_list_is_an_interruption(keys: Callable[[str], None]) -> None:
    keys("\r\x03")
    with pytest.raises(KeyboardInterrupt):
        interview(fancy.ask, {})


def test_the_draft_is_offered_in_a_list_too(keys: Callable[[str], None]) -> None:
    draft.save({"target.arch": "arm64"})
    keys("\r")
    assert prompts.offer_draft(fancy.pick) == {"target.arch": "arm64"}
    keys("\x1b[B\r")
    assert prompts.offer_draft(fancy.pick) == {}


# Through a real terminal.


def at_a_terminal(recipe: Path, term: str, typed_text: bytes) -> tuple[int, str]:
    """Runs the prompts on a terminal of their own, types the text at the first question; gives exit code and screen."""
    child, terminal = pty.fork()
    if child == 0:
        environment = {**os.environ, "TERM": term, "ACCESSIBLE": ""}
        os.execve(sys.executable, [sys.executable, "-c", CHILD, str(recipe)], environment)
    screen, deadline, told = b"", time.monotonic() + 20, False
    while time.monotonic() < deadline:
        try:
            said = os.read(terminal, 65536) if select.select([terminal], [], [], 0.1)[0] else b""
        except OSError:
            # Linux says so when the last program at the terminal has ended.
            break
        screen += said
        if b"\x1b[6n" in said:
            # The terminal is asked where its cursor is; an answer is waited for.
            os.write(terminal, b"\x1b[1;1R")
        if not told and (b"question 1 of" in screen or b"[1 of" in screen):
            told = True
            time.sleep(0.3)
            os.write(terminal, typed_text)
    else:
        os.kill(child, signal.SIGKILL)
    _, status = os.waitpid(child, 0)
    os.close(terminal)
    return os.waitstatus_to_exitcode(status), screen.decode("utf-8", "replace")


@pytest.mark.parametrize("term", ["dumb", pytest.param("xterm", marks=pytest.mark.slow)])
def test_on_a_terminal_enter_to_everything_gives_the_same_recipe(tmp_path: Path, term: str) -> None:
    enter = b"\n" if term == "dumb" else b"\r"
    code, screen = at_a_terminal(tmp_path / "recipe.toml", term, enter * (len(prompts.applying({})) + 1))
    assert code == 0, screen
    assert (tmp_path / "recipe.toml").read_text(encoding="utf-8") == dumps(questions.recipe({}))


@pytest.mark.parametrize("term", ["dumb", "xterm"])
def test_on_a_terminal_control_c_ends_with_130(tmp_path: Path, term: str) -> None:
    code, screen = at_a_terminal(tmp_path / "recipe.toml", term, b"\x03")
    assert code == 130, screen
    assert not (tmp_path / "recipe.toml").exists()
