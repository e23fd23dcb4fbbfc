"""A disk of one's own: what it must be like and why, and how it is changed."""

from typing import Any

import pytest

from wizard import presets
from wizard.disk import edits, own
from wizard.disk.filesystems import filesystems
from wizard.disk.layout import FILESYSTEMS, Layout, layouts, load
from wizard.disk.rules import DOS_LIMIT_GIB, Refusal, refusals
from wizard.disk.sizes import parse_mib, said, written
from wizard.disk.typed import typed
from wizard.plan.defaults import layout_unfit
from wizard.recipe import Disk, Target

ROOT = {"filesystem": "ext4", "mount": "/"}
BIOS = {"filesystem": "bios-boot", "size_mib": 1, "number": 14}
ESP = {"filesystem": "vfat", "mount": "/boot/efi", "size_mib": 64, "number": 15}
TARGETS = {
    "pv": {"virtualization": "paravirtual"},
    "pv 1.02": {"virtualization": "paravirtual", "aki": "aki-8e5ea7e7"},
    "bios": {"boot_mode": "legacy-bios"},
    "uefi": {"boot_mode": "uefi"},
    "both": {"boot_mode": "uefi-preferred"},
    "arm64": {"arch": "arm64", "boot_mode": "uefi"},
}


def target(kind: str) -> Target:
    return Target.model_validate({"region": "us-east-1", "arch": "x86_64", **TARGETS[kind]})


def part(filesystem: str, mount: str | None = None, size_mib: int | None = None, **more: Any) -> dict[str, Any]:
    given = {"filesystem": filesystem, "mount": mount, "size_mib": size_mib, **more}
    return {key: value for key, value in given.items() if value is not None}


def disk(*partitions: dict[str, Any], table: str = "dos", kind: str = "pv") -> Layout:
    return own.layout(Disk.model_validate({"table": table, "partitions": partitions}), target(kind).virtualization)


def refused(layout: Layout, kind: str, **more: Any) -> list[Refusal]:
    return list(refusals(layout, target(kind), **more))


@pytest.mark.parametrize("kind", TARGETS)
def test_a_preset_is_refused_exactly_where_it_does_not_start(kind: str) -> None:
    for layout in layouts():
        found = refused(layout, kind)
        assert bool(found) == bool(layout_unfit(target(kind), layout)), (layout.name, found)


def test_the_boot_modes_of_a_preset_follow_from_its_partitions() -> None:
    for layout in layouts():
        if "hvm" in layout.virtualization:
            assert set(own.boot_modes(layout)) == set(layout.boot_modes), layout.name


def test_no_preset_has_the_name_of_ones_own() -> None:
    assert own.NAME not in [layout.name for layout in layouts()]


def test_every_file_system_is_known_and_told_what_for() -> None:
    assert set(filesystems()) == set(FILESYSTEMS)
    assert all(one.what and one.sources for one in filesystems().values())


GOOD = {
    "one partition, PV": (disk(ROOT), "pv"),
    "one partition, BIOS": (disk(ROOT), "bios"),
    "no table, PV": (disk(ROOT, table="none"), "pv"),
    "btrfs behind ext3, PV": (disk(part("ext3", "/boot", 256), part("btrfs", "/")), "pv"),
    "everything, PV": (
        disk(
            *(part("ext2", "/boot", 128), part("swap", None, 512), part("xfs", "/var", 2048), part("btrfs", "/")),
            table="gpt",
        ),
        "pv",
    ),
    "GPT, both": (disk(BIOS, ESP, ROOT, table="gpt"), "both"),
    "GPT, UEFI alone": (disk(ESP, ROOT, table="gpt"), "uefi"),
    "GPT, BIOS alone": (disk(BIOS, ROOT, table="gpt"), "bios"),
    "GPT, arm64": (disk(ESP, part("xfs", "/"), table="gpt"), "arm64"),
}


@pytest.mark.parametrize("name", GOOD)
def test_what_starts_is_not_refused(name: str) -> None:
    layout, kind = GOOD[name]
    assert refused(layout, kind, gib=8, content={"/": 400, "/boot": 30}) == []


