"""A root file system as a folder, for package managers that install into one.

It is made and packed by one command in mount and process spaces of its own, so that nothing stays mounted, however it
ends.  As an ordinary user that is a user namespace, in which no device can be made: the few that programs expect are
lent from this machine.
"""

from wizard.distro.tidy import TIDY, TIDY_TMP
from wizard.distro.userland import Userland
from wizard.plan.actions import Run

ROOT = "bootstrap/root"
"""The folder, as the step's commands see it."""

FURNISH = """\
furnish() {
  mkdir -p "$1/proc" "$1/dev" "$1/run"
  # A container that hides parts of its own /proc allows no new one: then that is lent.
  mount -t proc proc "$1/proc" 2>/dev/null || mount --rbind /proc "$1/proc"
  mount -t tmpfs -o mode=755 tmpfs "$1/run"
  mount -t tmpfs -o mode=755 tmpfs "$1/dev"
  for device in null zero full random urandom tty; do
    touch "$1/dev/$device"
    mount --bind "/dev/$device" "$1/dev/$device"
  done
  mkdir -m 1777 "$1/dev/shm"
  ln -s /proc/self/fd "$1/dev/fd"
  ln -s /proc/self/fd/0 "$1/dev/stdin"
  ln -s /proc/self/fd/1 "$1/dev/stdout"
  ln -s /proc/self/fd/2 "$1/dev/stderr"
}
clear_away() {
  umount --lazy "$1/dev" "$1/run" "$1/proc"
}
inside() {
  local root=$1
  shift
  env -i HOME=/root PATH=/usr/sbin:/usr/bin:/sbin:/bin LC_ALL="$LC_ALL" TZ="$TZ" \\
    SOURCE_DATE_EPOCH="$SOURCE_DATE_EPOCH" chroot "$root" "$@"
}
"""


def made_apart(commands: str, epoch: int) -> tuple[Run, ...]:
    """The actions that make bootstrap/root.tar by commands that fill bootstrap/root.

    The commands run as root with `furnish` and `clear_away` at hand, each of which takes the folder, and
    `inside FOLDER PROGRAM …`, which runs one of its programs.  They have to clear away what they furnished.
    Afterwards what belongs in no image is removed, the folder is packed with owners as numbers, names in order and no
    time later than the epoch, and is gone.  Of extended attributes, file capabilities alone are packed: others are
    this machine's (SELinux labels).
    """
    # In braces, it is read as a whole before it begins: no program can take its lines for its own input.
    script = f"""{{
{FURNISH}
# The folder for temporary files is this machine's: inside the root there is none of that name.
unset TMPDIR
mkdir -p {ROOT}
{commands.strip()}
(
cd {ROOT}
{TIDY.strip()}
{TIDY_TMP}
)
rm -rf --one-file-system {ROOT}/dev {ROOT}/run
mkdir {ROOT}/dev {ROOT}/run
tar -C {ROOT} --one-file-system --sort=name --numeric-owner --xattrs --xattrs-include=security.capability \\
  --mtime=@{epoch} --clamp-mtime --pax-option=exthdr.name=%d/PaxHeaders/%f,delete=atime,delete=ctime \\
  -cf bootstrap/root.tar .
}} < /dev/null
"""
    return (
        Run(f"as_root_apart bash -euo pipefail <<'APART'\n{script}APART"),
        Run(f"as_root rm -rf --one-file-system {ROOT}"),
    )


def kernel_tools(wanted: Userland) -> list[str]:
    """The host's programs that `kernel_commands` needs, which a plan asks for before the kernel was read."""
    return ["depmod"] if wanted.recipe.kernel.source == "files" else []


def kernel_commands(release: str) -> list[str]:
    """The commands that put the user's kernel and its modules in place, and the link that boot loaders follow.

    depmod is this machine's: a userland may have none.
    """
    return [
        f"tar -C {ROOT} --keep-directory-symlink -xf kernel/kernel.tar",
        "# Where /lib is a folder of its own, the modules belong there.",
        f"if ! [ -L {ROOT}/lib ]; then",
        f"  mkdir -p {ROOT}/lib/modules",
        f"  rm -rf {ROOT}/lib/modules/{release}",
        f"  mv {ROOT}/usr/lib/modules/{release} {ROOT}/lib/modules/",
        "fi",
        f"depmod -b {ROOT} {release}",
        f"ln -sfn vmlinuz-{release} {ROOT}/boot/vmlinuz",
    ]
