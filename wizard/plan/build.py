"""Recipe to plan."""

import hashlib
import json
import os
import platform
import uuid
from dataclasses import dataclass

from wizard import host
from wizard.boot import grub, menu_lst
from wizard.boot.proof.ways import tools
from wizard.disk import image
from wizard.disk import own as own_layout
from wizard.disk.image import BootLoader
from wizard.disk.layout import DiskIds, Layout, fstab
from wizard.distro import distros, system
from wizard.distro.families import family
from wizard.distro.own.found import digests
from wizard.distro.settings import Settings
from wizard.distro.userland import UserKernel, Userland, userland
from wizard.kernel import stage
from wizard.kernel.subject import Subject, known_of
from wizard.plan import kernel as kernels
from wizard.plan.cloud import account_step, cloud_steps
from wizard.plan.defaults import Choices, choices, layout_of
from wizard.plan.launch import launch_steps, tools_to_practise, with_launch
from wizard.plan.proof import prove_step, ways_of
from wizard.plan.steps import Plan, Step
from wizard.plan.volume import instance_steps
from wizard.recipe import Recipe

EPOCH = 1686355200
"""The time that every file of an image gets at most: Debian 12's release, 2023-06-10.  (SOURCE_DATE_EPOCH)"""


@dataclass(frozen=True, slots=True)
class Occasion:
    """What a plan depends on beside the recipe: which build it is for, and of what day its packages are.

    `packages_of` keeps a build's packages the same while it is resumed; a build of another day fetches anew.
    """

    build: str
    packages_of: str


def plan(recipe: Recipe, occasion: Occasion) -> Plan:
    """The steps that make the AMI.

    Raises Failure: `no-aki-in-region`, and for the user's own kernel `not-a-kernel`, `unreadable-kernel`.
    """
    kernel = kernels.chosen(recipe.kernel, recipe.distro, recipe.target)
    able = kernels.abilities(known_of(kernel))
    chosen = choices(recipe, starts_by_uefi=able.uefi is not False)
    if recipe.volume and (there := recipe.volume.already_there):
        account = account_step(recipe, chosen, able, occasion.build, there)
        to_cloud = cloud_steps(recipe, chosen, able, occasion.build, there, (), EPOCH)
        behind = with_launch(to_cloud, launch_steps(recipe, chosen, able, occasion.build))
        return Plan(recipe.name, (account, *behind), EPOCH)
    ids = DiskIds(identity(recipe))
    user_kernel = stage.user_kernel(kernel, recipe, chosen.layout) if recipe.kernel.source == "files" else None
    has_initramfs = kernels.has_initramfs(recipe, chosen.layout, kernel, user_kernel)
    steps = [_kernel(recipe, kernel, user_kernel, chosen)] if user_kernel else []
    steps.append(_bootstrap(_userland(recipe, chosen.layout, user_kernel), occasion))
    steps.append(_system(recipe, chosen.layout, ids, has_initramfs, chosen.consequences.console))
    is_pv = recipe.target.virtualization == "paravirtual"
    if not is_pv:
        stamps = _stamps(_grub_tools(recipe, chosen.layout))
        steps.append(grub.bootloader_step(chosen.layout, ids, recipe.target.arch, stamps))
    steps.append(
        image.image_step(
            chosen.layout,
            ids,
            EPOCH,
            recipe.disk.size_gib,
            tuple(step.id for step in steps if step.id != "kernel"),
            BootLoader() if is_pv else grub.into_image(chosen.layout, recipe.target.arch),
            is_pv,
            _stamps(image.tools(chosen.layout)),
        )
    )
    image_key = Plan(recipe.name, tuple(steps), EPOCH).keys()["image"][:16]
    steps.append(image.checksum_step())
    ways = ways_of(recipe, chosen, able)
    if recipe.prove:
        steps.append(prove_step(recipe.target, ways, chosen.consequences.aki))
    account = account_step(recipe, chosen, able, occasion.build, image_key)
    proof = tuple(step.id for step in steps if step.id == "prove")
    to_cloud = cloud_steps(recipe, chosen, able, occasion.build, image_key, proof, EPOCH)
    behind = with_launch(to_cloud, launch_steps(recipe, chosen, able, occasion.build))
    return Plan(recipe.name, (account, *instance_steps(recipe, occasion.build), *steps, *behind), EPOCH)


def identity(recipe: Recipe) -> str:
    """What tells one image from another: every answer but the name, the region, the proof and what becomes of it.

    Ids on the disk follow from it.  Of the user's kernel and own userland the content counts, not where it lies.
    """
    answers = recipe.model_dump(mode="json")
    answers["kernel"] = stage.digests(recipe.kernel)
    own = {"source": None, "checksum": None, "unsigned": None, **digests(recipe.distro)}
    answers["distro"] = {key: own.get(key, answer) for key, answer in answers["distro"].items()}
    for of_no_matter in ("name", "prove", "bundle", "volume", "publish", "launch"):
        answers.pop(of_no_matter)
    answers["target"] = {key: answers["target"][key] for key in ("arch", "virtualization")}
    layout = layout_of(recipe.target, recipe.disk)
    named = own_layout.tables(layout) if recipe.disk.partitions else layout.name
    answers["disk"] = {"layout": named, "size_gib": recipe.disk.size_gib}
    return hashlib.sha256(json.dumps(answers, sort_keys=True).encode()).hexdigest()