BAD = {
    "no root": (disk(part("ext4", "/srv")), "pv", "partitions", "mounted at /"),
    "btrfs /boot, PV": (disk(part("btrfs", "/")), "pv", "filesystem", "reads ext2, ext3 and ext4"),
    "xfs /boot, PV": (disk(part("xfs", "/")), "pv", "filesystem", "give /boot a partition of its own"),
    "ext4 /boot, old PV-GRUB": (disk(ROOT), "pv 1.02", "filesystem", "PV-GRUB 1.02 reads ext2 and ext3"),
    "GPT, old PV-GRUB": (disk(part("ext3", "/"), table="gpt"), "pv 1.02", "table", "cannot read GPT"),
    "/boot second, old PV-GRUB": (
        disk(part("swap", None, 64), part("ext3", "/boot", 64), part("ext3", "/", number=4)),
        "pv 1.02",
        "number",
        "looks for its menu in partition 1",
    ),
    "number 3, PV": (disk(part("swap", None, 64, number=3), ROOT), "pv", "number", "stays free"),
    "/boot fifth, PV": (disk(part("ext4", "/", number=5), table="gpt"), "pv", "number", "the partitions 1 to 4"),
    "ESP on PV": (disk(ESP, ROOT, table="gpt"), "pv", "filesystem", "no paravirtual instance has"),
    "no table, HVM": (disk(ROOT, table="none"), "bios", "table", "has no place"),
    "no table, two": (disk(part("swap", None, 64), ROOT, table="none"), "pv", "table", "is one file system"),
    "GPT without BIOS boot": (disk(ESP, ROOT, table="gpt"), "both", "partitions", "BIOS boot partition of 1 MiB"),
    "GPT without ESP": (disk(BIOS, ROOT, table="gpt"), "both", "partitions", "EFI system partition"),
    "MBR, UEFI": (disk(ROOT), "uefi", "table", "on GPT"),
    "arm64 without ESP": (disk(ROOT, table="gpt"), "arm64", "partitions", "EFI system partition"),
    "BIOS boot on MBR": (disk(BIOS | {"number": 2}, ROOT), "bios", "filesystem", "before the first partition"),
    "fifth of MBR": (
        disk(*(part("ext4", f"/srv/{name}", 64) for name in "abcd"), ROOT, kind="bios"),
        "bios",
        "number",
        "room for 4",
    ),
    "root not last": (disk(part("ext4", "/", 900), part("ext4", "/srv")), "pv", "mount", "comes last"),
    "size of the last": (disk(part("ext4", "/", 900)), "pv", "size_mib", "takes the rest"),
    "no size before": (disk(part("ext4", "/srv"), ROOT), "pv", "size_mib", "Only the last"),
    "small XFS": (disk(part("xfs", "/srv", 299), ROOT), "pv", "size_mib", "300 MiB at least"),
    "small FAT": (disk(BIOS, ESP | {"size_mib": 32}, ROOT, table="gpt"), "both", "size_mib", "33 MiB at least"),
    "swap mounted": (disk(part("swap", "/swap", 64), ROOT), "pv", "mount", "not mounted"),
    "nothing mounted": (disk(part("ext4", None, 64), ROOT), "pv", "mount", "Nothing would ever be in it"),
    "FAT elsewhere": (disk(part("vfat", "/data", 64), ROOT), "bios", "filesystem", "no owners"),
    "ext4 for firmware": (disk(BIOS, ESP | {"filesystem": "ext4"}, ROOT, table="gpt"), "bios", "filesystem", "FAT"),
    "/etc": (disk(part("ext4", "/etc", 64), ROOT), "pv", "mount", "stays in the root"),
    "below /run": (disk(part("ext4", "/run/x", 64), ROOT), "pv", "mount", "stays in the root"),
    "mounted twice": (disk(part("ext4", "/srv", 64), part("ext4", "/srv", 64), ROOT), "pv", "mount", "already"),
    "number twice": (disk(part("ext4", "/srv", 64, number=1), ROOT | {"number": 1}), "pv", "number", "already"),
    "name twice": (disk(part("ext4", "/srv", 64, name="a"), ROOT | {"name": "a"}), "pv", "name", "their ids"),
    "long label": (disk(part("xfs", "/srv", 300, label="thirteen-long"), ROOT), "pv", "label", "room for 12"),
    "subvolumes of ext4": (disk(ROOT | {"subvolumes": ["home"]}), "pv", "subvolumes", "btrfs"),
}


