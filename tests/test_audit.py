"""The kernel audit: verdicts and what they rest on."""

import re
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wizard import presets
from wizard.explain import Failure
from wizard.kernel.audit import Start, Verdict, audit, needs_initramfs, profiles_for
from wizard.kernel.config import KernelConfig, packed_as, parse, recorded, unseen
from wizard.kernel.profiles import Version, numbers, profile

EC2 = ("pv-i386", "pv-x86_64", "hvm-x86_64", "hvm-arm64")


def changed(config: KernelConfig, **options: str | None) -> KernelConfig:
    """The config with options set, or (None) not mentioned any more."""
    merged = {**config.options, **options}
    return replace(config, options={name: value for name, value in merged.items() if value is not None})


def fit_for(name: str, version: Version) -> KernelConfig:
    """A config that gives a profile all that it asks for."""
    options = {f"FILLER_{number}": "y" for number in range(60)}
    for rule in profile(name).rules:
        options[rule.name] = {"y-or-m": "y", "set": "500"}.get(rule.wanted, rule.wanted)
    # EXT4_FS alone serves as the root file system: an alternative would hide that it was taken away.
    return KernelConfig(options, version, profile(name).arch)


def worst(verdict: Verdict) -> set[str]:
    return {finding.option for finding in verdict.findings if finding.severity != "recommended"}


FIT = [("pv-i386", (5, 4)), ("pv-x86_64", (6, 12)), ("hvm-x86_64", (6, 12)), ("hvm-arm64", (6, 12))]


@pytest.mark.parametrize(("name", "version"), FIT)
def test_a_kernel_with_all_that_is_asked_for_boots_and_is_reachable(name: str, version: Version) -> None:
    verdict = audit(fit_for(name, version), name)
    assert (verdict.boots, verdict.reachable, verdict.findings) == (True, True, ())


@pytest.mark.parametrize(("name", "version"), FIT)
def test_every_single_option_that_is_taken_away_is_found(name: str, version: Version) -> None:
    fit = fit_for(name, version)
    for rule in profile(name).rules:
        opposite = "y" if rule.wanted == "n" else "n"
        is_needed = (rule.since or ()) <= version <= (rule.until or (99,)) and rule.arch in (None, fit.arch)
        verdict = audit(changed(fit, **{rule.name: opposite}), name)
        assert [finding.option for finding in verdict.findings] == ([rule.name] if is_needed else [])
        if is_needed:
            assert verdict.boots is (rule.severity != "boot")
            assert verdict.reachable is (rule.severity == "recommended")


def test_debians_amd64_kernel_boots_everywhere_and_its_cloud_kernel_not_under_pv_grub() -> None:
    """Both were booted under Xen and under BIOS and UEFI; the cloud kernel's lz4 stopped PV-GRUB."""
    for name in ("pv-x86_64", "hvm-x86_64"):
        assert worst(audit(recorded("debian-bookworm-amd64"), name)) == set()
    cloud = recorded("debian-bookworm-cloud-amd64")
    assert worst(audit(cloud, "hvm-x86_64")) == set()
    assert worst(audit(cloud, "pv-x86_64")) == {"KERNEL_LZ4"}
    for name in ("debian-bookworm-arm64", "debian-bookworm-cloud-arm64"):
        assert worst(audit(recorded(name), "hvm-arm64")) == set()
    for name in ("pv-x86_64", "hvm-x86_64"):
        assert worst(audit(recorded("debian-bookworm-rt-amd64"), name)) == set()


def test_a_kernel_that_was_packed_again_with_gzip_is_judged_as_what_it_is_now() -> None:
    """Debian's cloud kernel as a gzipped ELF booted under PV-GRUB, 7 times of 7."""
    cloud = packed_as(recorded("debian-bookworm-cloud-amd64"), "gzip")
    assert audit(cloud, "pv-x86_64").boots is True


def test_a_32_bit_kernel_after_5_8_never_boots_as_a_paravirtual_guest() -> None:
    verdict = audit(recorded("debian-bookworm-686-pae"), "pv-i386")
    assert verdict.boots is False
    assert worst(verdict) == {"XEN_PV"}
    assert audit(fit_for("pv-i386", (5, 8, 18)), "pv-i386").boots is True
    assert audit(fit_for("pv-i386", (5, 9)), "pv-i386").boots is False


def test_a_kernel_without_a_network_driver_boots_but_cannot_be_reached() -> None:
    verdict = audit(changed(recorded("debian-bookworm-amd64"), XEN_NETDEV_FRONTEND="n"), "pv-x86_64")
    assert (verdict.boots, verdict.reachable) == (True, False)


