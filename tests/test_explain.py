"""Every failure is explained, and what programs say is recognised: by their own recorded words."""

import ast
import errno
import os
import re
import shlex
import string
from pathlib import Path

import click
import pytest

from wizard.cli import COMMANDS, cli
from wizard.cli.output import card, report
from wizard.explain import Failure, explain, recognise
from wizard.explain.catalogue import Entry, entries
from wizard.run.commands import command_failure

ROOT = Path(__file__).parent.parent
SAMPLES = sorted((ROOT / "tests/samples").glob("*.txt"))
"""Named CODE.PROGRAM[.VARIANT].txt: the last lines of a program that failed, recorded from the real one."""

GIVEN_BY_THE_RUNNER = {"program", "command", "log"}
"""Facts that every recognised failure of a build has."""


def raised() -> list[tuple[str, set[str], str]]:
    """Every `Failure("code", fact=…)` of the source: its code, the names of its facts, its place."""
    found = []
    for path in sorted([*ROOT.glob("wizard/**/*.py"), *ROOT.glob("screens/**/*.py")]):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "Failure"):
                continue
            code = node.args[0]
            if isinstance(code, ast.Constant) and all(keyword.arg for keyword in node.keywords):
                facts = {str(keyword.arg) for keyword in node.keywords} - {"evidence"}
                found.append((str(code.value), facts, f"{path.relative_to(ROOT)}:{node.lineno}"))
    return found


def placeholders(entry: Entry) -> set[str]:
    texts = (entry.what, entry.why, *entry.do)
    return {name for text in texts for _, name, _, _ in string.Formatter().parse(text) if name is not None}


def words_of(sample: Path) -> tuple[str, str, str]:
    code, program, *_ = sample.stem.split(".")
    return code, program, sample.read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("code", "facts", "place"), raised(), ids=lambda value: value if isinstance(value, str) else "-".join(sorted(value))
)
def test_every_failure_that_the_source_raises_is_explained_with_facts_that_it_has(
    code: str, facts: set[str], place: str
) -> None:
    assert code in entries(), f"{place} raises {code}, which no entry explains"
    assert placeholders(entries()[code]) <= facts, f"{place} does not say {placeholders(entries()[code]) - facts}"


@pytest.mark.parametrize("entry", entries().values(), ids=lambda entry: entry.code)
def test_every_entry_says_what_why_and_what_to_do(entry: Entry) -> None:
    assert entry.what.endswith((".", "}"))
    assert entry.why.endswith(".")
    assert entry.do
    assert all(entry.do)


@pytest.mark.parametrize("sample", SAMPLES, ids=lambda path: path.stem)
def test_a_recorded_output_is_recognised_for_what_it_was(sample: Path) -> None:
    code, program, output = words_of(sample)
    failure = recognise(program, output)
    assert failure is not None
    assert failure.code == code
    assert failure.evidence[0] in output


@pytest.mark.parametrize("sample", SAMPLES, ids=lambda path: path.stem)
def test_an_explanation_of_a_recognised_failure_has_no_gap(sample: Path) -> None:
    code, program, output = words_of(sample)
    failure = recognise(program, output, command="…", log="…")
    assert failure is not None
    assert placeholders(entries()[code]) <= failure.facts.keys()
    assert "not known" not in card(explain(failure))


SIGNS = [(entry.code, pattern) for entry in entries().values() for _, pattern in entry.signs]


@pytest.mark.parametrize(("code", "pattern"), SIGNS, ids=lambda value: getattr(value, "pattern", value))
def test_every_pattern_was_seen_for_real(code: str, pattern: re.Pattern[str]) -> None:
    recorded = [path.read_text(encoding="utf-8") for path in ROOT.glob(f"tests/samples/**/{code}.*")]
    assert any(pattern.search(text) for text in recorded), f"no sample of {code} in tests/samples has this"


def texts() -> list[tuple[str, str]]:
    """Every text of the catalogue that a person reads, with its entry's code."""
    return [(entry.code, text) for entry in entries().values() for text in (entry.what, entry.why, *entry.do)]


ADVISED = sorted({(code, line) for code, text in texts() for line in re.findall(r"`ami-wizard ([^`]*)`", text)})


