"""What the answers cause, the plan as prose, and the draft."""

from pathlib import Path

import pytest
from kernels import CONFIG, PACKINGS, bzimage, elf

from wizard import draft, questions
from wizard.disk import btrfs
from wizard.disk.layout import load, names
from wizard.plan.actions import Run, Write
from wizard.plan.build import Occasion, plan
from wizard.plan.prose import prose
from wizard.preview import preview
from wizard.preview.disk import partition_map
from wizard.preview.kernel import warning
from wizard.targets.akis import all_akis

PV = {"target.arch": "x86_64", "target.virtualization": "paravirtual", "target.region": "us-east-1"}
HVM = {"target.arch": "x86_64", "target.region": "us-east-1"}


@pytest.fixture(autouse=True)
def _own_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AMI_WIZARD_HOME", str(tmp_path))


def test_a_paravirtual_target_says_what_its_aki_reads_and_what_can_run_it() -> None:
    text = preview("target", PV)
    assert text.startswith("aki-5c21674b is PV-GRUB 1.05, hd0")
    assert "packed with gzip, bzip2, lzo, xz" in text
    assert "c1, c3, m1, m2, m3, t1" in text
    assert "KernelId            aki-5c21674b" in text


def test_an_older_aki_says_what_is_better_about_the_newest() -> None:
    old = next(row for row in all_akis() if (row.region, row.arch, row.version) == ("us-east-1", "x86_64", "1.04"))
    assert "superseded by 1.05" in preview("target", {**PV, "target.aki": old.aki})


def test_a_region_without_every_old_type_names_those_that_it_has() -> None:
    text = preview("target", {**PV, "target.region": "eu-central-1", "target.arch": "i386"})
    assert "previous generation  c3.large" in text


def test_a_region_of_which_nobody_knows_the_types_says_so() -> None:
    assert "not sure" in preview("target", {**PV, "target.region": "cn-north-1"})


def test_an_hvm_target_says_why_it_needs_no_aki() -> None:
    text = preview("target", HVM)
    assert "No AKI is needed" in text
    assert "KernelId" not in text
    assert "BootMode" in text


def test_an_arm64_target_without_a_pv_kernel_explains_and_never_raises() -> None:
    assert "arm64" in preview("target", {**PV, "target.arch": "arm64"})


def test_the_kernel_preview_begins_with_the_verdict() -> None:
    first = preview("kernel", HVM, 200).splitlines()
    assert "linux-image-cloud-amd64" in first[0]
    assert first[1].endswith("it boots and can be reached.")


def test_a_config_without_its_disk_driver_does_not_boot(tmp_path: Path) -> None:
    config = tmp_path / "config"
    recorded = Path(__file__).parent.parent / "presets/kernel/configs/debian-bookworm-cloud-amd64.config"
    lines = [line for line in recorded.read_text().splitlines() if "CONFIG_XEN_BLKDEV_FRONTEND" not in line]
    config.write_text("\n".join([*lines, "# CONFIG_XEN_BLKDEV_FRONTEND is not set", ""]))
    answers = {**PV, "kernel.source": "files", "kernel.config": str(config)}
    assert "does NOT boot" in preview("kernel", answers, 200)


def test_a_kernel_that_pv_grub_cannot_unpack_is_packed_again_and_the_screen_says_so(tmp_path: Path) -> None:
    image = tmp_path / "bzImage"
    image.write_bytes(bzimage(PACKINGS["lz4"](elf(config=CONFIG))))
    answers = {**PV, "kernel.source": "files", "kernel.image": str(image)}
    assert "packed again with gzip: PV-GRUB 1.05 cannot unpack lz4" in preview("kernel", answers, 200)
    assert "KERNEL_LZ4" not in preview("kernel", answers, 200)
    assert [one.path for one in questions.ask("kernel", answers)][-1] == "kernel.repack"
    left = {**answers, "kernel.repack": "never"}
    assert "KERNEL_LZ4: wanted n, found y" in preview("kernel", left, 200)
    assert "does NOT boot" in warning(left)


