"""The engine, on small plans of real commands: what is done once is not done again, and nothing is left behind."""

import asyncio
import json
import os
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from wizard import folders, questions
from wizard.explain import Failure
from wizard.plan.actions import CheckAccount, Run, Write
from wizard.plan.steps import Plan, Step
from wizard.run import ahead, builds, client
from wizard.run.builds import Build
from wizard.run.events import EventLog, read
from wizard.run.runner import Runner
from wizard.run.store import Store
from wizard.run.warden import Warden


def step(step_id: str, *commands: str, needs: tuple[str, ...] = (), kept: bool = True) -> Step:
    return Step(step_id, step_id.title(), "a test", tuple(Run(command) for command in commands), needs, kept=kept)


def plan(*steps: Step) -> Plan:
    return Plan("test", steps, 0)


@pytest.fixture
def build(tmp_path: Path) -> Build:
    made = Build(tmp_path / "builds" / "test")
    made.logs.mkdir(parents=True)
    return made


def run(build: Build, wanted: Plan, cloud: Any = None) -> dict[str, Path]:
    """One attempt; gives the results' folders, or raises the first failure."""
    store = Store(build.folder.parent.parent / "results")
    runner = Runner(build, wanted, store, EventLog(build.events_path), Warden(), cloud, threading.Event())
    try:
        return asyncio.run(runner.run())
    except* Failure as failures:
        raise failures.exceptions[0] from None


def happened(build: Build, event: str) -> list[str]:
    return [record["step"] for record, _ in read(build.events_path) if record["event"] == event]


def test_a_step_finds_what_it_needs_under_the_names_of_the_steps_that_made_it(build: Build) -> None:
    made = run(build, plan(step("one", "echo hello > one/said"), step("two", "cp one/said two/heard", needs=("one",))))
    assert (made["two"] / "heard").read_text() == "hello\n"


def test_what_was_done_once_is_not_done_again(build: Build) -> None:
    wanted = plan(step("one", "date +%N > one/now"))
    first = (run(build, wanted)["one"] / "now").read_text()
    assert (run(build, wanted)["one"] / "now").read_text() == first
    assert happened(build, "step_reused") == ["one"]


def test_a_changed_answer_reruns_only_what_depends_on_it(build: Build) -> None:
    def version(number: int) -> Plan:
        return plan(
            step("base", "touch base/x"),
            step("changed", f"echo {number} > changed/x"),
            step("above", "cp changed/x above/x", needs=("base", "changed")),
        )

    run(build, version(1))
    made = run(build, version(2))
    assert (made["above"] / "x").read_text() == "2\n"
    assert happened(build, "step_reused") == ["base"]


