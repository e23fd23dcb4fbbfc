"""Files: written as a whole or not at all, and told apart by their content."""

import hashlib
import os
from pathlib import Path


def write_atomically(path: Path, text: str) -> None:
    """The whole text or the old one, never half of it."""
    aside = path.with_name(f"{path.name}.{os.getpid()}.new")
    with aside.open("w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    aside.rename(path)


def content_digest(path: Path) -> str:
    """SHA-256 of a file, or of the names, sizes and times of all files in a folder."""
    if path.is_file():
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    digest = hashlib.sha256()
    for entry in sorted(path.rglob("*")):
        status = entry.lstat()
        digest.update(f"{entry.relative_to(path)}\0{status.st_size}\0{status.st_mtime_ns}\n".encode())
    return digest.hexdigest()
