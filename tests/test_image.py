"""The disk image, made by the real tools from a small tree: what lies where, and the same bytes every time."""

import asyncio
import os
import shutil
import subprocess
import tarfile
import threading
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest
from read_image import MIB, content, cut_out, facts, in_ext, out, partitions, xattrs
from real_builds import digest

from wizard.disk import btrfs, xfs
from wizard.disk.layout import DiskIds, Layout, load, names
from wizard.explain import Failure, explain
from wizard.plan.actions import Run
from wizard.plan.build import Occasion, identity, plan
from wizard.plan.script import script
from wizard.plan.steps import Plan, Step
from wizard.questions import recipe as recipe_of
from wizard.recipe import Recipe
from wizard.run.builds import Build
from wizard.run.events import EventLog
from wizard.run.runner import Runner
from wizard.run.store import Store
from wizard.run.warden import Warden

PV, HVM = "paravirtual", "hvm"
COMBINATIONS = [
    ("single-ext4", PV),
    ("unpartitioned-ext4", PV),
    ("unpartitioned-ext3", PV),
    ("ext3-boot-btrfs-root", PV),
    ("ext4-boot-xfs-root-swap", PV),
    ("single-ext4-swap", HVM),
    ("ext3-boot-btrfs-root", HVM),
    ("ext4-boot-xfs-root", HVM),
    ("gpt-ext4", HVM),
    ("gpt-xfs", HVM),
    ("gpt-btrfs-swap", HVM),
    ("gpt-split-swap", HVM),
]

pytestmark = pytest.mark.slow

SMALL_USERLAND = """
tree=bootstrap/tree
mkdir -p $tree/boot/grub $tree/etc/systemd/system $tree/srv/"a folder" $tree/root $tree/tmp $tree/var/mail
mkdir -p $tree/home/someone $tree/opt $tree/usr/bin
echo kernel > $tree/boot/vmlinuz-1
ln -s vmlinuz-1 $tree/boot/vmlinuz
head -c 300000 /dev/zero | tr '\\0' x > $tree/srv/'a "quoted" file'
echo inside > $tree/srv/"a folder"/inside
ln $tree/boot/vmlinuz-1 $tree/boot/hard-link
ln -s 'to a space' $tree/srv/link; ln -s :elsewhere $tree/srv/colon
mkdir $tree/srv/'$' $tree/srv/:folder; echo in > $tree/srv/'$'/in; echo in > $tree/srv/:folder/in
echo : > $tree/srv/:file
for number in $(seq 300); do echo $number > $tree/srv/file-$number; done
for number in $(seq 60); do echo $number > $tree/boot/file-$number; done
echo é > $tree/srv/Főtanúsítvány; echo '\\' > $tree/srv/'back\\slash'; echo name > $tree/etc/hostname
echo su > $tree/usr/bin/su; echo ping > $tree/usr/bin/ping; echo mine > $tree/home/someone/file
chown -R 1234:2345 $tree/home/someone $tree/srv/file-7
chmod 4755 $tree/usr/bin/su; chmod 700 $tree/root; chmod 1777 $tree/tmp; chmod 2775 $tree/var/mail
setcap cap_net_raw=ep $tree/usr/bin/ping
mkfifo $tree/srv/pipe
find $tree -exec touch -h -d @1600000000 {} +
touch -d @1500000000 $tree/srv/file-7
tar -C $tree --xattrs --xattrs-include='*' --numeric-owner --sort=name -cf bootstrap/root.tar .
rm -r $tree
"""


PACK_SPARSE = "tar -C $tree --sparse -cf bootstrap/root.tar . && rm -r $tree"


def small_recipe(layout: str, virtualization: str) -> Recipe:
    answers = {"target.arch": "x86_64", "target.virtualization": virtualization, "disk.layout": layout, "name": "test"}
    if virtualization == HVM and load(layout).table == "dos":
        answers["target.boot_mode"] = "legacy-bios"
    answers["disk.size_gib"] = str(load(layout).least_gib)
    return recipe_of(answers)


def small_plan(layout: str, virtualization: str) -> Plan:
    """The real plan up to the image, with a userland of a few files in place of a distribution's."""
    real = plan(small_recipe(layout, virtualization), Occasion("test", "2026-01-01")).until("image")
    userland = Step("bootstrap", "small", "a test", (Run(SMALL_USERLAND),))
    return Plan("test", tuple(userland if step.id == "bootstrap" else step for step in real.steps), real.epoch)