@pytest.mark.parametrize(("code", "line"), ADVISED)
def test_every_advised_command_line_is_one_that_ami_wizard_takes(code: str, line: str) -> None:
    name, *arguments = shlex.split(line)
    assert name in COMMANDS
    command = cli.get_command(click.Context(cli), name)
    assert command is not None
    # Raises click.UsageError where a flag, a value or the number of arguments is not right.
    command.make_context(name, arguments)


@pytest.mark.parametrize(("code", "text"), texts())
def test_every_advised_command_line_stands_between_backticks(code: str, text: str) -> None:
    """There the test above finds it, and so does the key that copies it."""
    prose = re.sub(r"`[^`]*`", "", text)
    assert not re.search(rf"ami-wizard (-|({'|'.join(COMMANDS)})\b)|: ami-wizard [^.]*$", prose)


@pytest.mark.parametrize(("code", "text"), texts())
def test_every_flag_that_is_named_alone_is_one_of_ami_wizard(code: str, text: str) -> None:
    commands = [cli.get_command(click.Context(cli), name) for name in COMMANDS]
    known = {flag for command in commands if command for option in command.params for flag in option.opts}
    # Between backticks, what has a space in it is the line of some program.
    alone = re.sub(r"`[^` ]+ [^`]*`", "", text)
    assert set(re.findall(r"(?<![\w-])--[a-z][a-z-]*", alone)) <= known


def test_a_full_quota_is_a_full_disk() -> None:
    failure = recognise("dd", f"dd: error writing 'a': {os.strerror(errno.EDQUOT)}")
    assert failure is not None
    assert failure.code == "no-space"


def test_a_namespace_at_its_limit_is_not_taken_for_a_full_disk() -> None:
    failure = recognise("tar", "unshare: unshare failed: No space left on device\n")
    assert failure is not None
    assert failure.code == "no-user-namespace"


def test_the_misspelt_package_is_named() -> None:
    failure = recognise("mmdebstrap", "I: …\nE: Unable to locate package ngins\n")
    assert failure is not None
    assert explain(failure).what == "There is no package called ngins."
    assert failure.evidence == ("E: Unable to locate package ngins",)


def test_an_unknown_failure_of_a_command_shows_the_command_its_last_lines_and_the_log() -> None:
    failure = command_failure("as_root frobnicate --all", 3, [f"line {n}" for n in range(50)], Path("logs/image.log"))
    shown = card(explain(failure))
    assert failure.code == "command-failed"
    assert "frobnicate failed with exit code 3" in shown
    assert "as_root frobnicate --all" in shown
    assert "line 49" in shown
    assert "line 0" not in shown.splitlines()
    assert "logs/image.log" in shown


def test_a_killed_command_is_told_from_one_that_failed() -> None:
    failure = command_failure("mmdebstrap --verbose", 137, ["I: done"], Path("log"))
    assert explain(failure).what == "mmdebstrap was ended from outside, by the signal SIGKILL."


def test_a_full_disk_is_explained_wherever_python_met_it() -> None:
    explanation = explain(OSError(errno.ENOSPC, "No space left on device", "recipe.toml"))
    assert explanation.code == "no-space"
    assert "recipe.toml" in explanation.evidence[0]


def test_an_error_that_nobody_foresaw_keeps_what_is_known() -> None:
    explanation = explain(ZeroDivisionError("division by zero"))
    assert explanation.code == "unexpected"
    assert explanation.evidence == ("ZeroDivisionError: division by zero",)


def test_a_missing_fact_does_not_break_an_explanation() -> None:
    assert "(path not known)" in explain(Failure("unreadable-recipe")).what


def test_a_card_keeps_to_its_width_but_never_breaks_the_evidence() -> None:
    long = "x" * 150
    lines = card(explain(Failure("no-space", evidence=[long])), width=60).splitlines()
    assert all(len(line) <= 60 for line in lines if long not in line)
    assert f"  {long}" in lines


@pytest.mark.parametrize(
    ("code", "exit_code"),
    [("bad-recipe", 2), ("unreadable-recipe", 2), ("not-a-terminal", 2), ("no-space", 1), ("interrupted", 130)],
)
def test_the_exit_code_tells_wrong_usage_a_failure_and_an_interruption_apart(
    code: str, exit_code: int, capsys: pytest.CaptureFixture[str]
) -> None:
    assert report(Failure(code)) == exit_code
    assert "What to do:" in capsys.readouterr().err
