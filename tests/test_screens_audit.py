"""The audit on the screen: which kernel, what is said of it, and what can be done; alone and in the flow."""

import gzip
import lzma
import subprocess
import sys
from pathlib import Path

import kernels
import pytest
from test_screens_safety import NASTY, faint, screen_text
from textual.pilot import Pilot
from textual.widgets import Static
from textual.widgets._footer import FooterKey
from waits import settle, wait_for

from screens.app import Wizard
from screens.audit.alone import Audit
from screens.audit.chooser import Chooser
from screens.audit.findings import Filter, verdict_line
from screens.audit.report import Findings, Report
from screens.audit.screen import AuditScreen
from screens.dialogs import AskFile, Reading
from screens.inputs import Choices, Entry
from wizard import presets
from wizard.kernel.audit import UNKNOWN_START, Start
from wizard.kernel.image import read_image
from wizard.kernel.judge import judge
from wizard.kernel.menu import menu_path
from wizard.kernel.places import stamp
from wizard.kernel.profiles import profile
from wizard.kernel.truth import seen_without

CONFIGS = presets.ROOT / "kernel" / "configs"
CLOUD = CONFIGS / "debian-bookworm-cloud-amd64.config"
"""Packed with lz4: no PV-GRUB loads it, HVM does."""

XZ = kernels.bzimage(kernels.sized(lzma.compress)(kernels.elf()))
"""A kernel for Xen that the oldest PV-GRUB cannot unpack."""

SIZES = [(160, 50), (120, 40), (80, 24), (60, 20)]


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("AMI_WIZARD_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("AWS_REGION", "us-east-1")


def alone(wanted: str | None = None, start: Start = UNKNOWN_START) -> Audit:
    return Audit(wanted, start)


async def name(pilot: Pilot[int], path: Path | str) -> None:
    """Types a path and waits for what comes of it."""
    await settle(pilot)
    pilot.app.screen.query_one(Chooser).query_one(Entry).value = str(path)
    await pilot.press("enter")
    await settle(pilot)


def text_of(pilot: Pilot[int], selector: str) -> str:
    return str(pilot.app.screen.query(selector).first(Static).render())


def rows(pilot: Pilot[int]) -> list[str]:
    found = pilot.app.screen.query_one(Findings)
    return [str(found.get_option_at_index(index).prompt) for index in range(found.option_count)]


def cursor(pilot: Pilot[int]) -> str:
    return rows(pilot)[pilot.app.screen.query_one(Findings).highlighted or 0]


def keys(pilot: Pilot[int]) -> list[str]:
    return [key.description for key in pilot.app.screen.query(FooterKey)]


def config(folder: Path, text: str | None = None) -> Path:
    path = folder / ".config"
    path.write_text(CLOUD.read_text("utf-8") if text is None else text, "utf-8")
    return path


# Which kernel


async def test_without_a_file_it_offers_those_that_lie_in_the_usual_places(tmp_path: Path) -> None:
    config(tmp_path)
    async with alone().run_test(size=(80, 24)) as pilot:
        await settle(pilot)
        offers = pilot.app.screen.query_one(Chooser).query_one(Choices)
        assert str(offers.get_option_at_index(0).prompt).startswith(".config")
        await pilot.press("enter")
        await settle(pilot)
        assert "does NOT boot" in text_of(pilot, ".verdicts Static")


async def test_what_continues_the_path_is_offered_and_a_folder_is_opened(tmp_path: Path) -> None:
    (tmp_path / "linux").mkdir()
    config(tmp_path / "linux")
    async with alone().run_test(size=(80, 24)) as pilot:
        await settle(pilot)
        await pilot.press(*"lin")
        await settle(pilot)
        await pilot.press("down", "enter")
        await settle(pilot)
        assert pilot.app.screen.query_one(Chooser).query_one(Entry).value == "linux/"
        await pilot.press("down", "enter")
        await settle(pilot)
        assert text_of(pilot, ".verdicts Static").startswith("linux/.config")


@pytest.mark.parametrize(
    ("made", "words"),
    [
        ("missing", "cannot be read"),
        ("folder", "a directory without a kernel"),
        ("script", "it looks like a script"),
        ("cut", "cut off or damaged"),
        ("~nobody-of-that-name/x", "cannot be read"),
        ("n" * 300, "cannot be read"),
    ],
    ids=["missing", "folder", "script", "cut", "no-such-user", "too-long"],
)
async def test_a_wrong_file_is_explained_where_it_was_named(tmp_path: Path, made: str, words: str) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "script").write_text("#!/bin/sh\n")
    (tmp_path / "cut").write_bytes(kernels.bzimage(gzip.compress(kernels.elf(), mtime=0))[:1600])
    async with alone().run_test(size=(80, 24)) as pilot:
        await name(pilot, made)
        said = " ".join(text_of(pilot, ".card Static").split())
        assert words in said and "What to do:" in said
        assert pilot.app.screen.query_one(Chooser).query_one(Entry).has_focus


