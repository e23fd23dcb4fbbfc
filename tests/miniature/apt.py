"""A miniature apt repository, signed: real packages of Debian beside small ones of our own."""

import hashlib
import shutil
import subprocess
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

SUITE = "noble"
COMPONENTS = ("main", "universe")


@dataclass(frozen=True, slots=True)
class Key:
    """A key that signs: where gpg keeps it, its fingerprint, and its public half as a file."""

    home: Path
    fingerprint: str
    public: Path


def key(home: Path, name: str) -> Key:
    """A new key."""
    home.mkdir(mode=0o700, parents=True)
    gpg = ["gpg", "--homedir", str(home), "--batch", "--quiet", "--passphrase", ""]
    subprocess.run([*gpg, "--quick-generate-key", name, "ed25519", "sign", "never"], check=True, capture_output=True)
    listed = subprocess.run([*gpg, "--with-colons", "--list-keys"], check=True, capture_output=True, text=True).stdout
    fingerprint = next(line.split(":")[9] for line in listed.splitlines() if line.startswith("fpr"))
    public = home / "public.asc"
    subprocess.run([*gpg, "--armor", "--output", str(public), "--export", fingerprint], check=True)
    return Key(home, fingerprint, public)


def package(folder: Path, name: str, files: Mapping[str, str], *, depends: str = "", postinst: str = "") -> Path:
    """A package with these files, and a script that is run when it is installed."""
    tree = folder / name
    control = [f"Package: {name}", "Version: 1.0", "Architecture: amd64", "Maintainer: Nobody <nobody@example.org>"]
    control += [f"Depends: {depends}"] if depends else []
    for path, text in {**files, "DEBIAN/control": "\n".join([*control, "Description: miniature", ""])}.items():
        (tree / path).parent.mkdir(parents=True, exist_ok=True)
        (tree / path).write_text(text)
    if postinst:
        (tree / "DEBIAN/postinst").write_text(f"#!/bin/sh\nset -e\n{postinst}\n")
        (tree / "DEBIAN/postinst").chmod(0o755)
    subprocess.run(["dpkg-deb", "--root-owner-group", "--build", tree, folder], check=True, capture_output=True)
    shutil.rmtree(tree)
    return folder / f"{name}_1.0_amd64.deb"


def repository(folder: Path, packages: Iterable[Path], signer: Key) -> None:
    """dists/noble with the lists, pool/ with the packages; the second component is empty."""
    (folder / "pool").mkdir(parents=True)
    stanzas = []
    for deb in packages:
        place = folder / "pool" / deb.name.replace("%3a", "_")
        shutil.copy(deb, place)
        control = subprocess.run(["dpkg-deb", "--field", deb], check=True, capture_output=True, text=True).stdout
        content = place.read_bytes()
        facts = f"Filename: pool/{place.name}\nSize: {len(content)}\nSHA256: {hashlib.sha256(content).hexdigest()}\n"
        stanzas.append(control.rstrip("\n") + "\n" + facts)
    lists = {f"{part}/binary-amd64/Packages": "" for part in COMPONENTS}
    lists["main/binary-amd64/Packages"] = "\n".join(stanzas)
    suite = folder / "dists" / SUITE
    release = [f"Origin: Miniature\nSuite: {SUITE}\nCodename: {SUITE}\nDate: Thu, 01 Jan 2026 00:00:00 UTC"]
    release += [f"Architectures: amd64\nComponents: {' '.join(COMPONENTS)}\nSHA256:"]
    for path, text in lists.items():
        (suite / path).parent.mkdir(parents=True, exist_ok=True)
        (suite / path).write_text(text)
        release.append(f" {hashlib.sha256(text.encode()).hexdigest()} {len(text.encode())} {path}")
    (suite / "Release").write_text("\n".join(release) + "\n")
    signing = ["gpg", "--homedir", str(signer.home), "--batch", "--quiet", "--clearsign"]
    subprocess.run([*signing, "--output", suite / "InRelease", suite / "Release"], check=True)
