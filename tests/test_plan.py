"""What a plan promises before anything runs: boot menus, registration, keys, and a script that is sound."""

import itertools
import subprocess
from pathlib import Path
from typing import Any

import pytest
from kernels import CONFIG, PACKINGS, bzimage, elf

from wizard.boot.commandline import kernel_arguments
from wizard.boot.grub import grub_cfg
from wizard.boot.menu_lst import menu_files, menu_lst
from wizard.disk.layout import DiskIds, fstab, layouts, load, names, sfdisk_script
from wizard.distro import distros
from wizard.distro.sources import mirrors
from wizard.plan import proof
from wizard.plan.actions import ProveImage, RegisterImage
from wizard.plan.build import Occasion, plan, tools_of, tools_to_prove
from wizard.plan.defaults import fitting_layouts
from wizard.plan.prose import prose
from wizard.plan.script import script
from wizard.plan.steps import Plan
from wizard.questions import ask, recipe, value
from wizard.recipe import Recipe, Target

IDS = DiskIds("test")
OCCASION = Occasion("test", "2026-01-01")


def recipe_for(arch: str, virtualization: str, layout: str, **more: str) -> Recipe:
    answers = {"target.arch": arch, "target.virtualization": virtualization, "disk.layout": layout, "name": "test"}
    if virtualization == "hvm" and "uefi" not in load(layout).boot_modes:
        answers["target.boot_mode"] = "legacy-bios"
    return recipe({**answers, **more})


POSSIBLE = [
    *(("x86_64", virtualization, name) for name in names() for virtualization in load(name).virtualization),
    *(("arm64", "hvm", name) for name in names() if "uefi" in load(name).boot_modes),
]


@pytest.mark.parametrize("target", POSSIBLE, ids="-".join)
def test_every_possible_target_has_a_plan_whose_script_bash_accepts(target: tuple[str, str, str]) -> None:
    made = plan(recipe_for(*target), OCCASION)
    checked = subprocess.run(["bash", "-n"], input=script(made), text=True, capture_output=True)
    assert checked.returncode == 0, checked.stderr
    told = prose(made)
    assert all(step.title in told and step.id for step in made.steps)


@pytest.mark.parametrize("target", POSSIBLE, ids="-".join)
def test_registration_never_leaves_aws_to_assume_paravirtual_or_i386(target: tuple[str, str, str]) -> None:
    parameters = registration(plan(recipe_for(*target), OCCASION))
    assert (parameters["Architecture"], parameters["VirtualizationType"]) == target[:2]
    assert parameters["RootDeviceName"] == parameters["BlockDeviceMappings"][0]["DeviceName"]
    if target[1] == "paravirtual":
        assert parameters["KernelId"].startswith("aki-")
        assert parameters["RootDeviceName"] == ("/dev/sda1" if load(target[2]).table == "none" else "/dev/sda")
        assert not {"EnaSupport", "BootMode", "ImdsSupport"} & parameters.keys()
    else:
        assert "KernelId" not in parameters
        assert parameters["EnaSupport"] is True
        assert parameters["BootMode"] == {"arm64": "uefi"}.get(target[0], recipe_for(*target).target.boot_mode)


def registration(made: Plan) -> dict[str, Any]:
    action = made.step("register").actions[0]
    assert isinstance(action, RegisterImage)
    return dict(action.parameters)


def changed(before: Recipe, after: Recipe) -> set[str]:
    """The steps whose keys differ."""
    one, two = plan(before, OCCASION).keys(), plan(after, OCCASION).keys()
    return {step for step in one if one[step] != two.get(step)}


def test_another_name_changes_only_what_is_done_in_the_cloud() -> None:
    before = recipe({"name": "one"})
    assert changed(before, before.model_copy(update={"name": "two"})) == {"account", "snapshot", "register"}


def test_another_host_name_does_not_install_the_distribution_again() -> None:
    after = changed(recipe({"name": "one"}), recipe({"name": "one", "system.hostname": "web"}))
    assert "bootstrap" not in after
    assert {"system", "image", "snapshot", "register"} <= after


def test_a_default_that_is_written_out_is_the_same_image() -> None:
    silent = Recipe(name="one", target=Target(region="us-east-1", arch="x86_64"))
    spelled = recipe({"name": "one", "target.arch": "x86_64", "target.region": "us-east-1"})
    assert changed(silent, spelled) == set()


def test_packages_of_another_day_are_fetched_anew() -> None:
    made = recipe({"name": "one"})
    assert plan(made, OCCASION).keys()["bootstrap"] != plan(made, Occasion("test", "2026-01-02")).keys()["bootstrap"]


def test_what_can_run_beside_the_installation_does_not_wait_for_it() -> None:
    steps = {step.id: step for step in plan(recipe({"name": "one"}), OCCASION).steps}
    assert not steps["bootloader"].needs
    assert not steps["system"].needs
    assert "checksum" not in steps["snapshot"].needs


