"""A miniature of Arch Linux: packages, keys and repositories as its own have them."""

import io
import os
import subprocess
import tarfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from miniature.contents import File, Folder, Link, Package, script

EPOCH = 1600000000
"""When everything was built."""

PACKAGER = "Packager <packager@miniature.invalid>"
NEWCOMER = "Newcomer <newcomer@miniature.invalid>"
"""One who came after this machine's own package of the keys was made."""
RETIRED = "Retired <retired@miniature.invalid>"
"""One whose key has expired since."""


@dataclass(frozen=True, slots=True)
class Keys:
    """A GnuPG home with the distribution's keys: three who are trusted, and a packager whose key they signed."""

    home: Path

    def gpg(self, *arguments: str, at: int | None = None) -> str:
        """Runs gpg; `at` holds its clock still (seconds since 1970)."""
        clock = [f"--faked-system-time={at}"] if at else []
        command = ["gpg", "--batch", "--quiet", "--yes", "--passphrase", "", *clock, *arguments]
        environment = {**os.environ, "GNUPGHOME": str(self.home)}
        return subprocess.run(command, check=True, capture_output=True, text=True, env=environment).stdout

    def add(self, who: str, *, expires: str = "never", at: int | None = None) -> str:
        """A new key; gives its fingerprint."""
        self.gpg("--quick-generate-key", who, "ed25519", "sign,cert", expires, at=at)
        lines = self.gpg("--list-keys", "--with-colons", who).splitlines()
        return next(line.split(":")[9] for line in lines if line.startswith("fpr"))

    def end(self) -> None:
        """Ends gpg's own agent."""
        subprocess.run(["gpgconf", "--homedir", str(self.home), "--kill", "all"], check=True)


def distribution_keys(home: Path) -> Keys:
    """Arch's web of trust in small: no packager's key is trusted for itself, but because three masters signed it."""
    home.mkdir(mode=0o700, parents=True)
    keys = Keys(home)
    masters = [keys.add(f"Master {number} <master{number}@miniature.invalid>", at=EPOCH) for number in (1, 2, 3)]
    packager, newcomer = keys.add(PACKAGER), keys.add(NEWCOMER)
    retired = keys.add(RETIRED, expires="1d", at=EPOCH)
    for master in masters:
        keys.gpg("-u", master, "--quick-sign-key", packager)
        keys.gpg("-u", master, "--quick-sign-key", newcomer)
        keys.gpg("-u", master, "--quick-sign-key", retired, at=EPOCH + 3600)
    return keys


def keyring(keys: Keys, folder: Path, who: Sequence[str] = ()) -> Path:
    """Writes miniature.gpg, -trusted and -revoked as archlinux-keyring has them; gives their path without an ending.

    `who`: the keys that it has, all when empty.
    """
    folder.mkdir(parents=True, exist_ok=True)
    place = folder / "miniature"
    Path(f"{place}.gpg").unlink(missing_ok=True)
    keys.gpg("--output", f"{place}.gpg", "--export", *who)
    lines = keys.gpg("--list-keys", "--with-colons", "Master").splitlines()
    masters = [line.split(":")[9] for line in lines if line.startswith("fpr")]
    Path(f"{place}-trusted").write_text("".join(f"{master}:4:\n" for master in masters))
    Path(f"{place}-revoked").write_text("")
    return place


def keyring_package(place: Path, name: str = "archlinux-keyring") -> Package:
    """The package that carries a keyring."""
    folder = "usr/share/pacman/keyrings"
    endings = (".gpg", "-trusted", "-revoked")
    return Package(
        name, files={f"{folder}/miniature{end}": File(Path(f"{place}{end}").read_bytes()) for end in endings}
    )


def package_file(package: Package, folder: Path, arch: str = "x86_64") -> Path:
    """Writes the package as makepkg does: .PKGINFO and .INSTALL first, then the files, packed with zstd."""
    path = folder / f"{package.name}-{package.version}-1-{arch}.pkg.tar.zst"
    size = sum(len(entry.content) for entry in package.files.values() if isinstance(entry, File))
    told = {"pkgname": package.name, "pkgbase": package.name, "pkgver": f"{package.version}-1", "pkgdesc": "Small"}
    told |= {"builddate": str(EPOCH), "packager": PACKAGER, "size": str(size), "arch": arch}
    lines = [f"{key} = {value}" for key, value in told.items()]
    lines += [f"depend = {name}" for name in package.depends]
    files: dict[str, File | Link | Folder] = {".PKGINFO": File("\n".join([*lines, ""]).encode())}
    if package.installed:
        files[".INSTALL"] = File(f"post_install() {{\n{package.installed}\n}}\n".encode())
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w") as tar:
        for name, entry in with_parents({**files, **package.files}).items():
            _add(tar, name, entry)
    subprocess.run(["zstd", "-q", "-f", "-o", path], input=content.getvalue(), check=True)
    return path