async def test_another_kernel_can_be_named_and_escape_goes_back_to_the_first(tmp_path: Path) -> None:
    async with alone().run_test(size=(80, 24)) as pilot:
        await name(pilot, CLOUD)
        await pilot.press("o")
        await name(pilot, "/nowhere")
        await pilot.press("escape")
        assert pilot.app.screen.query_one(Report).display
        assert str(CLOUD) in text_of(pilot, ".verdicts Static").replace("\n", "")


# What is said of it


async def test_the_verdicts_stand_on_top_each_with_a_mark_and_a_sentence() -> None:
    async with alone().run_test(size=(120, 40)) as pilot:
        await name(pilot, CLOUD)
        said = text_of(pilot, ".verdicts Static")
        assert "✗ pv-x86_64: as a 64-bit paravirtual instance it does NOT boot." in said
        assert "✓ hvm-x86_64" in said and "if its initramfs holds xen-blkfront" in said


async def test_what_would_have_to_be_known_is_said(tmp_path: Path) -> None:
    config(tmp_path, "")
    async with alone().run_test(size=(120, 40)) as pilot:
        await name(pilot, ".config")
        said = text_of(pilot, ".verdicts Static")
        assert "? hvm-x86_64" in said and "UNKNOWN" in said
        assert said.count("empty or cut off") == 1


async def test_how_it_is_started_and_for_what_it_is_asked_counts() -> None:
    async with alone("hvm-x86_64", Start(initramfs=frozenset())).run_test(size=(120, 40)) as pilot:
        await name(pilot, CLOUD)
        said = text_of(pilot, ".verdicts Static")
        assert "pv-x86_64" not in said and "does NOT boot" in said


async def test_the_worst_findings_come_first_each_once_with_the_kinds_of_instances() -> None:
    async with alone().run_test(size=(80, 24)) as pilot:
        await name(pilot, CLOUD)
        assert rows(pilot)[0].split() == ["✗", "boot", "KERNEL_LZ4", "y,", "wanted", "n", "pv"]
        options = [row.split()[2] for row in rows(pilot)]
        assert len(options) == len(set(options))
        assert any(row.endswith("all") for row in rows(pilot))


async def test_the_findings_are_filtered_by_severity_by_kind_and_by_typing() -> None:
    async with alone().run_test(size=(80, 24)) as pilot:
        await name(pilot, CLOUD)
        every = rows(pilot)
        await pilot.press("v")
        assert [row.split()[1] for row in rows(pilot)] == ["boot"]
        assert "[boot 1]" in text_of(pilot, ".filter")
        await pilot.press("v")
        assert rows(pilot) == ["None of the findings is like that."]
        await pilot.press("v", "v")
        assert rows(pilot) == every
        await pilot.press("p", "p")
        assert "hvm-x86_64" in text_of(pilot, ".filter")
        assert "KERNEL_LZ4" not in "".join(rows(pilot))
        await pilot.press("p", "slash", *"config_ikconf", "enter")
        assert [row.split()[2] for row in rows(pilot)] == ["IKCONFIG", "IKCONFIG_PROC"]
        await pilot.press("slash", "escape")
        assert rows(pilot) == every


async def test_the_finding_under_the_cursor_is_shown_whole() -> None:
    async with alone().run_test(size=(160, 50)) as pilot:
        await name(pilot, CLOUD)
        said = text_of(pilot, ".detail Static")
        assert "What breaks:" in said and "Why:" in said and "Source:" in said
        assert "General setup > Kernel compression mode > LZ4" in said
        await pilot.press("down")
        assert text_of(pilot, ".detail Static") != said
        await pilot.press("enter")
        assert isinstance(pilot.app.screen, Reading)


async def test_the_list_and_the_finding_stand_side_by_side_where_both_have_room() -> None:
    for size, is_beside in (((130, 40), True), ((129, 40), False)):
        async with alone().run_test(size=size) as pilot:
            await name(pilot, CLOUD)
            left = pilot.app.screen.query_one(Findings).region
            right = pilot.app.screen.query_one(".detail").region
            assert (right.x >= left.right) is is_beside


