"""Alpine's family: its minimal root archive, and in it its own apk."""

import shlex
from collections.abc import Mapping

from wizard.distro import initramfs, keys
from wizard.distro.signed import TOOLS, fetched
from wizard.distro.tree import ROOT, kernel_commands, kernel_tools, made_apart
from wizard.distro.userland import Userland
from wizard.plan.actions import Write, writes
from wizard.plan.steps import Step

OWN_FILES = "bootstrap/files"

APK = """\
# The root's own apk checks the lists of packages by the keys in /etc/apk/keys, and the packages by the lists.
apk() {
  inside "$1" env ${http_proxy:+"http_proxy=$http_proxy"} ${https_proxy:+"https_proxy=$https_proxy"} \\
    apk --no-progress "${@:2}"
}
"""


def tools(wanted: Userland) -> list[str]:
    """The host's programs that the step needs."""
    return [*TOOLS, "flock", "unshare", *kernel_tools(wanted)]


def bootstrap_step(wanted: Userland, inputs: Mapping[str, str]) -> Step:
    """The step that makes bootstrap/root.tar: a root file system with its kernel and initramfs."""
    own = wanted.distro.own
    version, mirror = own["minirootfs"][wanted.release], _mirror(wanted)
    archive = f"alpine-minirootfs-{version}-{wanted.arch}.tar.gz"
    url = f"{mirror}/v{wanted.release}/releases/{wanted.arch}/{archive}"
    place = f"alpine/{wanted.release}-{wanted.arch}"
    (signer,) = keys.of_release(own, wanted.release)
    fetches = [
        f"fetch {shlex.quote(url)} {place}/{archive}",
        f"fetch {shlex.quote(f'{url}.asc')} {place}/{archive}.asc",
        f"signed_by {signer['fingerprint']} \\",
        f'  "$DOWNLOADS/{place}/{archive}.asc" "$DOWNLOADS/{place}/{archive}"',
        f'mkdir -p "$DOWNLOADS/{place}/packages"',
    ]
    return Step(
        "bootstrap",
        f"Install {wanted.title}",
        "Alpine's minimal root is fetched, and used only if its signature is good and by Alpine's release key. Its own "
        "apk then installs the rest: it checks the signature of each list of packages, and each package by the list. "
        "Packages that were fetched once are used again.",
        (
            *_own_files(wanted),
            *keys.fetch([signer]),
            fetched(fetches),
            *made_apart("\n".join(_commands(wanted, f"{place}/{archive}", f"{place}/packages")), wanted.epoch),
        ),
        ("kernel",) if wanted.kernel else (),
        dict(inputs),
    )


def _mirror(wanted: Userland) -> str:
    return str(wanted.recipe.distro.mirror or wanted.distro.own["mirror"]).rstrip("/")


def _own_files(wanted: Userland) -> tuple[Write, ...]:
    release, mirror = f"v{wanted.release}", _mirror(wanted)
    repositories = "".join(f"{mirror}/{release}/{name}\n" for name in wanted.distro.own["repositories"])
    files = {"etc/apk/repositories": repositories}
    if wanted.has_initramfs:
        files["etc/mkinitfs/mkinitfs.conf"] = f'features="{initramfs.MKINITFS_FEATURES}"\n'
        files["etc/mkinitfs/features.d/ec2.modules"] = initramfs.mkinitfs()
    return tuple(writes(files, OWN_FILES))


def _commands(wanted: Userland, archive: str, cache: str) -> list[str]:
    packages = " ".join(wanted.packages)
    return [
        APK,
        f'tar -C {ROOT} --numeric-owner --exclude="./dev/*" -xpf "$DOWNLOADS/{archive}"',
        f"cp -r {OWN_FILES}/. {ROOT}/",
        f"furnish {ROOT}",
        "# Servers are looked up inside as they are outside; /etc/apk/cache is where apk keeps packages.",
        f"cat /etc/resolv.conf > {ROOT}/etc/resolv.conf",
        f"mkdir {ROOT}/etc/apk/cache",
        f'mount --bind "$DOWNLOADS/{cache}" {ROOT}/etc/apk/cache',
        f'exec 9< "$DOWNLOADS/{cache}"',
        "flock 9",
        f"apk {ROOT} --update-cache upgrade",
        f"apk {ROOT} add {packages}",
        "exec 9<&-",
        *_kernel(wanted),
        f"umount {ROOT}/etc/apk/cache",
        f"rmdir {ROOT}/etc/apk/cache",
        f"rm {ROOT}/etc/resolv.conf",
        f"clear_away {ROOT}",
        # A link that leads nowhere would be found out only by the boot loader.
        *(
            f'[ -s {ROOT}/boot/{link} ] || {{ echo "apk: there is no /boot/{link}" >&2; exit 1; }}'
            for link in _links(wanted)
        ),
    ]


def _kernel(wanted: Userland) -> list[str]:
    if wanted.kernel is None:
        return [f"ln -sf {target} {ROOT}/boot/{link}" for link, target in _links(wanted).items()]
    release = wanted.kernel.release
    commands = kernel_commands(release)
    if wanted.kernel.has_initramfs:
        commands.append(f"inside {ROOT} mkinitfs -o /boot/initramfs-{release} {release}")
        commands.append(f"ln -sf initramfs-{release} {ROOT}/boot/initrd.img")
    return commands


def _links(wanted: Userland) -> dict[str, str]:
    """Alpine's file names carry the flavour and no version, so that a link to them follows every upgrade."""
    own = wanted.distro.kernel(wanted.recipe.target.virtualization, wanted.recipe.target.arch)
    name = wanted.kernel.release if wanted.kernel else own.package.removeprefix("linux-") if own else ""
    links = {"vmlinuz": f"vmlinuz-{name}"}
    return {**links, "initrd.img": f"initramfs-{name}"} if wanted.has_initramfs else links
