"""The config fragment that mends a kernel, up to the kernel's own merge_config.sh and olddefconfig."""

import json
import os
import subprocess
from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import click
import pytest
from click.testing import CliRunner, Result
from hypothesis import given, settings
from hypothesis import strategies as st

from wizard import presets
from wizard.cli.audit import audit as audit_command
from wizard.explain import Failure
from wizard.kernel.audit import Start, Verdict, audit
from wizard.kernel.config import KernelConfig, parse, read_config, recorded, unseen
from wizard.kernel.fragment import fragment, mend
from wizard.kernel.needs import Kernel, choice, exists, needs
from wizard.kernel.profiles import Version, profile

CONFIGS = presets.ROOT / "kernel" / "configs"
AMD64 = CONFIGS / "debian-bookworm-amd64.config"
CLOUD = CONFIGS / "debian-bookworm-cloud-amd64.config"

KERNELS = [
    ("pv-i386", (2, 6, 32)),
    ("pv-i386", (5, 4)),
    ("pv-x86_64", (3, 0, 4)),
    ("pv-x86_64", (6, 12)),
    ("hvm-x86_64", (4, 14)),
    ("hvm-x86_64", (6, 12)),
    ("hvm-arm64", (6, 12)),
    ("hvm-arm64", None),
]


def config_of(name: str, version: Version | None, options: Mapping[str, str]) -> KernelConfig:
    filler = {f"FILLER_{number}": "y" for number in range(60)}
    return KernelConfig({**filler, **options}, version, profile(name).arch)


def with_fragment(config: KernelConfig, text: str) -> KernelConfig:
    return replace(config, options={**config.options, **parse(text).options})


def worst(verdict: Verdict) -> set[str]:
    return {finding.option for finding in verdict.findings if finding.severity != "recommended"}


def options_in(text: str) -> list[str]:
    """Each option as often as the fragment sets it, in its order."""
    lines = [line.removeprefix("# ") for line in text.splitlines() if parse(line).options]
    return [line.removeprefix("CONFIG_").replace("=", " ").split()[0] for line in lines]


@st.composite
def kernels(draw: st.DrawFn) -> tuple[str, KernelConfig]:
    """A config with a random value, or none, for every option that its profile names."""
    name, version = draw(st.sampled_from(KERNELS))
    names = sorted({rule.name for rule in profile(name).rules} | {"BLK_DEV", "NETDEVICES", "ETHERNET", "KERNEL_XZ"})
    options = draw(st.dictionaries(st.sampled_from(names), st.sampled_from("ymn")))
    return name, config_of(name, version, options)


@settings(max_examples=150, deadline=None)
@given(kernels(), st.booleans())
def test_a_config_with_its_fragment_is_fit(kernel: tuple[str, KernelConfig], recommended: bool) -> None:
    name, config = kernel
    text = fragment(config, [audit(config, name)], recommended=recommended)
    assert worst(audit(with_fragment(config, text), name)) == set()


@settings(max_examples=150, deadline=None)
@given(kernels(), st.booleans())
def test_each_option_stands_once_and_after_what_it_needs(kernel: tuple[str, KernelConfig], recommended: bool) -> None:
    name, config = kernel
    verdicts = [audit(config, name)]
    text = fragment(config, verdicts, recommended=recommended)
    assert set(Counter(options_in(text)).values()) <= {1}
    assert options_in(text) == [one.option for one in mend(config, verdicts, recommended=recommended).settings]
    values = parse(text).options
    before: set[str] = set()
    for option in options_in(text):
        if values[option] != "n":
            for need in needs(option, Kernel(config.version, profile(name).arch)):
                assert need in before or config.has(need)
        before.add(option)


@settings(max_examples=50, deadline=None)
@given(kernels())
def test_of_a_choice_exactly_one_is_left_on(kernel: tuple[str, KernelConfig]) -> None:
    name, config = kernel
    merged = with_fragment(config, fragment(config, [audit(config, name)]))
    for option in parse(fragment(config, [audit(config, name)])).options:
        if members := choice(option, Kernel(config.version, config.arch)):
            assert [merged.value(member) for member in members].count("y") == 1


@pytest.mark.parametrize("name", ["pv-i386", "pv-x86_64", "hvm-x86_64", "hvm-arm64"])
def test_what_an_option_needs_never_leads_back_to_it(name: str) -> None:
    def follow(option: str, path: tuple[str, ...]) -> None:
        assert option not in path, " needs ".join((*path, option))
        for need in needs(option, Kernel(None, profile(name).arch)):
            follow(need, (*path, option))

    for rule in profile(name).rules:
        follow(rule.name, ())


