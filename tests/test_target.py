"""What follows from a target, what is impossible, and that nothing falls between the two."""

import itertools

import pytest

from wizard.disk.layout import load
from wizard.disk.layout import names as layout_names
from wizard.explain import Failure
from wizard.kernel.profiles import profile
from wizard.plan.defaults import choices, fitting_layouts, layout_unfit
from wizard.recipe import ARCHITECTURES, Disk, Recipe, Target, from_answers
from wizard.targets.akis import all_akis, choose, reads, unconfirmed
from wizard.targets.pvgrub import pvgrub, versions
from wizard.targets.regions import paravirtual_regions, regions
from wizard.targets.target import consequences, problems, register_fields, runs_on

ALL_MODES = ("legacy-bios", "uefi", "uefi-preferred")


def target(arch: str, virtualization: str, region: str = "us-east-1", **more: str | None) -> Target:
    return Target.model_validate({"arch": arch, "virtualization": virtualization, "region": region, **more})


PV = target("x86_64", "paravirtual")


def test_a_partitioned_paravirtual_image_is_registered_as_dev_sda() -> None:
    found = consequences(PV, "dos", ())
    assert (found.root_device_name, found.disk, found.root_partition) == ("/dev/sda", "xvda", "xvda1")
    assert (found.console, found.audit_profile, found.boot_mode) == ("hvc0", "pv-x86_64", None)
    assert found.aki == "aki-5c21674b"


def test_an_unpartitioned_paravirtual_image_is_registered_as_dev_sda1() -> None:
    found = consequences(target("i386", "paravirtual"), "none", ())
    assert (found.root_device_name, found.disk, found.audit_profile) == ("/dev/sda1", "xvda1", "pv-i386")


@pytest.mark.parametrize("arch", ["i386", "x86_64"])
@pytest.mark.parametrize("table", ["none", "dos", "gpt"])
def test_a_paravirtual_image_is_never_registered_as_dev_xvda(arch: str, table: str) -> None:
    assert consequences(target(arch, "paravirtual"), table, ()).root_device_name != "/dev/xvda"


def test_an_hvm_image_has_an_nvme_disk_a_serial_console_and_no_aki() -> None:
    found = consequences(target("arm64", "hvm"), "gpt", ALL_MODES)
    assert (found.root_device_name, found.root_partition, found.console) == ("/dev/xvda", "nvme0n1p1", "ttyS0")
    assert (found.boot_mode, found.aki) == ("uefi", None)


def test_the_boot_mode_is_the_widest_that_the_disk_starts_by_unless_one_is_asked_for() -> None:
    where = target("x86_64", "hvm")
    assert consequences(where, "gpt", ALL_MODES).boot_mode == "uefi-preferred"
    assert consequences(where, "dos", ("legacy-bios",)).boot_mode == "legacy-bios"
    asked = target("x86_64", "hvm", boot_mode="uefi")
    assert consequences(asked, "gpt", ALL_MODES).boot_mode == "uefi"


def test_aws_is_always_told_virtualization_and_architecture_since_its_defaults_are_those_of_2006() -> None:
    for where in (PV, target("x86_64", "hvm"), target("arm64", "hvm")):
        told = register_fields(where, consequences(where, "gpt", ALL_MODES))
        assert (told["VirtualizationType"], told["Architecture"]) == (where.virtualization, where.arch)
        assert ("KernelId" in told) == (where.virtualization == "paravirtual")
        assert ("BootMode" in told) == ("EnaSupport" in told) == (where.virtualization == "hvm")


def every_target() -> list[Target]:
    """Every region, architecture, virtualization and storage."""
    kinds = itertools.product(
        [region.name for region in regions()], ARCHITECTURES, ("paravirtual", "hvm"), ("ebs", "s3")
    )
    return [target(arch, kind, region, storage=storage) for region, arch, kind, storage in kinds]


def test_every_target_with_every_layout_gets_what_it_needs_or_an_explanation() -> None:
    """All combinations: an AKI that is right by the table, none for HVM, or a problem with a place and a way out."""
    possible = 0
    for where in every_target():
        for table in ("none", "dos", "gpt"):
            wrong = list(problems(where))
            for problem in wrong:
                assert problem.place.startswith("target.")
                assert problem.suggestion or "choose" in problem.message
            if wrong:
                continue
            possible += 1
            aki = consequences(where, table, ALL_MODES).aki
            if where.virtualization == "hvm":
                assert aki is None
                continue
            row = next(row for row in all_akis() if row.aki == aki)
            assert (row.region, row.arch, row.device) == (where.region, where.arch, "hd0")
            assert reads(row, table)
            newer = [one for one in all_akis() if (one.region, one.arch, one.device) == (row.region, row.arch, "hd0")]
            assert row.release == max(one.release for one in newer)
    # i386 and x86_64 in each region with paravirtual types, on EBS and S3; x86_64 and arm64 HVM on EBS everywhere.
    assert possible == 3 * (len(paravirtual_regions()) * 2 * 2 + len(regions()) * 2)