def test_pv_grub_gets_a_menu_for_the_first_partition_and_the_xen_console() -> None:
    layout = load("single-ext4")
    assert menu_lst(layout, IDS, "Debian", has_initramfs=True).splitlines()[-4:] == [
        "title Debian",
        "    root (hd0,0)",
        f"    kernel /boot/vmlinuz root=UUID={IDS.filesystem(layout.root)} ro rootfstype=ext4 console=hvc0",
        "    initrd /boot/initrd.img",
    ]


def test_on_a_disk_without_partitions_the_menu_is_for_the_disk_itself() -> None:
    layout = load("unpartitioned-ext4")
    assert "    root (hd0)\n    kernel /boot/vmlinuz root=UUID=" in menu_lst(layout, IDS, "Debian", has_initramfs=True)
    assert "root=/dev/xvda1 " in menu_lst(layout, IDS, "Debian", has_initramfs=False)


def test_a_boot_partition_of_its_own_holds_the_menu_in_a_folder_boot_with_a_link_to_it() -> None:
    files, links = menu_files(load("ext3-boot-btrfs-root"), "menu")
    assert files == {"boot/boot/grub/menu.lst": "menu"}
    assert links == {"boot/grub": "boot/grub"}
    assert "kernel /vmlinuz " in menu_lst(load("ext3-boot-btrfs-root"), IDS, "Debian", has_initramfs=True)


@pytest.mark.parametrize(
    ("layout", "is_pv", "expected"),
    [
        ("single-ext4", True, "root=/dev/xvda1 "),
        ("ext3-boot-btrfs-root", True, "root=/dev/xvda2 "),
        ("single-ext4", False, f"root=PARTUUID={IDS.disk('dos')}-01 "),
        ("gpt-ext4", False, f"root=PARTUUID={IDS.partition(load('gpt-ext4').root)} "),
    ],
)
def test_a_kernel_without_initramfs_is_told_a_root_that_it_can_find_itself(
    layout: str, is_pv: bool, expected: str
) -> None:
    """Only an initramfs knows file systems by their UUID."""
    arguments = kernel_arguments(load(layout), IDS, is_pv=is_pv, has_initramfs=False)
    assert arguments.startswith(expected)
    assert "rootwait" in arguments


def test_grub_speaks_on_the_serial_port_that_ec2_records() -> None:
    text = grub_cfg(load("gpt-ext4"), IDS, "Debian", "x86_64", has_initramfs=True)
    assert "terminal_output serial" in text
    assert "console=ttyS0,115200n8" in text


def test_fstab_sfdisk_and_boot_menu_take_their_ids_from_one_source() -> None:
    for layout in layouts():
        text = fstab(layout, IDS)
        assert all(f"UUID={IDS.filesystem(part)} {part.mount} " in text for part in layout.partitions if part.mount)
        if layout.table != "none":
            table = sfdisk_script(layout, IDS)
            assert IDS.disk(layout.table) in table
            assert all(f"\n{part.number} : start={part.start_mib}MiB" in table for part in layout.partitions)


def test_fstab_mounts_outer_before_inner_checks_ext_alone_and_switches_swap_on() -> None:
    rows = [line.split() for line in fstab(load("gpt-split-swap"), IDS).splitlines()[1:]]
    assert [(row[1], row[2], row[5]) for row in rows] == [
        ("/", "ext4", "1"),
        ("/boot/efi", "vfat", "0"),
        ("/home", "ext4", "2"),
        ("/var", "ext4", "2"),
        ("none", "swap", "0"),
    ]
    assert [row.split()[5] for row in fstab(load("gpt-xfs"), IDS).splitlines()[1:]] == ["0", "0"]


def test_swap_is_a_partition_before_the_root_and_never_the_third_on_a_paravirtual_disk() -> None:
    with_swap = [layout for layout in layouts() if layout.name.endswith("-swap")]
    assert len(with_swap) == 7
    for layout in with_swap:
        plain = load(layout.name.removesuffix("-swap"))
        swap = next(part for part in layout.partitions if part.filesystem == "swap")
        assert layout.partitions[-2] == swap
        assert [part.name for part in layout.partitions if part != swap] == [part.name for part in plain.partitions]
        assert swap.number != 3 or "paravirtual" not in layout.virtualization
    for layout in layouts():
        numbers = [part.number for part in layout.partitions]
        assert len(set(numbers)) == len(numbers)
        assert layout.table == "gpt" or max(numbers) <= 4


def test_the_disk_ends_with_the_partition_that_takes_the_rest() -> None:
    for layout in layouts():
        assert [part.size_mib for part in layout.partitions].count(None) == 1
        assert layout.partitions[-1] == layout.root


