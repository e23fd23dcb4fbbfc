"""zypper's family: openSUSE."""

from collections.abc import Mapping

from wizard import host
from wizard.distro import keys, rpm, tree
from wizard.distro.userland import Userland
from wizard.plan.actions import Write
from wizard.plan.steps import Step

CONF = """\
[main]
arch = {arch}
solver.onlyRequires = true
rpm.install.excludedocs = yes
"""


FORGET_CACHE = """\
# zypper wants a folder of the cache's name inside, too.  What no package has of its path goes away again.
rm -rf "$root$cache"
folder=${cache%/*}
while [ "$folder" ] && ! rpm --root "$root" -qf "$folder" > /dev/null 2>&1; do
  rmdir "$root$folder" || break
  folder=${folder%/*}
done
"""


def tools(_wanted: Userland) -> list[str]:
    """The host's programs and files that the step needs."""
    return ["zypper", *rpm.TOOLS]


def bootstrap_step(wanted: Userland, inputs: Mapping[str, str]) -> Step:
    """The step that makes bootstrap/root.tar: a root file system with its kernel and initramfs."""
    own = wanted.distro.own
    # zypper trusts the keys that rpm's database has, and asks of every other one: without a terminal that is a no.
    kept = {"autorefresh": "1", "keeppackages": "1", "pkg_gpgcheck": "1"}
    return Step(
        "bootstrap",
        f"Install {wanted.title}",
        f"zypper fetches {wanted.distro.title}'s packages, checks their signatures and unpacks them into a root file "
        "system of their own. Packages that were fetched once are used again.",
        (
            *keys.fetch(keys.of_release(own, wanted.release)),
            rpm.settings(wanted),
            Write("bootstrap/zypp.conf", CONF.format(arch=wanted.arch)),
            Write("bootstrap/repos/distribution.repo", rpm.repository_file(wanted, kept)),
            *rpm.dracut_files(wanted),
            *tree.made_apart(_commands(wanted), wanted.epoch),
        ),
        ("kernel",) if wanted.kernel else (),
        {**inputs, "zypper": host.stamp("zypper"), "rpm": host.stamp("rpm")},
    )


def _commands(wanted: Userland) -> str:
    own = wanted.distro.own
    options = [
        '--root "$root"',
        '--reposd-dir "$PWD/bootstrap/repos"',
        '--cache-dir "$cache"',
        f"--releasever {own.get('releasever', {}).get(wanted.release, wanted.release)}",
        "--non-interactive",
    ]
    zypper = " ".join(["zypper", *options])
    install = "--no-recommends --auto-agree-with-licenses --download in-advance"
    return f"""
{rpm.begin(wanted, "zypper")}
export ZYPP_CONF="$PWD/bootstrap/zypp.conf" ZYPP_LOGFILE="$PWD/bootstrap/zypper.log"
furnish "$root"
rpm --root "$root" --import bootstrap/keys/*.asc
{zypper} refresh
{zypper} install {install} \\
  {" ".join(wanted.packages)}
{rpm.OWNERS}{rpm.SELINUX}{_kernel(wanted, zypper)}
{FORGET_CACHE}{rpm.database_anew(wanted)}
clear_away "$root"
{rpm.CLEAN}# Its first line says when it was written.
sed -i 1d "$root/var/lib/zypp/AutoInstalled"
"""


def _kernel(wanted: Userland, zypper: str) -> str:
    """The boot files.  openSUSE's own scripts let /boot/vmlinuz and /boot/initrd follow every upgrade.

    They make no initramfs where there is no /etc/fstab yet, and the kernel is a link into /usr, which a boot loader
    cannot follow to another partition; on a running system with a /boot of its own they copy it.
    Source: suse-module-tools, kernel-scriptlets/rpm-script and regenerate-initrd-posttrans.
    """
    if wanted.kernel:
        packages = " ".join(f"'{name}'" for name in wanted.distro.own["kernel_packages"])
        return f"""
{rpm.own_kernel(wanted, f"initrd-{wanted.kernel.release}")}
# No upgrade brings another kernel.
mkdir -p "$root/etc/zypp"
{zypper} addlock {packages}
"""
    return """
for image in "$root"/usr/lib/modules/*/vmlinuz; do
  version=$(basename "$(dirname "$image")")
  cp --remove-destination "$image" "$root/boot/vmlinuz-$version"
  inside "$root" depmod "$version"
  inside "$root" dracut --force --no-hostonly "/boot/initrd-$version" "$version"
  ln -sfn "vmlinuz-$version" "$root/boot/vmlinuz"
  ln -sfn "initrd-$version" "$root/boot/initrd"
  ln -sfn initrd "$root/boot/initrd.img"
done
"""