def test_the_whole_recipe_of_every_target_is_taken_or_explained() -> None:
    for where in every_target():
        for layout in (None, *layout_names()):
            answers = {
                "name": "some-name",
                "target": where.model_dump(exclude_none=True),
                "disk": {"layout": layout} if layout else {},
            }
            try:
                recipe = from_answers(answers)
            except Failure as failure:
                assert failure.code == "bad-recipe"
                assert failure.evidence
            else:
                assert layout_unfit(recipe.target, choices(recipe).layout) is None


@pytest.mark.parametrize(
    ("arch", "virtualization"),
    [("i386", "paravirtual"), ("x86_64", "paravirtual"), ("x86_64", "hvm"), ("arm64", "hvm")],
)
def test_every_possible_target_has_an_audit_profile_of_its_architecture(arch: str, virtualization: str) -> None:
    where = target(arch, virtualization)
    assert not list(problems(where))
    assert profile(consequences(where, "dos", ALL_MODES).audit_profile).arch == arch


@pytest.mark.parametrize(
    ("arch", "virtualization", "storage", "boot_mode", "region", "place", "way_out"),
    [
        ("arm64", "paravirtual", "ebs", None, "us-east-1", "target.virtualization", "hvm"),
        ("i386", "hvm", "ebs", None, "us-east-1", "target.arch", "x86_64"),
        ("i386", "hvm", "ebs", "uefi", "us-east-1", "target.arch", "x86_64"),
        ("x86_64", "hvm", "s3", None, "us-east-1", "target.storage", "ebs"),
        ("x86_64", "hvm", "s3", "uefi", "us-east-1", "target.boot_mode", "ebs"),
        ("x86_64", "paravirtual", "ebs", "uefi", "us-east-1", "target.boot_mode", "hvm"),
        ("arm64", "hvm", "ebs", "legacy-bios", "us-east-1", "target.boot_mode", "uefi"),
        ("x86_64", "paravirtual", "ebs", None, "eu-north-1", "target.region", "eu-central-1"),
        ("x86_64", "paravirtual", "ebs", None, "us-east-2", "target.region", "us-east-1"),
        ("i386", "paravirtual", "ebs", None, "us-east-2", "target.region", "us-east-1"),
    ],
)
def test_an_impossible_target_names_the_place_and_the_nearest_possible_choice(
    arch: str, virtualization: str, storage: str, boot_mode: str | None, region: str, place: str, way_out: str
) -> None:
    found = {
        problem.place: str(problem)
        for problem in problems(_unchecked(arch, virtualization, storage, boot_mode, region))
    }
    assert way_out in found[place]


def _unchecked(arch: str, virtualization: str, storage: str, boot_mode: str | None, region: str) -> Target:
    return target(arch, virtualization, region, storage=storage, boot_mode=boot_mode)


@pytest.mark.parametrize(
    ("aki", "words"),
    [
        ("aki-dc9ed9af", "eu-west-1"),
        ("aki-04206613", "i386"),
        ("aki-00000000", "nobody knows"),
        (next(iter(unconfirmed())), "not confirmed"),
    ],
    ids=["another-region", "another-bitness", "unknown", "unconfirmed"],
)
def test_a_wrong_aki_in_a_recipe_is_told_with_the_right_one(aki: str, words: str) -> None:
    found = list(problems(target("x86_64", "paravirtual", aki=aki)))
    assert [problem.place for problem in found] == ["target.aki"]
    assert words in found[0].message
    assert found[0].suggestion == "aki-5c21674b"


def test_an_hd00_is_taken_when_somebody_names_one_and_never_chosen() -> None:
    hd00 = next(row for row in all_akis() if (row.region, row.arch, row.device) == ("us-east-1", "x86_64", "hd00"))
    asked = target("x86_64", "paravirtual", aki=hd00.aki)
    assert not list(problems(asked))
    assert consequences(asked, "dos", ()).aki == hd00.aki
    assert {choose(row.region, row.arch, "none").device for row in all_akis()} == {"hd0"}


