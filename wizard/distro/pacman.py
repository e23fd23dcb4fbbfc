"""Arch's family: a root file system by pacman, as pacstrap and mkarchroot make it, from any host."""

import re
import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path

from wizard import host
from wizard.distro import initramfs
from wizard.distro.tree import ROOT, made_apart
from wizard.distro.userland import UserKernel, Userland, needs_locale
from wizard.plan.actions import Run, Write, writes
from wizard.plan.steps import Step

CONFIG = "bootstrap/pacman.conf"
OWN_FILES = "bootstrap/files"
HOST_MIRRORS = Path("/etc/pacman.d/mirrorlist")

PACMAN_INIT = """\
[Unit]
Description=This instance's own key, with which pacman trusts those of the distribution
ConditionPathExists=!/etc/pacman.d/gnupg/trustdb.gpg
Before=archlinux-keyring-wkd-sync.service

[Service]
Type=oneshot
ExecStart=/usr/bin/pacman-key --init
ExecStart=/usr/bin/pacman-key --populate

[Install]
WantedBy=multi-user.target
"""

OWN_KERNEL = "own"
"""What /etc/mkinitcpio.d calls the user's kernel."""

KEYS = """\
# pacman trusts a key when it is one that the keyring names, or when three of those have signed it. For that it wants a
# key of its own: it is made for this once, in memory. A short path, too: gpg-agent refuses a long one. And where there
# is a /run/user, two builds would speak to one agent.
mount -t tmpfs -o mode=700 tmpfs /dev/shm
[ ! -d /run/user ] || mount -t tmpfs tmpfs /run/user
trust() {
  export GNUPGHOME
  GNUPGHOME=$(mktemp -d /dev/shm/keys.XXXXXX)
  touch "$GNUPGHOME/pubring.gpg"
  gpg --batch --quiet --passphrase '' --quick-generate-key 'This build' ed25519 cert never
  gpg --batch --quiet --no-auto-check-trustdb --import "$1.gpg"
  while IFS=: read -r key _; do
    case "$key" in ''|\\#*) ;; *) gpg --batch --quiet --yes --no-auto-check-trustdb --quick-lsign-key "$key" ;; esac
  done < "$1-trusted"
  gpg --batch --quiet --import-ownertrust "$1-trusted"
  # 128 of an owner's trust means that the key is disabled.
  sed '/./s/$/:130:/' "$1-revoked" | gpg --batch --quiet --import-ownertrust
  gpg --batch --quiet --check-trustdb
}
into() {
  local root=$1
  shift
  pacman --root "$root" --config bootstrap/pacman.conf --gpgdir "$GNUPGHOME" --cachedir "$DOWNLOADS/pacman" \\
    --logfile /dev/null --noconfirm --noprogressbar "$@"
}
# One build at a time: two would write into the same files.
fetch() {
  ( flock 9; into "$@" 9<&- ) 9< "$DOWNLOADS/pacman"
}
"""


def tools(wanted: Userland) -> list[str]:
    """The host's programs and files that the step needs."""
    return ["pacman", "gpg", "gpg-agent", "unshare", f"{_keyring(wanted)}.gpg"]


def bootstrap_step(wanted: Userland, inputs: Mapping[str, str]) -> Step:
    """The step that makes bootstrap/root.tar: a root file system with its kernel and initramfs."""
    return Step(
        "bootstrap",
        f"Install {wanted.title}",
        f"pacman fetches {wanted.distro.title}'s packages, checks the signature of each and unpacks them into a root "
        "file system of their own. The keys are first those that this machine has, then those of the distribution's "
        "own keyring package, once its signature is found good. Arch signs packages and not its lists: a mirror can "
        "withhold what is new, but not change anything. Packages that were fetched once are used again.",
        (
            Write(CONFIG, config(wanted)),
            *writes(_own_files(wanted), OWN_FILES),
            Run('mkdir -p "$DOWNLOADS/pacman"'),
            *made_apart("\n".join(_commands(wanted)), wanted.epoch),
        ),
        ("kernel",) if wanted.kernel else (),
        {**inputs, "pacman": host.stamp("pacman"), "keyring": _stamp(Path(f"{_keyring(wanted)}.gpg"))},
    )


def config(wanted: Userland) -> str:
    """The pacman.conf of the build: nothing of this machine's own is read (pacman.conf(5))."""
    own = wanted.distro.own
    lines_of_servers = [f"Server = {server}" for server in servers(wanted.recipe.distro.mirror, own)]
    lines = [
        "[options]",
        f"Architecture = {wanted.arch}",
        f"HookDir = {ROOT}/etc/pacman.d/hooks",
        "SigLevel = Required DatabaseOptional TrustedOnly",
        "ParallelDownloads = 5",
    ]
    for repository in own["repositories"]:
        lines += ["", f"[{repository}]", *lines_of_servers]
    return "\n".join(lines) + "\n"


def servers(mirror: str | None, own: Mapping[str, object], mirrorlist: Path = HOST_MIRRORS) -> list[str]:
    """The recipe's mirror; else those of this machine, if it runs the same distribution; else the distribution's."""
    path = str(own["path"])
    if mirror is None and mirrorlist.exists():
        found = re.findall(r"^\s*Server\s*=\s*(\S+)\s*$", mirrorlist.read_text(encoding="utf-8"), re.MULTILINE)
        if same := [server for server in found if server.endswith(f"/{path}")]:
            return same
    return [f"{(mirror or str(own['mirror'])).rstrip('/')}/{path}"]


