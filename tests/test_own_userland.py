"""The user's own userland: what is found in it, how it is checked, and what becomes of it."""

import bz2
import gzip
import hashlib
import json
import lzma
import os
import subprocess
import tarfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import lz4.frame
import pytest
from kernels import CONFIG, RELEASE, bzimage, elf, zstd_frame
from own_userlands import FILES, Content, Layout, fill, layer, path_of, tiny_layer

from wizard import host, questions
from wizard.distro import distros
from wizard.distro.own.found import find, kernel_of
from wizard.explain import Failure, explain, recognise
from wizard.plan.actions import Write
from wizard.plan.build import Occasion, identity, plan, tools_of
from wizard.plan.script import PRELUDE, action_script
from wizard.preview import preview
from wizard.recipe import Kernel, Problem, Recipe, problems_of

TARGET = {"region": "us-east-1", "arch": "x86_64"}
PACKINGS: Mapping[str, Callable[[bytes], bytes]] = {
    "plain": bytes,
    "gzip": gzip.compress,
    "bzip2": bz2.compress,
    "xz": lzma.compress,
    "zstd": zstd_frame,
    "lz4": lz4.frame.compress,
}
by_packing = pytest.mark.parametrize("pack", PACKINGS.values(), ids=PACKINGS.keys())


def recipe(source: Path, **more: Any) -> Recipe:
    distro = {"name": "own", "source": str(source), "unsigned": True, **more}
    return Recipe.model_validate({"name": "own", "target": TARGET, "distro": distro})


def problems(distro: Mapping[str, Any], kernel: Mapping[str, Any] | None = None) -> dict[str, Problem]:
    answers = {"name": "own", "target": TARGET, "distro": {"name": "own", **distro}, "kernel": kernel or {}}
    return {found.place: found for found in problems_of(answers)}


def files_made(wanted: Recipe, folder: Path) -> dict[str, tarfile.TarInfo]:
    """Runs the step as a build does; gives what is in its archive."""
    done = run(wanted, folder)
    assert done.returncode == 0, done.stderr
    with tarfile.open(folder / "bootstrap/root.tar") as tar:
        return {member.name.removeprefix("./"): member for member in tar.getmembers()}


def content(folder: Path, name: str) -> bytes:
    with tarfile.open(folder / "bootstrap/root.tar") as tar:
        file = tar.extractfile(f"./{name}")
        assert file is not None
        return file.read()


def run(wanted: Recipe, folder: Path) -> "subprocess.CompletedProcess[str]":
    step = plan(wanted, Occasion("build", "today")).step("bootstrap")
    for path in ["bootstrap/-", *(action.path for action in step.actions if isinstance(action, Write))]:
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
    script = "\n".join(action_script(action) for action in step.actions)
    environment = {**os.environ, "PATH": host.SEARCH_PATH, "LC_ALL": "C.UTF-8", "TZ": "UTC", "SOURCE_DATE_EPOCH": "1"}
    command = ["bash", "-euo", "pipefail", "-c", f"umask 022\n{PRELUDE}\n{script}"]
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)


# What is found in it.


def test_a_folder_tells_its_name_its_init_its_kernel_and_its_ssh_server(tmp_path: Path) -> None:
    wanted = recipe(fill(tmp_path / "tiny"))
    found = find(wanted.distro, wanted.target)
    assert (found.kind, found.contents.init, found.contents.sshd) == ("a folder", "openrc", "usr/sbin/sshd")
    assert (distros.of(wanted).title, distros.of(wanted).init) == ("Tiny Linux 1", "openrc")
    assert (kernel_of(found).version, kernel_of(found).modules) == (RELEASE, RELEASE)
    assert problems({"source": wanted.distro.source, "unsigned": True}) == {}
    assert tools_of(wanted)


@by_packing
def test_a_tar_archive_tells_the_same_however_it_is_packed(pack: Callable[[bytes], bytes], tmp_path: Path) -> None:
    fill(tmp_path / "tiny")
    (tmp_path / "tiny.tar").write_bytes(pack(layer({f"./{name}": data for name, data in tiny_layer().items()})))
    wanted, in_folder = recipe(tmp_path / "tiny.tar"), recipe(tmp_path / "tiny")
    found = find(wanted.distro, wanted.target)
    assert (found.kind, found.contents.init, found.contents.arch) == ("a tar archive", "openrc", "x86_64")
    assert found.contents.title == find(in_folder.distro, in_folder.target).contents.title
    assert kernel_of(found).version == RELEASE


