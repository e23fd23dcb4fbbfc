"""What the package managers of rpm packages have in common: rpm's settings and rpm's database."""

import re
import shlex
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime

from wizard import presets
from wizard.distro import initramfs, keys
from wizard.distro.tree import ROOT
from wizard.distro.userland import Userland
from wizard.plan.actions import Write

HOME = "bootstrap/home"
"""rpm's settings of this build, where rpm looks for the user's: nobody's own settings or database are touched."""

FILES = "bootstrap/files"
"""What is laid into the root file system before the first package comes."""

KERNEL_PLUGIN = "etc/kernel/install.d/50-dracut.install"

TOOLS = ("rpm", *keys.TOOLS, "faketime", "flock")


def begin(wanted: Userland, manager: str) -> str:
    """The first commands: where things are.  "$cache" keeps the packages of this release between builds."""
    name = f"{manager}/{wanted.distro.name}-{wanted.release}-{wanted.arch}"
    return f"""\
export HOME="$PWD/{HOME}"
# Debian's rpm wants to be told that it is not to install into Debian itself; it warns all the same.
export RPM_FORCE_DEBIAN=1
root="$PWD/{ROOT}"
cache="$DOWNLOADS/{name}"
mkdir -p "$cache"
# One build at a time uses it.
exec 9> "$cache/in-use"
flock 9
cp -r {FILES}/. "$root"
"""


def database(wanted: Userland) -> str:
    """The folder of rpm's database in this release."""
    folders: Mapping[str, str] = wanted.distro.own["database"]
    return folders.get(wanted.release) or folders["all"]


def settings(wanted: Userland) -> Write:
    """rpm's settings: where this distribution has its database, and /proc left alone, which is no folder here."""
    return Write(f"{HOME}/.rpmmacros", f"%_dbpath {database(wanted)}\n%_netsharedpath /proc\n")


def repository_file(wanted: Userland, extra: Mapping[str, str] | None = None) -> str:
    """A .repo file: from the recipe's mirror, or from where the distribution says that its mirrors are.

    `signed_metadata` of a repository says whether its lists are signed beside the packages.
    """
    sections = []
    mirror = wanted.recipe.distro.mirror
    for row in wanted.distro.own["repositories"]:
        address = f"baseurl={mirror.rstrip('/')}/{row['path']}" if mirror else row["address"]
        lines = {
            "name": row["id"],
            "enabled": "1",
            "gpgcheck": "1",
            "repo_gpgcheck": "1" if row["signed_metadata"] else "0",
            **(extra or {}),
        }
        sections.append("\n".join([f"[{row['id']}]", address, *(f"{key}={text}" for key, text in lines.items())]))
    return "\n\n".join(sections) + "\n"


def dracut_files(wanted: Userland) -> Iterator[Write]:
    """How the initramfs is made, now and at every upgrade of the kernel."""
    if wanted.has_initramfs:
        yield Write(f"{FILES}/etc/dracut.conf.d/10-ec2.conf", initramfs.dracut())


def kernel_plugin() -> Write:
    """What lets /boot/vmlinuz and /boot/initrd.img follow the newest kernel."""
    return Write(f"{FILES}/{KERNEL_PLUGIN}", (presets.ROOT / "system/dracut.install").read_text(), 0o755)


def own_kernel(wanted: Userland, initrd: str) -> str:
    """Commands that take the user's kernel in; `initrd` is how the distribution calls its initramfs."""
    if wanted.kernel is None:
        return ""
    release = wanted.kernel.release
    lines = [
        'tar -C "$root" --no-overwrite-dir -xpf kernel/kernel.tar',
        f'inside "$root" depmod {release}',
        f'ln -sf vmlinuz-{release} "$root/boot/vmlinuz"',
    ]
    if wanted.kernel.has_initramfs:
        lines.append(f'inside "$root" dracut --force --no-hostonly /boot/{initrd} {release}')
        lines.append(f'ln -sf {initrd} "$root/boot/initrd.img"')
    return "\n".join(lines) + "\n"


OWNERS = r"""
# rpm 4.19 and later makes the users that packages ask for (sysusers.d) and gives them their files; older ones do not.
if [ -x "$root/usr/bin/systemd-sysusers" ]; then
  inside "$root" systemd-sysusers
  rpm --root "$root" -qa --qf '[%{fileusername} %{filegroupname} %{filemodes:octal} %{filenames}\n]' |
    sed '/^root root /d' | LC_ALL=C sort | while read -r user group mode path; do
    [ -e "$root$path" ] || [ -L "$root$path" ] || continue
    inside "$root" chown -h "$user:$group" "$path"
    # A new owner takes the set-user-id bit away.
    [ -L "$root$path" ] || inside "$root" chmod "${mode: -4}" "$path"
  done
fi
"""

SELINUX = """
# Packages that are installed from outside get no SELinux labels.  The first start sets them, and while it does nothing
# is forbidden; `setenforce 1`, and enforcing in /etc/selinux/config, are safe afterwards.
if [ -e "$root/etc/selinux/config" ]; then
  sed -i 's/^SELINUX=enforcing/SELINUX=permissive/' "$root/etc/selinux/config"
  : > "$root/.autorelabel"
fi
"""

CLEAN = """
# What is this machine's own, or was only needed now.
rm -rf "$root/var/lib/dnf"
if [ -e "$root/etc/machine-id" ]; then : > "$root/etc/machine-id"; fi
"""


def database_anew(wanted: Userland) -> str:
    """Commands that write rpm's database again, the same in every build of the same packages.

    It holds when and in which order each package came.  The packages are in the folder "$cache" still; only the
    database is written, by a clock that stands still.  The distribution's own rpm puts it into its own format.
    """
    folder = f'"$root{database(wanted)}"'
    mirror = wanted.recipe.distro.mirror or ""
    # What is a folder of this machine already is not copied.
    places = '"$cache"' + (f" {shlex.quote(re.sub('^file:/+', '/', mirror))}" if mirror.startswith("file:") else "")
    time = datetime.fromtimestamp(wanted.epoch, UTC).strftime("%Y-%m-%d %H:%M:%S")
    query = "rpm --root \"$root\" -qa --qf '%{nvra} %{sigmd5}\\n' | sed '/^gpg-pubkey-/d' | LC_ALL=C sort"
    return f"""
# rpm's database says when each package came, and holds them in that order: it is written again, by a clock that stands
# still and in the order of names, and put into the distribution's own format by its own rpm.
{query} > bootstrap/installed
find {places} -name '*.rpm' | awk '
  NR == FNR {{ wanted[$1 ".rpm"]; next }}
  {{ name = $0; sub(".*/", "", name) }}
  name in wanted && !seen[name]++ {{ print name "\t" $0 }}
' bootstrap/installed - | LC_ALL=C sort | cut -f 2 > bootstrap/archives
rm -rf {folder}
mkdir -p {folder}
faketime -f '{time}' rpm --root "$root" --import bootstrap/keys/*.asc
mapfile -t archives < bootstrap/archives
faketime -f '{time}' rpm --root "$root" --install --justdb --nodeps --noscripts --notriggers --noorder --noplugins \\
  --excludedocs --ignoresize "${{archives[@]}}"
{query} | cmp - bootstrap/installed
if [ -x "$root/usr/bin/rpmdb" ]; then inside "$root" rpmdb --rebuilddb; fi
rm -f {folder}/.rpm.lock {folder}/*-shm
find {folder} -name '*-wal' -empty -delete
"""
