"""What follows from a target, and what is impossible."""

import pytest

from wizard.kernel.profiles import profile
from wizard.targets.target import consequences, problems


def test_a_partitioned_paravirtual_image_is_registered_as_dev_sda() -> None:
    found = consequences("x86_64", "paravirtual")
    assert (found.root_device_name, found.disk, found.root_partition) == ("/dev/sda", "xvda", "xvda1")
    assert (found.console, found.audit_profile, found.boot_mode) == ("hvc0", "pv-x86_64", None)


def test_an_unpartitioned_paravirtual_image_is_registered_as_dev_sda1() -> None:
    found = consequences("i386", "paravirtual", partitioned=False)
    assert (found.root_device_name, found.disk, found.audit_profile) == ("/dev/sda1", "xvda1", "pv-i386")


@pytest.mark.parametrize("arch", ["i386", "x86_64"])
@pytest.mark.parametrize("partitioned", [True, False])
def test_a_paravirtual_image_is_never_registered_as_dev_xvda(arch: str, partitioned: bool) -> None:
    assert consequences(arch, "paravirtual", partitioned).root_device_name != "/dev/xvda"


def test_an_hvm_image_has_an_nvme_disk_and_a_serial_console() -> None:
    found = consequences("arm64", "hvm")
    assert (found.root_device_name, found.root_partition, found.console) == ("/dev/xvda", "nvme0n1p1", "ttyS0")
    assert found.boot_mode == "uefi"
    assert consequences("x86_64", "hvm", boot_mode="legacy-bios").boot_mode == "legacy-bios"


@pytest.mark.parametrize(
    ("arch", "virtualization"),
    [("i386", "paravirtual"), ("x86_64", "paravirtual"), ("x86_64", "hvm"), ("arm64", "hvm")],
)
def test_every_possible_target_has_an_audit_profile_of_its_architecture(arch: str, virtualization: str) -> None:
    assert not problems(arch, virtualization, "ebs", None, "us-east-1")
    assert profile(consequences(arch, virtualization).audit_profile).arch == arch


@pytest.mark.parametrize(
    ("arch", "virtualization", "storage", "boot_mode", "region", "place", "way_out"),
    [
        ("arm64", "paravirtual", "ebs", None, "us-east-1", "target.virtualization", "hvm"),
        ("i386", "hvm", "ebs", None, "us-east-1", "target.arch", "x86_64"),
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
    found = dict(problems(arch, virtualization, storage, boot_mode, region))
    assert way_out in found[place]


def test_a_paravirtual_image_may_be_kept_in_s3() -> None:
    assert problems("i386", "paravirtual", "s3", None, "eu-west-1") == []
