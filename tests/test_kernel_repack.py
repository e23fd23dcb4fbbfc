"""A kernel that PV-GRUB cannot load, repacked as one that it can."""

import gzip
import shutil
import subprocess
from pathlib import Path

import pytest
from click.testing import CliRunner
from kernels import PACKINGS, XEN_HVM_ONLY, arm64_image, bzimage, elf, zstd_frame

from wizard import host
from wizard.cli.audit import audit
from wizard.explain import Failure, explain
from wizard.kernel.image import from_bytes, read_image
from wizard.kernel.repack import UNPACKERS, programs_of, repack, repack_commands

FORMS = {f"bzImage-{name}": (name, bzimage(pack(elf()))) for name, pack in PACKINGS.items()}
FORMS |= {"vmlinux": ("none", elf()), "vmlinux-gzip": ("gzip", gzip.compress(elf()))}
FORMS |= {"vmlinux-zstd": ("zstd", zstd_frame(elf()))}


def needs(packing: str) -> None:
    program = (UNPACKERS[packing] or "gzip").split()[0]
    if shutil.which(program) is None:
        pytest.skip(f"{program} is not here")


@pytest.mark.parametrize("form", FORMS)
def test_the_result_is_the_whole_payload_with_its_notes_and_gzip(form: str, tmp_path: Path) -> None:
    packing, content = FORMS[form]
    needs(packing)
    source, target = tmp_path / "it's a kernel", tmp_path / "fixed"
    source.write_bytes(content)
    done = repack(read_image(source), target)
    assert gzip.decompress(target.read_bytes()) == elf()
    assert (done.path, done.kind, done.compression) == (target, "vmlinux", "gzip")
    assert done.starts_paravirtual
    assert sorted(path.name for path in tmp_path.iterdir()) == ["fixed", "it's a kernel"]


def test_the_bytes_are_always_the_same_and_those_of_the_commands(tmp_path: Path) -> None:
    needs("zstd")
    source = tmp_path / "-dash"
    source.write_bytes(FORMS["bzImage-zstd"][1])
    image = read_image(source)
    repack(image, tmp_path / "a")
    source.touch()
    repack(image, tmp_path / "b")
    lines = repack_commands(image, "-dash", "c")
    subprocess.run(["bash", "-euo", "pipefail", "-c", "\n".join(lines)], cwd=tmp_path, check=True)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes() == (tmp_path / "c").read_bytes()
    assert (tmp_path / "a").read_bytes()[4:8] == bytes(4)  # no time


@pytest.mark.parametrize(
    ("content", "code", "words"),
    [
        (bzimage(gzip.compress(elf(xen={}))), "not-for-xen", "no notes for Xen"),
        (bzimage(gzip.compress(elf(3, xen=XEN_HVM_ONLY)), load_flags=0), "not-for-xen", "Linux 5.8"),
        (arm64_image(), "not-for-xen", "arm64"),
        (bzimage(b"\xa7\x1c" + bytes(100)), "unknown-packing", "2.6.26"),
        (bzimage(gzip.compress(elf()), protocol=0x207), "unknown-packing", "2.6.26"),
    ],
    ids=["no-notes", "no-entry", "arm64", "unknown", "too-old"],
)
def test_a_kernel_that_repacking_would_not_help_is_refused(content: bytes, code: str, words: str) -> None:
    with pytest.raises(Failure) as caught:
        repack_commands(from_bytes(Path("vmlinuz"), content), "a", "b")
    explanation = explain(caught.value)
    assert explanation.code == code
    assert words in explanation.what + explanation.why


def test_a_program_that_is_missing_is_asked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    image = from_bytes(Path("vmlinuz"), FORMS["bzImage-lz4"][1])
    assert programs_of(image) == ["lz4"]
    monkeypatch.setattr(host, "SEARCH_PATH", str(tmp_path))
    with pytest.raises(Failure) as caught:
        repack(image, tmp_path / "fixed")
    assert caught.value.code == "missing-programs"


def test_a_result_that_cannot_be_written_leaves_nothing(tmp_path: Path) -> None:
    source = tmp_path / "vmlinuz"
    source.write_bytes(FORMS["bzImage-gzip"][1])
    with pytest.raises(Failure) as caught:
        repack(read_image(source), tmp_path / "no-folder" / "fixed")
    assert caught.value.code == "repacking-failed"
    assert caught.value.evidence


def test_a_kernel_that_changed_since_it_was_read_is_not_passed_off_as_repacked(tmp_path: Path) -> None:
    source, target = tmp_path / "vmlinuz", tmp_path / "fixed"
    source.write_bytes(FORMS["bzImage-gzip"][1])
    image = read_image(source)
    target.write_bytes(b"before")
    source.write_bytes(bzimage(gzip.compress(b"something else" * 100)))
    with pytest.raises(Failure):
        repack(image, target)
    assert target.read_bytes() == b"before"
    assert len(list(tmp_path.iterdir())) == 2


def test_fix_writes_the_kernel_and_keeps_json_alone_on_standard_output(tmp_path: Path) -> None:
    source, target = tmp_path / "vmlinuz", tmp_path / "fixed.gz"
    source.write_bytes(FORMS["bzImage-gzip"][1])
    result = CliRunner().invoke(audit, [str(source), "--json", "--fix", str(target)], standalone_mode=False)
    assert result.stdout.startswith('{"subjects"')
    assert result.stdout.count("\n") == 1
    assert "fixed.gz" in result.stderr
    assert read_image(target).starts_paravirtual


def test_fix_wants_one_kernel_and_another_name(tmp_path: Path) -> None:
    source = tmp_path / "vmlinuz"
    source.write_bytes(FORMS["bzImage-gzip"][1])
    for arguments in ([source, source, "--fix", tmp_path / "out"], [source, "--fix", source]):
        result = CliRunner().invoke(audit, [str(argument) for argument in arguments])
        assert result.exit_code == 2
    (tmp_path / "config").write_text("CONFIG_64BIT=y\n")
    result = CliRunner().invoke(
        audit, [str(tmp_path / "config"), "--fix", str(tmp_path / "out")], standalone_mode=False
    )
    assert isinstance(result.exception, Failure)
    assert result.exception.code == "nothing-to-repack"
    assert source.read_bytes() == FORMS["bzImage-gzip"][1]


@pytest.mark.slow
@pytest.mark.parametrize("flavour", ["amd64", "cloud-amd64"])
def test_debians_own_kernel_is_read_and_repacked(flavour: str, tmp_path: Path) -> None:
    if shutil.which("apt-get") is None:
        pytest.skip("apt-get is not here")
    said = subprocess.run(
        ["apt-cache", "depends", "--no-recommends", "--no-suggests", f"linux-image-{flavour}"],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    package = said.stdout.split("Depends: ")[1].split()[0]
    subprocess.run(["apt-get", "download", "-qq", package], cwd=tmp_path, check=True)
    archive = next(tmp_path.glob("*.deb"))
    subprocess.run(["dpkg-deb", "-x", archive, tmp_path / "root"], check=True)
    image = read_image(next((tmp_path / "root/boot").glob("vmlinuz-*")))
    assert image.version == package.removeprefix("linux-image-")
    assert image.compression in ("xz", "lz4", "zstd")
    needs(image.compression)
    done = repack(image, tmp_path / "fixed.gz")
    assert (done.version, done.xen) == (image.version, image.xen)
    assert done.starts_paravirtual
