"""The user's own kernel, staged so that the distribution's installer can take it in."""

import hashlib
import shlex
from pathlib import Path

from wizard.disk.layout import Layout
from wizard.distro.debian import UserKernel
from wizard.explain import Failure
from wizard.kernel.audit import Start, needs_initramfs
from wizard.kernel.config import KernelConfig
from wizard.kernel.image import KernelImage, read_image
from wizard.kernel.subject import config_of
from wizard.plan.steps import Run, Step
from wizard.recipe import Kernel, Recipe


def user_kernel(recipe: Recipe, layout: Layout) -> UserKernel | None:
    """What a plan must know of the user's kernel; None when the distribution's is taken.

    Raises Failure: `not-a-kernel` and its like, `kernel-of-another-architecture`, `unknown-kernel-release`,
    `modules-of-another-kernel`, `modules-missing`.
    """
    if recipe.kernel.source == "distro" or recipe.kernel.image is None:
        return None
    image = read_image(Path(recipe.kernel.image))
    if image.arch and image.arch != recipe.target.arch:
        raise Failure("kernel-of-another-architecture", path=image.path, arch=image.arch, wanted=recipe.target.arch)
    release = _release(image, recipe.kernel)
    config = config_of(Path(recipe.kernel.config)) if recipe.kernel.config else image.config
    return UserKernel(release, _wants_initramfs(config, recipe, layout, release))


def kernel_step(recipe: Recipe, kernel: UserKernel, epoch: int) -> Step:
    """The step that makes kernel/kernel.tar: the image, its config and its modules at their places in the system."""
    files, release = recipe.kernel, kernel.release
    tree = "kernel/tree"
    modules = f"{tree}/usr/lib/modules/{release}"
    commands = [f"mkdir -p {tree}/boot {modules}", f"cp {shlex.quote(files.image or '')} {tree}/boot/vmlinuz-{release}"]
    if files.config:
        commands.append(f"cp {shlex.quote(files.config)} {tree}/boot/config-{release}")
    if files.modules:
        commands += _modules_commands(Path(files.modules), release, modules)
    commands.append(
        f"tar -C {tree} --sort=name --mtime=@{epoch} --owner=0 --group=0 --numeric-owner -cf kernel/kernel.tar ."
    )
    commands.append(f"rm -r {tree}")
    return Step(
        "kernel",
        f"Take in your kernel {release}",
        "Your kernel, its configuration and its modules are put where the distribution's own would be, so that its "
        "tools treat them as theirs.",
        tuple(Run(command) for command in commands),
        (),
        digests(files),
    )


def digests(files: Kernel) -> dict[str, str]:
    """What the user's files hold, by what they are; nothing when the kernel is the distribution's."""
    return {name: _digest(Path(path)) for name in ("image", "config", "modules") if (path := getattr(files, name))}


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
    kind = f"{'pv' if recipe.target.virtualization == 'paravirtual' else 'hvm'}-{recipe.target.arch}"
    needed = needs_initramfs(config, kind, Start(root=layout.root.filesystem, table=layout.table))
    if needed and recipe.kernel.modules is None:
        raise Failure("modules-missing", release=release, root=layout.root.filesystem)
    return needed


def _digest(path: Path) -> str:
    """SHA-256 of a file, or of the names, sizes and times of all files in a folder."""
    if path.is_file():
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    digest = hashlib.sha256()
    for entry in sorted(path.rglob("*")):
        status = entry.lstat()
        digest.update(f"{entry.relative_to(path)}\0{status.st_size}\0{status.st_mtime_ns}\n".encode())
    return digest.hexdigest()
