"""Kernel configs: what is read from them."""

import bz2
import gzip
import lzma
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wizard import presets
from wizard.explain import Failure
from wizard.kernel.config import parse, read_config, recorded

HEADER = "#\n# Automatically generated file; DO NOT EDIT.\n# Linux/x86 6.1.192 Kernel Configuration\n#\n"
RECORDED = ("debian-bookworm-cloud-amd64", "debian-bookworm-amd64", "debian-bookworm-cloud-arm64")


def whole(lines: str = "", header: str = HEADER) -> str:
    """A config long enough to be taken for a whole one."""
    return header + lines + "".join(f"CONFIG_FILLER_{number}=y\n" for number in range(60))


def test_the_version_and_architecture_come_from_the_header() -> None:
    assert parse(whole("CONFIG_64BIT=y\n")).version == (6, 1, 192)
    assert parse(whole("CONFIG_64BIT=y\n")).arch == "x86_64"
    assert parse(whole("# CONFIG_64BIT is not set\n")).arch == "i386"
    assert parse(whole(header="# Linux/arm64 6.12.0-rc3 Kernel Configuration\n")).arch == "arm64"
    assert parse(whole(header="# Linux/riscv 6.12.0 Kernel Configuration\n")).arch == "riscv"


def test_an_old_header_gives_the_version_too() -> None:
    old = parse(whole("CONFIG_X86_32=y\n", "# Linux kernel version: 2.6.32\n"))
    assert (old.version, old.arch) == ((2, 6, 32), "i386")
    assert parse(whole(header="# Linux/i386 3.0.4 Kernel Configuration\n")).arch == "i386"


def test_without_a_header_the_options_tell() -> None:
    found = parse(whole('CONFIG_BUILD_SALT="6.1.0-56-amd64"\nCONFIG_X86_64=y\n', header=""))
    assert (found.version, found.arch) == ((6, 1, 0), "x86_64")


def test_an_option_that_is_not_set_differs_from_one_that_is_not_mentioned() -> None:
    found = parse('# CONFIG_XEN is not set\nCONFIG_EXT4_FS=m\nCONFIG_CMDLINE="a=b c"\n')
    assert (found.value("XEN"), found.value("XEN_PV"), found.value("CMDLINE")) == ("n", None, "a=b c")
    assert found.has("EXT4_FS")
    assert not found.has("XEN")


def test_the_last_word_on_an_option_counts_as_in_the_kernels_own_build() -> None:
    assert parse("CONFIG_XEN=y\n# CONFIG_XEN is not set\n").value("XEN") == "n"


def test_dos_line_ends_and_a_byte_order_mark_do_not_matter() -> None:
    found = parse("\ufeff" + whole("CONFIG_64BIT=y\n").replace("\n", "\r\n"))
    assert (found.version, found.arch, found.value("64BIT"), found.complete) == ((6, 1, 192), "x86_64", "y", True)


@pytest.mark.parametrize("pack", [bytes, gzip.compress, bz2.compress, lzma.compress])
def test_a_packed_config_is_read_like_a_plain_one(tmp_path: Path, pack: Callable[[bytes], bytes]) -> None:
    path = tmp_path / "config"
    path.write_bytes(pack(whole("CONFIG_64BIT=y\n").encode()))
    assert read_config(path).arch == "x86_64"


def test_a_short_or_empty_config_is_not_complete() -> None:
    assert not parse("").complete
    assert not parse("# Linux/x86 6.1.0 Kernel Configuration\nCONFIG_XEN=y\n").complete
    assert parse(whole()).complete


def test_a_config_that_breaks_off_is_not_complete() -> None:
    assert not parse(whole() + "CONFIG_EXT4").complete
    menus = whole("#\n# General setup\n#\n")
    assert not parse(menus).complete
    assert parse(menus + "#\n# Library routines\n#\n#\n# Kernel hacking\n#\n").complete


def test_a_gzipped_config_that_breaks_off_is_not_complete(tmp_path: Path) -> None:
    path = tmp_path / "config.gz"
    path.write_bytes(gzip.compress(whole().encode())[:-30])
    assert not read_config(path).complete


def test_something_else_is_refused_and_named(tmp_path: Path) -> None:
    path = tmp_path / "config"
    path.write_text("<!DOCTYPE html><html>404 Not Found</html>")
    with pytest.raises(Failure) as caught:
        read_config(path)
    assert caught.value.code == "not-a-config"
    assert "HTML" in caught.value.facts["looks"]


@pytest.mark.parametrize("name", [*RECORDED, "debian-bookworm-686-pae"])
def test_debians_recorded_configs_say_what_they_are(name: str) -> None:
    found = recorded(name)
    assert found.complete
    assert found.version is not None
    assert found.version[:2] == (6, 1)
    assert found.arch == {"4": "x86_64", "e": "i386"}[name[-1]] if "arm64" not in name else "arm64"


def test_every_recorded_config_can_be_asked_for_by_its_name_and_no_other() -> None:
    for path in (presets.ROOT / "kernel" / "configs").glob("*.config"):
        assert recorded(path.stem).options
    with pytest.raises(Failure) as caught:
        recorded("../../../etc/passwd")
    assert caught.value.code == "unknown-recorded-config"


def test_a_hostile_line_does_not_take_for_ever() -> None:
    found = parse(("CONFIG_A=" + " \t" * 100_000 + "x\n") * 4 + "# CONFIG_A is not set" + " " * 100_000 + "x\n")
    assert found.value("A") is not None, "a pattern that backtracks would not come back"


@given(st.text(max_size=400))
def test_any_text_is_parsed_without_an_error_and_never_taken_for_a_whole_config(text: str) -> None:
    assert not parse(text).complete
