"""A root file system as a folder, for package managers that install into one.

It is made and packed by one command in mount and process spaces of its own, so that nothing stays mounted, however it
ends.  As an ordinary user that is a user namespace, in which no device can be made: the few that programs expect are
lent from this machine.
"""

from wizard.plan.steps import Run

ROOT = "bootstrap/root"
"""The folder, as the step's commands see it."""

FURNISH = """\
furnish() {
  mkdir -p "$1/proc" "$1/sys" "$1/dev" "$1/run"
  mount -t proc proc "$1/proc"
  mount -t tmpfs -o mode=755 tmpfs "$1/run"
  mount -t tmpfs -o mode=755 tmpfs "$1/dev"
  for device in null zero full random urandom tty; do
    touch "$1/dev/$device"
    mount --bind "/dev/$device" "$1/dev/$device"
  done
  mkdir "$1/dev/shm"
  ln -s /proc/self/fd "$1/dev/fd"
  ln -s /proc/self/fd/0 "$1/dev/stdin"
  ln -s /proc/self/fd/1 "$1/dev/stdout"
  ln -s /proc/self/fd/2 "$1/dev/stderr"
}
clear_away() {
  umount -R "$1/dev" "$1/run" "$1/proc"
}
"""


def made_apart(commands: str, epoch: int) -> tuple[Run, ...]:
    """The actions that make bootstrap/root.tar by commands that fill bootstrap/root.

    The commands run as root with `furnish` and `clear_away` at hand; each takes the folder.  Afterwards the folder is
    packed with owners as numbers, names in order and no time later than the epoch, and removed.
    """
    script = f"""{FURNISH}
mkdir -p {ROOT}
{commands.strip()}
rm -rf {ROOT}/dev {ROOT}/run
mkdir {ROOT}/dev {ROOT}/run
tar -C {ROOT} --sort=name --numeric-owner --xattrs --xattrs-include='*' --mtime=@{epoch} --clamp-mtime \\
  --pax-option=delete=atime,delete=ctime -cf bootstrap/root.tar .
"""
    return (
        Run(f"as_root_apart bash -euo pipefail <<'APART'\n{script}APART"),
        Run(f"as_root rm -rf {ROOT}"),
    )
