"""What can be named to the audit: files, build trees, folders, archives; and where their parts contradict."""

import bz2
import gzip
import io
import lzma
import tarfile
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from kernels import (
    CONFIG,
    PACKINGS,
    RELEASE,
    XEN_HVM_ONLY,
    arm64_image,
    bzimage,
    deb,
    elf,
    lz4_legacy,
    tar,
    zstd_frame,
)

from wizard.explain import Failure, explain
from wizard.kernel.archive import members
from wizard.kernel.audit import audit
from wizard.kernel.config import parse
from wizard.kernel.image import from_bytes
from wizard.kernel.judge import judged
from wizard.kernel.stream import of_bytes
from wizard.kernel.subject import Subject, config_of, disagreements, known_of, read

IMAGE = bzimage(gzip.compress(elf(config=None)))
INSTALLED = {
    f"boot/config-{RELEASE}": CONFIG.encode(),
    f"boot/vmlinuz-{RELEASE}": IMAGE,
    f"lib/modules/{RELEASE}/modules.order": b"kernel/x.ko\n",
}
TAR_PACKINGS: dict[str, Callable[[bytes], bytes]] = {
    "plain": bytes,
    "gzip": gzip.compress,
    "bzip2": bz2.compress,
    "xz": lzma.compress,
    "zstd": zstd_frame,
    "lz4": lz4_legacy,
}


def put(folder: Path, files: Mapping[str, bytes]) -> Path:
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    return folder


def parts(found: Subject) -> tuple[str | None, bool, str | None]:
    """The image's version, whether there is a config beside it, and the modules' release."""
    return (found.image.version if found.image else None, found.config is not None, found.modules)


def refusal(path: Path) -> Failure:
    with pytest.raises(Failure) as caught:
        read(path)
    assert explain(caught.value).do
    return caught.value


@pytest.mark.parametrize("pack", TAR_PACKINGS.values(), ids=TAR_PACKINGS.keys())
def test_a_config_is_read_however_it_is_packed(pack: Callable[[bytes], bytes], tmp_path: Path) -> None:
    (tmp_path / "config").write_bytes(pack(CONFIG.encode()))
    found = read(tmp_path / "config")
    assert (found.kind, found.arch, found.version, found.image) == ("config", "x86_64", "6.1.192", None)


@pytest.mark.parametrize("pack", TAR_PACKINGS.values(), ids=TAR_PACKINGS.keys())
@pytest.mark.parametrize("prefix", ["", "./"], ids=["tar-pkg", "debian"])
def test_a_tar_archive_gives_kernel_config_and_modules(
    pack: Callable[[bytes], bytes], prefix: str, tmp_path: Path
) -> None:
    (tmp_path / "k.tar").write_bytes(pack(tar({f"{prefix}{name}": content for name, content in INSTALLED.items()})))
    found = read(tmp_path / "k.tar")
    assert parts(found) == (RELEASE, True, RELEASE)
    assert found.kind == "image"


