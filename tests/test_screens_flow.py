"""The guided flow on the screen: keys alone, the mouse alone, forward, back and by jumps."""

import threading
from pathlib import Path

import pytest
from textual.pilot import Pilot
from textual.widgets import OptionList, Static
from waits import settle, wait_for

from screens.app import Wizard
from screens.dialogs import Ask, Reading
from screens.field import Field
from screens.inputs import Choices, Entry
from screens.intents import Answered
from screens.review import who
from wizard import draft, host
from wizard.explain import Failure

SIZE = (80, 24)


@pytest.fixture(autouse=True)
def _own_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AMI_WIZARD_HOME", str(tmp_path))
    monkeypatch.setenv("AWS_REGION", "us-east-1")


async def go_to(pilot: Pilot[int], screen: str) -> None:
    """From Welcome, by the key for the next screen."""
    app = wizard(pilot)
    await pilot.press("enter")
    while app.flow.current != screen:
        await pilot.press("ctrl+n")
        await pilot.pause()


def wizard(pilot: Pilot[int]) -> Wizard:
    assert isinstance(pilot.app, Wizard)
    return pilot.app


def field(pilot: Pilot[int], path: str) -> Field:
    return next(one for one in pilot.app.screen.query(Field) if one.question.path == path)


def text_of(pilot: Pilot[int], selector: str) -> str:
    return str(pilot.app.screen.query(selector).first(Static).render())


async def test_enter_alone_leads_from_welcome_to_the_last_question_before_the_build() -> None:
    async with Wizard(practice=True).run_test(size=SIZE) as pilot:
        for _ in range(40):
            await pilot.press("enter")
            await pilot.pause()
            if isinstance(pilot.app.screen, Ask):
                break
        assert wizard(pilot).flow.current == "review"
        assert isinstance(pilot.app.screen, Ask)
        assert pilot.app.screen.query_one(Choices).highlighted == 0
        assert str(pilot.app.screen.query_one(Choices).get_option_at_index(0).prompt).startswith("Yes")


async def test_in_aws_the_confirmation_stands_on_no() -> None:
    from screens.confirm import confirmation

    async with Wizard(practice=False).run_test(size=SIZE) as pilot:
        await pilot.app.push_screen(confirmation({"target.region": "eu-west-1"}, practice=False))
        await pilot.pause()
        answers = pilot.app.screen.query_one(Choices)
        assert answers.highlighted == 0
        assert str(answers.get_option_at_index(0).prompt).startswith("No")
        assert "eu-west-1" in text_of(pilot, ".words Static")


async def test_back_keeps_the_answers_and_later_ones() -> None:
    async with Wizard(practice=True).run_test(size=SIZE) as pilot:
        await go_to(pilot, "disk")
        await pilot.press("tab", *"12", "enter")
        await wait_for(pilot, lambda: wizard(pilot).flow.current == "distro")
        await pilot.press("escape", "escape", "escape")
        await wait_for(pilot, lambda: wizard(pilot).flow.current == "target")
        assert wizard(pilot).answers == {"disk.size_gib": "12"}
        assert draft.load() is not None


async def test_an_answer_made_impossible_is_marked_with_the_reason_and_blocks_the_build() -> None:
    answers = {"disk.layout": "gpt-ext4", "target.arch": "x86_64"}
    async with Wizard(practice=True, answers=answers).run_test(size=(120, 40)) as pilot:
        await pilot.press("enter")
        await pilot.press("tab", "down", "enter")
        await pilot.pause()
        assert wizard(pilot).answers["target.virtualization"] == "paravirtual"
        assert wizard(pilot).answers["disk.layout"] == "gpt-ext4"
        while wizard(pilot).flow.current != "disk":
            await pilot.press("ctrl+n")
            await pilot.pause()
        assert field(pilot, "disk.layout").has_class("-wrong")
        assert "paravirtual" in str(field(pilot, "disk.layout").query_one(".note", Static).render())
        while wizard(pilot).flow.current != "review":
            await pilot.press("ctrl+n")
            await pilot.pause()
        await pilot.press("ctrl+n")
        assert not isinstance(pilot.app.screen, Ask)