def make(layout: str, virtualization: str, folder: Path) -> Path:
    return run(small_plan(layout, virtualization), folder)


def run(wanted: Plan, folder: Path) -> Path:
    build = Build(folder / "build")
    build.logs.mkdir(parents=True)
    store = Store(folder / "results")
    emit = EventLog(build.events_path)

    def no_cloud(*_: object) -> dict[str, str]:
        raise AssertionError("an image is made without AWS")

    runner = Runner(build, wanted, store, emit, Warden(), no_cloud, threading.Event())
    return asyncio.run(runner.run())["image"] / "disk.img"


@pytest.fixture(scope="module", params=COMBINATIONS, ids=["-".join(pair) for pair in COMBINATIONS])
def made(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[Layout, str, Path]:
    layout, virtualization = request.param
    return load(layout), virtualization, make(layout, virtualization, tmp_path_factory.mktemp("made"))


Made = tuple[Layout, str, Path]


def test_every_layout_is_made_here() -> None:
    """With swap or without: what the other one has beside that is the same."""
    assert {name.removesuffix("-swap") for name, _ in COMBINATIONS} == {name.removesuffix("-swap") for name in names()}


def test_the_exported_script_makes_the_same_bytes(made: Made, tmp_path: Path) -> None:
    """Promise 1, for every layout: what you see is what runs.  And so: same recipe, same bytes."""
    layout, virtualization, image = made
    (tmp_path / "build.sh").write_text(script(small_plan(layout.name, virtualization)))
    subprocess.run(["bash", "build.sh", "--image-only"], cwd=tmp_path, check=True, capture_output=True)
    again = tmp_path / "image" / "disk.img"
    if layout.root.filesystem == "btrfs" and btrfs.makes_subvolumes():
        one, two = (btrfs_content(cut_out(file, layout.root, layout, file.parent)) for file in (image, again))
        assert one == two
    else:
        assert digest(again) == digest(image)


def btrfs_content(file: Path) -> str:
    """All of a btrfs but what a newer mkfs.btrfs cannot make the same: times of change and access."""
    tree = out("btrfs", "inspect-internal", "dump-tree", str(file))
    return "\n".join(line for line in tree.splitlines() if line.split()[:1] not in (["atime"], ["ctime"]))


def test_the_image_is_sparse_whole_gibibytes(made: Made) -> None:
    layout, _, image = made
    status = image.stat()
    assert status.st_size == layout.least_gib << 30
    assert status.st_blocks * 512 < 200 * MIB


def test_partitions_start_on_whole_mebibytes_and_do_not_overlap(made: Made) -> None:
    layout, _, image = made
    spans = sorted((int(part["start"]), int(part["start"]) + int(part["size"])) for part in partitions(image))
    assert len(spans) == (len(layout.partitions) if layout.table != "none" else 0)
    assert all(start % 2048 == 0 for start, _ in spans)
    assert all(end <= start for (_, end), (start, _) in pairwise(spans))
    if spans:
        assert "No errors detected" in out("sfdisk", "--verify", str(image))


def test_no_paravirtual_disk_has_a_partition_3(made: Made) -> None:
    """Some old instance types bring a swap disk of that name (coreos/bugs#1716)."""
    _, virtualization, image = made
    if virtualization == PV:
        assert not any(str(part["node"]).endswith("img3") for part in partitions(image))


def test_every_file_system_is_sound_and_has_the_id_and_the_label_that_the_layout_says(
    made: Made, tmp_path: Path
) -> None:
    layout, virtualization, image = made
    ids = DiskIds(identity(small_recipe(layout.name, virtualization)))
    checks = {"btrfs": ("btrfs", "check"), "xfs": ("xfs_repair", "-n", "-f"), "vfat": ("fsck.fat", "-n")}
    for part in layout.partitions:
        if part.filesystem == "bios-boot":
            continue
        file = cut_out(image, part, layout, tmp_path)
        told = dict(line.split("=", 1) for line in out("blkid", "-p", "-o", "export", str(file)).splitlines())
        assert (told["TYPE"], told["UUID"]) == (part.filesystem, ids.filesystem(part))
        assert told["LABEL"].lower() == part.label
        if part.filesystem != "swap":
            check = checks.get(part.filesystem, ("e2fsck", "-fn"))
            done = subprocess.run([*check, str(file)], capture_output=True, text=True)
            assert done.returncode == 0, done.stdout + done.stderr


def test_fstab_and_boot_menu_name_the_file_systems_that_are_there(made: Made) -> None:
    layout, virtualization, image = made
    ids = DiskIds(identity(small_recipe(layout.name, virtualization)))
    folder = "" if layout.at("/boot") else "/boot"
    root = ids.filesystem(layout.root)
    if virtualization == PV:
        place = "/boot/grub/menu.lst"
        menu = content(image, layout.boot, layout, place)
        assert f"root {'(hd0)' if layout.table == 'none' else '(hd0,0)'}\n" in menu
        assert "console=hvc0" in menu
        assert f"kernel {folder}/vmlinuz root=UUID={root} ro" in menu
    else:
        menu = content(image, layout.boot, layout, f"{folder}/grub/grub.cfg")
        assert "console=ttyS0" in menu
        assert f"--set=root {ids.filesystem(layout.boot)}" in menu
        assert f"root=UUID={root}" in menu
    fstab = content(image, layout.root, layout, "/etc/fstab")
    for part in layout.partitions:
        if part.filesystem != "bios-boot":
            assert f"UUID={ids.filesystem(part)} {part.mount or 'none'} {part.filesystem} " in fstab
    assert content(image, layout.boot, layout, f"{folder}/vmlinuz") == "kernel\n"


def test_pv_grub_can_read_the_file_system_of_boot(made: Made, tmp_path: Path) -> None:
    layout, virtualization, image = made
    if virtualization == HVM:
        return
    features = out("dumpe2fs", "-h", str(cut_out(image, layout.boot, layout, tmp_path)))
    line = next(line for line in features.splitlines() if line.startswith("Filesystem features:")).split()
    assert not {"64bit", "metadata_csum", "metadata_csum_seed", "orphan_file"} & set(line)


def test_files_keep_their_owners_modes_links_and_times(made: Made, tmp_path: Path) -> None:
    layout, _, image = made
    files = {part: cut_out(image, part, layout, tmp_path) for part in layout.partitions if part.mount}
    epoch = small_plan(layout.name, PV if layout.table == "none" else HVM).epoch
    loses_times = layout.root.filesystem == "btrfs" and not btrfs.makes_subvolumes()
    old, older = (epoch, epoch) if loses_times else (1600000000, 1500000000)

    def told(path: str) -> tuple[int, int, int, int, int]:
        inner_first = sorted(files, key=lambda part: part.mount or "", reverse=True)
        part = next(part for part in inner_first if path.startswith(part.mount or ""))
        inside = path.removeprefix((part.mount or "").rstrip("/"))
        said = facts(part.filesystem, files[part], inside or "/")
        return said.mode, said.uid, said.gid, said.mtime, said.links

    assert told("/srv/file-7") == (0o644, 1234, 2345, older, 1)
    assert told("/usr/bin/su") == (0o4755, 0, 0, old, 1)
    assert told("/root")[:4] == (0o700, 0, 0, old)
    assert told("/tmp")[:3] == (0o1777, 0, 0)
    assert told("/var/mail")[:4] == (0o2775, 0, 0, old)
    assert told("/home/someone/file")[:4] == (0o644, 1234, 2345, old)
    assert told("/srv/pipe")[:4] == (0o644, 0, 0, old)
    assert told("/srv/back\\slash")[0] == 0o644
    assert told("/srv/Főtanúsítvány")[0] == 0o644
    assert told("/boot/hard-link")[4] == (1 if layout.boot.filesystem == "xfs" else 2)
    if layout.root.filesystem != "xfs":
        assert told('/srv/a "quoted" file')[3] == old
        assert "security.capability" in xattrs(layout.root.filesystem, files[layout.root], "/usr/bin/ping")


def test_what_a_protofile_cannot_carry_waits_for_the_first_boot(made: Made, tmp_path: Path) -> None:
    layout, _, image = made
    if layout.root.filesystem != "xfs":
        return
    (tmp_path / "rest.tar").write_bytes(read_bytes(image, layout, f"/{xfs.ARCHIVE}"))
    with tarfile.open(tmp_path / "rest.tar") as archive:
        waiting = {member.name: member for member in archive}
    assert waiting["./srv/a folder/inside"].size == len("inside\n")
    assert waiting['./srv/a "quoted" file'].size == 300000
    assert {"./srv/$/in", "./srv/:folder", "./srv/:folder/in", "./srv/:file", "./srv/colon"} <= set(waiting)
    assert waiting["./srv/link"].linkname == "to a space"
    assert "SCHILY.xattr.security.capability" in waiting["./usr/bin/ping"].pax_headers
    assert ("./boot/vmlinuz-1" in waiting) == (layout.boot is layout.root)
    unit = content(image, layout.root, layout, "/etc/systemd/system/sysinit.target.wants/restore-uncarried.service")
    assert f"-xpf /{xfs.ARCHIVE}" in unit


def read_bytes(image: Path, layout: Layout, path: str) -> bytes:
    table = {"gpt": "gpt", "dos": "msdos"}[layout.table]
    command = ["grub-fstest", str(image), "cat", f"(loop0,{table}{layout.root.number}){path}"]
    return subprocess.run(command, check=True, capture_output=True).stdout


def test_a_boot_partition_has_its_menu_in_a_folder_boot_and_a_link_where_people_look(made: Made) -> None:
    layout, virtualization, image = made
    if virtualization == PV and layout.at("/boot"):
        assert 'Fast link dest: "boot/grub"' in in_ext(image, 1, "stat /grub")
        assert "menu.lst" in in_ext(image, 1, "ls /boot/grub")


def test_an_hvm_disk_starts_by_bios_from_the_sector_where_grub_lies(made: Made) -> None:
    layout, virtualization, image = made
    with image.open("rb") as file:
        sector = file.read(512)
        if virtualization == PV:
            assert sector[:440] == bytes(440), "PV-GRUB needs no boot code"
            return
        lba = int.from_bytes(sector[0x5C:0x64], "little")
        assert lba == (2048 if layout.table == "gpt" else 1)
        file.seek(lba * 512)
        core = file.read(512)
    assert int.from_bytes(core[500:508], "little") == lba + 1
    assert sector[510:] == b"\x55\xaa"


def test_an_efi_system_partition_holds_grub_where_firmware_looks(made: Made) -> None:
    layout, _, image = made
    if esp := layout.at("/boot/efi"):
        assert "BOOTX64.EFI" in out("mdir", "-b", "-i", f"{image}@@{esp.start_mib * MIB}", "::EFI/BOOT")


def test_a_size_that_follows_from_the_content_is_enough_for_what_btrfs_keeps_of_many_files(tmp_path: Path) -> None:
    asked = small_recipe("gpt-btrfs", HVM)
    unsized = asked.model_copy(update={"disk": asked.disk.model_copy(update={"size_gib": None})})
    many = (
        "mkdir -p bootstrap/tree/srv && cd bootstrap/tree && seq -f srv/%g 25000 | xargs touch && tar -cf ../root.tar ."
    )
    real = plan(unsized, Occasion("test", "2026-01-01")).until("image")
    steps = (replace(step, actions=(Run(many),)) if step.id == "bootstrap" else step for step in real.steps)
    assert run(Plan("test", tuple(steps), real.epoch), tmp_path).stat().st_size == 2 << 30


@pytest.mark.parametrize("layout", ["gpt-split", "gpt-xfs", "gpt-btrfs"])
def test_content_that_does_not_fit_is_refused_in_words(layout: str, tmp_path: Path) -> None:
    """Too much for /var, which has a fixed size, or for the whole disk."""
    real = small_plan(layout, HVM)
    big = Run(f"{SMALL_USERLAND.replace('rm -r $tree', '')} truncate -s 3G $tree/var/big\n{PACK_SPARSE}")
    steps = (replace(step, actions=(big,)) if step.id == "bootstrap" else step for step in real.steps)
    with pytest.raises(ExceptionGroup) as caught:
        run(Plan("test", tuple(steps), real.epoch), tmp_path)
    (failure,) = caught.value.exceptions
    assert isinstance(failure, Failure)
    assert failure.code == "content-too-big"
    assert "the content does not fit into the partition: 30" in failure.evidence[0]
    assert "size_gib" in " ".join(explain(failure).do)


def test_the_bytes_do_not_depend_on_the_file_system_that_the_home_lies_on(tmp_path: Path) -> None:
    """A memory file system lists a folder in another order than ext4 does.  (btrfs is always staged in memory.)"""
    elsewhere = Path(f"/dev/shm/ami-wizard-test-{os.getpid()}")
    try:
        for name in ("single-ext4", "ext4-boot-xfs-root"):
            (elsewhere / name).mkdir(parents=True)
            assert digest(make(name, PV, tmp_path / name)) == digest(make(name, PV, elsewhere / name))
    finally:
        shutil.rmtree(elsewhere)