async def test_what_the_console_said_is_shown_where_it_was_seen(tmp_path: Path) -> None:
    text = CLOUD.read_text("utf-8").replace("CONFIG_XEN_PV=y", "# CONFIG_XEN_PV is not set")
    async with alone().run_test(size=(160, 50)) as pilot:
        await name(pilot, config(tmp_path, text))
        await pilot.press("slash", *"xen_pv", "enter")
        said = text_of(pilot, ".detail Static")
        assert "XEN_PV: wanted y" in said
        assert "Seen without it (Linux 6.1.192): the guest crashed." in said
        assert "(XEN) Domain 1 (vcpu#0) crashed on cpu#0:" in said


def test_what_was_seen_of_one_kind_of_instance_is_not_said_of_another() -> None:
    assert seen_without("pv-x86_64", "XEN_PV") is not None
    assert seen_without("hvm-x86_64", "XEN_PV") is None
    assert seen_without("pv-x86_64", "NO_SUCH_OPTION") is None


@pytest.mark.parametrize("kind", presets.names("kernel"))
def test_every_option_that_a_kernel_of_today_needs_has_its_place_in_menuconfig(kind: str) -> None:
    """Those that Linux 6.1 does not have any more have none."""
    for rule in profile(kind).own:
        is_of_today = rule.until is None or rule.until >= (6, 1)
        assert menu_path(rule.name, profile(kind).arch) or not is_of_today, rule.name


def test_where_an_option_stands_depends_on_the_architecture() -> None:
    assert menu_path("EFI", "arm64") == "Boot options > UEFI runtime support"
    assert menu_path("EFI", "x86_64") == "Processor type and features > EFI runtime service support"
    assert menu_path("NVME_CORE") == "not to be chosen: it comes with BLK_DEV_NVME"


# The files change


async def test_a_config_that_changes_is_audited_again_and_the_cursor_stays_on_its_finding(tmp_path: Path) -> None:
    path = config(tmp_path)
    async with alone().run_test(size=(80, 24)) as pilot:
        await name(pilot, path)
        while "IKCONFIG " not in cursor(pilot):
            await pilot.press("down")
        text = path.read_text("utf-8").replace("CONFIG_KERNEL_LZ4=y", "CONFIG_KERNEL_GZIP=y")
        path.write_text(text, "utf-8")
        await wait_for(pilot, lambda: "changed, read again at" in text_of(pilot, ".note"))
        assert "KERNEL_LZ4" not in "".join(rows(pilot))
        assert "IKCONFIG " in cursor(pilot)
        assert "✓ pv-x86_64" in text_of(pilot, ".verdicts Static")


async def test_a_config_that_vanishes_leaves_what_was_said_and_is_read_when_it_is_back(tmp_path: Path) -> None:
    path = config(tmp_path)
    async with alone().run_test(size=(80, 24)) as pilot:
        await name(pilot, path)
        text = path.read_bytes()
        path.unlink()
        await wait_for(pilot, lambda: "gone at" in text_of(pilot, ".note"))
        assert "KERNEL_LZ4" in "".join(rows(pilot))
        path.write_bytes(b"\x7fELF not a kernel")
        await wait_for(pilot, lambda: "not to be read at" in text_of(pilot, ".note"))
        path.write_bytes(text)
        await wait_for(pilot, lambda: "read again at" in text_of(pilot, ".note"))


@pytest.mark.parametrize("place", ["a config", "a build tree", "an installed kernel"])
def test_a_kernel_that_is_written_anew_shows_by_its_stamp(tmp_path: Path, place: str) -> None:
    file = {"a config": "x", "a build tree": ".config", "an installed kernel": "boot/config-6.1.0"}[place]
    (tmp_path / file).parent.mkdir(exist_ok=True)
    path = tmp_path / "x" if place == "a config" else tmp_path
    assert stamp(tmp_path / "x") is None
    (tmp_path / file).write_text("one")
    before = stamp(path)
    assert before == stamp(path) is not None
    (tmp_path / file).write_text("another")
    assert stamp(path) != before


# What mends it


async def test_the_fragment_is_copied_and_saved_under_a_name_and_never_over_the_config(tmp_path: Path) -> None:
    path = config(tmp_path)
    async with alone().run_test(size=(80, 24)) as pilot:
        await name(pilot, path)
        await pilot.press("c")
        copied = pilot.app.clipboard
        assert "CONFIG_KERNEL_GZIP=y" in copied
        await pilot.press("s")
        await wait_for(pilot, lambda: isinstance(pilot.app.screen, AskFile))
        line = pilot.app.screen.query_one(Entry)
        assert line.value == str(tmp_path / "kernel-fragment.config")
        line.value = str(path)
        await pilot.press("enter")
        assert "give another name" in text_of(pilot, ".problem")
        line.value = str(tmp_path / "new.config")
        await pilot.press("enter")
        await settle(pilot)
        assert (tmp_path / "new.config").read_text("utf-8") == copied


