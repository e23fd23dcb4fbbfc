"""The journal: what was asked of AWS is known after any crash."""

from pathlib import Path

from wizard.run.journal import Journal


def test_what_was_asked_can_be_read_by_another_process_at_once(tmp_path: Path) -> None:
    Journal(tmp_path / "journal").asked("StartSnapshot", region="eu-west-1", request={"ClientToken": "one"})

    (record,) = Journal(tmp_path / "journal").records()

    assert record["kind"] == "asked"
    assert record["operation"] == "StartSnapshot"
    assert record["request"] == {"ClientToken": "one"}


def test_a_journal_that_does_not_exist_yet_is_empty(tmp_path: Path) -> None:
    assert Journal(tmp_path / "journal").records() == []
    assert Journal(tmp_path / "journal").last("StartSnapshot") is None


def test_the_last_record_is_the_newest_of_its_operation_and_kind(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "journal")
    journal.asked("StartSnapshot", n=1)
    journal.answered("StartSnapshot", n=2)
    journal.answered("StartSnapshot", n=3)
    journal.asked("RegisterImage", n=4)

    assert (journal.last("StartSnapshot") or {})["n"] == 3
    assert (journal.last("StartSnapshot", "asked") or {})["n"] == 1
    assert journal.last("RegisterImage") is None


def test_a_line_that_a_crash_tore_is_left_out_and_spoils_no_later_one(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "journal")
    journal.asked("StartSnapshot", n=1)
    with journal.path.open("ab") as file:
        file.write('{"kind": "answered", "operation": "Bü'.encode()[:-1])

    assert [record["n"] for record in journal.records()] == [1]
    journal.answered("StartSnapshot", n=2)
    assert [record["n"] for record in journal.records()] == [1, 2]


def test_any_text_comes_back_as_it_was(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "journal")
    text = "two\nlines, \u2028 a separator, \x85 and ü"

    journal.asked("CreateTags", text=text)

    assert [record["text"] for record in journal.records()] == [text]