@pytest.mark.parametrize(
    ("name", "option"),
    [("pv-x86_64", "HVC_XEN"), ("hvm-x86_64", "ENA_ETHERNET"), ("hvm-x86_64", "SERIAL_8250_CONSOLE")],
)
def test_a_lost_console_or_network_is_access_and_not_boot(name: str, option: str) -> None:
    verdict = audit(changed(recorded("debian-bookworm-amd64"), **{option: "n"}), name)
    assert [f.severity for f in verdict.findings if f.option == option] == ["access"]


def test_a_disk_driver_as_a_module_will_do_with_an_initramfs_only() -> None:
    config = changed(recorded("debian-bookworm-amd64"), BLK_DEV_NVME="m")
    assert audit(config, "hvm-x86_64").boots is True
    without = audit(config, "hvm-x86_64", Start(initramfs=frozenset()))
    assert without.boots is False
    assert "BLK_DEV_NVME" in worst(without)


def test_an_initramfs_is_of_no_use_to_a_kernel_that_cannot_unpack_one() -> None:
    config = changed(recorded("debian-bookworm-amd64"), BLK_DEV_NVME="m", BLK_DEV_INITRD="n")
    assert "BLK_DEV_NVME" in worst(audit(config, "hvm-x86_64"))


def test_a_network_driver_as_a_module_needs_no_initramfs() -> None:
    config = changed(recorded("debian-bookworm-amd64"), ENA_ETHERNET="m")
    assert "ENA_ETHERNET" not in worst(audit(config, "hvm-x86_64", Start(initramfs=frozenset())))


def test_an_option_that_the_version_does_not_have_is_not_missed() -> None:
    fit = fit_for("pv-x86_64", (3, 0, 4))
    old = changed(fit, HYPERVISOR_GUEST=None, XEN_PV=None, PARAVIRT_GUEST="y")
    assert audit(old, "pv-x86_64").boots is True
    new = replace(old, version=(6, 1))
    assert worst(audit(new, "pv-x86_64")) == {"HYPERVISOR_GUEST", "XEN_PV"}


def test_where_the_version_is_unknown_the_earlier_name_is_accepted() -> None:
    fit = replace(changed(fit_for("pv-x86_64", (3, 0, 4)), HYPERVISOR_GUEST=None, XEN_PV=None), version=None)
    assert worst(audit(fit, "pv-x86_64")) == set()
    assert worst(audit(changed(fit, PARAVIRT_GUEST=None), "pv-x86_64")) == {"HYPERVISOR_GUEST"}
    assert worst(audit(changed(fit, XEN_PV="n"), "pv-x86_64")) == {"XEN_PV"}


@pytest.mark.parametrize("name", EC2)
def test_an_empty_config_is_unknown_and_never_fine(name: str) -> None:
    verdict = audit(parse(""), name)
    assert (verdict.boots, verdict.reachable, verdict.findings) == (None, None, ())


def test_a_config_that_is_cut_off_can_fail_but_not_pass() -> None:
    cut = parse("# Linux/x86 6.1.0 Kernel Configuration\nCONFIG_64BIT=y\n# CONFIG_XEN is not set\n")
    assert audit(cut, "pv-x86_64").boots is False
    assert worst(audit(cut, "pv-x86_64")) == {"XEN"}
    assert audit(changed(cut, XEN="y"), "pv-x86_64").boots is None


def test_an_image_without_its_config_can_still_be_ruled_out() -> None:
    lz4 = packed_as(unseen("x86_64", "6.1.0-56-cloud-amd64"), "lz4")
    assert audit(lz4, "pv-x86_64").boots is False
    assert audit(lz4, "hvm-x86_64").boots is None
    assert audit(unseen("i386", "6.1.0"), "pv-i386").boots is False
    assert audit(unseen("x86_64", "5.4.0"), "pv-i386").boots is False


@pytest.mark.parametrize("name", EC2)
def test_a_kernel_for_another_architecture_never_boots(name: str) -> None:
    arches = {
        "debian-bookworm-amd64": "x86_64",
        "debian-bookworm-cloud-arm64": "arm64",
        "debian-bookworm-686-pae": "i386",
    }
    for recording, arch in arches.items():
        if arch != profile(name).arch:
            assert audit(recorded(recording), name).boots is False


def test_a_kernel_without_any_root_file_system_does_not_boot() -> None:
    none = dict.fromkeys(("EXT2_FS", "EXT3_FS", "EXT4_FS", "BTRFS_FS", "XFS_FS"), "n")
    config = changed(recorded("debian-bookworm-amd64"), **none)
    assert "EXT4_FS" in worst(audit(config, "hvm-x86_64"))
    assert "EXT4_FS" not in worst(audit(changed(config, XFS_FS="y"), "hvm-x86_64"))


