"""Reading disk images: what real tools wrote is what is read, and what somebody forged does no harm."""

import os
import random
import stat
import subprocess
from pathlib import Path

import pytest
from images import ESP, MIB, Files, Part, disk, filesystem, run

from wizard.disk.read import Tree, open_image, root_of
from wizard.disk.read.source import Unreadable, Work
from wizard.explain import Failure, explain

MAKERS: dict[str, Part] = {
    "ext2": Part("ext2", options=("-b", "1024")),
    "ext3": Part("ext3"),
    "ext4": Part("ext4"),
    "ext4-old": Part("ext4", options=("-O", "^64bit,^metadata_csum", "-I", "128")),
    "ext4-64k": Part("ext4", size_mib=64, options=("-b", "4096", "-g", "8192", "-N", "2048")),
    "btrfs": Part("btrfs", size_mib=128),
    "btrfs-4k": Part("btrfs", size_mib=128, options=("-n", "4096")),
    "xfs": Part("xfs", size_mib=300),
    "xfs-v4": Part("xfs", size_mib=300, options=("-m", "crc=0,finobt=0,rmapbt=0,reflink=0", "-n", "ftype=0")),
    "xfs-folders": Part("xfs", size_mib=300, options=("-b", "size=1024", "-n", "size=8192")),
    "vfat": Part("vfat", size_mib=64),
}


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Owners, modes, links short and long, many files in one folder, holes, more blocks than fit in an inode."""
    rng = random.Random(1)
    folder = Files(
        tmp_path_factory.mktemp("tree"),
        {
            "etc/fstab": "# nothing\n",
            "empty": "",
            "folder": None,
            "deep/a/b/c/d": "deep",
            "noise": rng.randbytes(700_000),
            "text": "hello\n" * 100_000,
            "relative": "-> deep/a",
            "absolute": "-> /deep/a/b",
            "long": f"-> {'x' * 200}",
            "loop": "-> loop",
            "out": "-> ../../../etc/fstab",
            "a-name-with-ünïcode-and-a-rather-long-ending": "x",
            **{f"many/a-file-with-a-rather-long-name,-number-{number}": f"{number}" for number in range(600)},
        },
    ).folder
    with (folder / "holes").open("wb") as file:
        for place in (0, 500_000, 900_000):
            file.seek(place)
            file.write(b"data")
        file.truncate(1_000_000)
    (folder / "noise").chmod(0o4750)
    os.chown(folder / "noise", 1234, 70000)
    return folder


@pytest.fixture(scope="module", params=list(MAKERS.values()), ids=list(MAKERS))
def made(request: pytest.FixtureRequest, tree: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A file system and the folder that it was made from."""
    part: Part = request.param
    source = tree
    if part.kind == "vfat":
        source = tmp_path_factory.mktemp("fat")
        run("cp", "-rL", *(tree / name for name in ("etc", "empty", "folder", "deep", "noise", "text", "many")), source)
    image = tmp_path_factory.mktemp("made") / "image"
    return filesystem(image, Part(part.kind, source, part.size_mib, part.options)), source


def test_every_file_is_read_as_it_was_written(made: tuple[Path, Path]) -> None:
    image, source = made
    with open_image(image) as opened:
        fs = opened.partitions[0].filesystem
        assert fs and fs.files
        found = {path: node for path, node in fs.files.walk() if path != "/lost+found"}
        expected = {f"/{path.relative_to(source)}": path for path in source.rglob("*")}
        assert found.keys() == expected.keys()
        for name, path in expected.items():
            status, node = path.lstat(), found[name]
            assert stat.S_IFMT(node.mode) == stat.S_IFMT(status.st_mode)
            if fs.kind != "vfat":
                assert (node.uid, node.gid) == (status.st_uid, status.st_gid)
                assert node.mode == status.st_mode
            if path.is_symlink():
                assert fs.files.target(name) == str(path.readlink())
            elif path.is_file():
                assert node.size == status.st_size
                assert fs.files.read(name) == path.read_bytes()
        assert fs.files.blind == {}


