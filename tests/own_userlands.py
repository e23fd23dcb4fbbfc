"""Userlands of one's own, as small as can be: a real shell, the rest by name; as a folder, an archive, an image."""

import gzip
import hashlib
import io
import json
import shutil
import tarfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from kernels import CONFIG, RELEASE, bzimage, elf

OS_RELEASE = 'NAME="Tiny"\nPRETTY_NAME="Tiny Linux 1"\n'
BUSYBOX = Path("/bin/busybox")
"""Debian's busybox-static."""

FILES: Mapping[str, bytes] = {
    "etc/os-release": OS_RELEASE.encode(),
    "etc/ssh/ssh_host_rsa_key": b"of one machine\n",
    "etc/machine-id": b"0123456789abcdef0123456789abcdef\n",
    "sbin/openrc": b"#!/bin/sh\n",
    "usr/sbin/sshd": b"#!/bin/sh\n",
    f"boot/vmlinuz-{RELEASE}": bzimage(gzip.compress(elf(), mtime=0)),
    f"boot/config-{RELEASE}": CONFIG.encode(),
    f"lib/modules/{RELEASE}/modules.builtin": b"",
}


def fill(folder: Path, files: Mapping[str, bytes] = FILES) -> Path:
    """These files in a folder, and a busybox as its shell."""
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    (folder / "bin").mkdir(exist_ok=True)
    shutil.copy(BUSYBOX, folder / "bin/busybox")
    (folder / "bin/sh").symlink_to("busybox")
    return folder


Content = bytes | str | None
"""Of an entry: bytes are a file's, a string is where a link leads, None makes a folder."""


def layer(entries: Mapping[str, Content]) -> bytes:
    """A tar archive of these entries, whatever their names."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.GNU_FORMAT) as tar:
        for name, content in entries.items():
            entry = tarfile.TarInfo(name)
            entry.mode = 0o755
            if content is None:
                entry.type = tarfile.DIRTYPE
            elif isinstance(content, str):
                entry.type, entry.linkname = tarfile.SYMTYPE, content
            else:
                entry.size = len(content)
            tar.addfile(entry, io.BytesIO(content) if isinstance(content, bytes) else None)
    return out.getvalue()


def tiny_layer(files: Mapping[str, bytes] = FILES) -> dict[str, Content]:
    """The tiny userland as the lowest layer; its shell is only the beginning of one, as no test runs it."""
    return {"bin/": None, "bin/busybox": BUSYBOX.read_bytes()[:4096], "bin/sh": "busybox", **files}


class Layout:
    """An OCI image layout, written by the specification and by nothing else."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.manifests: list[dict[str, Any]] = []
        (folder / "blobs/sha256").mkdir(parents=True)
        (folder / "oci-layout").write_text('{"imageLayoutVersion": "1.0.0"}')

    def blob(self, data: bytes, media_type: str) -> dict[str, Any]:
        digits = hashlib.sha256(data).hexdigest()
        (self.folder / "blobs/sha256" / digits).write_bytes(data)
        return {"mediaType": f"application/vnd.oci.image.{media_type}", "digest": f"sha256:{digits}", "size": len(data)}

    def json(self, content: Any, media_type: str) -> dict[str, Any]:
        return self.blob(json.dumps(content).encode(), media_type)

    def image(self, layers: Sequence[bytes], arch: str = "amd64") -> dict[str, Any]:
        """The descriptor of an image of these layers, the lowest first."""
        ids = [f"sha256:{hashlib.sha256(one).hexdigest()}" for one in layers]
        config = {"architecture": arch, "os": "linux", "rootfs": {"type": "layers", "diff_ids": ids}}
        manifest = {
            "schemaVersion": 2,
            "mediaType": "application/vnd.oci.image.manifest.v1+json",
            "config": self.json(config, "config.v1+json"),
            "layers": [self.blob(gzip.compress(one, mtime=0), "layer.v1.tar+gzip") for one in layers],
        }
        return self.json(manifest, "manifest.v1+json")

    def index(self, *manifests: dict[str, Any]) -> Path:
        """Finishes the layout with these manifests; gives its folder."""
        (self.folder / "index.json").write_text(json.dumps({"schemaVersion": 2, "manifests": manifests}))
        return self.folder


def path_of(layout: Path, descriptor: Mapping[str, Any]) -> Path:
    """The file of a blob."""
    return layout / "blobs" / str(descriptor["digest"]).replace(":", "/")
