"""Debian's family, Ubuntu among it: a root file system by mmdebstrap."""

import shlex
from collections.abc import Mapping

from wizard import host
from wizard.distro import initramfs, keys, sources
from wizard.distro.tidy import TIDY
from wizard.distro.userland import UserKernel, Userland, needs_locale
from wizard.plan.actions import Run
from wizard.plan.steps import Step

KERNEL_LINKS = "do_symlinks = yes\nlink_in_boot = yes\n"
"""/etc/kernel-img.conf: /boot/vmlinuz and /boot/initrd.img follow every upgrade, so menus need no version."""

OWN_KERNEL_LINKS = """\
# /boot/vmlinuz is the kernel that this image was built with. A kernel package that is installed later
# leaves it alone, so the boot menu keeps starting it. With "yes" the newest package is started.
do_symlinks = no
link_in_boot = yes
"""

CACHE = """\
kept=$DOWNLOADS/apt/{folder}
mkdir -p "$kept"
# What comes is put beside, and then renamed into its place: another build may be at it too. An old one was left by a
# build that was killed.
find "$DOWNLOADS/apt" -maxdepth 1 -name 'fetched.*' -mmin +1440 -exec rm -r {{}} +
fetched=$(mktemp -d "$DOWNLOADS/apt/fetched.XXXXXX")
trap 'rm -rf "$fetched" ${{keys:+"$keys"}}' EXIT"""
"""Where the packages of this release are kept between builds."""

LEND_KEYS = """\
# apt reads keys as a user of its own, who may not look into this folder.
keys=$(mktemp -d)
chmod 755 "$keys"
cp bootstrap/keys/*.asc "$keys\""""

KEEP = """find "$fetched" -maxdepth 1 -name '*.deb' -exec mv -f -t "$kept" {} +"""

TIDY_APT = """\
find var/lib/apt/lists -type f -delete
rm -f var/lib/dpkg/*-old
"""


def tools(wanted: Userland) -> list[str]:
    """The host's programs and files that the step needs."""
    own = wanted.distro.own
    return ["mmdebstrap", *([own["keyring"]] if "keyring" in own else keys.TOOLS)]


def bootstrap_step(wanted: Userland, inputs: Mapping[str, str]) -> Step:
    """The step that makes bootstrap/root.tar: a root file system with its kernel and initramfs."""
    recipe = wanted.recipe
    distro = wanted.distro
    signers = keys.of_release(distro.own, wanted.release)
    mirrors = sources.mirrors(distro, recipe.distro.mirror, wanted.release, recipe.target.arch)
    options = [
        "--mode=auto",
        "--variant=minbase",
        f"--architectures={wanted.arch}",
        f"--include={','.join(wanted.packages)}",
        # mmdebstrap finds Debian's keys by itself, and on Debian also those that the machine's owner trusts.
        *(['--keyring="$keys"'] if signers else []),
        "--skip=download/empty",
        "--skip=essential/unlink",
        """--setup-hook='mkdir -p "$1/var/cache/apt/archives"'""",
        "--setup-hook=\"sync-in '$kept' /var/cache/apt/archives\"",
        f"--essential-hook={shlex.quote(_kernel_links(wanted.kernel))}",
        *(_initramfs_hooks() if wanted.has_initramfs else ()),
        *_kernel_hooks(wanted.kernel),
        *_locale_hooks(recipe.system.locale),
        "--customize-hook=\"sync-out /var/cache/apt/archives '$fetched'\"",
        # sync-in gave the folder the owner and mode that it has on this machine.
        """--customize-hook='chown 0:0 "$1/var/cache/apt/archives" && chmod 755 "$1/var/cache/apt/archives"'""",
        # In any other folder it would be this machine's own that is tidied.
        f'--customize-hook=\'set -eu; cd "$1"; [ "$(pwd -P)" != / ]\n{TIDY}{TIDY_APT}\'',
    ]
    words = [
        "own_mounts mmdebstrap --verbose",
        *options,
        wanted.release,
        "bootstrap/root.tar",
        *map(shlex.quote, mirrors),
    ]
    folder = f"{distro.name}-{wanted.release}-{wanted.arch}"
    lines = [CACHE.format(folder=folder), *([LEND_KEYS] if signers else []), " \\\n  ".join(words), KEEP]
    install = "\n".join(["(", *lines, ")"])
    return Step(
        "bootstrap",
        f"Install {wanted.title}",
        f"mmdebstrap fetches {wanted.distro.title}'s packages, checks their signatures and unpacks them into a root "
        "file system of their own. Packages that were fetched once are used again.",
        (*keys.fetch(signers), Run(install)),
        ("kernel",) if wanted.kernel else (),
        {**inputs, "mmdebstrap": host.stamp("mmdebstrap")},
    )


def _kernel_links(kernel: UserKernel | None) -> str:
    text = KERNEL_LINKS if kernel is None else OWN_KERNEL_LINKS
    return f'cat > "$1/etc/kernel-img.conf" <<END\n{text}END'


def _initramfs_hooks() -> list[str]:
    """What makes the initramfs one for EC2, before the first kernel comes."""
    folder = '"$1/etc/initramfs-tools'
    lines = ["set -eu", f'mkdir -p {folder}/conf.d" {folder}/hooks"']
    for path, text in initramfs.initramfs_tools().items():
        lines.append(f"cat > {folder}/{path}\" <<'END'\n{text}END")
    lines.append(f'chmod 755 {folder}/hooks/ec2"')
    return [f"--essential-hook={shlex.quote(chr(10).join(lines))}"]


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
