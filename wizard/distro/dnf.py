"""dnf's family: Fedora, and what is made from Red Hat Enterprise Linux or like it."""

from collections.abc import Mapping

from wizard import host
from wizard.distro import keys, rpm, tree
from wizard.distro.userland import Userland
from wizard.plan.actions import Write
from wizard.plan.steps import Step

CONF = """\
[main]
plugins=0
gpgcheck=1
localpkg_gpgcheck=1
best=1
skip_if_unavailable=0
install_weak_deps=0
tsflags=nodocs
keepcache=1
metadata_expire=6h
"""


def tools(_wanted: Userland) -> list[str]:
    """The host's programs and files that the step needs."""
    return ["dnf", *rpm.TOOLS]


def bootstrap_step(wanted: Userland, inputs: Mapping[str, str]) -> Step:
    """The step that makes bootstrap/root.tar: a root file system with its kernel and initramfs."""
    own = wanted.distro.own
    signers = keys.of_release(own, wanted.release)
    kernel = [rpm.kernel_plugin()] if wanted.kernel is None else []
    return Step(
        "bootstrap",
        f"Install {wanted.title}",
        f"dnf fetches {wanted.distro.title}'s packages, checks their signatures and unpacks them into a root file "
        "system of their own. Packages that were fetched once are used again.",
        (
            *keys.fetch(signers),
            rpm.settings(wanted),
            Write("bootstrap/dnf.conf", CONF),
            Write("bootstrap/repos/distribution.repo", rpm.repository_file(wanted)),
            *rpm.dracut_files(wanted),
            *kernel,
            *tree.made_apart(_commands(wanted), wanted.epoch),
        ),
        ("kernel",) if wanted.kernel else (),
        {**inputs, "dnf": host.stamp("dnf"), "rpm": host.stamp("rpm")},
    )


def _commands(wanted: Userland) -> str:
    own = wanted.distro.own
    signers = [f"file://$PWD/{file}" for file in keys.files(keys.of_release(own, wanted.release))]
    options = [
        "--config bootstrap/dnf.conf",
        '--setopt=reposdir="$PWD/bootstrap/repos"',
        '--setopt=varsdir="$PWD/bootstrap/repos"',
        f'--setopt=*.gpgkey="{" ".join(signers)}"',
        '--installroot "$root"',
        f"--releasever {own.get('releasever', {}).get(wanted.release, wanted.release)}",
        f"--forcearch {wanted.arch}",
        "--assumeyes",
    ]
    dnf = " \\\n  ".join(["dnf", *options, f"install {' '.join(wanted.packages)}"])
    return f"""
{rpm.begin(wanted, "dnf")}
# Locks of a dnf that was killed are void.
rm -f "$cache"/*.pid
mkdir -p "$root/var/cache/dnf"
mount --bind "$cache" "$root/var/cache/dnf"
furnish "$root"
# The initramfs is made once, below, when the users that belong into it are there (kernel-install(8)).
export KERNEL_INSTALL_BYPASS=1
{dnf}
{rpm.OWNERS}{rpm.SELINUX}{_kernel(wanted)}{rpm.database_anew(wanted)}
clear_away "$root"
# An agent of gpg's may still hold it; it ends with this command.
umount --lazy "$root/var/cache/dnf"
{rpm.CLEAN}"""


def _kernel(wanted: Userland) -> str:
    """The boot files, by the plugin that makes them at every upgrade, or those of the user's kernel."""
    if wanted.kernel:
        packages = ",".join(wanted.distro.own["kernel_packages"])
        return f"""
{rpm.own_kernel(wanted, f"initramfs-{wanted.kernel.release}.img")}
# No upgrade brings another kernel.
printf 'excludepkgs={packages}\\n' >> "$root/etc/dnf/dnf.conf"
"""
    return f"""
for modules in "$root"/usr/lib/modules/*/; do
  version=$(basename "$modules")
  image="/usr/lib/modules/$version/vmlinuz"
  [ -e "$root$image" ] || image="/boot/vmlinuz-$version"
  inside "$root" depmod "$version"
  inside "$root" /{rpm.KERNEL_PLUGIN} add "$version" /boot "$image"
done
"""