async def test_a_kernel_that_pv_grub_cannot_unpack_is_packed_again_by_one_key_and_audited(tmp_path: Path) -> None:
    image = tmp_path / "vmlinuz"
    image.write_bytes(XZ)
    async with alone().run_test(size=(80, 24)) as pilot:
        await name(pilot, image)
        assert "Repack" in keys(pilot)
        await pilot.press("r")
        await wait_for(pilot, lambda: isinstance(pilot.app.screen, AskFile))
        await pilot.press("enter")
        await wait_for(pilot, lambda: "packed again at" in text_of(pilot, ".note"))
        target = tmp_path / "vmlinuz-pv-grub.gz"
        assert text_of(pilot, ".verdicts Static").startswith(str(target))
        assert read_image(target).compression == "gzip"
        assert "Repack" not in keys(pilot)


async def test_a_file_that_is_there_is_replaced_only_after_a_second_enter(tmp_path: Path) -> None:
    (tmp_path / "vmlinuz").write_bytes(XZ)
    target = tmp_path / "vmlinuz-pv-grub.gz"
    target.write_text("precious")
    async with alone().run_test(size=(80, 24)) as pilot:
        await name(pilot, "vmlinuz")
        await pilot.press("r", "enter")
        assert "Enter once more" in text_of(pilot, ".problem")
        assert target.read_text() == "precious"
        await pilot.press("enter")
        await wait_for(pilot, lambda: "packed again at" in text_of(pilot, ".note"))


async def test_a_repacking_that_fails_is_explained(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "vmlinuz").write_bytes(XZ)
    monkeypatch.setattr("wizard.host.SEARCH_PATH", str(tmp_path))
    async with alone().run_test(size=(80, 24)) as pilot:
        await name(pilot, "vmlinuz")
        await pilot.press("r", "enter")
        await wait_for(pilot, lambda: isinstance(pilot.app.screen, Reading))
        assert "What to do:" in text_of(pilot, ".words Static")


# In the flow


async def kernel_form(pilot: Pilot[int]) -> None:
    assert isinstance(pilot.app, Wizard)
    await pilot.press("enter")
    while pilot.app.flow.current != "kernel":
        await pilot.press("ctrl+n")
        await pilot.pause()
    await settle(pilot)


async def test_in_the_flow_f3_shows_the_chosen_kernel_as_it_will_be_started_and_escape_leads_back() -> None:
    answers = {"target.arch": "x86_64", "target.virtualization": "paravirtual"}
    async with Wizard(practice=True, answers=answers).run_test(size=(80, 24)) as pilot:
        await kernel_form(pilot)
        await pilot.press("f3")
        await settle(pilot)
        assert isinstance(pilot.app.screen, AuditScreen)
        said = text_of(pilot, ".verdicts Static")
        assert "pv-x86_64" in said and "hvm-x86_64" not in said
        assert len(keys(pilot)) <= 6
        await pilot.press("escape")
        await settle(pilot)
        assert isinstance(pilot.app, Wizard)
        assert not isinstance(pilot.app.screen, AuditScreen)
        assert (pilot.app.flow.current, pilot.app.answers) == ("kernel", answers)


async def test_in_the_flow_a_button_opens_it_and_what_is_missing_is_explained() -> None:
    answers = {"target.arch": "x86_64", "kernel.source": "files"}
    async with Wizard(practice=True, answers=answers).run_test(size=(80, 24)) as pilot:
        await kernel_form(pilot)
        await pilot.click("#audit")
        await settle(pilot)
        assert "No kernel file is named yet" in text_of(pilot, ".verdicts Static")
        await pilot.press("ctrl+c")
        await pilot.pause()
        assert "Quit?" in screen_text(pilot.app)


# However it is looked at


@pytest.mark.parametrize("size", SIZES)
async def test_it_is_laid_out_at_every_size(size: tuple[int, int]) -> None:
    async with alone().run_test(size=size) as pilot:
        await name(pilot, CLOUD)
        shown = screen_text(pilot.app)
        assert "does NOT" in shown and "✗ boot" in shown and "KERNEL_LZ4: wanted n, found y" in shown
        assert pilot.app.screen.query_one(Findings).region.height >= 5
        await pilot.resize_terminal(40, 10)
        await wait_for(pilot, lambda: "Too small" in screen_text(pilot.app))
        await pilot.resize_terminal(*size)
        await wait_for(pilot, lambda: "KERNEL_LZ4: wanted n, found y" in screen_text(pilot.app))