def test_the_superblock_says_what_blkid_says(made: tuple[Path, Path]) -> None:
    image, _ = made
    said = dict(line.split("=", 1) for line in run("blkid", "-p", "-o", "export", image).splitlines() if "=" in line)
    with open_image(image) as opened:
        fs = opened.partitions[0].filesystem
        assert fs
        assert (fs.kind, fs.uuid) == (said["TYPE"], said["UUID"])


def test_ext_features_are_named_as_dumpe2fs_names_them(made: tuple[Path, Path]) -> None:
    image, _ = made
    with open_image(image) as opened:
        fs = opened.partitions[0].filesystem
        assert fs
        if fs.kind.startswith("ext"):
            line = next(line for line in run("dumpe2fs", "-h", image).splitlines() if "features:" in line)
            assert set(fs.features) == set(line.split(":")[1].split())


@pytest.mark.parametrize("kind", ["ext4", "btrfs", "xfs", "vfat", "swap"])
def test_labels_are_read(kind: str, tmp_path: Path) -> None:
    options = ("-v" if kind == "vfat" else "-L", "NAME")
    image = filesystem(tmp_path / "image", Part(kind, None, 300, options))
    with open_image(image) as opened:
        fs = opened.partitions[0].filesystem
        assert fs
        assert (fs.kind, fs.label) == (kind, "NAME")


def test_links_are_followed_within_the_image_and_not_for_ever(tree: Path, tmp_path: Path) -> None:
    image = filesystem(tmp_path / "image", Part("ext4", tree))
    with open_image(image) as opened:
        files = opened.partitions[0].filesystem.files  # type: ignore[union-attr]
        assert files
        assert files.text("/relative/b/c/d") == files.text("/absolute/c/d") == "deep"
        assert files.real_path("/absolute/c/../c/d") == "/deep/a/b/c/d"
        assert files.text("/out") == "# nothing\n"
        assert files.stat("/loop") is None
        assert files.read("/long") is None
        assert files.glob("/many/*number-1?") == [
            f"/many/a-file-with-a-rather-long-name,-number-{number}" for number in range(10, 20)
        ]


@pytest.mark.parametrize("packing", ["zstd", "lzo", "zlib"])
def test_packed_btrfs_files_and_subvolumes_are_read(packing: str, tree: Path, tmp_path: Path) -> None:
    """mkfs.btrfs of Debian 12 packs nothing: the kernel's own btrfs has to write it."""
    image, place = tmp_path / "image", tmp_path / "mounted"
    place.mkdir()
    filesystem(image, Part("btrfs", None, 128))
    script = f"""set -e
mount -o loop,compress-force={packing} {image} {place}
btrfs -q subvolume create {place}/@
cp -a {tree}/. {place}/@/
btrfs -q subvolume create {place}/@/inner
echo inside > {place}/@/inner/file
umount {place}"""
    done = subprocess.run(["unshare", "--mount", "bash", "-c", script], capture_output=True, text=True)
    if done.returncode:
        pytest.skip(f"this machine mounts no btrfs: {done.stderr.strip()}")
    with open_image(image) as opened:
        root = root_of(opened)
        assert root
        for name in ("text", "noise", "holes", "deep/a/b/c/d"):
            assert root.files.read(f"/{name}") == (tree / name).read_bytes()
        assert root.files.text("/inner/file") == "inside\n"
        alone = opened.partitions[0].filesystem.files  # type: ignore[union-attr]
        assert alone and alone.names("/") == ["@"]