def test_the_profiles_of_an_architecture_are_those_that_it_can_run_as() -> None:
    assert set(profiles_for("x86_64")) == {"pv-x86_64", "hvm-x86_64"}
    assert profiles_for("i386") == ("pv-i386",)
    assert profiles_for("arm64") == ("hvm-arm64",)
    assert set(profiles_for(None)) == set(EC2)
    assert profiles_for("riscv") == ()


def test_an_unknown_profile_is_answered_with_those_there_are() -> None:
    with pytest.raises(Failure) as caught:
        audit(parse(""), "pv-sparc")
    assert "pv-x86_64" in caught.value.facts["known"]


@pytest.mark.parametrize(
    ("options", "virtualization", "root_fs", "needed"),
    [
        ({}, "paravirtual", "ext4", False),
        ({"XEN_BLKDEV_FRONTEND": "m"}, "paravirtual", "ext4", True),
        ({"XEN_BLKDEV_FRONTEND": "m"}, "hvm", "ext4", True),
        ({"BLK_DEV_NVME": "m"}, "paravirtual", "ext4", False),
        ({"BLK_DEV_NVME": "m"}, "hvm", "ext4", True),
        ({"BTRFS_FS": "m"}, "hvm", "ext4", False),
        ({"BTRFS_FS": "m"}, "hvm", "btrfs", True),
        ({"EXT4_FS": "m"}, "hvm", "ext3", True),
        ({"EXT2_FS": "m", "EXT4_USE_FOR_EXT2": "y"}, "hvm", "ext2", False),
        ({"EXT4_FS": "m"}, "hvm", "btrfs", False),
    ],
)
def test_an_initramfs_is_needed_where_the_disk_driver_or_the_root_file_system_is_a_module(
    options: dict[str, str], virtualization: str, root_fs: str, needed: bool
) -> None:
    every = {rule.name: "y" for name in presets.names("kernel") for rule in profile(name).rules}
    config = KernelConfig({**every, **options}, (6, 1), "x86_64")
    kind = {"paravirtual": "pv-x86_64", "hvm": "hvm-x86_64"}[virtualization]
    assert needs_initramfs(config, kind, Start(root=root_fs, table="gpt")) is needed


@pytest.mark.parametrize("name", presets.names("kernel"))
def test_every_rule_says_why_what_breaks_and_where_that_is_written(name: str) -> None:
    for rule in profile(name).own:
        assert rule.severity in ("boot", "access", "recommended")
        assert rule.why
        assert rule.breaks
        assert rule.source
        assert not rule.why.startswith(("As ", "See "))
        assert not rule.breaks.startswith(("As ", "See "))
        assert rule.since is None or rule.until is None or rule.since <= rule.until


@pytest.mark.parametrize("name", presets.names("kernel"))
def test_no_rule_rests_on_what_nobody_has_looked_up(name: str) -> None:
    """A source names something that can be read: a kernel's file, a commit, a manual."""
    for rule in profile(name).own:
        assert not re.search(r"\(verify\)|to verify|general kernel knowledge", rule.source), f"{name} {rule.name}"


def test_versions_are_compared_as_numbers() -> None:
    assert numbers("6.1.0-56-cloud-amd64") == (6, 1, 0)
    assert numbers("3.10") > numbers("3.9")
    assert numbers("2.6.32.71") == (2, 6, 32, 71)
    assert numbers("6.12.0-rc3") == (6, 12, 0)
    assert numbers("6.12+") == (6, 12)
    assert numbers("custom") == ()


@settings(max_examples=50)
@given(st.dictionaries(st.sampled_from(sorted(fit_for("pv-x86_64", (6, 1)).options)), st.sampled_from("ymn")))
def test_the_verdict_always_follows_from_the_findings(options: dict[str, str]) -> None:
    verdict = audit(changed(fit_for("pv-x86_64", (6, 1)), **options), "pv-x86_64")
    severities = [finding.severity for finding in verdict.findings]
    assert verdict.boots is ("boot" not in severities)
    assert verdict.reachable is not bool({"boot", "access"} & set(severities))
    assert severities == sorted(severities, key=("boot", "access", "recommended").index)


XEN_GUEST = changed(recorded("debian-bookworm-amd64"), XEN_BLKDEV_FRONTEND="m", EXT4_FS="m")


def test_without_a_look_into_the_initramfs_the_verdict_names_the_modules_that_it_must_hold() -> None:
    verdict = audit(XEN_GUEST, "pv-x86_64", Start(root="ext4", table="dos"))
    assert verdict.boots is True
    assert {"xen-blkfront", "ext4"} <= set(verdict.provided)