def with_parents(files: dict[str, File | Link | Folder]) -> dict[str, File | Link | Folder]:
    """The files, each after the folders that it lies in."""
    found: dict[str, File | Link | Folder] = {}
    for name, entry in files.items():
        for above in reversed(Path(name).parents[:-1]):
            found.setdefault(str(above), Folder())
        found[name] = entry
    return found


def _add(tar: tarfile.TarFile, name: str, entry: File | Link | Folder) -> None:
    member = tarfile.TarInfo(name)
    member.mtime = EPOCH
    member.uname = member.gname = "root"
    match entry:
        case File(content, mode):
            member.mode, member.size = mode, len(content)
            tar.addfile(member, io.BytesIO(content))
        case Link(target):
            member.type, member.linkname, member.mode = tarfile.SYMTYPE, target, 0o777
            tar.addfile(member)
        case Folder(mode):
            member.type, member.mode = tarfile.DIRTYPE, mode
            tar.addfile(member)


def repository(
    folder: Path, name: str, packages: Iterable[Package], keys: Keys, who: str = PACKAGER, arch: str = "x86_64"
) -> Path:
    """Adds packages to the repository NAME/os/ARCH of a mirror, each signed; gives that folder."""
    place = folder / name / "os" / arch
    place.mkdir(parents=True, exist_ok=True)
    paths = [package_file(package, place, arch) for package in packages]
    for path in paths:
        sign(path, keys, who)
    repo_add(place, name, paths)
    return place


def repo_add(place: Path, name: str, packages: Iterable[Path]) -> None:
    """Writes the packages into the repository's list, with their signatures where there are any."""
    command = ["repo-add", "-q", f"{name}.db.tar.gz", *(path.name for path in packages)]
    subprocess.run(command, cwd=place, check=True, capture_output=True, stdin=subprocess.DEVNULL)


def sign(path: Path, keys: Keys, who: str = PACKAGER, at: int | None = None) -> None:
    """Writes the signature beside a package."""
    keys.gpg("-u", who, "--output", f"{path}.sig", "--detach-sign", str(path), at=at)


KERNEL_RELEASE = "6.9.1-arch1-1"

MKINITCPIO = """\
# As the real one: -p PRESET reads /etc/mkinitcpio.d and makes the images it names; drop-ins of the configuration count.
[ -e /dev/fd ] && [ -e /proc/self/mountinfo ] || { echo "==> ERROR: /dev and /proc must be mounted!" >&2; exit 1; }
folder=$(mktemp -d "${TMPDIR:-/tmp}/mkinitcpio.XXXXXX") || exit 1
[ "$1" = -p ] || exit 1
sed 's/[()]//g' "/etc/mkinitcpio.d/$2.preset" > "$folder/preset"
. "$folder/preset"
cat /etc/mkinitcpio.conf.d/*.conf > "$folder/config"
echo "$ALL_kver" > "$folder/kernel"
rm "$folder/preset"
cd "$folder" && cat config kernel | gzip -n > "$default_image"
rm -r "$folder"
echo "==> Initcpio image generation successful"
"""

INSTALL_KERNEL = """\
while read -r line; do
  read -r base < "/${line%/vmlinuz}/pkgbase"
  mkdir -p /etc/mkinitcpio.d
  printf "ALL_kver=/boot/vmlinuz-$base\\ndefault_image=/boot/initramfs-$base.img\\n" > "/etc/mkinitcpio.d/$base.preset"
  cp "/$line" "/boot/vmlinuz-$base"
  mkinitcpio -p "$base"
done
"""

INSTALL_HOOK = b"""\
[Trigger]
Type = Path
Operation = Install
Operation = Upgrade
Target = usr/lib/modules/*/vmlinuz

[Action]
Description = Updating linux initcpios...
When = PostTransaction
Exec = /usr/share/libalpm/scripts/mkinitcpio
NeedsTargets
"""


def kernel_packages(image: bytes, release: str = KERNEL_RELEASE) -> list[Package]:
    """`linux`, and the mkinitcpio that puts it into /boot and gives it an initramfs: by a hook, as Arch's does."""
    modules = f"usr/lib/modules/{release}"
    return [
        Package(
            "linux",
            files={f"{modules}/vmlinuz": File(image), f"{modules}/pkgbase": File(b"linux\n"), "boot": Folder()},
            depends=("mkinitcpio",),
        ),
        Package(
            "mkinitcpio",
            files={
                "usr/bin/mkinitcpio": script(MKINITCPIO),
                "usr/share/libalpm/hooks/90-mkinitcpio-install.hook": File(INSTALL_HOOK),
                "usr/share/libalpm/scripts/mkinitcpio": script(INSTALL_KERNEL),
            },
            depends=("base",),
        ),
    ]