def test_only_layouts_that_start_the_target_are_offered_and_there_is_always_one() -> None:
    for arch, virtualization in itertools.product(("x86_64", "arm64"), ("hvm", "paravirtual")):
        if (arch, virtualization) == ("arm64", "paravirtual"):
            continue
        where = Target.model_validate({"region": "us-east-1", "arch": arch, "virtualization": virtualization})
        assert fitting_layouts(where)


def test_every_default_boots_whatever_else_is_chosen() -> None:
    """Enter is always a good answer: no default is ever an impossible choice."""
    for arch in ("x86_64", "arm64", "i386"):
        answers = {"target.arch": arch}
        for question in ask("target", answers) + ask("kernel", answers) + ask("disk", answers):
            options = question.options(answers)
            chosen = next((one for one in options if one.value == value(question.path, answers)), None)
            assert not options or (chosen and not chosen.impossible), (arch, question.path)


def test_the_mirror_comes_from_the_recipe_then_from_the_host_then_from_the_installer(tmp_path: Path) -> None:
    (tmp_path / "sources.list.d").mkdir()
    debian = distros.load("debian")
    assert mirrors(debian, None, "bookworm", "x86_64", tmp_path) == ()
    (tmp_path / "sources.list").write_text(
        "# deb http://old.example.org/debian bookworm main\n"
        "deb [signed-by=/x.gpg] http://inside.example.org/debian bookworm main contrib\n"
        "deb http://inside.example.org/debian bookworm-updates main\n"
        "deb http://vpn.example.org/stable bookworm main\n"
        "deb http://inside.example.org/debian trixie main\n"
        "deb http://tools.example.org/apt bookworm stable\n"
    )
    (tmp_path / "sources.list.d" / "more.sources").write_text(
        "Types: deb\nURIs: http://inside.example.org/security\nSuites: bookworm-security\nComponents: main\n"
    )
    assert mirrors(debian, None, "bookworm", "x86_64", tmp_path) == (
        "deb http://inside.example.org/debian bookworm main",
        "deb http://inside.example.org/security bookworm-security main",
        "deb http://inside.example.org/debian bookworm-updates main",
    )
    with (tmp_path / "sources.list").open("a") as file:
        file.write("deb http://ftp.xx.debian.org/debian bookworm main\n")
    assert mirrors(debian, None, "bookworm", "x86_64", tmp_path) == (), "what the installer asks by itself serves"
    assert mirrors(debian, "http://mine.example.org/debian", "bookworm", "x86_64", tmp_path) == (
        "deb http://mine.example.org/debian bookworm main",
    )


def test_a_distribution_that_the_installer_does_not_know_comes_from_its_own_servers(tmp_path: Path) -> None:
    ubuntu = distros.load("ubuntu")
    assert mirrors(ubuntu, None, "noble", "arm64", tmp_path) == tuple(
        f"deb http://ports.ubuntu.com/ubuntu-ports noble{pocket} main universe"
        for pocket in ("", "-updates", "-security")
    )


def own_kernel(folder: Path, packing: str, virtualization: str, config: str = CONFIG) -> Recipe:
    """A recipe for a kernel of one's own, which is packed so."""
    image, beside = folder / "bzImage", folder / "config"
    image.write_bytes(bzimage(PACKINGS[packing](elf(config=config))))
    beside.write_text(config)
    answers = {"kernel.source": "files", "kernel.image": str(image), "kernel.config": str(beside)}
    layout = {"paravirtual": "single-ext4", "hvm": "gpt-ext4"}[virtualization]
    return recipe_for("x86_64", virtualization, layout, **answers)


def test_a_kernel_that_pv_grub_cannot_unpack_is_packed_again_by_commands_that_the_plan_shows(tmp_path: Path) -> None:
    made = plan(own_kernel(tmp_path, "zstd", "paravirtual"), OCCASION)
    assert "zstd -dc | gzip -n -9 > kernel/tree/boot/vmlinuz-" in script(made)
    assert "packed with zstd, which this PV-GRUB cannot unpack" in prose(made, 10_000)
    assert "zstd" in tools_of(own_kernel(tmp_path, "zstd", "paravirtual"))


@pytest.mark.parametrize(("packing", "virtualization"), [("xz", "paravirtual"), ("zstd", "hvm")])
def test_a_kernel_that_its_loader_can_unpack_is_copied_as_it_is(
    packing: str, virtualization: str, tmp_path: Path
) -> None:
    text = script(plan(own_kernel(tmp_path, packing, virtualization), OCCASION))
    assert "gzip -n" not in text
    assert "cp " in text


def test_who_says_never_gets_the_kernel_as_it_is(tmp_path: Path) -> None:
    asked = own_kernel(tmp_path, "zstd", "paravirtual")
    never = asked.model_copy(update={"kernel": asked.kernel.model_copy(update={"repack": "never"})})
    assert "gzip -n" not in script(plan(never, OCCASION))