async def test_all_of_it_can_be_read() -> None:
    async with alone().run_test(size=(120, 40)) as pilot:
        await name(pilot, "/nowhere")
        assert faint(pilot.app) == []
        await name(pilot, CLOUD)
        assert faint(pilot.app) == []
        await pilot.press("slash")
        assert faint(pilot.app) == []


async def test_at_most_six_keys_are_shown_and_the_palette_has_the_rest(tmp_path: Path) -> None:
    (tmp_path / "vmlinuz").write_bytes(XZ)
    async with alone().run_test(size=(80, 24)) as pilot:
        await settle(pilot)
        assert 1 < len(keys(pilot)) <= 6
        await name(pilot, "vmlinuz")
        assert 1 < len(keys(pilot)) <= 6
        titles = {command.title for command in pilot.app.get_system_commands(pilot.app.screen)}
        assert {"Find", "Next severity", "Another kernel", "Repack the kernel", "Quit"} <= titles


async def test_the_mouse_alone_names_a_kernel_and_looks_at_its_findings(tmp_path: Path) -> None:
    config(tmp_path)
    async with alone().run_test(size=(80, 24)) as pilot:
        await settle(pilot)
        await pilot.click(".chooser Choices", offset=(3, 0))
        await settle(pilot)
        await pilot.click(".filter")
        assert "[boot 1]" in text_of(pilot, ".filter")
        await pilot.click("Findings", offset=(3, 0))
        await wait_for(pilot, lambda: isinstance(pilot.app.screen, Reading))


@pytest.mark.parametrize("number", range(3))
async def test_a_files_name_and_what_it_says_are_never_markup(tmp_path: Path, number: int) -> None:
    text = NASTY[number].replace("/", "_")
    (tmp_path / "only").mkdir()
    path = tmp_path / "only" / f"{text}.config"
    path.write_text(f'CONFIG_BUILD_SALT="{text}"\n# Linux/x86 6.1.0 Kernel Configuration\nCONFIG_64BIT=y\n', "utf-8")
    async with alone().run_test(size=(160, 50)) as pilot:
        await settle(pilot)
        pilot.app.screen.query_one(Chooser).query_one(Entry).value = f"{path.parent}/"
        await settle(pilot)
        assert "\x1b" not in screen_text(pilot.app)
        await pilot.press("down", "enter")
        await settle(pilot)
        assert pilot.app.screen.query_one(Report).display
        shown = screen_text(pilot.app)
        assert "\x1b" not in shown
        assert "\x1b" in text or text in shown


def test_the_verdict_is_told_by_mark_and_word_also_when_it_is_unknown(tmp_path: Path) -> None:
    marks = {verdict_line(one)[0] for one in (*judge(CLOUD).verdicts, *judge(config(tmp_path, "")).verdicts)}
    assert marks == {"✗", "✓", "?"}


def test_a_filter_goes_around_and_forgets_a_kind_that_is_gone() -> None:
    around = Filter()
    for wanted in ("boot", "access", "recommended", None):
        around = around.next_severity()
        assert around.severity == wanted
    assert Filter(profile="pv-i386").next_profile(["hvm-arm64"]).profile is None


async def test_the_way_out_says_the_verdicts_and_how_to_see_them_again() -> None:
    app = alone()
    async with app.run_test(size=(80, 24)) as pilot:
        await name(pilot, CLOUD)
        await pilot.press("ctrl+c")
        await settle(pilot)
    assert app.return_value == 1
    said = app.farewell().splitlines()
    assert "does NOT boot" in said[0] and said[-1].endswith(f"audit {CLOUD}")


def test_it_starts_without_what_only_the_wizard_needs() -> None:
    code = "import sys, screens.audit.alone; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert not {"boto3", "botocore", "moto", "pydantic", "questionary", "wizard.questions"} & set(loaded)


async def test_packed_configs_are_read_like_any_other(tmp_path: Path) -> None:
    (tmp_path / "config.gz").write_bytes(gzip.compress(CLOUD.read_bytes()))
    async with alone().run_test(size=(80, 24)) as pilot:
        await name(pilot, "config.gz")
        assert "6.1.192" in text_of(pilot, ".verdicts Static")
