"""Debian's family: a root file system by mmdebstrap."""

import shlex
from dataclasses import dataclass

from wizard import presets
from wizard.plan.steps import Run, Step
from wizard.recipe import Recipe

KERNEL_LINKS = "do_symlinks = yes\\nlink_in_boot = yes\\n"
"""/etc/kernel-img.conf: /boot/vmlinuz and /boot/initrd.img follow every upgrade, so menus need no version."""


@dataclass(frozen=True, slots=True)
class UserKernel:
    """The user's kernel, staged as kernel/kernel.tar."""

    release: str
    has_initramfs: bool


def packages(recipe: Recipe, root_filesystems: tuple[str, ...], user_kernel: UserKernel | None) -> list[str]:
    """What is installed beside the essential packages, sorted."""
    distro = presets.load(f"distros/{recipe.distro.name}")
    wanted = {*distro["packages"], *recipe.distro.packages}
    wanted.update(distro["bootloader_packages"].get(recipe.target.arch, ()))
    for filesystem in root_filesystems:
        wanted.update(distro["filesystem_packages"].get(filesystem, ()))
    if user_kernel is None:
        wanted.add(distro["kernels"][recipe.target.virtualization][recipe.target.arch]["package"])
    if user_kernel is None or user_kernel.has_initramfs:
        wanted.update(distro["initramfs"])
    if needs_locale(recipe.system.locale):
        wanted.add("locales")
    return sorted(wanted)


def needs_locale(locale: str) -> bool:
    """Whether the locale has to be generated: C and POSIX are part of every system."""
    return locale.split(".")[0] not in ("C", "POSIX")


def bootstrap_step(
    recipe: Recipe, names: list[str], user_kernel: UserKernel | None, sources: tuple[str, ...], inputs: dict[str, str]
) -> Step:
    """The step that makes bootstrap/root.tar: a root file system with its kernel and initramfs.

    `sources` are mmdebstrap's MIRROR arguments; none means its own default for the release.
    """
    distro = presets.load(f"distros/{recipe.distro.name}")
    architecture = distro["architectures"][recipe.target.arch]
    options = [
        "--mode=auto",
        "--variant=minbase",
        f"--architectures={architecture}",
        f"--include={','.join(names)}",
        "--skip=download/empty",
        "--skip=essential/unlink",
        """--setup-hook='mkdir -p "$1/var/cache/apt/archives"'""",
        "--setup-hook=\"sync-in '$DOWNLOADS' /var/cache/apt/archives\"",
        f"""--essential-hook='printf "{KERNEL_LINKS}" > "$1/etc/kernel-img.conf"'""",
        *_kernel_hooks(user_kernel),
        *_locale_hooks(recipe.system.locale),
        # Every instance makes its own: a shared host key is no key.
        """--customize-hook='rm -f "$1"/etc/ssh/ssh_host_*'""",
        "--customize-hook=\"sync-out /var/cache/apt/archives '$DOWNLOADS'\"",
        # sync-in gave the folder the owner and mode that it has on this machine.
        """--customize-hook='chown 0:0 "$1/var/cache/apt/archives" && chmod 755 "$1/var/cache/apt/archives"'""",
    ]
    words = [
        "own_mounts mmdebstrap --verbose",
        *options,
        recipe.distro.release,
        "bootstrap/root.tar",
        *map(shlex.quote, sources),
    ]
    return Step(
        "bootstrap",
        f"Install {distro['title']} {recipe.distro.release}",
        f"mmdebstrap fetches {distro['title']}'s packages, checks their signatures and unpacks them into a root file "
        "system of their own. Packages that were fetched once are used again.",
        (Run('mkdir -p "$DOWNLOADS"'), Run(" \\\n  ".join(words))),
        ("kernel",) if user_kernel else (),
        inputs,
    )


def _kernel_hooks(kernel: UserKernel | None) -> list[str]:
    if kernel is None:
        return []
    release = kernel.release
    hooks = [
        "tar-in kernel/kernel.tar /",
        f'chroot "$1" depmod {release}',
        f'ln -sf vmlinuz-{release} "$1/boot/vmlinuz"',
    ]
    if kernel.has_initramfs:
        hooks.append(f'chroot "$1" update-initramfs -c -k {release}')
        hooks.append(f'ln -sf initrd.img-{release} "$1/boot/initrd.img"')
    return [f"--customize-hook={shlex.quote(hook)}" for hook in hooks]


def _locale_hooks(locale: str) -> list[str]:
    if not needs_locale(locale):
        return []
    charset = locale.partition(".")[2] or "ISO-8859-1"
    generate = f'echo "{locale} {charset}" > "$1/etc/locale.gen" && chroot "$1" locale-gen'
    return [f"--customize-hook={shlex.quote(generate)}"]