def test_a_link_into_this_machine_is_not_followed(tmp_path: Path) -> None:
    """A userland that does not run has absolute links; its /lib is not ours."""
    real = fill(tmp_path / "real", {f"usr/lib/modules/{RELEASE}/vmlinuz": FILES[f"boot/vmlinuz-{RELEASE}"]})
    tiny = fill(tmp_path / "tiny", {"sbin/openrc": b"", "etc/hosts": b""})
    (tiny / "usr").symlink_to(real / "usr")
    wanted = recipe(tiny)
    with pytest.raises(Failure, match="no-kernel-in-userland"):
        kernel_of(find(wanted.distro, wanted.target))


def test_an_image_tells_what_its_layers_leave(tmp_path: Path) -> None:
    """The kernel of the lowest layer is taken away by a whiteout, and the second layer brings another."""
    other = "6.6.0-tiny"
    banner = f"Linux version {other} (someone@somewhere) #1 SMP\n\0".encode()
    second: dict[str, Content] = {
        f"boot/.wh.vmlinuz-{RELEASE}": b"",
        f"boot/vmlinuz-{other}": elf(banner=banner),
        "lib/modules/.wh..wh..opq": b"",
        f"lib/modules/{other}/modules.builtin": b"",
    }
    layout = Layout(tmp_path / "image")
    wanted = recipe(layout.index(layout.image([layer(tiny_layer()), layer(second)])))
    found = find(wanted.distro, wanted.target)
    assert found.kind == "an image for containers"
    assert kernel_of(found).version == kernel_of(found).modules == other


def test_of_an_index_the_image_for_the_target_is_taken(tmp_path: Path) -> None:
    layout = Layout(tmp_path / "image")
    arm = {**layout.image([layer({})], "arm64"), "platform": {"architecture": "arm64", "os": "linux"}}
    intel = {**layout.image([layer(tiny_layer())]), "platform": {"architecture": "amd64", "os": "linux"}}
    inner = layout.json({"schemaVersion": 2, "manifests": [arm, intel]}, "index.v1+json")
    wanted = recipe(layout.index(inner))
    image = find(wanted.distro, wanted.target).image
    assert image is not None
    assert image.digests == (intel["digest"], inner["digest"])


# What is refused, and how that is explained.