def tools_of(recipe: Recipe) -> list[str]:
    """The host's tools that this recipe's steps need.  Raises what reading the user's kernel raises."""
    if recipe.volume and recipe.volume.already_there:
        return []
    chosen = choices(recipe)
    layout = chosen.layout
    wanted = _userland(recipe, layout, None)
    names = [*family(wanted).tools(wanted), *image.tools(layout)]
    if recipe.target.virtualization == "hvm":
        names += _grub_tools(recipe, layout)
    if recipe.kernel.source == "files":
        kernel = kernels.chosen(recipe.kernel, recipe.distro, recipe.target)
        names += stage.programs_for(kernel, packs=_packs(recipe, kernel, chosen))
    if not host_runs(recipe.target.arch):
        names += ["qemu-aarch64-static", "arch-test", "update-binfmts"]
    if os.geteuid() != 0:
        names += ["unshare", "newuidmap"]
    if recipe.volume:
        names.append("ssh")
    return names


def tools_to_prove(recipe: Recipe) -> list[str]:
    """The host's tools that starting this recipe's image needs.  Raises what reading the user's kernel raises."""
    if not recipe.prove or (recipe.volume and recipe.volume.already_there):
        return []
    able = kernels.abilities(known_of(kernels.chosen(recipe.kernel, recipe.distro, recipe.target)))
    ways = ways_of(recipe, choices(recipe), able)
    return tools(ways, recipe.target.arch) if ways else []


def tools_to_launch_here(recipe: Recipe) -> list[str]:
    """The host's tools that launching an instance takes in the practice cloud.

    Raises what reading the user's kernel raises, and `practice-cannot-launch`.
    """
    able = kernels.abilities(known_of(kernels.chosen(recipe.kernel, recipe.distro, recipe.target)))
    return tools_to_practise(recipe, choices(recipe, starts_by_uefi=able.uefi is not False), able)


def host_runs(arch: str) -> bool:
    """Whether this machine runs programs of that architecture by itself."""
    return arch == host.architecture() or (arch == "i386" and platform.machine() == "x86_64")


def _grub_tools(recipe: Recipe, layout: Layout) -> list[str]:
    names = ["grub-mkimage"]
    if recipe.target.arch == "x86_64":
        names.append("/usr/lib/grub/i386-pc/boot.img")
    if layout.at("/boot/efi") and recipe.target.arch == "x86_64":
        names.append("/usr/lib/grub/x86_64-efi/linux.mod")
    return names


def _stamps(names: list[str]) -> dict[str, str]:
    return {name: host.stamp(name) for name in names}


def _kernel(recipe: Recipe, kernel: Subject, staged: UserKernel, chosen: Choices) -> Step:
    return stage.kernel_step(kernel, recipe.kernel, staged, EPOCH, packs=_packs(recipe, kernel, chosen))


def _packs(recipe: Recipe, kernel: Subject, chosen: Choices) -> bool:
    loader = kernels.loader_of(recipe.target, chosen.consequences)
    return kernels.packs_again(kernel.image, loader, recipe.kernel.repack)


def _bootstrap(wanted: Userland, occasion: Occasion) -> Step:
    return family(wanted).bootstrap_step(wanted, {"packages of": occasion.packages_of})


def _userland(recipe: Recipe, layout: Layout, kernel: UserKernel | None) -> Userland:
    return userland(recipe, (part.filesystem for part in layout.partitions), kernel, EPOCH)


def _system(recipe: Recipe, layout: Layout, ids: DiskIds, has_initramfs: bool, console: str) -> Step:
    title = f"{distros.of(recipe).title} {recipe.distro.release}".strip()
    links: dict[str, str] = {}
    if recipe.target.virtualization == "paravirtual":
        files, links = menu_lst.menu_files(layout, menu_lst.menu_lst(layout, ids, title, has_initramfs=has_initramfs))
    else:
        text = grub.grub_cfg(layout, ids, title, recipe.target.arch, has_initramfs=has_initramfs)
        files = {"boot/grub/grub.cfg": text}
    boot = Settings({"etc/fstab": fstab(layout, ids), **files}, {}, links)
    return system.system_step(system.settings(recipe, console, boot), EPOCH)


def build_id(recipe: Recipe, *, practice: bool) -> str:
    """The name of the build that makes this AMI: the same for the same AMI name, region and cloud, so that a second
    start goes on with the first."""
    cloud = "practice" if practice else "aws"
    digest = uuid.uuid5(uuid.NAMESPACE_URL, f"{cloud}/{recipe.target.region}/{recipe.name}").hex[:6]
    slug = "".join(letter if letter.isalnum() else "-" for letter in recipe.name.lower()).strip("-")[:40]
    return f"{slug}-{digest}"