@pytest.mark.parametrize("name", BAD)
def test_what_does_not_do_is_refused_with_its_reason_and_nothing_else_is(name: str) -> None:
    layout, kind, field, words = BAD[name]
    [found] = refused(layout, kind)
    assert found.field == field
    assert words in found.reason
    assert found.reason.endswith(".")


def test_an_mbr_reaches_two_tebibytes() -> None:
    assert refused(disk(ROOT), "pv", gib=DOS_LIMIT_GIB) == []
    assert [one.field for one in refused(disk(ROOT), "pv", gib=DOS_LIMIT_GIB + 1)] == ["gib"]
    assert refused(disk(BIOS, ESP, ROOT, table="gpt"), "both", gib=DOS_LIMIT_GIB + 1) == []


def test_more_than_a_volume_can_have_is_refused_when_typed_and_when_added_up() -> None:
    layout = load("gpt-split")
    with pytest.raises(ValueError, match="at most"):
        typed(layout, 2, "size_mib", "99999T")
    large = typed(typed(layout, 2, "size_mib", "9T"), 3, "size_mib", "9T")
    assert [one.field for one in refused(large, "both")] == ["gib"]


def test_content_that_a_partition_cannot_hold_is_refused_where_it_would_lie() -> None:
    layout = disk(part("ext3", "/boot", 32), part("ext4", "/var", 64), ROOT)
    content = {"/": 10, "/usr": 600, "/boot": 40, "/var": 9}
    assert [(one.at, one.field) for one in refused(layout, "pv", content=content)] == [(0, "size_mib")]
    assert [one.field for one in refused(layout, "pv", gib=1, content={**content, "/boot": 4})] == []
    [found] = refused(layout, "pv", gib=1, content={**content, "/boot": 4, "/usr": 800})
    assert (found.field, found.suggestion) == ("gib", "2")


def test_what_is_suggested_does() -> None:
    layout = disk(part("xfs", "/srv", 100), ROOT)
    [found] = refused(layout, "pv")
    assert refused(edits.resize(layout, 0, int(found.suggestion or 0)), "pv") == []


def starts(layout: Layout) -> list[int]:
    return [one.start_mib for one in layout.partitions]


def test_every_edit_leaves_partitions_one_after_the_other_and_the_last_with_the_rest() -> None:
    layout = load("gpt-ext4")
    done = [
        edits.add(layout, edits.TEMPLATES[4], "hvm")[0],
        edits.remove(layout, 0),
        edits.remove(layout, 2),
        edits.move(layout, 0, 1)[0],
        edits.move(layout, 2, -2)[0],
        edits.resize(layout, 1, 100),
        edits.resize(layout, 2, 100),
        edits.retable(layout, "dos"),
        edits.with_filesystem(layout, 2, "btrfs"),
        edits.with_mount(layout, 1, "/srv"),
    ]
    for one in done:
        place = 1
        for found in one.partitions[:-1]:
            assert found.start_mib == place
            place += found.size_mib or 0
        assert one.partitions[-1].start_mib == place
        assert [found.size_mib for found in one.partitions].count(None) == 1
        assert one.partitions[-1].size_mib is None
    assert starts(edits.retable(disk(ROOT), "none")) == [0]


def test_what_is_added_is_usable_as_it_comes() -> None:
    layout = disk(part("ext3", "/boot", 256), part("btrfs", "/"))
    for template in edits.possible(layout, "paravirtual"):
        added, at = edits.add(layout, template, "paravirtual")
        assert added.partitions[at].number == 4, "3 stays free"
        assert refused(added, "pv") == []