async def test_a_blocker_on_the_review_jumps_to_its_question() -> None:
    answers = {"disk.layout": "gpt-ext4", "target.arch": "x86_64", "target.virtualization": "paravirtual"}
    async with Wizard(practice=True, answers=answers).run_test(size=SIZE) as pilot:
        await go_to(pilot, "review")
        await settle(pilot)
        await pilot.press("enter")
        await wait_for(pilot, lambda: wizard(pilot).flow.current == "disk")
        assert field(pilot, "disk.layout").has_class("-open")


async def test_an_impossible_option_is_shown_with_its_reason_and_cannot_be_taken() -> None:
    async with Wizard(practice=True, answers={"target.arch": "arm64"}).run_test(size=SIZE) as pilot:
        await go_to(pilot, "target")
        await pilot.press("tab")
        rows = field(pilot, "target.virtualization").query_one(Choices)
        row = rows.get_option("paravirtual")
        assert row.disabled
        assert "Graviton" in str(row.prompt)
        await pilot.press("down", "enter")
        assert "target.virtualization" not in wizard(pilot).answers


async def test_the_preview_follows_the_highlight_before_anything_is_answered() -> None:
    async with Wizard(practice=True, answers={"target.arch": "x86_64"}).run_test(size=SIZE) as pilot:
        await go_to(pilot, "target")
        await pilot.press("tab")
        await settle(pilot)
        assert "No AKI is needed" in text_of(pilot, ".preview Static")
        await pilot.press("down")
        await settle(pilot)
        assert "aki-5c21674b is PV-GRUB 1.05" in text_of(pilot, ".preview Static")
        assert "target.virtualization" not in wizard(pilot).answers


async def test_typing_narrows_a_long_list_and_escape_widens_it_again() -> None:
    async with Wizard(practice=True).run_test(size=SIZE) as pilot:
        await go_to(pilot, "target")
        await pilot.press("tab", "tab", *"eu-cent")
        rows = field(pilot, "target.region").query_one(Choices)
        assert [rows.get_option_at_index(index).id for index in range(rows.option_count)] == [
            "eu-central-1",
            "eu-central-2",
        ]
        await pilot.press("escape")
        assert rows.option_count > 20
        assert wizard(pilot).flow.current == "target"


async def test_a_wrong_answer_is_refused_in_place_and_the_cursor_stays() -> None:
    async with Wizard(practice=True).run_test(size=SIZE) as pilot:
        await go_to(pilot, "disk")
        await pilot.press("tab", *"huge", "enter")
        await wait_for(pilot, lambda: wizard(pilot).flow.current == "disk")
        assert field(pilot, "disk.size_gib").has_class("-wrong")
        assert field(pilot, "disk.size_gib").query_one(Entry).has_focus
        assert "disk.size_gib" not in wizard(pilot).answers


async def test_help_explains_the_question_at_the_cursor() -> None:
    async with Wizard(practice=True).run_test(size=SIZE) as pilot:
        await go_to(pilot, "target")
        await pilot.press("tab", "f1")
        await wait_for(pilot, lambda: isinstance(pilot.app.screen, Reading))
        words = text_of(pilot, ".words Static")
        assert "PV-GRUB" in words and "Default: hvm (preset)" in words and "Example:" in words


def palette_rows(pilot: Pilot[int]) -> str:
    rows = pilot.app.screen.query(OptionList).first()
    return "\n".join(str(rows.get_option_at_index(index).prompt) for index in range(rows.option_count))


async def test_the_palette_goes_to_any_step_that_can_be_reached() -> None:
    async with Wizard(practice=True).run_test(size=SIZE) as pilot:
        await go_to(pilot, "disk")
        titles = [command.title for command in pilot.app.get_system_commands(pilot.app.screen)]
        assert "Go to Target" in titles and "Go to Distro" in titles
        assert "Go to Review" not in titles
        await pilot.press("ctrl+p", *"target")
        await wait_for(pilot, lambda: "Go to Target" in palette_rows(pilot))
        await pilot.press("enter", "enter")
        await wait_for(pilot, lambda: wizard(pilot).flow.current == "target")


async def test_the_mouse_alone_leads_forward_and_back() -> None:
    async with Wizard(practice=True).run_test(size=(120, 40)) as pilot:
        await pilot.click(".welcome Choices", offset=(3, 0))
        await wait_for(pilot, lambda: wizard(pilot).flow.current == "target")
        await pilot.click(field(pilot, "target.arch").query_one(Choices), offset=(3, 1))
        await wait_for(pilot, lambda: wizard(pilot).flow.current == "target")
        await pilot.click("#next")
        await wait_for(pilot, lambda: wizard(pilot).flow.current == "kernel")
        await pilot.click("#back")
        await pilot.pause()
        await pilot.click("Sidebar OptionList", offset=(2, 0))
        await wait_for(pilot, lambda: wizard(pilot).flow.current == "welcome")