def test_an_old_aki_limits_the_layouts_and_says_so() -> None:
    rows = {(row.device, row.version): row for row in all_akis() if (row.region, row.arch) == ("us-east-1", "x86_64")}
    old = target("x86_64", "paravirtual", aki=rows["hd0", "1.03"].aki)
    assert "unpartitioned" in str(layout_unfit(old, load("single-ext4")))
    in_first_partition = target("x86_64", "paravirtual", aki=rows["hd00", "1.03"].aki)
    assert layout_unfit(in_first_partition, load("single-ext4")) is None
    before_ext4 = target("x86_64", "paravirtual", aki=rows["hd00", "1.02"].aki)
    assert "ext4" in str(layout_unfit(before_ext4, load("single-ext4")))
    assert fitting_layouts(before_ext4) == ["ext3-boot-btrfs-root", "ext3-boot-btrfs-root-swap"]
    assert choices(Recipe(name="old", target=before_ext4)).layout.name == "ext3-boot-btrfs-root"


def test_an_aki_that_knows_no_partitions_gets_a_disk_without_them_registered_as_dev_sda1() -> None:
    rows = {(row.device, row.version): row for row in all_akis() if (row.region, row.arch) == ("us-east-1", "x86_64")}
    for version, fitting in (("1.03", ["unpartitioned-ext3", "unpartitioned-ext4"]), ("1.02", ["unpartitioned-ext3"])):
        old = target("x86_64", "paravirtual", aki=rows["hd0", version].aki)
        assert fitting_layouts(old) == fitting
        chosen = choices(Recipe(name="old", target=old))
        assert chosen.consequences.root_device_name == "/dev/sda1"


def test_every_aki_reads_some_layout() -> None:
    for row in all_akis():
        table = {"region": row.region, "arch": row.arch, "virtualization": "paravirtual", "aki": row.aki}
        assert fitting_layouts(Target.model_validate(table)), row


def test_a_volume_that_is_smaller_than_its_partitions_is_refused_with_the_least_size() -> None:
    answers = {"name": "small", "target": {"region": "us-east-1", "arch": "x86_64"}}
    with pytest.raises(Failure) as caught:
        from_answers({**answers, "disk": {"layout": "gpt-split", "size_gib": 3}})
    assert caught.value.evidence == (
        "disk.size_gib: is 3, too small for gpt-split: the partitions before the root take 3138 MiB. Did you mean 4?",
    )


def test_an_s3_image_over_10_gib_is_refused_with_the_limit() -> None:
    answers = {
        "name": "bundled",
        "target": {"region": "us-east-1", "arch": "x86_64", "virtualization": "paravirtual", "storage": "s3"},
        "disk": {"size_gib": 11},
    }
    with pytest.raises(Failure) as caught:
        from_answers(answers)
    assert any(line.startswith("disk.size_gib: is 11; an S3") and "10 GiB" in line for line in caught.value.evidence)


def test_every_version_of_the_aki_table_has_its_abilities_and_the_old_ones_say_what_they_lack() -> None:
    told = {name for row in versions() for name in row.versions}
    assert told == {row.version for row in all_akis()}
    assert not pvgrub("1.05").limits
    for version in ("1.03", "1.02", "1.01"):
        assert {"cannot read GPT", "only gzip kernels"} <= set(pvgrub(version).limits)
        assert pvgrub(version).compressions == ("gzip",)
    assert pvgrub("1.01").fatal_alignment_mib == 16
    assert pvgrub("9.99") == pvgrub("1.05"), "a version that AWS may bring out is taken for the newest we know"


def test_paravirtual_runs_on_the_old_families_only_and_arm64_on_graviton() -> None:
    old = [name for row in runs_on(PV, consequences(PV, "dos", ())) for name in row.families]
    assert sorted(old) == ["c1", "c3", "m1", "m2", "m3", "t1"]
    graviton = target("arm64", "hvm")
    found = runs_on(graviton, consequences(graviton, "gpt", ALL_MODES))
    assert found
    assert all(row.architectures == ("arm64",) for row in found)


def test_an_image_that_starts_by_uefi_only_does_not_run_on_xen_types() -> None:
    where = target("x86_64", "hvm", boot_mode="uefi")
    found = runs_on(where, consequences(where, "gpt", ALL_MODES))
    assert {row.hypervisor for row in found} == {"nitro"}
    wide = target("x86_64", "hvm")
    assert {row.hypervisor for row in runs_on(wide, consequences(wide, "gpt", ALL_MODES))} == {"nitro", "xen", "none"}


def test_instance_store_roots_run_on_few_old_types() -> None:
    where = target("x86_64", "paravirtual", storage="s3")
    families = {name for row in runs_on(where, consequences(where, "dos", ())) for name in row.families}
    assert families == {"c1", "c3", "m1", "m2", "m3"}


def test_a_layout_that_is_asked_for_is_kept() -> None:
    recipe = Recipe(name="asked", target=PV, disk=Disk(layout="ext3-boot-btrfs-root"))
    assert choices(recipe).layout.name == "ext3-boot-btrfs-root"