def test_every_table_of_needs_says_where_that_is_written() -> None:
    tables = presets.load("kernel-needs")
    for table in [*tables["option"], *tables["choice"]]:
        assert table["source"]
    for table in tables["option"]:
        assert set(table) <= {"name", "needs", "without", "since", "until", "arch", "instead", "source"}


def test_a_dependency_bears_the_name_that_the_version_has() -> None:
    for version, gate, other in (
        ((3, 9, 1), "PARAVIRT_GUEST", "HYPERVISOR_GUEST"),
        ((3, 10), "HYPERVISOR_GUEST", "PARAVIRT_GUEST"),
    ):
        config = config_of("pv-x86_64", version, {"64BIT": "y"})
        order = options_in(fragment(config, [audit(config, "pv-x86_64")]))
        assert order.index(gate) < order.index("PARAVIRT") < order.index("XEN") < order.index("XEN_BLKDEV_FRONTEND")
        assert other not in order
        assert "XEN_PV" not in order
        assert not exists("XEN_PV", Kernel(version, "x86_64"))


def test_an_lz4_kernel_becomes_a_gzip_one_and_no_other_packing_stays_on() -> None:
    cloud = recorded("debian-bookworm-cloud-amd64")
    text = fragment(cloud, [audit(cloud, "pv-x86_64"), audit(cloud, "hvm-x86_64")])
    assert parse(text).options == {
        "KERNEL_GZIP": "y",
        **dict.fromkeys(("KERNEL_BZIP2", "KERNEL_LZMA", "KERNEL_XZ", "KERNEL_LZO", "KERNEL_LZ4", "KERNEL_ZSTD"), "n"),
    }
    assert "hvm-x86_64" not in text


def test_a_disk_driver_is_built_in_and_one_that_hangs_on_a_module_is_a_module() -> None:
    amd64 = recorded("debian-bookworm-amd64")
    options = {"BLK_DEV_NVME": "m", "TCG_TPM": "m", "TCG_CRB": "n", "ACPI": "y", "MODULES": "y"}
    config = replace(amd64, options={**amd64.options, **options})
    verdict = audit(config, "hvm-x86_64", Start(initramfs=frozenset()))
    assert parse(fragment(config, [verdict])).options["BLK_DEV_NVME"] == "y"
    assert parse(fragment(config, [verdict], recommended=True)).options["TCG_CRB"] == "m"


def test_what_an_early_driver_needs_is_built_in_too() -> None:
    amd64 = recorded("debian-bookworm-amd64")
    config = replace(amd64, options={**amd64.options, "BLK_DEV_NVME": "m", "NVME_CORE": "n"})
    options = parse(fragment(config, [audit(config, "hvm-x86_64")])).options
    assert (options["BLK_DEV_NVME"], options["NVME_CORE"]) == ("y", "y")


def test_what_no_option_mends_is_said_with_what_helps() -> None:
    pae = recorded("debian-bookworm-686-pae")
    text = fragment(pae, [audit(pae, "pv-i386")])
    assert parse(text).options == {}
    assert "XEN_PV: 32-bit PV ended with Linux 5.8" in text
    foreign = fragment(pae, [audit(pae, "hvm-arm64")])
    assert parse(foreign).options == {}
    assert "hvm-arm64: this config is for i386" in foreign


def test_a_64_bit_config_is_made_a_32_bit_one() -> None:
    config = config_of("pv-x86_64", (5, 4), {"64BIT": "y"})
    text = fragment(config, [audit(config, "pv-i386")])
    assert options_in(text)[:2] == ["64BIT", "X86_32"]
    assert parse(text).options["64BIT"] == "n"
    assert worst(audit(with_fragment(config, text), "pv-i386")) == set()


def test_a_32_bit_x86_config_is_made_a_64_bit_one() -> None:
    pae = recorded("debian-bookworm-686-pae")
    text = fragment(pae, [audit(pae, "hvm-x86_64")])
    assert parse(text).options["64BIT"] == "y"
    assert worst(audit(with_fragment(pae, text), "hvm-x86_64")) == set()


def test_a_kernel_whose_config_nobody_saw_is_mended_as_far_as_known_and_says_so() -> None:
    lz4 = replace(unseen("x86_64", "6.1.0"), options={"KERNEL_LZ4": "y", "64BIT": "y"})
    text = fragment(lz4, [audit(lz4, "pv-x86_64")])
    assert parse(text).options["KERNEL_GZIP"] == "y"
    assert "Only a part of the config" in text


def test_an_old_kernel_is_told_a_command_that_it_has() -> None:
    old = config_of("pv-x86_64", (2, 6, 32), {})
    new = config_of("pv-x86_64", (6, 1), {})
    assert "make oldconfig" in fragment(old, [audit(old, "pv-x86_64")])
    assert "make olddefconfig" in fragment(new, [audit(new, "pv-x86_64")])


