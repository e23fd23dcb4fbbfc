"""The disk image, made by the real tools from a small tree: what lies where, and the same bytes every time."""

import asyncio
import hashlib
import json
import os
import shutil
import subprocess
import threading
from itertools import pairwise
from pathlib import Path

import pytest

from wizard.disk.layout import load
from wizard.plan.build import Occasion, plan
from wizard.plan.script import script
from wizard.plan.steps import Plan, Run, Step
from wizard.questions import recipe as recipe_of
from wizard.run.builds import Build
from wizard.run.events import EventLog
from wizard.run.runner import Runner
from wizard.run.store import Store
from wizard.run.warden import Warden

PV, HVM = "paravirtual", "hvm"
COMBINATIONS = [
    ("single-ext4", PV),
    ("single-ext4", HVM),
    ("ext3-boot-btrfs-root", PV),
    ("ext3-boot-btrfs-root", HVM),
    ("gpt-ext4", HVM),
]
MIB = 1 << 20

pytestmark = pytest.mark.slow

SMALL_USERLAND = """
mkdir -p bootstrap/tree/boot/grub bootstrap/tree/etc bootstrap/tree/srv bootstrap/tree/root
echo kernel > bootstrap/tree/boot/vmlinuz-1
ln -s vmlinuz-1 bootstrap/tree/boot/vmlinuz
head -c 300000 /dev/zero | tr '\\0' x > bootstrap/tree/srv/'a "quoted" file'
ln bootstrap/tree/boot/vmlinuz-1 bootstrap/tree/srv/hard-link
for number in $(seq 300); do echo $number > bootstrap/tree/srv/file-$number; done
for number in $(seq 60); do echo $number > bootstrap/tree/boot/file-$number; done
chmod 700 bootstrap/tree/root
find bootstrap/tree -exec touch -h -d @1600000000 {} +
tar -C bootstrap/tree --numeric-owner --owner=1234 --group=2345 --sort=name -cf bootstrap/root.tar .
rm -r bootstrap/tree
"""


def small_plan(layout: str, virtualization: str) -> Plan:
    """The real plan up to the image, with a userland of a few files in place of a distribution's."""
    answers = {"target.arch": "x86_64", "target.virtualization": virtualization, "disk.layout": layout, "name": "test"}
    if virtualization == HVM and load(layout).table == "dos":
        answers["target.boot_mode"] = "legacy-bios"
    answers["disk.size_gib"] = str(load(layout).least_gib)
    real = plan(recipe_of(answers), Occasion("test", "2026-01-01")).until("image")
    userland = Step("bootstrap", "small", "a test", (Run(SMALL_USERLAND),))
    return Plan("test", tuple(userland if step.id == "bootstrap" else step for step in real.steps), real.epoch)


def make(layout: str, virtualization: str, folder: Path) -> Path:
    build = Build(folder / "build")
    build.logs.mkdir(parents=True)
    store = Store(folder / "results")
    emit = EventLog(build.events_path)

    def no_cloud(*_: object) -> dict[str, str]:
        raise AssertionError("an image is made without AWS")

    runner = Runner(build, small_plan(layout, virtualization), store, emit, Warden(), no_cloud, threading.Event())
    return asyncio.run(runner.run())["image"] / "disk.img"


@pytest.fixture(scope="module", params=COMBINATIONS, ids=["-".join(pair) for pair in COMBINATIONS])
def made(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, str, Path]:
    layout, virtualization = request.param
    return layout, virtualization, make(layout, virtualization, tmp_path_factory.mktemp("made"))


def out(*command: str) -> str:
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def partitions(image: Path) -> list[dict[str, int | str]]:
    table: list[dict[str, int | str]] = json.loads(out("sfdisk", "--json", str(image)))["partitiontable"]["partitions"]
    return table


def part_file(image: Path, number: int, folder: Path) -> Path:
    """One partition as a file of its own."""
    entry = next(part for part in partitions(image) if str(part["node"]).endswith(f"img{number}"))
    target = folder / f"part{number}"
    skip, count = int(entry["start"]), int(entry["size"])
    out("dd", f"if={image}", f"of={target}", "bs=512", f"skip={skip}", f"count={count}", "conv=sparse", "status=none")
    return target


def in_ext(image: Path, offset_mib: int, request: str) -> str:
    return out("debugfs", "-R", request, f"{image}?offset={offset_mib * MIB}")


def root_number(layout: str) -> int:
    return 2 if layout == "ext3-boot-btrfs-root" else 1


def test_the_exported_script_makes_the_same_bytes(made: tuple[str, str, Path], tmp_path: Path) -> None:
    """Promise 1, for every layout: what you see is what runs.  And so: same recipe, same bytes."""
    layout, virtualization, image = made
    (tmp_path / "build.sh").write_text(script(small_plan(layout, virtualization)))
    subprocess.run(["bash", "build.sh", "--image-only"], cwd=tmp_path, check=True, capture_output=True)
    assert digest(tmp_path / "image" / "disk.img") == digest(image)


def test_the_image_is_sparse_whole_gibibytes(made: tuple[str, str, Path]) -> None:
    status = made[2].stat()
    assert status.st_size == 1 << 30
    assert status.st_blocks * 512 < 150 * MIB


def test_partitions_start_on_whole_mebibytes_and_do_not_overlap(made: tuple[str, str, Path]) -> None:
    spans = sorted((int(part["start"]), int(part["start"]) + int(part["size"])) for part in partitions(made[2]))
    assert all(start % 2048 == 0 for start, _ in spans)
    assert all(end <= start for (_, end), (start, _) in pairwise(spans))