def test_an_initramfs_that_was_looked_into_must_hold_them() -> None:
    held = frozenset({"xen_blkfront", "ext4"})
    assert audit(XEN_GUEST, "pv-x86_64", Start(initramfs=held, root="ext4")).boots is True
    lacking = audit(XEN_GUEST, "pv-x86_64", Start(initramfs=held - {"xen_blkfront"}, root="ext4"))
    assert worst(lacking) == {"XEN_BLKDEV_FRONTEND"}
    assert lacking.provided == ()


@pytest.mark.parametrize(
    ("pv_grub", "severity"), [(None, "recommended"), ("1.05", None), ("1.04", None), ("1.03", "boot"), ("1.01", "boot")]
)
def test_an_xz_kernel_is_judged_by_the_pv_grub_that_will_load_it(pv_grub: str | None, severity: str | None) -> None:
    verdict = audit(recorded("debian-bookworm-amd64"), "pv-x86_64", Start(pv_grub=pv_grub))
    found = {finding.severity for finding in verdict.findings if finding.option == "KERNEL_XZ"}
    assert found == ({severity} if severity else set())


def test_the_first_pv_grub_alone_dies_of_kernels_aligned_to_16_mib() -> None:
    config = changed(recorded("debian-bookworm-amd64"), KERNEL_XZ="n", KERNEL_GZIP="y", PHYSICAL_ALIGN="0x1000000")
    assert worst(audit(config, "pv-x86_64", Start(pv_grub="1.01"))) == {"PHYSICAL_ALIGN"}
    assert worst(audit(config, "pv-x86_64", Start(pv_grub="1.02"))) == set()


@pytest.mark.parametrize(("table", "option"), [("gpt", "EFI_PARTITION"), ("dos", "MSDOS_PARTITION")])
def test_the_partition_table_of_the_root_disk_must_be_read(table: str, option: str) -> None:
    both = recorded("debian-bookworm-amd64")
    without = changed(both, **{option: "n"})
    assert worst(audit(both, "hvm-x86_64", Start(table=table))) == set()
    assert worst(audit(without, "hvm-x86_64", Start(table=table))) == {option}
    assert worst(audit(without, "hvm-x86_64")) == set(), "the other table may be meant"
    neither = changed(both, EFI_PARTITION="n", MSDOS_PARTITION="n")
    assert worst(audit(neither, "hvm-x86_64")) == {"MSDOS_PARTITION"}
    assert worst(audit(neither, "pv-x86_64", Start(table="none"))) == set()


def test_a_start_by_uefi_asks_for_the_efi_stub_and_one_by_bios_does_not() -> None:
    config = changed(recorded("debian-bookworm-amd64"), EFI_STUB="n")
    by_uefi = audit(config, "hvm-x86_64", Start(boot_mode="uefi-preferred"))
    by_bios = audit(config, "hvm-x86_64", Start(boot_mode="legacy-bios"))
    assert {finding.option for finding in by_uefi.findings} - {found.option for found in by_bios.findings} == {
        "EFI_STUB"
    }
    # As it was seen: GRUB 2.06 starts such a kernel by UEFI nevertheless.
    assert worst(by_uefi) == worst(by_bios) == set()


def test_the_root_file_system_that_was_chosen_counts_and_no_other() -> None:
    config = changed(recorded("debian-bookworm-amd64"), BTRFS_FS="n")
    assert worst(audit(config, "hvm-x86_64", Start(root="btrfs"))) == {"BTRFS_FS"}
    assert worst(audit(config, "hvm-x86_64", Start(root="ext4"))) == set()


def test_a_part_of_something_that_is_off_is_not_missed_for_itself() -> None:
    config = changed(recorded("debian-bookworm-amd64"), HVC_XEN="n", HVC_IRQ="n", HVC_XEN_FRONTEND="n")
    options = {finding.option for finding in audit(config, "pv-x86_64").findings}
    assert "HVC_XEN" in options
    assert not options & {"HVC_IRQ", "HVC_XEN_FRONTEND"}


def test_an_answer_that_is_not_known_says_what_is_missing_to_know_it() -> None:
    assert "cut off" in audit(parse(""), "hvm-x86_64").unknown
    assert "config" in audit(unseen("x86_64", "6.1.0"), "hvm-x86_64").unknown
    assert audit(recorded("debian-bookworm-amd64"), "hvm-x86_64").unknown == ""


def test_every_module_that_is_needed_early_has_a_name() -> None:
    for name in presets.names("kernel"):
        for rule in profile(name).own:
            assert not rule.early or rule.wanted != "y-or-m" or rule.module, f"{name} {rule.name}"


def test_only_what_is_merely_recommended_waits_for_something_else() -> None:
    """A fragment that mends a config must not bring up what stops it next."""
    for name in presets.names("kernel"):
        assert all(not rule.only_if or rule.severity == "recommended" for rule in profile(name).own)