def test_no_comment_looks_like_a_setting_to_merge_config() -> None:
    for name, version in KERNELS:
        config = config_of(name, version, {})
        for line in fragment(config, [audit(config, name)], recommended=True).splitlines():
            assert "CONFIG_" not in line or parse(line).options


def run(*arguments: str | Path) -> Result:
    return CliRunner().invoke(audit_command, [str(argument) for argument in arguments], standalone_mode=False)


def test_the_command_writes_the_fragment_and_says_so_in_one_line(tmp_path: Path) -> None:
    result = run(CLOUD, "--fragment", tmp_path / "mend.config")
    assert result.return_value == 1
    assert parse((tmp_path / "mend.config").read_text()).options["KERNEL_GZIP"] == "y"
    assert result.stderr.split("\n") == ["", f"{tmp_path / 'mend.config'}: 7 options for pv-x86_64.", ""]
    assert "does NOT boot" in result.stdout


def test_onto_standard_output_it_stands_alone() -> None:
    result = run(CLOUD, "--fragment", "-")
    assert parse(result.stdout).options["KERNEL_LZ4"] == "n"
    assert "does NOT boot" not in result.stdout
    assert "does NOT boot" in result.stderr


def test_beside_json_it_goes_to_a_file(tmp_path: Path) -> None:
    result = run(CLOUD, "--json", "--fragment", tmp_path / "mend.config")
    assert json.loads(result.stdout)["subjects"]
    assert (tmp_path / "mend.config").exists()


def test_a_fit_kernel_gets_a_fragment_without_options(tmp_path: Path) -> None:
    result = run(AMD64, "--fragment", tmp_path / "mend.config")
    assert result.return_value == 0
    assert "nothing is found missing" in result.stderr
    assert parse((tmp_path / "mend.config").read_text()).options == {}


def test_wrong_usage_of_the_fragment_is_refused_before_anything_is_written(tmp_path: Path) -> None:
    own = tmp_path / "config"
    own.write_bytes(CLOUD.read_bytes())
    (tmp_path / ".config").write_text("mine")
    for result in (
        run(CLOUD, "--fragment", tmp_path / ".config"),
        run(CLOUD, "--json", "--fragment", "-"),
        run(CLOUD, AMD64, "--fragment", tmp_path / "out"),
        run(own, "--fragment", own),
    ):
        assert isinstance(result.exception, click.UsageError)
    assert not (tmp_path / "out").exists()
    assert (tmp_path / ".config").read_text() == "mine"
    assert own.read_bytes() == CLOUD.read_bytes()


def test_a_config_without_an_architecture_needs_the_profile_named(tmp_path: Path) -> None:
    bare = tmp_path / "config"
    bare.write_text("".join(f"CONFIG_FILLER_{number}=y\n" for number in range(60)))
    assert isinstance(run(bare, "--fragment", tmp_path / "out").exception, click.UsageError)
    assert run(bare, "--for", "hvm-arm64", "--fragment", tmp_path / "out").return_value == 1
    assert parse((tmp_path / "out").read_text()).options["ARM64"] == "y"