async def test_a_new_start_offers_the_draft_and_goes_on_with_it() -> None:
    draft.save({"target.arch": "arm64"})
    async with Wizard(practice=True).run_test(size=SIZE) as pilot:
        await pilot.pause()
        rows = pilot.app.screen.query_one(Choices)
        assert "answers that you left" in str(rows.get_option_at_index(0).prompt)
        await pilot.press("enter")
        await pilot.pause()
        assert wizard(pilot).answers == {"target.arch": "arm64"}


async def test_a_new_build_begins_without_the_draft() -> None:
    draft.save({"target.arch": "arm64"})
    async with Wizard(practice=True).run_test(size=SIZE) as pilot:
        await pilot.press("down", "enter")
        await pilot.pause()
        assert wizard(pilot).answers == {}
        assert draft.load() is None


async def test_the_footer_never_shows_more_than_six_keys() -> None:
    from textual.widgets._footer import FooterKey

    async with Wizard(practice=True).run_test(size=SIZE) as pilot:
        await go_to(pilot, "target")
        await pilot.pause()
        assert 1 < len(pilot.app.screen.query(FooterKey)) <= 6


async def test_missing_programs_are_shown_with_the_one_command_that_installs_them(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(host, "missing", lambda _names: [host.Tool("mformat", "mtools", "fills the EFI partition")])
    monkeypatch.setattr(host, "can_install", lambda: True)
    async with Wizard(practice=True).run_test(size=SIZE) as pilot:
        await go_to(pilot, "review")
        await settle(pilot)
        words = text_of(pilot, ".missing Static")
        assert "mformat (mtools): fills the EFI partition" in words
        assert "apt-get install --no-install-recommends -y mtools" in words
        await pilot.click("#install")
        await wait_for(pilot, lambda: isinstance(pilot.app.screen, Ask))
        assert "apt-get install" in text_of(pilot, ".words Static")


async def test_asking_aws_who_we_are_never_holds_anybody_up(monkeypatch: pytest.MonkeyPatch) -> None:
    answers = threading.Event()

    def slowly(_region: str) -> str:
        answers.wait(10)
        return "Account: 123456789012 [red]"

    monkeypatch.setattr("screens.review.who", slowly)
    async with Wizard(practice=False, answers={}).run_test(size=SIZE) as pilot:
        await go_to(pilot, "review")
        assert "asking AWS" in text_of(pilot, ".identity")
        await pilot.press("ctrl+n")
        await wait_for(pilot, lambda: isinstance(pilot.app.screen, Ask))
        await pilot.press("escape")
        answers.set()
        await settle(pilot)
        assert "123456789012 [red]" in text_of(pilot, ".identity")


@pytest.mark.parametrize(
    ("code", "words"),
    [
        ("no-network-to-aws", "not checked (offline)"),
        ("no-credentials", "aws configure"),
        ("access-denied", "Account: AWS does not let you call"),
        ("throttled", "Account: AWS asks us to slow down"),
    ],
)
def test_an_account_that_cannot_be_asked_is_said_in_words(
    monkeypatch: pytest.MonkeyPatch, code: str, words: str
) -> None:
    def refuses(_region: str, _endpoint: str | None) -> None:
        raise Failure(code)

    monkeypatch.setattr("wizard.cloud.session.identity", refuses)
    assert words in who("us-east-1")


async def test_a_wrong_file_replaces_what_was_drawn_for_the_one_before(tmp_path: Path) -> None:
    """The preview must not go on speaking of a userland that is no longer the answer."""
    good = tmp_path / "userland"
    (good / "etc").mkdir(parents=True)
    async with Wizard(practice=True).run_test(size=(160, 50)) as pilot:
        await go_to(pilot, "distro")
        field(pilot, "distro.name").post_message(Answered("distro.name", "own", moves_on=False))
        await pilot.pause()
        source = field(pilot, "distro.source")
        source.focus_input()
        await pilot.pause()
        source.query_one(Entry).value = str(tmp_path / "gone")
        await pilot.press("enter")
        await wait_for(pilot, lambda: "gone" in text_of(pilot, ".preview Static"))