def test_a_kernel_that_pv_grub_can_unpack_is_left_as_it_is_and_nothing_is_asked(tmp_path: Path) -> None:
    image = tmp_path / "bzImage"
    image.write_bytes(bzimage(PACKINGS["xz"](elf(config=CONFIG))))
    answers = {**PV, "kernel.source": "files", "kernel.image": str(image)}
    assert "packed again" not in preview("kernel", answers, 200)
    assert "kernel.repack" not in [one.path for one in questions.ask("kernel", answers)]
    rows = (row for row in all_akis() if (row.region, row.arch, row.device) == ("us-east-1", "x86_64", "hd00"))
    old = next(row for row in rows if row.version == "1.03")
    assert "1.03 cannot unpack xz" in preview("kernel", {**answers, "target.aki": old.aki}, 200)


def test_a_fit_kernel_gives_no_warning() -> None:
    assert warning(HVM) == ""


def test_a_missing_kernel_file_is_explained_in_the_preview() -> None:
    assert "No kernel file" in preview("kernel", {**HVM, "kernel.source": "files"})


def test_the_partition_map_is_drawn_to_scale() -> None:
    edge = partition_map(load("ext3-boot-btrfs-root"), 1024, 102)[0]
    boot, root = (len(box) for box in edge.strip("┌┐").split("┬"))
    assert boot / root == pytest.approx(256 / 768, rel=0.1)


@pytest.mark.parametrize("width", [20, 60, 140])
def test_the_partition_map_is_as_wide_as_it_may_be_and_names_every_partition(width: int) -> None:
    for name in names():
        layout = load(name)
        rows = partition_map(layout, layout.least_gib * 1024, width)
        assert len({len(row) for row in rows}) == 1
        least = sum(max(len(part.name), len(part.filesystem)) + 3 for part in layout.partitions) + 1
        assert len(rows[0]) == max(width, least)
        assert [cell.strip() for cell in rows[1].strip("│").split("│")] == [part.name for part in layout.partitions]
        assert [cell.strip() for cell in rows[2].strip("│").split("│")] == [
            part.filesystem for part in layout.partitions
        ]


def test_the_disk_preview_fits_a_small_terminal_and_says_what_cannot_be_carried() -> None:
    for name in names():
        virtualization = load(name).virtualization[0]
        text = preview("disk", {**HVM, "target.virtualization": virtualization, "disk.layout": name}, 76)
        assert max(len(line) for line in text.splitlines() if not line.startswith("UUID")) <= 76
        assert ("file capabilities" in text) == (load(name).root.filesystem == "xfs")
        assert ("stay plain folders" in text) == (bool(load(name).root.subvolumes) and not btrfs.makes_subvolumes())
        assert ("No partition table" in text) == (load(name).table == "none")


def test_the_disk_preview_shows_the_fstab_that_will_be_written() -> None:
    made = plan(questions.recipe(HVM), Occasion("b", "2026-11-23"))
    written = next(
        action.text for action in made.step("system").actions if isinstance(action, Write) and "fstab" in action.path
    )
    assert written.strip() in preview("disk", HVM)


def test_the_prose_holds_every_command_and_every_file_of_the_plan() -> None:
    made = plan(questions.recipe(PV), Occasion("b", "2026-11-23"))
    text = "\n".join(line.strip() for line in prose(made).splitlines())
    for step in made.steps:
        assert step.title in text
        for action in step.actions:
            if isinstance(action, Run):
                assert all(line.strip() in text for line in action.command.splitlines())
            if isinstance(action, Write):
                assert action.path in text
    assert '"KernelId": "aki-5c21674b"' in text


def test_a_draft_comes_back_as_it_was_saved() -> None:
    assert draft.load() is None
    draft.save({"target.arch": "arm64", "name": 'a "name"'})
    found = draft.load()
    assert found is not None and found.answers == {"target.arch": "arm64", "name": 'a "name"'}
    assert not list(draft.path().parent.glob("*.new"))
    draft.remove()
    assert draft.load() is None


@pytest.mark.parametrize("text", ["", "not toml [", "answers = 3", "[answers]\n"])
def test_a_damaged_draft_is_no_draft(text: str) -> None:
    draft.path().parent.mkdir(parents=True)
    draft.path().write_text(text)
    assert draft.load() is None