def test_a_device_is_written_to_and_not_replaced(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    with subprocess.Popen(["cat", pipe], stdout=subprocess.PIPE, text=True) as reader:
        run(CLOUD, "--fragment", pipe)
        text, _ = reader.communicate(timeout=20)
    assert pipe.is_fifo()
    assert parse(text).options["KERNEL_GZIP"] == "y"


def test_a_place_that_cannot_be_written_is_explained(tmp_path: Path) -> None:
    result = run(CLOUD, "--fragment", tmp_path / "no-such-folder" / "mend.config")
    assert isinstance(result.exception, Failure)
    assert result.exception.code == "unwritable-file"


# The proof: Kconfig itself.

SOURCE = Path("/usr/src/linux-source-6.1.tar.xz")
KCONFIG_FILES = ("*/Kconfig*", "*/scripts/*", "*/Makefile*", "*/Kbuild*", "*/configs/*.config")


def sh(command: str, folder: Path, **values: str | Path) -> None:
    """Runs a shell command line that may use the values as variables; shows what it said when it fails."""
    environment = {**os.environ, **{name: str(value) for name, value in values.items()}}
    done = subprocess.run(["bash", "-euo", "pipefail", "-c", command], cwd=folder, env=environment, capture_output=True)
    assert done.returncode == 0, f"{command}\n{done.stdout.decode()}{done.stderr.decode()}"


@pytest.fixture(scope="session")
def linux(world: Path) -> Path:
    """Of Debian's linux-source-6.1 what Kconfig needs; and the configs that Debian builds from, in debian/."""
    folder = world / "linux-6.1"
    (folder / "debian").mkdir(parents=True)
    sh("apt-get download -q linux-config-6.1", folder)
    sh("dpkg-deb --fsys-tarfile linux-config-6.1_*.deb | tar -x -C debian --strip-components=4", folder)
    archive = f"cat {SOURCE}"
    if not SOURCE.exists():
        sh("apt-get download -q linux-source-6.1", folder)
        archive = f"dpkg-deb --fsys-tarfile linux-source-6.1_*.deb | tar -xO .{SOURCE}"
    wanted = " ".join(f"'{pattern}'" for pattern in KCONFIG_FILES)
    sh(f"{archive} | xz -dc | tar -x --strip-components=1 --wildcards {wanted}", folder)
    return folder


def configured(linux: Path, folder: Path, arch: str, target: str) -> KernelConfig:
    """The folder's .config as the kernel's own `make` leaves it."""
    sh(
        'make -s -C "$LINUX" KCONFIG_CONFIG="$PWD"/.config ARCH=$ARCH $TARGET',
        folder,
        LINUX=linux,
        ARCH=arch,
        TARGET=target,
    )
    return read_config(folder / ".config")


def merged(linux: Path, folder: Path, arch: str, text: str) -> KernelConfig:
    (folder / "mend.config").write_text(text, encoding="utf-8")
    sh('"$LINUX"/scripts/kconfig/merge_config.sh -m -O . .config mend.config', folder, LINUX=linux)
    return configured(linux, folder, arch, "olddefconfig")


def refused(config: KernelConfig, text: str) -> dict[str, str]:
    """What the fragment asked for and Kconfig did not give."""
    return {name: value for name, value in parse(text).options.items() if (config.value(name) or "n") != value}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("arch", "target", "names", "recommended"),
    [
        ("x86", "tinyconfig", ("pv-x86_64",), False),
        ("x86", "tinyconfig", ("hvm-x86_64",), False),
        ("x86", "allnoconfig", ("pv-x86_64", "hvm-x86_64"), True),
        ("arm64", "tinyconfig", ("hvm-arm64",), False),
        ("arm64", "allnoconfig", ("hvm-arm64",), True),
    ],
    ids=["pv", "hvm", "both-recommended", "arm64", "arm64-recommended"],
)
def test_the_smallest_config_of_linux_is_mended_by_its_fragment(
    linux: Path, tmp_path: Path, arch: str, target: str, names: tuple[str, ...], recommended: bool
) -> None:
    tiny = configured(linux, tmp_path, arch, target)
    verdicts = [audit(tiny, name, Start(initramfs=frozenset())) for name in names]
    assert all(verdict.boots is False for verdict in verdicts)
    text = fragment(tiny, verdicts, recommended=recommended)
    mended = merged(linux, tmp_path, arch, text)
    for name in names:
        verdict = audit(mended, name, Start(initramfs=frozenset()))
        assert (verdict.boots, verdict.reachable) == (True, True), worst(verdict)
    assert refused(mended, text) == {}


@pytest.mark.slow
def test_debians_cloud_config_is_mended_for_pv_grub(linux: Path, tmp_path: Path) -> None:
    sh('xz -dc "$LINUX"/debian/config.amd64_none_cloud-amd64.xz > .config', tmp_path, LINUX=linux)
    cloud = configured(linux, tmp_path, "x86", "olddefconfig")
    verdict = audit(cloud, "pv-x86_64")
    assert worst(verdict) == {"KERNEL_LZ4"}
    text = fragment(cloud, [verdict])
    mended = merged(linux, tmp_path, "x86", text)
    assert (mended.value("KERNEL_GZIP"), mended.value("KERNEL_LZ4")) == ("y", "n")
    assert audit(mended, "pv-x86_64").reachable is True
    assert audit(mended, "hvm-x86_64").reachable is True
    assert refused(mended, text) == {}


@pytest.mark.slow
def test_a_32_bit_pv_kernel_is_mended_but_for_pv_itself_which_6_1_has_no_more(linux: Path, tmp_path: Path) -> None:
    """As if it were Linux 5.4: of what that needs, 6.1 lacks XEN_PV alone."""
    tiny = replace(configured(linux, tmp_path, "i386", "tinyconfig"), version=(5, 4))
    text = fragment(tiny, [audit(tiny, "pv-i386", Start(initramfs=frozenset()))])
    mended = replace(merged(linux, tmp_path, "i386", text), version=(5, 4))
    assert worst(audit(mended, "pv-i386", Start(initramfs=frozenset()))) == {"XEN_PV"}
    assert set(refused(mended, text)) == {"XEN_PV"}