def test_a_failed_step_leaves_no_result_and_the_next_attempt_starts_it_afresh(build: Build, tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    wanted = plan(step("one", "touch one/half", f"test -e {gate}", "ls one > one/list"))
    with pytest.raises(Failure, match="command-failed"):
        run(build, wanted)
    gate.touch()
    assert (run(build, wanted)["one"] / "list").read_text() == "half\nlist\n"


def test_steps_that_do_not_need_each_other_run_at_the_same_time(build: Build, tmp_path: Path) -> None:
    """Each waits for the other: one after the other, neither would succeed."""
    meet = f"touch {tmp_path}/%s; for i in $(seq 200); do test -e {tmp_path}/%s && exit 0; sleep 0.05; done; exit 1"
    run(build, plan(step("left", meet % ("left", "right")), step("right", meet % ("right", "left"))))


def test_as_many_steps_as_there_are_wait_for_aws_at_the_same_time(build: Build) -> None:
    """A copy to another region takes minutes in which this machine does nothing."""
    regions = [f"region-{number}" for number in range(40)]
    all_there = threading.Barrier(len(regions))
    steps = [Step(one, "", "", (CheckAccount(one, "x", "b", "i"),)) for one in regions]

    def cloud(*_: object) -> dict[str, str]:
        all_there.wait(timeout=60)
        return {}

    assert run(build, plan(*steps), cloud).keys() == set(regions)


def test_a_failure_says_the_command_its_last_words_and_where_the_log_is(build: Build) -> None:
    with pytest.raises(Failure) as caught:
        run(build, plan(step("one", "echo something odd happened; exit 7")))
    evidence = "\n".join(caught.value.evidence)
    assert "exit 7" in evidence
    assert "something odd happened" in evidence
    assert str(build.logs / "one.log") in evidence
    assert "something odd happened" in (build.logs / "one.log").read_text()


def test_a_command_that_was_killed_is_told_from_one_that_failed(build: Build) -> None:
    with pytest.raises(Failure) as caught:
        run(build, plan(step("one", "kill -KILL $$")))
    assert (caught.value.code, caught.value.facts["signal"]) == ("command-killed", "SIGKILL")


def test_output_reaches_the_events_without_terminal_codes(build: Build) -> None:
    run(build, plan(step("one", r"printf '\033[31mred\033[0m\rnext\n[/bold]\n'")))
    lines = [line for record, _ in read(build.events_path) if record["event"] == "output" for line in record["lines"]]
    assert lines == ["red", "next", "[/bold]"]


def test_a_step_that_is_not_kept_is_done_at_every_start(build: Build) -> None:
    asked: list[object] = []
    wanted = plan(Step("account", "", "", (CheckAccount("us-east-1", "x", "b", "i"),), kept=False))

    def cloud(action: object, *_others: object) -> dict[str, str]:
        asked.append(action)
        return {}

    run(build, wanted, cloud)
    run(build, wanted, cloud)
    assert len(asked) == 2


def test_written_files_have_their_text_and_mode(build: Build) -> None:
    made = run(build, plan(Step("one", "", "", (Write("one/deep/x", "#!/bin/sh\n", 0o755),))))["one"] / "deep" / "x"
    assert (made.read_text(), made.stat().st_mode & 0o777) == ("#!/bin/sh\n", 0o755)


def test_a_failure_in_one_step_ends_the_others_with_all_their_processes(build: Build, tmp_path: Path) -> None:
    pid = tmp_path / "pid"
    slow = step("slow", f"sh -c 'echo $$ > {pid}; exec sleep 60'")
    failing = step("failing", f"until test -s {pid}; do sleep 0.02; done; exit 1")
    with pytest.raises(Failure):
        run(build, plan(slow, failing))
    assert not alive(int(pid.read_text()))


def test_a_runner_that_is_killed_takes_its_commands_with_it(tmp_path: Path) -> None:
    """kill -9 lets nobody clean up: the warden does."""
    pid = tmp_path / "pid"
    program = f"""
import asyncio
from pathlib import Path
from wizard.run.commands import Shell
from wizard.run.warden import Warden
shell = Shell(Path({str(tmp_path)!r}), {{}}, Path({str(tmp_path / "log")!r}), Warden())
asyncio.run(shell.run("sh -c 'echo $$ > {pid}; sleep 60; true'", print))
"""
    runner = subprocess.Popen([sys.executable, "-c", program])
    wait_until(lambda: pid.exists() and bool(pid.read_text().strip()))
    runner.send_signal(signal.SIGKILL)
    runner.wait()
    wait_until(lambda: not alive(int(pid.read_text())))


def test_what_two_builds_need_is_made_once_and_the_second_sees_how_it_goes_on(build: Build, tmp_path: Path) -> None:
    wanted = plan(step("one", "echo working", f"echo x >> {tmp_path}/count", "sleep 1", "echo still working"))
    other = Build(tmp_path / "builds" / "other")
    other.logs.mkdir(parents=True)
    made: list[Path] = []

    def first() -> None:
        made.append(run(build, wanted)["one"])

    with ThreadPoolExecutor() as pool:
        running = pool.submit(first)
        wait_until(lambda: (tmp_path / "count").exists())
        made.append(run(other, wanted)["one"])
        running.result()
    assert made[0] == made[1]
    assert (tmp_path / "count").read_text() == "x\n"
    said = [line for record, _ in read(other.events_path) if record["event"] == "output" for line in record["lines"]]
    assert "still working" in said


def test_work_begun_ahead_can_be_taken_back_and_leaves_nothing(home: Path) -> None:
    assert ahead.begin(questions.recipe({}))
    work = Build(folders.ahead())
    wait_until(work.is_running)
    ahead.end()
    assert not work.is_running()
    assert not work.folder.exists()
    assert not list((home / "results").glob("*/root.tar"))


def test_two_runners_cannot_work_on_one_build(build: Build) -> None:
    with build.work_on(), pytest.raises(Failure) as caught, build.work_on():
        pass
    assert caught.value.code == "build-is-running"
    assert caught.value.facts["holder"] == str(os.getpid())


def test_of_two_starts_at_the_same_moment_one_works_and_the_other_says_so_and_nothing_else(home: Path) -> None:
    made = builds.create(questions.recipe({}), practice=True)
    with made.work_on():
        runner = subprocess.run([sys.executable, "-m", "wizard.run", str(made.folder)], capture_output=True)
    assert runner.returncode == client.BUSY
    assert not made.events_path.exists(), "the events are those of the one that works"


def test_a_full_disk_is_told_by_the_last_event_and_the_build_goes_on_when_there_is_room(tmp_path: Path) -> None:
    """On a disk of a few MiB, in a mount namespace that nobody else sees."""
    if os.geteuid() != 0:
        pytest.skip("only root can make such a disk")
    program = Path(__file__).with_name("full_disk.py")
    done = subprocess.run(
        ["unshare", "--mount", sys.executable, str(program), str(tmp_path)], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr
    first, second = done.stdout.splitlines()
    assert json.loads(first)["code"] == "no-space"
    assert second == "finished"


def test_half_a_line_of_a_killed_writer_hides_no_later_event(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    EventLog(path)("first")
    with path.open("a") as file:
        file.write('{"event": "tor')
    EventLog(path)("second")
    assert [record["event"] for record, _ in read(path)] == ["first", "second"]


def test_a_result_is_there_as_a_whole_or_not_at_all(tmp_path: Path) -> None:
    store = Store(tmp_path / "results")
    assert store.find("key") is None
    (store.folder / "key").mkdir(parents=True)
    assert store.find("key") is None, "a folder without its mark is not a result"
    (store.folder / "key").rmdir()
    made = tmp_path / "made"
    made.mkdir()
    (made / "file").write_text("x")
    assert json.loads((store.publish("key", made, step="s", seconds=1) / ".result.json").read_text())["step"] == "s"
    assert not made.exists()


def test_a_plan_whose_steps_stand_in_the_wrong_order_is_refused() -> None:
    with pytest.raises(ValueError, match="needs"):
        plan(step("two", "true", needs=("one",)), step("one", "true"))


def test_a_key_follows_from_actions_inputs_and_needs_alone() -> None:
    base = Step("a", "title", "why", (Run("true"),), (), {"kernel": "1"})
    same = Step("a", "another title", "another reason", (Run("true"),), (), {"kernel": "1"})
    other = Step("a", "title", "why", (Run("true"),), (), {"kernel": "2"})
    assert plan(base).keys() == plan(same).keys() != plan(other).keys()


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def wait_until(so: Any, within_seconds: float = 20) -> None:
    deadline = time.monotonic() + within_seconds
    while not so():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.02)


def test_a_runner_that_had_no_room_for_its_last_word_is_said_to_have_met_a_full_disk(tmp_path: Path) -> None:
    build = Build(tmp_path / "build")
    build.logs.mkdir(parents=True)
    (build.logs / "runner.log").write_text("OSError: [Errno 28] No space left on device\n")
    assert client.runner_died(build)["explanation"]["code"] == "no-space"
    (build.logs / "runner.log").write_text("")
    assert client.runner_died(build)["explanation"]["code"] == "runner-killed"