def with_options(*options: str) -> str:
    """A whole config with these options and no others that matter."""
    return CONFIG + "".join(f"CONFIG_{option}=y\n" for option in options)


def test_aws_is_told_what_the_kernel_can_do_and_nothing_else(tmp_path: Path) -> None:
    able = registration(plan(own_kernel(tmp_path, "gzip", "hvm", with_options("ENA_ETHERNET", "EFI_STUB")), OCCASION))
    assert able["EnaSupport"] is True
    assert "SriovNetSupport" not in able
    assert able["BootMode"] == "uefi-preferred"
    without = registration(plan(own_kernel(tmp_path, "gzip", "hvm", with_options("IXGBEVF", "EFI_STUB")), OCCASION))
    assert "EnaSupport" not in without
    assert without["SriovNetSupport"] == "simple"


def test_without_a_boot_mode_in_the_recipe_it_is_one_that_the_kernel_can_do(tmp_path: Path) -> None:
    for options, mode in ((("EFI_STUB",), "uefi-preferred"), ((), "legacy-bios")):
        asked = own_kernel(tmp_path, "gzip", "hvm", with_options(*options))
        silent = asked.model_copy(update={"target": asked.target.model_copy(update={"boot_mode": None})})
        assert registration(plan(silent, OCCASION))["BootMode"] == mode


def test_nitrotpm_goes_with_uefi_alone_and_a_kernel_that_has_its_driver(tmp_path: Path) -> None:
    for mode, options, told in (
        ("uefi", ("EFI_STUB", "TCG_CRB"), "v2.0"),
        ("uefi", ("EFI_STUB",), None),
        ("uefi-preferred", ("EFI_STUB", "TCG_CRB"), None),
    ):
        asked = own_kernel(tmp_path, "gzip", "hvm", with_options(*options))
        recipe_ = asked.model_copy(update={"target": asked.target.model_copy(update={"boot_mode": mode})})
        assert registration(plan(recipe_, OCCASION)).get("TpmSupport") == told


def test_of_a_kernel_whose_config_nobody_has_seen_the_common_is_assumed(tmp_path: Path) -> None:
    image = tmp_path / "bzImage"
    image.write_bytes(bzimage(PACKINGS["gzip"](elf(config=None))))
    asked = recipe_for("x86_64", "hvm", "gpt-ext4", **{"kernel.source": "files", "kernel.image": str(image)})
    told = registration(plan(asked, OCCASION))
    assert (told["EnaSupport"], told["SriovNetSupport"], told["BootMode"]) == (True, "simple", "uefi-preferred")


def prove_step(made: Plan) -> Any:
    """The action of the step that proves."""
    (action,) = made.step("prove").actions
    return action


def test_nothing_is_uploaded_before_the_image_has_come_up_in_every_way_that_its_disk_starts() -> None:
    made = plan(recipe({"name": "one"}), OCCASION)
    assert made.step("snapshot").after == ("prove",)
    assert prove_step(made).ways == ("bios", "uefi")
    assert not prove_step(made).allows_imds_v1, "our HVM AMIs are registered for version 2 alone"
    assert "prove" in [step.id for step in made.until("snapshot").steps]


def test_a_paravirtual_image_is_also_held_against_the_pv_grub_of_its_aki() -> None:
    made = plan(recipe_for("x86_64", "paravirtual", "single-ext4"), OCCASION)
    assert prove_step(made).ways == ("pv",)
    assert prove_step(made).pvgrub.startswith("hd0 1.0")


def test_an_image_of_32_bits_cannot_be_started_here_and_is_held_against_its_pv_grub_all_the_same() -> None:
    target = Target(region="us-east-1", arch="i386")
    (action,) = proof.prove_step(target, (), "aki-8f9dcae6").actions
    assert isinstance(action, ProveImage)
    assert (action.ways, action.pvgrub) == ((), "hd0 1.04")


def test_skipping_the_proof_changes_nothing_else_and_uploads_nothing_again() -> None:
    proved = recipe({"name": "one"})
    left_out = proved.model_copy(update={"prove": False})
    assert changed(proved, left_out) == {"prove"}
    assert "prove" not in [step.id for step in plan(left_out, OCCASION).steps]
    assert not tools_to_prove(left_out)
    assert "qemu-img" in tools_to_prove(proved)


def test_the_script_starts_the_image_by_qemu_before_it_goes_to_aws() -> None:
    text = script(plan(recipe({"name": "one"}), OCCASION))
    image_only = text.index("--image-only ]; then")
    start, upload = text.index("qemu-system-x86_64 "), text.index("aws ebs start-snapshot")
    assert image_only < start < upload
    assert "ami-wizard prove image/disk.img --as uefi" in text