@pytest.mark.parametrize(
    ("name", "make"),
    [
        ("absolute", {"/etc/passwd": b"mine"}),
        ("dots", {"../outside": b"mine"}),
        ("dots-within", {"usr/../../outside": b"mine"}),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_an_archive_whose_names_lead_out_of_it_is_refused(name: str, make: dict[str, Content], tmp_path: Path) -> None:
    (tmp_path / "bad.tar").write_bytes(layer({**tiny_layer(), **make}))
    wrong = problems({"source": str(tmp_path / "bad.tar"), "unsigned": True})
    assert "leads out of it" in wrong["distro.source"].message


@pytest.mark.parametrize(
    ("made", "words"),
    [
        (b"\x89PNG\r\n\x1a\n" + bytes(600), "a picture"),
        (b"", "an empty file"),
        (gzip.compress(b"text\n" * 100), "gzip data that holds text"),
    ],
    ids=["picture", "empty", "text"],
)
def test_what_is_no_archive_is_told_what_it_looks_like(made: bytes, words: str, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(made)
    assert words in problems({"source": str(tmp_path / "file"), "unsigned": True})["distro.source"].message


def test_a_packed_archive_of_an_image_is_told_to_be_unpacked(tmp_path: Path) -> None:
    layout = Layout(tmp_path / "image")
    packed = gzip.compress(archive_of(layout.index(layout.image([layer(tiny_layer())]))))
    (tmp_path / "image.tar.gz").write_bytes(packed)
    wrong = problems({"source": str(tmp_path / "image.tar.gz"), "unsigned": True})
    assert "a packed archive with an image" in wrong["distro.source"].message


def archive_of(folder: Path) -> bytes:
    return layer(
        {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    )


def test_a_userland_without_init_asks_which_it_is(tmp_path: Path) -> None:
    files = {name: data for name, data in FILES.items() if name != "sbin/openrc"}
    source = str(fill(tmp_path / "tiny", files))
    assert list(problems({"source": source, "unsigned": True})) == ["distro.init"]
    assert problems({"source": source, "unsigned": True, "init": "openrc"}) == {}


def test_without_a_kernel_the_user_gives_one(tmp_path: Path) -> None:
    source = str(fill(tmp_path / "tiny", {"sbin/openrc": b""}))
    wrong = problems({"source": source, "unsigned": True})
    assert "Give your own" in wrong["kernel.source"].message
    image = fill(tmp_path / "other") / f"boot/vmlinuz-{RELEASE}"
    assert problems({"source": source, "unsigned": True}, {"source": "files", "image": str(image)}) == {}


def test_an_archive_without_a_checksum_needs_an_explicit_yes(tmp_path: Path) -> None:
    (tmp_path / "tiny.tar").write_bytes(layer(tiny_layer()))
    source = str(tmp_path / "tiny.tar")
    assert "sha256sum tiny.tar" in problems({"source": source})["distro.checksum"].message
    assert problems({"source": source, "unsigned": True}) == {}
    assert problems({"source": source, "checksum": f"sha256:{'0' * 64}"}) == {}


@pytest.mark.skipif(os.geteuid() != 0, reason="gives a folder away")
def test_a_folder_of_another_user_is_refused_where_its_owners_cannot_be_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = fill(tmp_path / "tiny")
    monkeypatch.setattr(os, "geteuid", lambda: 1234)
    assert "another user" in problems({"source": str(folder), "unsigned": True})["distro.source"].message
    os.chown(folder, 1234, 1234)
    os.chown(folder / "etc", 1234, 1234)
    assert problems({"source": str(folder), "unsigned": True}) == {}


def test_an_own_source_and_another_distribution_contradict_each_other(tmp_path: Path) -> None:
    assert problems({"name": "debian", "source": str(tmp_path)})["distro.source"].suggestion == 'name = "own"'


def test_programs_for_another_processor_are_found_out(tmp_path: Path) -> None:
    wanted = recipe(fill(tmp_path / "tiny"))
    with pytest.raises(Failure, match="userland-of-another-architecture"):
        find(wanted.distro, wanted.target.model_copy(update={"arch": "arm64"}))


@pytest.mark.parametrize("break_it", ["missing", "altered", "not-json", "no-manifests"])
def test_an_image_that_is_not_whole_is_refused(break_it: str, tmp_path: Path) -> None:
    layout = Layout(tmp_path / "image")
    manifest = layout.image([layer(tiny_layer())])
    folder = layout.index(manifest)
    match break_it:
        case "missing":
            path_of(folder, manifest).unlink()
        case "altered":
            path_of(folder, manifest).write_bytes(path_of(folder, manifest).read_bytes() + b" ")
        case "not-json":
            (folder / "index.json").write_text("{")
        case _:
            (folder / "index.json").write_text("[]")
    wanted = recipe(folder)
    with pytest.raises(Failure, match="broken-image") as caught:
        find(wanted.distro, wanted.target)
    assert "not known" not in explain(caught.value).what


def test_a_digest_that_would_lead_to_another_folder_is_none(tmp_path: Path) -> None:
    layout = Layout(tmp_path / "image")
    wanted = recipe(layout.index({**layout.image([layer({})]), "digest": f"sha256:{'../' * 21}a"}))
    with pytest.raises(Failure, match="broken-image"):
        find(wanted.distro, wanted.target)


def test_several_images_and_none_for_the_target_are_told_apart(tmp_path: Path) -> None:
    layout = Layout(tmp_path / "several")
    several = recipe(layout.index(layout.image([layer({})]), layout.image([layer({"a": b""})])))
    with pytest.raises(Failure, match="several-images"):
        find(several.distro, several.target)
    layout = Layout(tmp_path / "none")
    none = recipe(layout.index(layout.image([layer({})], "arm64")))
    with pytest.raises(Failure, match="no-such-image"):
        find(none.distro, none.target)


# What its identity is.


def test_a_checksum_is_what_an_archive_is_known_by(tmp_path: Path) -> None:
    (tmp_path / "tiny.tar").write_bytes(layer(tiny_layer()))
    (tmp_path / "moved.tar").write_bytes(layer(tiny_layer()))
    digest = f"sha256:{hashlib.sha256(layer(tiny_layer())).hexdigest()}"
    first = identity(recipe(tmp_path / "tiny.tar", checksum=digest))
    assert identity(recipe(tmp_path / "moved.tar", checksum=digest)) == first
    assert identity(recipe(tmp_path / "moved.tar")) == identity(recipe(tmp_path / "tiny.tar"))
    (tmp_path / "moved.tar").write_bytes(layer({**tiny_layer(), "new": b""}))
    assert identity(recipe(tmp_path / "moved.tar")) != identity(recipe(tmp_path / "tiny.tar"))


def test_the_step_is_the_same_on_another_day(tmp_path: Path) -> None:
    wanted = recipe(fill(tmp_path / "tiny"))
    keys = [plan(wanted, Occasion("build", day)).keys()["bootstrap"] for day in ("2026-01-01", "2026-01-02")]
    assert keys[0] == keys[1]
    (tmp_path / "tiny/new").touch()
    assert plan(wanted, Occasion("build", "2026-01-01")).keys()["bootstrap"] != keys[0]


# What becomes of it, by the real tools.

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="the files of the test belong to root")


def check_made(files: Mapping[str, tarfile.TarInfo]) -> None:
    assert "etc/ssh/ssh_host_rsa_key" not in files
    assert "etc/machine-id" not in files
    assert files["boot/vmlinuz"].linkname == f"vmlinuz-{RELEASE}"
    assert "boot/initrd.img" not in files
    assert files["tmp"].mode == 0o1777
    assert files["bin/busybox"].size > 0


@needs_root
def test_a_folder_becomes_a_root_file_system(tmp_path: Path) -> None:
    check_made(files_made(recipe(fill(tmp_path / "tiny")), tmp_path))


@needs_root
@by_packing
def test_an_archive_becomes_a_root_file_system(pack: Callable[[bytes], bytes], tmp_path: Path) -> None:
    (tmp_path / "tiny.tar").write_bytes(pack(layer(tiny_layer())))
    digest = hashlib.sha256((tmp_path / "tiny.tar").read_bytes()).hexdigest()
    check_made(files_made(recipe(tmp_path / "tiny.tar", checksum=f"sha256:{digest}", unsigned=False), tmp_path))


@needs_root
@pytest.mark.parametrize("form", ["layout", "oci-archive", "docker-archive", "zstd"])
def test_an_image_becomes_a_root_file_system_layer_by_layer(form: str, tmp_path: Path) -> None:
    layout = Layout(tmp_path / "image")
    first = layer({**tiny_layer(), "gone": b"1", "emptied/a": b"1", "kept/a": b"1"})
    second = layer({".wh.gone": b"", "emptied/.wh..wh..opq": b"", "emptied/b": b"2", "kept/b": b"2", "bin/sh": b"new"})
    manifest = layout.image([first, second])
    folder = layout.index({**manifest, "annotations": {"org.opencontainers.image.ref.name": "tiny"}})
    source, checksum = stored(folder, form, tmp_path), manifest["digest"]
    if form == "docker-archive":
        checksum = f"sha256:{hashlib.sha256(source.read_bytes()).hexdigest()}"
    more = {"unsigned": True} if form == "zstd" else {"checksum": checksum, "unsigned": False}
    files = files_made(recipe(source, **more), tmp_path)
    check_made(files)
    assert "gone" not in files
    assert {"emptied/b", "kept/a", "kept/b"} <= files.keys()
    assert "emptied/a" not in files
    assert content(tmp_path, "bin/sh") == b"new"
    assert not (tmp_path / "bootstrap/image").exists()


def stored(folder: Path, form: str, place: Path) -> Path:
    """The image in another form: an archive by hand, the others by skopeo."""
    match form:
        case "layout":
            return folder
        case "oci-archive":
            (place / "image.tar").write_bytes(archive_of(folder))
            return place / "image.tar"
        case "docker-archive":
            target = f"docker-archive:{place}/docker.tar:tiny:latest"
            subprocess.run(["skopeo", "--insecure-policy", "copy", "-q", f"oci:{folder}:tiny", target], check=True)
            return place / "docker.tar"
        case _:
            options = ["--dest-compress", "--dest-compress-format", "zstd"]
            target = f"oci:{place}/zstd:tiny"
            command = ["skopeo", "--insecure-policy", "copy", "-q", *options, f"oci:{folder}:tiny", target]
            subprocess.run(command, check=True)
            return place / "zstd"


@needs_root
def test_a_layer_cannot_reach_out_of_the_userland(tmp_path: Path) -> None:
    """A link in one layer, and in the next a file behind it and a whiteout behind it."""
    (tmp_path / "victim").mkdir()
    (tmp_path / "victim/file").write_text("mine")
    layout = Layout(tmp_path / "image")
    first = layer({**tiny_layer(), "opt": str(tmp_path / "victim")})
    second = layer({"opt/new": b"theirs", "opt/.wh.file": b"", "../outside": b"theirs"})
    files_made(recipe(layout.index(layout.image([first, second]))), tmp_path)
    assert os.listdir(tmp_path / "victim") == ["file"]  # noqa: PTH208
    assert not (tmp_path / "outside").exists()


@needs_root
@pytest.mark.parametrize("place", ["etc", "boot", "var/lib/seedrng"])
def test_a_link_where_files_are_written_later_is_refused(place: str, tmp_path: Path) -> None:
    entries = {name: data for name, data in tiny_layer().items() if not name.startswith(f"{place}/")}
    (tmp_path / "tiny.tar").write_bytes(layer({**entries, place: str(tmp_path), "usr/lib/os-release": b""}))
    kernel = fill(tmp_path / "kernel") / f"boot/vmlinuz-{RELEASE}"
    done = run(with_kernel(recipe(tmp_path / "tiny.tar"), kernel), tmp_path)
    assert done.returncode != 0
    assert f"unpack: /{place} is a link that leads out of the userland" in done.stderr


@needs_root
def test_another_file_than_the_one_with_that_checksum_is_not_used(tmp_path: Path) -> None:
    (tmp_path / "tiny.tar").write_bytes(layer(tiny_layer()))
    done = run(recipe(tmp_path / "tiny.tar", checksum=f"sha256:{'0' * 64}"), tmp_path)
    assert done.returncode != 0
    failure = recognise("printf", done.stdout + done.stderr)
    assert failure is not None
    assert failure.code == "bad-checksum"
    assert not (tmp_path / "bootstrap/root.tar").exists()


@needs_root
@pytest.mark.parametrize("break_it", ["altered", "cut"])
def test_a_layer_that_is_not_what_its_digest_says_is_not_used(break_it: str, tmp_path: Path) -> None:
    layout = Layout(tmp_path / "image")
    manifest = layout.image([layer(tiny_layer()), layer({"a": b"theirs" * 100})])
    wanted = recipe(layout.index(manifest))
    top = json.loads(path_of(layout.folder, manifest).read_text())["layers"][-1]
    blob = path_of(layout.folder, top)
    others = gzip.compress(layer({"a": b"others" * 100}), mtime=0)
    blob.write_bytes(others if break_it == "altered" else blob.read_bytes()[:-30])
    done = run(wanted, tmp_path)
    assert done.returncode != 0
    failure = recognise("umoci", done.stdout + done.stderr)
    assert failure is not None, done.stderr
    assert failure.code == "damaged-image"


@needs_root
def test_a_kernel_of_ones_own_is_put_where_the_userland_has_its_modules(tmp_path: Path) -> None:
    """In a userland whose /lib is no link; its own tool makes the initramfs."""
    maker = f"""#!/bin/sh
[ "$*" = "-c -k {RELEASE}" ] || exit 1
[ -e /dev/null ] && [ -d /proc/self ] && echo made > /boot/initrd.img-{RELEASE}
"""
    files = {**{n: d for n, d in FILES.items() if "boot" not in n}, "usr/sbin/update-initramfs": maker.encode()}
    tiny = fill(tmp_path / "tiny", files)
    (tiny / "usr/sbin/update-initramfs").chmod(0o755)
    (tiny / "bin/mv").symlink_to("busybox")
    image = bzimage(gzip.compress(elf(config=f"{CONFIG}CONFIG_EXT4_FS=m\n")))
    kernel = fill(tmp_path / "kernel", {**FILES, f"boot/vmlinuz-{RELEASE}": image})
    path, modules = kernel / f"boot/vmlinuz-{RELEASE}", str(kernel / f"lib/modules/{RELEASE}")
    wanted = with_kernel(recipe(tiny), path, modules=modules)
    (tmp_path / "kernel").mkdir(exist_ok=True)
    script = plan(wanted, Occasion("build", "today")).step("kernel")
    actions = "\n".join(action_script(action) for action in script.actions)
    subprocess.run(["bash", "-euo", "pipefail", "-c", f"{PRELUDE}\n{actions}"], cwd=tmp_path, check=True)
    files_in = files_made(wanted, tmp_path)
    assert files_in["boot/vmlinuz"].linkname == f"vmlinuz-{RELEASE}"
    assert files_in["boot/initrd.img"].linkname == f"initrd.img-{RELEASE}"
    assert content(tmp_path, f"boot/initrd.img-{RELEASE}") == b"made\n"
    assert f"lib/modules/{RELEASE}/modules.dep" in files_in
    assert f"usr/lib/modules/{RELEASE}" not in files_in


def with_kernel(wanted: Recipe, image: Path, **more: str) -> Recipe:
    kernel = Kernel.model_validate({"source": "files", "image": str(image), **more})
    return wanted.model_copy(update={"kernel": kernel})


def test_the_family_asks_for_the_programs_that_it_calls(tmp_path: Path) -> None:
    (tmp_path / "tiny.tar").write_bytes(lzma.compress(layer(tiny_layer())))
    assert "xz" in tools_of(recipe(tmp_path / "tiny.tar"))
    layout = Layout(tmp_path / "image")
    assert "umoci" in tools_of(recipe(layout.index(layout.image([layer(tiny_layer())]))))
    kernel = fill(tmp_path / "kernel") / f"boot/vmlinuz-{RELEASE}"
    assert "depmod" in tools_of(with_kernel(recipe(tmp_path / "tiny.tar"), kernel))
    assert "depmod" not in tools_of(recipe(tmp_path / "tiny.tar"))


# What is asked, and shown.


def answers(source: Path, **more: str) -> dict[str, str]:
    return {"target.arch": "x86_64", "distro.name": "own", "distro.source": str(source), **more}


def asked(given: Mapping[str, str]) -> list[str]:
    return [question.path for question in questions.ask("distro", given) if question.path.startswith("distro")]


def test_who_chooses_an_own_userland_is_asked_for_its_path_and_then_whether_it_is_checked(tmp_path: Path) -> None:
    folder = fill(tmp_path / "tiny")
    (tmp_path / "tiny.tar").write_bytes(layer(tiny_layer()))
    assert asked({"distro.name": "own"}) == ["distro.name", "distro.source"]
    assert asked(answers(folder)) == ["distro.name", "distro.source", "distro.unsigned"]
    in_archive = answers(tmp_path / "tiny.tar")
    assert asked(in_archive) == ["distro.name", "distro.source", "distro.checksum", "distro.unsigned"]
    assert asked({**in_archive, "distro.checksum": f"sha256:{'0' * 64}"})[-1] == "distro.checksum"


def test_the_init_is_asked_for_only_where_it_cannot_be_told(tmp_path: Path) -> None:
    folder = fill(tmp_path / "tiny", {"usr/sbin/sshd": b""})
    assert asked(answers(folder))[-1] == "distro.init"


def test_the_preview_says_what_was_found(tmp_path: Path) -> None:
    shown = preview("distro", answers(fill(tmp_path / "tiny"), **{"distro.unsigned": "True"}))
    for words in ("Tiny Linux 1", "openrc", RELEASE, "/usr/sbin/sshd", "nothing, as you said"):
        assert words in shown
    assert "must be true for a folder" in preview("distro", answers(tmp_path / "tiny"))


def test_the_kernel_of_an_own_userland_is_offered_once_it_was_found(tmp_path: Path) -> None:
    with_one, without = fill(tmp_path / "tiny"), fill(tmp_path / "bare", {"sbin/openrc": b""})
    offered = questions.find("kernel.source").options(answers(with_one))[0]
    assert (offered.note, offered.impossible) == (RELEASE, "")
    assert "no kernel" in questions.find("kernel.source").options(answers(without))[0].impossible
    assert RELEASE in preview("kernel", answers(with_one))


def test_the_answers_of_a_recipe_give_the_same_recipe_again(tmp_path: Path) -> None:
    wanted = recipe(fill(tmp_path / "tiny"))
    again = questions.recipe(questions.known(questions.answers_of(wanted)))
    assert again.distro == wanted.distro
