"""What Alpine and Gentoo publish: an archive with a signature beside it."""

import io
import subprocess
import tarfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from miniature.contents import BUSYBOX, File, Folder, Link

Entry = File | Link | Folder


@dataclass(frozen=True, slots=True)
class Signer:
    """A key of the test's own."""

    home: Path
    fingerprint: str

    def gpg(self, *arguments: str) -> None:
        command = ["gpg", "--homedir", str(self.home), "--batch", "--quiet", "--yes", "--passphrase", "", *arguments]
        subprocess.run(command, check=True, capture_output=True)

    def export(self, target: Path) -> None:
        """The public key, as a site publishes it."""
        target.parent.mkdir(parents=True, exist_ok=True)
        self.gpg("--armor", "--output", str(target), "--export")

    def sign(self, path: Path) -> None:
        """A detached signature beside the file."""
        self.gpg("--armor", "--output", f"{path}.asc", "--detach-sign", str(path))

    def clearsign(self, path: Path, text: str) -> None:
        """A text with its signature around it."""
        plain = path.with_name(f"{path.name}.plain")
        plain.write_text(text)
        self.gpg("--output", str(path), "--clearsign", str(plain))
        plain.unlink()


def signer(home: Path, who: str = "Release <release@miniature.invalid>") -> Signer:
    """A new key."""
    home.mkdir(mode=0o700, parents=True)
    key = Signer(home, "")
    key.gpg("--quick-generate-key", who, "ed25519", "sign,cert", "never")
    command = ["gpg", "--homedir", str(home), "--batch", "--list-keys", "--with-colons"]
    listed = subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()
    subprocess.run(["gpgconf", "--homedir", str(home), "--kill", "all"], check=True)
    return Signer(home, next(line.split(":")[9] for line in listed if line.startswith("fpr")))


def archive(target: Path, files: Mapping[str, Entry], compression: str = "gz") -> Path:
    """A root file system as an archive, names beginning with "./"."""
    target.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(target, f"w:{compression}") as tar:  # type: ignore[call-overload]
        for name, entry in files.items():
            member = tarfile.TarInfo(f"./{name}")
            match entry:
                case File(content, mode):
                    member.mode, member.size = mode, len(content)
                    tar.addfile(member, io.BytesIO(content))
                case Link(to):
                    member.type, member.linkname = tarfile.SYMTYPE, to
                    tar.addfile(member)
                case Folder(mode):
                    member.type, member.mode = tarfile.DIRTYPE, mode
                    tar.addfile(member)
    return target


def shell(*applets: str) -> dict[str, Entry]:
    """A busybox and its links, in bin/."""
    links: dict[str, Entry] = {f"bin/{applet}": Link("busybox") for applet in ("sh", "env", *applets)}
    return {"bin": Folder(), "bin/busybox": File(BUSYBOX.read_bytes(), 0o755), **links}
