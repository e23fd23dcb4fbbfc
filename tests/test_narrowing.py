"""The filter of the long lists: what it keeps and what it leaves out, for any list and any text."""

from hypothesis import given
from hypothesis import strategies as st

from wizard.questions import Option, find, narrowed

texts = st.text(max_size=12)
options = st.lists(st.builds(Option, value=texts, label=texts, note=texts, impossible=texts, outdone=texts), max_size=8)


def said(option: Option) -> str:
    return f"{option.value} {option.label} {option.note} {option.impossible} {option.outdone}".lower()


@given(options, texts)
def test_what_is_kept_holds_every_word_and_what_is_left_out_lacks_one(rows: list[Option], text: str) -> None:
    kept = narrowed(rows, text)
    words = text.lower().split()
    for row in rows:
        assert (row in kept) == all(word in said(row) for word in words)


@given(options, texts, texts)
def test_more_words_never_show_more_and_the_order_stays(rows: list[Option], text: str, more: str) -> None:
    wide, narrow = narrowed(rows, text), narrowed(rows, f"{text} {more}")
    assert [row for row in wide if row in narrow] == narrow


@given(options)
def test_nothing_typed_shows_everything(rows: list[Option]) -> None:
    assert narrowed(rows, "  ") == rows


@given(st.sampled_from(find("target.aki").options({"target.virtualization": "paravirtual"})))
def test_every_row_of_the_table_is_found_by_its_id(row: Option) -> None:
    table = find("target.aki").options({"target.virtualization": "paravirtual"})
    assert narrowed(table, row.value.upper()) == [row]