def test_no_paravirtual_disk_has_a_partition_3(made: tuple[str, str, Path]) -> None:
    """Some old instance types bring a swap disk of that name (coreos/bugs#1716)."""
    _, virtualization, image = made
    if virtualization == PV:
        assert not any(str(part["node"]).endswith("img3") for part in partitions(image))


def test_fstab_and_boot_menu_name_the_file_systems_that_are_there(made: tuple[str, str, Path], tmp_path: Path) -> None:
    layout, virtualization, image = made
    separate_boot = layout == "ext3-boot-btrfs-root"
    root = part_file(image, root_number(layout), tmp_path)
    root_uuid = out("blkid", "-p", "-s", "UUID", "-o", "value", str(root)).strip()
    boot = part_file(image, 1, tmp_path)
    boot_uuid = out("blkid", "-p", "-s", "UUID", "-o", "value", str(boot)).strip()
    offset = 66 if layout == "gpt-ext4" else 1
    if virtualization == PV:
        path = "/boot/grub/menu.lst"
        menu = in_ext(image, offset, f"cat {path}")
        assert "root (hd0,0)" in menu
        assert "console=hvc0" in menu
        assert f"kernel {'' if separate_boot else '/boot'}/vmlinuz root=UUID={root_uuid} ro" in menu
    else:
        menu = in_ext(image, offset, f"cat {'' if separate_boot else '/boot'}/grub/grub.cfg")
        assert "console=ttyS0" in menu
        assert f"--set=root {boot_uuid}" in menu
        assert f"root=UUID={root_uuid}" in menu
    if not separate_boot:
        assert f"UUID={root_uuid} / ext4" in in_ext(image, offset, "cat /etc/fstab")


def test_a_boot_partition_has_its_menu_in_a_folder_boot_and_a_link_where_people_look(tmp_path: Path) -> None:
    image = make("ext3-boot-btrfs-root", PV, tmp_path)
    assert 'Fast link dest: "boot/grub"' in in_ext(image, 1, "stat /grub")
    assert "menu.lst" in in_ext(image, 1, "ls /boot/grub")


def test_pv_grub_can_read_the_file_system_of_boot(made: tuple[str, str, Path], tmp_path: Path) -> None:
    _, virtualization, image = made
    if virtualization == HVM:
        return
    features = out("dumpe2fs", "-h", str(part_file(image, 1, tmp_path)))
    line = next(line for line in features.splitlines() if line.startswith("Filesystem features:")).split()
    assert not {"64bit", "metadata_csum", "metadata_csum_seed", "orphan_file"} & set(line)


def test_file_systems_are_sound_and_keep_owners_modes_and_links(made: tuple[str, str, Path], tmp_path: Path) -> None:
    layout, _, image = made
    root = part_file(image, root_number(layout), tmp_path)
    if layout == "ext3-boot-btrfs-root":
        assert subprocess.run(["btrfs", "check", str(root)], capture_output=True).returncode == 0
        restored = tmp_path / "restored"
        restored.mkdir()
        out("btrfs", "restore", "-m", "-S", str(root), str(restored))
        status = (restored / "srv" / 'a "quoted" file').stat()
        assert (status.st_uid, status.st_gid, status.st_size) == (1234, 2345, 300000)
        return
    assert subprocess.run(["e2fsck", "-fn", str(root)], capture_output=True).returncode == 0
    said = out("debugfs", "-R", 'stat "/srv/a ""quoted"" file"', str(root))
    assert "User:  1234" in said
    assert "Group:  2345" in said
    assert "Links: 2" in out("debugfs", "-R", "stat /srv/hard-link", str(root))
    assert "Mode:  0700" in out("debugfs", "-R", "stat /root", str(root))


def test_an_hvm_disk_starts_by_bios_from_the_sector_where_grub_lies(made: tuple[str, str, Path]) -> None:
    layout, virtualization, image = made
    with image.open("rb") as file:
        sector = file.read(512)
        if virtualization == PV:
            assert sector[:440] == bytes(440), "PV-GRUB needs no boot code"
            return
        lba = int.from_bytes(sector[0x5C:0x64], "little")
        assert lba == (2048 if layout == "gpt-ext4" else 1)
        file.seek(lba * 512)
        core = file.read(512)
    assert int.from_bytes(core[500:508], "little") == lba + 1
    assert sector[510:] == b"\x55\xaa"


def test_content_that_does_not_fit_is_refused_in_words(tmp_path: Path) -> None:
    from wizard.explain import explain
    from wizard.run.commands import command_failure

    tree = tmp_path / "tree"
    tree.mkdir()
    (tree / "big").write_bytes(b"x" * 4 * MIB)
    done = subprocess.run(
        ["mke2fs", "-q", "-F", "-t", "ext4", "-d", str(tree), str(tmp_path / "fs"), "2M"],
        capture_output=True,
        text=True,
    )
    failure = command_failure("as_root mke2fs -q", done.returncode, done.stderr.splitlines(), tmp_path / "log")
    assert failure.code == "content-too-big"
    assert "size_gib" in " ".join(explain(failure).do)


def digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def test_the_bytes_do_not_depend_on_the_file_system_that_the_home_lies_on(tmp_path: Path) -> None:
    """A memory file system lists a folder in another order than ext4 does.  (btrfs is always staged in memory.)"""
    elsewhere = Path(f"/dev/shm/ami-wizard-test-{os.getpid()}")
    elsewhere.mkdir()
    try:
        assert digest(make("single-ext4", PV, tmp_path)) == digest(make("single-ext4", PV, elsewhere))
    finally:
        shutil.rmtree(elsewhere)
