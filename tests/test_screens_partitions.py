"""The editor of partitions: by keys and by the mouse, drawn and judged while one types, kept or dropped."""

import tomllib

import pytest
from test_screens_flow import field, go_to, text_of, wizard
from test_screens_safety import NASTY, faint, screen_text
from textual.events import Paste
from textual.pilot import Pilot
from textual.widgets._footer import FooterKey
from waits import settle, wait_for

from screens.app import Wizard
from screens.dialogs import Ask, Reading
from screens.inputs import Choices, Entry
from screens.partitions.fields import Chosen
from screens.partitions.map import PartitionMap
from screens.partitions.screen import PartitionsScreen
from screens.partitions.words import step
from screens.review import blockers
from wizard import draft, questions
from wizard.disk.layout import Layout, load
from wizard.recipe import dumps, from_answers

SIZES = [(80, 24), (160, 50)]
PV = {"target.arch": "x86_64", "target.virtualization": "paravirtual"}
HVM = {"target.arch": "x86_64"}


@pytest.fixture(autouse=True)
def _region(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_REGION", "us-east-1")


async def opened(pilot: Pilot[int], *keys: str) -> None:
    """The editor, from Welcome; then these keys."""
    await go_to(pilot, "disk")
    await pilot.press("f4")
    await wait_for(pilot, lambda: isinstance(pilot.app.screen, PartitionsScreen))
    await pilot.pause()
    await press(pilot, *keys)


async def press(pilot: Pilot[int], *keys: str) -> None:
    for key in keys:
        await pilot.press(key)
        await pilot.pause()


def editor(pilot: Pilot[int]) -> PartitionsScreen:
    assert isinstance(pilot.app.screen, PartitionsScreen)
    return pilot.app.screen


def layout(pilot: Pilot[int]) -> Layout:
    return editor(pilot).layout_now


def sizes(pilot: Pilot[int]) -> list[int | None]:
    return [part.size_mib for part in layout(pilot).partitions]


def said(pilot: Pilot[int]) -> str:
    return text_of(pilot, ".said Static")


def entry(pilot: Pilot[int], name: str) -> Entry:
    return pilot.app.screen.query_one(f"#{name} Entry", Entry)


def shape(widget: PartitionMap) -> list[str]:
    return str(widget.render()).splitlines()


@pytest.mark.parametrize("size", SIZES)
async def test_a_partition_is_added_changed_and_kept_by_keys_alone(size: tuple[int, int]) -> None:
    async with Wizard(practice=True, answers=HVM).run_test(size=size) as pilot:
        await opened(pilot, "a")
        assert isinstance(pilot.app.screen, Ask)
        await press(pilot, "down", "down", "enter")
        assert [part.mount for part in layout(pilot).partitions] == [None, "/boot/efi", "/home", "/"]
        entry(pilot, "size_mib").focus()
        await press(pilot, *"1.5G")
        assert sizes(pilot) == [1, 64, 1536, None]
        entry(pilot, "mount").focus()
        await press(pilot, *"/srv/www")
        assert layout(pilot).partitions[2].name == "srv-www"
        assert "✓ It can be made" in said(pilot)
        await press(pilot, "ctrl+s")
        await wait_for(pilot, lambda: not isinstance(pilot.app.screen, PartitionsScreen))
        answers = wizard(pilot).answers
        assert answers["disk.layout"] == "own"
        kept = draft.load()
        assert kept and kept.answers == answers
        recipe = questions.recipe(answers)
        assert [part.mount for part in recipe.disk.partitions or ()] == [None, "/boot/efi", "/srv/www", "/"]
        assert not field(pilot, "disk.layout").has_class("-wrong")
        await settle(pilot)
        assert "srv-www" in text_of(pilot, ".preview Static")
        await press(pilot, "ctrl+n")
        assert wizard(pilot).flow.current == "distro"


@pytest.mark.parametrize("size", SIZES)
async def test_a_partition_is_added_resized_and_kept_by_the_mouse_alone(size: tuple[int, int]) -> None:
    async with Wizard(practice=True, answers=PV).run_test(size=size) as pilot:
        await go_to(pilot, "disk")
        await pilot.click("#partitions")
        await wait_for(pilot, lambda: isinstance(pilot.app.screen, PartitionsScreen))
        await pilot.pause()
        await pilot.click("#add")
        await pilot.click("Ask Choices", offset=(4, 0))
        await wait_for(pilot, lambda: len(layout(pilot).partitions) == 2)
        assert (layout(pilot).partitions[0].mount, layout(pilot).partitions[0].size_mib) == ("/boot", 256)
        await pilot.pause()
        picture = pilot.app.screen.query_one(PartitionMap)
        edge = shape(picture)[1].index("│", 1)
        await pilot.mouse_down(picture, offset=(edge, 1))
        await pilot.hover(picture, offset=(edge + 10, 1))
        await pilot.mouse_up(picture, offset=(edge + 10, 1))
        grown = sizes(pilot)[0]
        assert grown is not None and grown > 256
        await pilot.click(picture, offset=(picture.size.width - 4, 1))
        await wait_for(pilot, lambda: editor(pilot).history.at == 1)
        await pilot.click(Chosen)
        await wait_for(pilot, lambda: isinstance(pilot.app.screen, Ask))
        await pilot.click("Ask Choices", offset=(4, 3))
        await wait_for(pilot, lambda: isinstance(pilot.app.screen, PartitionsScreen))
        assert layout(pilot).partitions[1].filesystem != "ext4"
        await pilot.click("#undo")
        await pilot.click("#keep")
        await wait_for(pilot, lambda: wizard(pilot).answers.get("disk.layout") == "own")


async def test_the_picture_the_list_and_the_reasons_follow_every_letter() -> None:
    async with Wizard(practice=True, answers=PV).run_test(size=(80, 24)) as pilot:
        await opened(pilot, "a", "enter")
        picture = pilot.app.screen.query_one(PartitionMap)
        before = shape(picture)
        entry(pilot, "size_mib").focus()
        await press(pilot, *"2")
        assert "/boot takes 37 MiB and more, and this has 2 MiB" in said(pilot)
        assert pilot.app.screen.query_one("#size_mib").has_class("-wrong")
        await press(pilot, "g")
        assert "✓" in said(pilot)
        assert sizes(pilot) == [2048, None]
        assert shape(picture) != before
        await press(pilot, "x")
        assert "is no size" in said(pilot)
        assert sizes(pilot) == [2048, None], "what cannot stand there changes nothing"
        assert entry(pilot, "size_mib").value == "2gx"


async def test_a_refusal_says_why_and_goes_when_it_is_mended() -> None:
    async with Wizard(practice=True, answers=PV).run_test(size=(80, 24)) as pilot:
        await opened(pilot, "enter", "enter")
        rows = pilot.app.screen.query_one(Choices)
        shown = [str(rows.get_option_at_index(place).prompt) for place in range(rows.option_count)]
        assert any("btrfs" in row and "PV-GRUB 1.05 reads ext2, ext3 and ext4" in row for row in shown)
        rows.highlighted = next(place for place, row in enumerate(shown) if "btrfs" in row)
        await press(pilot, "enter")
        assert "/boot lies on btrfs" in said(pilot)
        assert "✗" in str(editor(pilot).query_one(".parts", Choices).get_option_at_index(0).prompt)
        await press(pilot, "escape", "a", "enter")
        assert layout(pilot).boot.filesystem == "ext3"
        assert "✓ It can be made" in said(pilot)


async def test_undo_goes_back_change_by_change_and_redo_on_again() -> None:
    async with Wizard(practice=True, answers=PV).run_test(size=(80, 24)) as pilot:
        await opened(pilot, "a", "enter")
        entry(pilot, "name").focus()
        await press(pilot, *"kernels")
        await press(pilot, "escape", "plus")
        assert sizes(pilot) == [288, None]
        await press(pilot, "u")
        assert (sizes(pilot), layout(pilot).partitions[0].name) == ([256, None], "kernels")
        await press(pilot, "u")
        assert layout(pilot).partitions[0].name == "boot", "a word that was typed is one change"
        await press(pilot, "u")
        assert len(layout(pilot).partitions) == 1
        await press(pilot, "r", "r", "r")
        assert (sizes(pilot), layout(pilot).partitions[0].name) == ([288, None], "kernels")


async def test_removing_moving_and_another_table() -> None:
    async with Wizard(practice=True, answers=HVM).run_test(size=(80, 24)) as pilot:
        await opened(pilot, "d")
        assert [part.name for part in layout(pilot).partitions] == ["esp", "root"]
        assert "BIOS boot partition of 1 MiB" in said(pilot)
        await press(pilot, "J")
        assert "comes last" in said(pilot)
        await press(pilot, "K", "t")
        rows = pilot.app.screen.query_one(Choices)
        rows.highlighted = 1
        await press(pilot, "enter")
        assert layout(pilot).table == "dos"
        assert "on GPT" in said(pilot)


async def test_leaving_asks_only_when_something_was_changed() -> None:
    async with Wizard(practice=True, answers=PV).run_test(size=(80, 24)) as pilot:
        await opened(pilot, "escape")
        assert wizard(pilot).screen is wizard(pilot).default_screen
        await press(pilot, "f4", "a", "enter", "escape")
        assert isinstance(pilot.app.screen, Ask)
        await press(pilot, "escape")
        assert len(layout(pilot).partitions) == 2, "Escape in the question stays"
        await press(pilot, "escape", "down", "enter")
        assert wizard(pilot).screen is wizard(pilot).default_screen
        assert "disk.partitions" not in wizard(pilot).answers


async def test_what_is_not_right_yet_can_be_kept_is_marked_and_blocks_the_build() -> None:
    async with Wizard(practice=True, answers=HVM).run_test(size=(80, 24)) as pilot:
        await opened(pilot, "d", "ctrl+s")
        assert isinstance(pilot.app.screen, Ask)
        await press(pilot, "down", "enter")
        assert wizard(pilot).answers["disk.layout"] == "own"
        assert field(pilot, "disk.layout").has_class("-wrong")
        assert "BIOS boot partition" in text_of(pilot, ".field.-wrong .note")
        while wizard(pilot).flow.current != "review":
            await press(pilot, "ctrl+n")
        await settle(pilot)
        await press(pilot, "enter")
        await wait_for(pilot, lambda: wizard(pilot).flow.current == "disk")


async def test_a_preset_does_not_throw_ones_own_away_and_other_ones_do_only_when_asked() -> None:
    async with Wizard(practice=True, answers=PV).run_test(size=(80, 24)) as pilot:
        await opened(pilot, "a", "enter", "ctrl+s")
        mine = wizard(pilot).answers["disk.partitions"]
        rows = field(pilot, "disk.layout").query_one(Choices)
        rows.highlighted = rows.get_option_index("single-ext4")
        await press(pilot, "enter")
        assert wizard(pilot).answers.get("disk.layout") is None
        assert wizard(pilot).answers["disk.partitions"] == mine
        field(pilot, "disk.layout").focus_input()
        await press(pilot, "f4", "a", "down", "enter", "ctrl+s")
        assert isinstance(pilot.app.screen, Ask)
        await press(pilot, "enter")
        assert wizard(pilot).answers["disk.partitions"] == mine
        rows.highlighted = rows.get_option_index("own")
        await press(pilot, "enter")
        assert wizard(pilot).answers["disk.layout"] == "own"


async def test_choosing_ones_own_where_there_is_none_yet_opens_the_editor() -> None:
    async with Wizard(practice=True, answers=PV).run_test(size=(80, 24)) as pilot:
        await go_to(pilot, "disk")
        rows = field(pilot, "disk.layout").query_one(Choices)
        rows.highlighted = rows.get_option_index("own")
        await press(pilot, "enter")
        assert layout(pilot).partitions == load("single-ext4").partitions
        assert "disk.layout" not in wizard(pilot).answers


def test_ones_own_without_any_partition_blocks_the_build() -> None:
    assert [one.place for one in blockers({**HVM, "disk.layout": "own"})] == ["disk.layout"]


async def test_a_recipes_partitions_come_out_of_the_editor_as_they_went_in() -> None:
    disk = {
        "size_gib": 6,
        "table": "gpt",
        "partitions": [
            {"number": 14, "name": "bios", "filesystem": "bios-boot", "size_mib": 1},
            {"number": 15, "name": "esp", "filesystem": "vfat", "mount": "/boot/efi", "size_mib": 64},
            {"number": 2, "name": "swap", "filesystem": "swap", "size_mib": 512, "label": "paging"},
            {
                **{"number": 1, "name": "root", "filesystem": "btrfs", "mount": "/"},
                **{"options": "compress=zstd", "subvolumes": ["home"]},
            },
        ],
    }
    target = {"region": "us-east-1", "arch": "x86_64", "boot_mode": "uefi-preferred"}
    given = from_answers({"name": "round-trip", "target": target, "disk": disk})
    async with Wizard(practice=True, answers=questions.answers_of(given)).run_test(size=(80, 24)) as pilot:
        await opened(pilot, "plus", "minus", "ctrl+s")
        await wait_for(pilot, lambda: not isinstance(pilot.app.screen, PartitionsScreen))
        assert tomllib.loads(dumps(questions.recipe(wizard(pilot).answers)))["disk"] == disk


@pytest.mark.parametrize("text", NASTY)
async def test_what_is_typed_is_never_markup_nor_an_escape(text: str) -> None:
    async with Wizard(practice=True, answers=PV).run_test(size=(120, 40)) as pilot:
        await opened(pilot, "a", "enter")
        for name in ("size_mib", "mount", "name", "label", "options", "number"):
            entry(pilot, name).focus()
            entry(pilot, name).post_message(Paste(text))
            await pilot.pause()
        assert "\x1b" not in screen_text(pilot.app)
        assert [part.mount for part in layout(pilot).partitions] == ["/boot", "/"]


@pytest.mark.parametrize("size", [(160, 50), (120, 40), (80, 24), (60, 20)])
async def test_the_editor_is_drawn_at_every_size_and_can_be_read(size: tuple[int, int]) -> None:
    async with Wizard(practice=True, answers=HVM).run_test(size=size) as pilot:
        await opened(pilot, "a", "enter", "d", "down")
        shown = screen_text(pilot.app)
        for words in ("GPT", "Mount point", "Keep", "/boot/efi"):
            assert words in shown
        assert faint(pilot.app) == []
        assert 1 < len(pilot.app.screen.query(FooterKey)) <= 6
        await pilot.resize_terminal(30, 8)
        await pilot.pause()
        assert "Too small" in screen_text(pilot.app)


async def test_help_and_the_palette_name_the_keys() -> None:
    async with Wizard(practice=True, answers=HVM).run_test(size=(80, 24)) as pilot:
        await opened(pilot, "f1")
        assert isinstance(pilot.app.screen, Reading)
        assert "Ctrl+Z" in text_of(pilot, ".words Static")
        await press(pilot, "escape")
        titles = [command.title for command in pilot.app.get_system_commands(pilot.app.screen)]
        assert {"Add a partition", "Undo", "Keep"} <= set(titles)


@pytest.mark.parametrize("mib", [1, 2, 7, 64, 100, 1000, 1024, 5000])
def test_a_step_up_and_down_again_ends_where_it_began_or_on_a_round_size(mib: int) -> None:
    assert step(mib, 1) > mib
    assert step(mib, -1) < mib or mib == 1
    assert step(step(64, 1), -1) == 64