def test_a_root_that_was_taken_away_can_be_added_again_and_comes_last() -> None:
    layout = edits.remove(disk(part("ext3", "/boot", 256), part("btrfs", "/")), 1)
    template = next(one for one in edits.possible(layout, "paravirtual") if one.mount == "/")
    layout, at = edits.add(layout, template, "paravirtual")
    assert at == 1
    assert refused(layout, "pv") == []


def test_a_gpt_gets_what_its_boot_mode_needs_by_adding_it() -> None:
    layout = disk(ROOT, table="gpt", kind="both")
    for name in ("vfat", "bios-boot"):
        template = next(one for one in edits.possible(layout, "hvm") if one.filesystem == name)
        layout, _ = edits.add(layout, template, "hvm")
    assert refused(layout, "both") == []
    assert set(layout.boot_modes) == {"legacy-bios", "uefi", "uefi-preferred"}
    assert not {"vfat", "bios-boot"} & {one.filesystem for one in edits.possible(layout, "hvm")}


def test_the_last_partition_cannot_be_taken_away() -> None:
    assert edits.remove(disk(ROOT), 0) == disk(ROOT)


def test_moving_hands_the_size_over_and_moving_back_restores_everything() -> None:
    layout = disk(part("ext4", "/srv", 300), ROOT)
    moved, at = edits.move(layout, 1, -1)
    assert (at, [one.size_mib for one in moved.partitions]) == (0, [300, None])
    assert edits.move(moved, 0, 1)[0] == layout
    assert edits.move(layout, 0, -1) == (layout, 0)


def test_what_follows_from_a_change_follows_and_what_was_chosen_stays() -> None:
    layout = edits.add(disk(ROOT), edits.TEMPLATES[4], "paravirtual")[0]
    renamed = edits.with_mount(layout, 0, "/srv/data").partitions[0]
    assert (renamed.name, renamed.label) == ("srv-data", "srv-data")
    swap = edits.with_filesystem(layout, 0, "swap").partitions[0]
    assert (swap.name, swap.mount, swap.options) == ("swap", None, "sw")
    chosen = edits.with_name(layout, 0, "people")
    assert edits.with_mount(chosen, 0, "/srv").partitions[0].name == "people"
    noatime = edits.with_options(layout, 0, "noatime")
    assert edits.with_filesystem(noatime, 0, "xfs").partitions[0].options == "noatime"
    assert edits.with_filesystem(noatime, 0, "vfat").partitions[0].mount == "/boot/efi"


def test_a_preset_drawn_up_as_ones_own_is_the_same_disk() -> None:
    for layout in layouts():
        disk_of = own.loads(own.dumps(layout))
        assert disk_of is not None
        assert own.layout(disk_of, "hvm").partitions == layout.partitions


@pytest.mark.parametrize(
    ("text", "mib"),
    [("512", 512), ("512M", 512), ("64 MiB", 64), ("1.5G", 1536), ("2 gib", 2048), ("0,5 GB", 512), ("1T", 1048576)],
)
def test_a_size_is_read_as_people_write_it(text: str, mib: int) -> None:
    assert parse_mib(text) == mib


def test_a_size_between_two_mebibytes_is_rounded_up() -> None:
    assert parse_mib("1.0005G") == 1025


@pytest.mark.parametrize("text", ["", "-1", "0", "0.0", "big", "10%", "1e3", "1.5.2G", "٣", "1" * 400])
def test_what_is_no_size_is_refused_in_words(text: str) -> None:
    with pytest.raises(ValueError, match=r"\."):
        parse_mib(text)


@pytest.mark.parametrize("mib", [1, 33, 1000, 1024, 1025, 1536, 4096, 1048576, 1310720])
def test_a_size_that_is_written_is_read_back(mib: int) -> None:
    assert parse_mib(written(mib)) == mib
    assert said(mib)


def test_pv_grub_looks_in_as_many_partitions_as_its_list_of_places_says() -> None:
    for row in presets.load("pvgrub")["pvgrub"]:
        places = " ".join(row["menu_lst"])
        assert (row["menu_partitions"] == 4) == ("(hd0,3)" in places), row["versions"]