def test_partitions_are_those_that_sfdisk_wrote(tree: Path, tmp_path: Path) -> None:
    esp = Files(tmp_path / "esp", {"EFI/BOOT/BOOTX64.EFI": "MZ"}).folder
    image = disk(
        tmp_path / "gpt", "gpt", Part("vfat", esp, 40, type=ESP), Part("ext4", tree, 20), Part("swap", None, 4)
    )
    with open_image(image) as opened:
        assert opened.table.kind == "gpt"
        assert opened.table.damage == ()
        assert [(part.number, part.entry.start // MIB, part.entry.size // MIB) for part in opened.partitions] == [
            (1, 1, 40),
            (2, 41, 20),
            (3, 61, 4),
        ]
        assert [part.filesystem.kind for part in opened.partitions if part.filesystem] == ["vfat", "ext4", "swap"]
        assert opened.partitions[0].is_esp
        files = opened.partitions[0].filesystem.files  # type: ignore[union-attr]
        assert files and files.stat("/efi/boot/bootx64.efi")
        uuids = {run("sfdisk", "--part-uuid", image, str(number)).strip().lower() for number in (1, 2, 3)}
        assert {part.entry.partuuid for part in opened.partitions} == uuids


def test_logical_partitions_are_found_behind_an_extended_one(tree: Path, tmp_path: Path) -> None:
    image = tmp_path / "image"
    image.touch()
    os.truncate(image, 64 * MIB)
    run("sfdisk", "-q", image, stdin="label: dos\n,8M,83\n,,05\n,10M,83\n,12M,83\n")
    with open_image(image) as opened:
        sizes = {part.number: part.entry.size // MIB for part in opened.partitions}
        assert {5: 10, 6: 12}.items() <= sizes.items()


def test_paths_go_through_the_mounts_of_fstab(tmp_path: Path) -> None:
    boot = Files(tmp_path / "boot", {"vmlinuz": "kernel", "grub/menu.lst": "default 0\n"}).folder
    esp = Files(tmp_path / "esp", {"EFI/BOOT/BOOTX64.EFI": "MZ"}).folder
    fstab = "LABEL=root / btrfs subvol=/ 0 0\nLABEL=boot /boot ext3 defaults 0 2\nPARTLABEL=x /boot/efi vfat ro 0 0\n"
    root = Files(
        tmp_path / "root", {"etc/fstab": fstab.replace("PARTLABEL=x", "UUID=1234-ABCD"), "boot/efi": None}
    ).folder
    image = disk(
        tmp_path / "image",
        "dos",
        Part("ext3", boot, options=("-L", "boot")),
        Part("btrfs", root, 128, ("-L", "root")),
        Part("vfat", esp, 40, ("-N", "1234ABCD"), type="ef"),
    )
    (boot / "efi").mkdir()
    with open_image(image) as opened:
        system = root_of(opened)
        assert system
        assert system.partition.number == 2
        assert system.files.text("/boot/grub/menu.lst") == "default 0\n"
        assert [mount.partition.number for mount in system.mounts if mount.partition] == [2, 1, 3]


@pytest.mark.parametrize(
    ("content", "code", "says"),
    [
        (b"QFI\xfb" + bytes(2000), "not-a-raw-image", "qemu-img convert -f qcow2 -O raw"),
        (b"KDMV" + bytes(2000), "not-a-raw-image", "qemu-img convert -f vmdk -O raw"),
        (bytes(4096) + b"conectix" + bytes(504), "not-a-raw-image", "qemu-img convert -f vpc -O raw"),
        (b"\x1f\x8b\x08" + bytes(2000), "not-a-raw-image", "gunzip --keep"),
        (b"", "not-a-disk-image", "empty"),
        (b"hello\n" * 1000, "not-a-disk-image", "text"),
    ],
    ids=["qcow2", "vmdk", "vhd", "gzip", "empty", "text"],
)
def test_what_is_no_raw_image_is_named(content: bytes, code: str, says: str, tmp_path: Path) -> None:
    (tmp_path / "image").write_bytes(content)
    with pytest.raises(Failure) as error, open_image(tmp_path / "image"):
        pass
    assert error.value.code == code
    said = explain(error.value)
    assert says in " ".join([said.what, said.why, *said.do])


def test_a_folder_and_a_missing_file_are_explained(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "missing"):
        with pytest.raises(Failure) as error, open_image(path):
            pass
        assert error.value.code in ("unreadable-file", "not-a-disk-image")


def everything(image: Path) -> int:
    """Walks and reads all that there is; gives how much could not be read."""
    with open_image(image) as opened:
        root = root_of(opened)
        blind = 0
        for fs in [part.filesystem for part in opened.partitions if part.filesystem]:
            if fs.files:
                files = fs.files
                for path, node in files.walk():
                    if node.is_link:
                        files.target(path)
                    elif node.is_file:
                        files.read(path)
                blind += len(files.blind)
        return blind + len(root.files.blind if root else {})


@pytest.mark.parametrize("kind", ["ext3", "ext4", "btrfs", "xfs", "vfat"])
def test_damage_anywhere_ends_in_words(kind: str, tree: Path, tmp_path: Path) -> None:
    """Bytes changed where the structures are: never an exception of another kind, never without end."""
    part = MAKERS[kind]
    small = Files(tmp_path / "small", {f"folder/{number}": f"{number}" * 400 for number in range(40)}).folder
    image = filesystem(tmp_path / "image", Part(kind, small, part.size_mib, part.options))
    whole = image.read_bytes()
    # Where anything is written at all: most of a file system is empty.
    used = [at for at in range(0, len(whole), 512) if any(whole[at : at + 512])]
    rng = random.Random(kind)
    complaints = 0
    for _ in range(60):
        with image.open("r+b") as file:
            changes = [(rng.choice(used) + rng.randrange(512), rng.randbytes(rng.choice((1, 2, 8)))) for _ in range(40)]
            for place, data in changes:
                file.seek(place)
                file.write(data)
        try:
            complaints += everything(image) > 0
        except Failure as failure:
            assert failure.code == "not-a-disk-image"
            complaints += 1
        with image.open("r+b") as file:
            for place, data in changes:
                file.seek(place)
                file.write(whole[place : place + len(data)])
    assert complaints > 0
    assert everything(image) == 0


@pytest.mark.parametrize("kind", ["ext4", "btrfs", "xfs"])
def test_an_image_that_is_cut_off_is_read_as_far_as_it_goes(kind: str, tree: Path, tmp_path: Path) -> None:
    part = MAKERS[kind]
    image = filesystem(tmp_path / "image", Part(kind, tree, part.size_mib, part.options))
    for size in (1, 511, 4096, 70_000, 300_000, 2 * MIB):
        cut = tmp_path / "cut"
        cut.write_bytes(image.read_bytes()[:size])
        try:
            everything(cut)
        except Failure as failure:
            assert failure.code == "not-a-disk-image"


def test_work_is_bounded(tree: Path, tmp_path: Path) -> None:
    image = filesystem(tmp_path / "image", Part("ext4", tree))
    with open_image(image) as opened:
        opened.source.work._reads = 100
        files = opened.partitions[0].filesystem.files  # type: ignore[union-attr]
        assert files
        assert len(list(files.walk())) < 100
        assert any("more work than any real image" in reason for reason in files.blind.values())
    with pytest.raises(Unreadable):
        Work(most_bytes=10).spend(11)


def test_a_folder_that_holds_itself_is_walked_once(tmp_path: Path) -> None:
    small = Files(tmp_path / "small", {"folder/file": "x"}).folder
    image = filesystem(tmp_path / "image", Part("ext2", small))
    run("debugfs", "-w", "-R", "link folder folder/again", image)
    with open_image(image) as opened:
        files = opened.partitions[0].filesystem.files  # type: ignore[union-attr]
        assert isinstance(files, Tree)
        assert sorted(path for path, _ in files.walk("/folder")) == ["/folder/again", "/folder/file"]