def _keyring(wanted: Userland) -> str:
    """This machine's keyring, without its ending: beside KEYRING.gpg lie KEYRING-trusted and KEYRING-revoked."""
    places: Sequence[str] = wanted.distro.own["keyrings"]
    return next((place for place in places if Path(f"{place}.gpg").exists()), places[-1])


def _stamp(path: Path) -> str:
    return f"{path.stat().st_size}-{path.stat().st_mtime_ns}" if path.exists() else "missing"


def _own_files(wanted: Userland) -> dict[str, str]:
    files = {"etc/systemd/system/pacman-init.service": PACMAN_INIT}
    if wanted.has_initramfs:
        files["etc/mkinitcpio.conf.d/ec2.conf"] = initramfs.mkinitcpio()
    if wanted.kernel and wanted.kernel.has_initramfs:
        files[f"etc/mkinitcpio.d/{OWN_KERNEL}.preset"] = (
            f'ALL_kver="{wanted.kernel.release}"\n'
            "PRESETS=('default')\n"
            f'default_image="/boot/initramfs-{wanted.kernel.release}.img"\n'
        )
    return files


def _commands(wanted: Userland) -> list[str]:
    own = wanted.distro.own
    package, name = own["keyring_package"], own["keyring"]
    packages = " ".join(wanted.packages)
    return [
        KEYS,
        "# The folders that must be there before the first package, as pacstrap makes them.",
        f"mkdir -p {ROOT}/var/lib/pacman {ROOT}/etc/pacman.d bootstrap/keyring/var/lib/pacman",
        f"mkdir -m 555 {ROOT}/proc {ROOT}/sys",
        f"mkdir -m 1777 {ROOT}/tmp",
        f"cp -r {OWN_FILES}/. {ROOT}/",
        "",
        f"trust {shlex.quote(_keyring(wanted))}",
        f"fetch bootstrap/keyring -Sy --nodeps --nodeps --noscriptlet {package}",
        f"trust bootstrap/keyring/usr/share/pacman/keyrings/{name}",
        f"mv bootstrap/keyring/var/lib/pacman/sync {ROOT}/var/lib/pacman/",
        "rm -rf bootstrap/keyring",
        "",
        f"fetch {ROOT} -Sw {packages}",
        f"furnish {ROOT}",
        f"into {ROOT} -S {packages}",
        *_kernel_commands(wanted.kernel),
        *_locale_commands(wanted.recipe.system.locale),
        f"clear_away {ROOT}",
        "",
        *_boot_links(wanted),
        *_clean_commands(wanted),
    ]


def _kernel_commands(kernel: UserKernel | None) -> list[str]:
    if kernel is None:
        return []
    commands = [
        f"tar -C {ROOT} --keep-directory-symlink -xf kernel/kernel.tar",
        f"inside {ROOT} depmod {kernel.release}",
    ]
    return commands + ([f"inside {ROOT} mkinitcpio -p {OWN_KERNEL}"] if kernel.has_initramfs else [])


def _locale_commands(locale: str) -> list[str]:
    if not needs_locale(locale):
        return []
    charset = locale.partition(".")[2] or "ISO-8859-1"
    return [f'echo "{locale} {charset}" > {ROOT}/etc/locale.gen', f"inside {ROOT} locale-gen"]


def _boot_links(wanted: Userland) -> list[str]:
    """Arch's file names carry no version, so that a link to them follows every upgrade."""
    own = wanted.distro.kernel(wanted.recipe.target.virtualization, wanted.recipe.target.arch)
    name = wanted.kernel.release if wanted.kernel else own.package if own else ""
    links = {"vmlinuz": f"vmlinuz-{name}"}
    if wanted.has_initramfs:
        links["initrd.img"] = f"initramfs-{name}.img"
    commands = []
    for link, target in links.items():
        # pacman goes on when a hook fails: only what is there tells.
        missing = f"error: the packages' scripts did not make /boot/{target}"
        commands += [
            f"ln -sf {target} {ROOT}/boot/{link}",
            f'[ -s {ROOT}/boot/{link} ] || {{ echo "{missing}" >&2; exit 1; }}',
        ]
    return commands


def _clean_commands(wanted: Userland) -> list[str]:
    """What a package manager leaves behind, and what is only one machine's."""
    mirror = servers(wanted.recipe.distro.mirror, wanted.distro.own, Path("/nowhere"))[0]
    return [
        "# The instance makes its own id, and its own key for pacman; lists of packages are old at once.",
        f"rm -rf {ROOT}/etc/machine-id {ROOT}/etc/pacman.d/gnupg {ROOT}/var/lib/pacman/sync",
        f"echo {shlex.quote(f'Server = {mirror}')} > {ROOT}/etc/pacman.d/mirrorlist",
        f"mkdir -p {ROOT}/etc/systemd/system/multi-user.target.wants",
        f"ln -sf ../pacman-init.service {ROOT}/etc/systemd/system/multi-user.target.wants/",
        "# The day of the installation would tell two builds of the same recipe apart.",
        f"sed -i '/^%INSTALLDATE%$/{{n;s/.*/{wanted.epoch}/}}' {ROOT}/var/lib/pacman/local/*/desc",
    ]