@pytest.mark.parametrize("form", [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_tar_archives_of_every_form_are_read(form: int, tmp_path: Path) -> None:
    long = f"lib/modules/{RELEASE}/{'x' * 80}/{'ü' * 40}"
    (tmp_path / "k.tar").write_bytes(tar({long: b"", **INSTALLED}, form))
    assert parts(read(tmp_path / "k.tar")) == (RELEASE, True, RELEASE)


def test_a_debian_package_is_read(tmp_path: Path) -> None:
    (tmp_path / "k.deb").write_bytes(deb(lzma.compress(tar({f"./{n}": c for n, c in INSTALLED.items()}))))
    assert parts(read(tmp_path / "k.deb")) == (RELEASE, True, RELEASE)


@pytest.mark.parametrize("top", ["", "usr/"], ids=["lib", "usr-lib"])
def test_a_folder_with_boot_and_modules_is_read(top: str, tmp_path: Path) -> None:
    put(tmp_path, {(f"{top}{name}" if name.startswith("lib") else name): data for name, data in INSTALLED.items()})
    assert parts(read(tmp_path)) == (RELEASE, True, RELEASE)


def test_a_kernel_that_lies_with_its_modules_is_found(tmp_path: Path) -> None:
    put(tmp_path, {f"usr/lib/modules/{RELEASE}/vmlinuz": IMAGE, f"usr/lib/modules/{RELEASE}/config": CONFIG.encode()})
    assert parts(read(tmp_path)) == (RELEASE, True, RELEASE)


def test_boot_itself_is_read_and_its_links_are_not_kernels_of_their_own(tmp_path: Path) -> None:
    put(tmp_path, {f"vmlinuz-{RELEASE}": IMAGE, f"config-{RELEASE}": CONFIG.encode()})
    (tmp_path / "vmlinuz").symlink_to(f"vmlinuz-{RELEASE}")
    assert parts(read(tmp_path)) == (RELEASE, True, None)


def test_the_bare_vmlinux_beside_the_kernel_that_is_started_does_not_count(tmp_path: Path) -> None:
    put(tmp_path, {**INSTALLED, f"boot/vmlinux-{RELEASE}": elf(config=None)})
    found = read(tmp_path)
    assert found.image is not None
    assert found.image.kind == "bzImage"


@pytest.mark.parametrize("packed", [False, True], ids=["folder", "tar"])
def test_of_several_kernels_none_is_guessed(packed: bool, tmp_path: Path) -> None:
    files = {**INSTALLED, "boot/vmlinuz-6.1.0-55-amd64": IMAGE}
    path = put(tmp_path / "k", files)
    if packed:
        path = tmp_path / "k.tar"
        path.write_bytes(tar(dict(sorted(files.items()))))
    failure = refusal(path)
    assert failure.code == "several-kernels"
    assert len(failure.evidence) == 2


def test_a_build_tree_gives_the_kernel_of_its_config(tmp_path: Path) -> None:
    put(
        tmp_path,
        {
            ".config": CONFIG.encode(),
            "arch/arm64/boot/Image": arm64_image(),
            "arch/x86/boot/bzImage": IMAGE,
            "vmlinux": elf(),
            "include/config/kernel.release": f"{RELEASE}\n".encode(),
        },
    )
    found = read(tmp_path)
    assert parts(found) == (RELEASE, True, RELEASE)
    assert found.image is not None
    assert found.image.path == tmp_path / "arch/x86/boot/bzImage"


def test_a_build_tree_of_arm64_gives_the_packed_image(tmp_path: Path) -> None:
    config = b"# Linux/arm64 6.1.192 Kernel Configuration\nCONFIG_ARM64=y\n"
    put(tmp_path, {".config": config, "arch/arm64/boot/Image.gz": gzip.compress(arm64_image()), "vmlinux": elf(183)})
    found = read(tmp_path)
    assert found.image is not None
    assert (found.image.kind, found.image.compression) == ("Image", "gzip")


def test_a_build_tree_that_is_only_configured_is_judged_by_its_config(tmp_path: Path) -> None:
    found = read(put(tmp_path, {".config": CONFIG.encode()}))
    assert (found.kind, found.version) == ("config", "6.1.192")


@pytest.mark.parametrize(
    ("files", "words"),
    [
        ({}, "a directory without a kernel"),
        ({"notes.txt": b"hello"}, "a directory without a kernel"),
        ({"Kconfig": b"", "Kbuild": b""}, "source tree in which nothing was configured"),
    ],
    ids=["empty", "other", "source"],
)
def test_a_directory_without_a_kernel_is_told_so(files: dict[str, bytes], words: str, tmp_path: Path) -> None:
    failure = refusal(put(tmp_path, files))
    assert failure.code == "not-a-kernel"
    assert words in failure.facts["looks"]
    assert "boot/ and lib/modules/" in explain(failure).why


def test_modules_without_their_kernel_are_told_so(tmp_path: Path) -> None:
    failure = refusal(put(tmp_path, {f"lib/modules/{RELEASE}/modules.order": b""}))
    assert RELEASE in failure.evidence[0]


@pytest.mark.parametrize("content", [tar({"readme": b"hello"}), deb(tar({"./usr/bin/x": b""}))], ids=["tar", "deb"])
def test_an_archive_without_a_kernel_is_told_so(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(content)
    assert "archive without a kernel" in refusal(tmp_path / "a").facts["looks"]


def test_a_file_in_the_place_of_a_kernel_is_told_what_it_is(tmp_path: Path) -> None:
    failure = refusal(put(tmp_path, {"boot/vmlinuz-1": b"<html>404</html>"}))
    assert failure.facts["path"] == str(tmp_path / "boot/vmlinuz-1")


def test_nothing_named_by_an_archive_is_opened_or_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for name in ("../boot/vmlinuz-evil", "/boot/vmlinuz-6.1", "boot/../../vmlinuz-evil"):
            member = tarfile.TarInfo(name)
            member.size = len(IMAGE)
            archive.addfile(member, io.BytesIO(IMAGE))
        for kind in (tarfile.CHRTYPE, tarfile.FIFOTYPE, tarfile.SYMTYPE, tarfile.LNKTYPE):
            member = tarfile.TarInfo("boot/vmlinuz-device")
            member.type, member.linkname = kind, "/dev/zero"
            archive.addfile(member)
    (tmp_path / "in").mkdir()
    (tmp_path / "in/k.tar").write_bytes(buffer.getvalue())
    monkeypatch.chdir(tmp_path / "in")
    found = read(tmp_path / "in/k.tar")
    assert found.image is not None
    assert found.image.path.name == "vmlinuz-6.1"
    assert [path.name for path in tmp_path.rglob("*")] == ["in", "k.tar"]


def test_a_tar_bomb_ends_in_an_explanation(tmp_path: Path) -> None:
    member = tarfile.TarInfo("boot/System.map")
    member.size = 1 << 40
    head = member.tobuf(tarfile.GNU_FORMAT)
    (tmp_path / "bomb.tar.zst").write_bytes(zstd_frame(head + bytes(64 << 20)))
    assert refusal(tmp_path / "bomb.tar.zst").code == "not-a-kernel"


def test_a_kernel_that_is_cut_off_in_its_archive_is_called_damaged(tmp_path: Path) -> None:
    whole = tar({f"boot/vmlinuz-{RELEASE}": bzimage(PACKINGS["xz"](elf()))})
    (tmp_path / "k.tar").write_bytes(whole[: 512 + 1600 + 100])
    assert refusal(tmp_path / "k.tar").code == "unreadable-kernel"


@given(st.data())
def test_any_archive_gives_a_kernel_or_an_explanation(data: st.DataObject) -> None:
    whole = bytearray(data.draw(st.sampled_from([tar(INSTALLED), deb(tar(INSTALLED))])))
    for at, byte in data.draw(st.lists(st.tuples(st.integers(0, 2000), st.integers(0, 255)), max_size=8)):
        whole[at] = byte
    for _, file in members(of_bytes(bytes(whole[: data.draw(st.integers(0, len(whole)))]))):
        with file as stream:
            assert sum(len(piece) for piece in stream.part(1 << 40)) <= len(whole)


def test_what_an_image_shows_counts_where_no_config_was_seen() -> None:
    hvm = from_bytes(Path("b"), bzimage(gzip.compress(elf(config=None, xen=XEN_HVM_ONLY))))
    known = known_of(Subject(Path("b"), hvm))
    assert (known.value("XEN_PV"), known.value("PHYSICAL_ALIGN"), known.complete) == ("n", "0x200000", False)
    assert audit(known, "pv-x86_64").boots is False
    pv = known_of(Subject(Path("b"), from_bytes(Path("b"), IMAGE)))
    assert audit(pv, "pv-x86_64").boots is None


def test_the_config_beside_an_image_is_taken_and_the_one_within_goes_before_it(tmp_path: Path) -> None:
    put(tmp_path, INSTALLED)
    assert config_of(tmp_path).value("FILLER_0") == "y"
    inside = CONFIG.replace("FILLER_0=y", "FILLER_0=m")
    put(tmp_path, {f"boot/vmlinuz-{RELEASE}": bzimage(gzip.compress(elf(config=inside)))})
    assert config_of(tmp_path).value("FILLER_0") == "m"


def test_parts_that_belong_together_do_not_disagree() -> None:
    image = from_bytes(Path("b"), bzimage(PACKINGS["xz"](elf())))
    compiled = 'CONFIG_CC_VERSION_TEXT="gcc 12"\nCONFIG_KERNEL_XZ=y\n'
    image = replace(image, config=parse(CONFIG + compiled.replace("12", "13")))
    assert disagreements(image, parse(CONFIG + compiled), RELEASE) == []
    assert disagreements(image, None) == []


@pytest.mark.parametrize(
    ("config", "modules", "words"),
    [
        (CONFIG.replace("6.1.192", "6.2.1"), None, "6.2.1"),
        (CONFIG + 'CONFIG_BUILD_SALT="6.1.0-55-amd64"\n', None, "that of 6.1.0-55-amd64"),
        (CONFIG.replace("CONFIG_64BIT=y", "# CONFIG_64BIT is not set"), None, "for x86_64, the config for i386"),
        (CONFIG + "CONFIG_KERNEL_ZSTD=y\n", None, "packed with gzip, the config says zstd"),
        (CONFIG.replace("FILLER_7=y", "FILLER_7=m"), None, "FILLER_7 is y in the image and m in the config"),
        (CONFIG.replace("FILLER", "OTHER"), None, "and 115 more"),
        (CONFIG, "6.1.0-55-amd64", "modules are those of 6.1.0-55-amd64"),
    ],
    ids=["version", "salt", "architecture", "packing", "option", "many options", "modules"],
)
def test_what_an_image_and_its_companions_disagree_on_is_said(config: str, modules: str | None, words: str) -> None:
    image = from_bytes(Path("b"), bzimage(gzip.compress(elf())))
    said = [one.sentence for one in disagreements(image, parse(config), modules)]
    assert any(words in sentence for sentence in said), said
    assert all(sentence.endswith(".") for sentence in said)


def test_a_config_for_xen_and_an_image_without_its_entry_disagree() -> None:
    image = from_bytes(Path("b"), bzimage(gzip.compress(elf(config=None, xen=XEN_HVM_ONLY))))
    assert any("no entry for Xen" in one.sentence for one in disagreements(image, parse(CONFIG)))


def test_a_config_of_another_kernel_says_nothing_of_this_one() -> None:
    image = from_bytes(Path("b"), bzimage(gzip.compress(elf(config=None))))
    other = parse(CONFIG.replace("6.1.192", "5.4.1"))
    verdicts = judged(Subject(Path("b"), image, other), "hvm-x86_64").verdicts
    assert all(verdict.boots is not True for verdict in verdicts)
    assert any("not this image's" in verdict.unknown or verdict.boots is False for verdict in verdicts)
    assert any("5.4.1" in finding.why for verdict in verdicts for finding in verdict.findings)
