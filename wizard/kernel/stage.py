"""The user's own kernel, staged so that the distribution's installer can take it in."""

import shlex
from pathlib import Path

from wizard.disk.layout import Layout
from wizard.distro.userland import UserKernel
from wizard.explain import Failure
from wizard.files import content_digest
from wizard.kernel.audit import Start, needs_initramfs
from wizard.kernel.config import KernelConfig
from wizard.kernel.image import KernelImage
from wizard.kernel.repack import check, programs_of, repack_commands
from wizard.kernel.subject import Subject, known_of
from wizard.plan.actions import Run
from wizard.plan.steps import Step
from wizard.recipe import Kernel, Recipe


def user_kernel(kernel: Subject, recipe: Recipe, layout: Layout) -> UserKernel:
    """What a plan must know of the user's kernel.

    Raises Failure: `not-a-kernel`, `kernel-of-another-architecture`, `unknown-kernel-release`,
    `modules-of-another-kernel`, `modules-missing`.
    """
    image = _image(kernel)
    if image.arch and image.arch != recipe.target.arch:
        raise Failure("kernel-of-another-architecture", path=image.path, arch=image.arch, wanted=recipe.target.arch)
    release = _release(image, recipe.kernel)
    config = known_of(kernel) if image.config or kernel.config else None
    return UserKernel(release, _wants_initramfs(config, recipe, layout, release))


def _image(kernel: Subject) -> KernelImage:
    if kernel.image is None:
        raise Failure("not-a-kernel", path=kernel.path, looks="a kernel config")
    return kernel.image


def programs_for(kernel: Subject, *, packs: bool) -> list[str]:
    """The host's tools that taking it in needs."""
    return programs_of(_image(kernel)) if packs else []


def kernel_step(kernel: Subject, files: Kernel, staged: UserKernel, epoch: int, *, packs: bool) -> Step:
    """The step that makes kernel/kernel.tar: the image, its config and its modules at their places in the system.

    `packs`: the image is packed again, for PV-GRUB.  Raises Failure "not-for-xen" when that is of no use.
    """
    release = staged.release
    tree = "kernel/tree"
    modules = f"{tree}/usr/lib/modules/{release}"
    target = f"{tree}/boot/vmlinuz-{release}"
    commands = [f"mkdir -p {tree}/boot {modules}"]
    commands += _packed(_image(kernel), target) if packs else [f"cp {shlex.quote(files.image or '')} {target}"]
    if files.config:
        commands.append(f"cp {shlex.quote(files.config)} {tree}/boot/config-{release}")
    if files.modules:
        commands += _modules_commands(Path(files.modules), release, modules)
    commands.append(
        f"tar -C {tree} --sort=name --mtime=@{epoch} --owner=0 --group=0 --numeric-owner -cf kernel/kernel.tar ."
    )
    commands.append(f"rm -r {tree}")
    why = (
        "Your kernel, its configuration and its modules are put where the distribution's own would be, so that its "
        "tools treat them as theirs."
    )
    if packs:
        why += (
            f" It is packed with {_image(kernel).compression}, which this PV-GRUB cannot unpack: the ELF file inside "
            "is packed again with gzip, which every PV-GRUB can."
        )
    return Step(
        "kernel",
        f"Take in your kernel {release}",
        why,
        tuple(Run(command) for command in commands),
        (),
        digests(files),
    )


def _packed(image: KernelImage, target: str) -> list[str]:
    check(image)
    return repack_commands(image, str(image.path), target)


def digests(files: Kernel) -> dict[str, str]:
    """What the user's files hold, by what they are; nothing when the kernel is the distribution's."""
    return {
        name: content_digest(Path(path)) for name in ("image", "config", "modules") if (path := getattr(files, name))
    }


def _modules_commands(source: Path, release: str, modules: str) -> list[str]:
    where = shlex.quote(str(source))
    if source.is_dir():
        # `build` and `source` point to where the kernel was compiled.
        return [f"tar -C {where} --exclude=./build --exclude=./source -cf - . | tar -C {modules} -xf -"]
    return [
        "mkdir kernel/unpacked",
        f"tar -C kernel/unpacked -xf {where}",
        f'cp -r "$(find kernel/unpacked -type d -name {release} -print -quit)/." {modules}/',
        f"rm -rf kernel/unpacked {modules}/build {modules}/source",
    ]


def _release(image: KernelImage, files: Kernel) -> str:
    """The kernel's release, which is also the name of its modules' folder."""
    said = image.version.split()[0] if image.version else None
    folder = Path(files.modules).name if files.modules and Path(files.modules).is_dir() else None
    if said and folder and said != folder:
        raise Failure("modules-of-another-kernel", release=said, folder=folder, path=files.modules)
    release = said or folder
    if not release:
        raise Failure("unknown-kernel-release", path=image.path)
    if not set(release) <= set("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.+-_~"):
        raise Failure("unknown-kernel-release", path=image.path, evidence=[release])
    return release


def _wants_initramfs(config: KernelConfig | None, recipe: Recipe, layout: Layout, release: str) -> bool:
    """Nobody knows a kernel without its config: then its modules decide."""
    if config is None:
        return recipe.kernel.modules is not None
    needed = cannot_reach_root(config, recipe, layout)
    if needed and recipe.kernel.modules is None:
        raise Failure("modules-missing", release=release, root=layout.root.filesystem)
    return needed


def cannot_reach_root(config: KernelConfig, recipe: Recipe, layout: Layout) -> bool:
    """Whether such a kernel finds the root disk of such a target only with an initramfs."""
    kind = f"{'pv' if recipe.target.virtualization == 'paravirtual' else 'hvm'}-{recipe.target.arch}"
    return needs_initramfs(config, kind, Start(root=layout.root.filesystem, table=layout.table))
