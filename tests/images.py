"""Small disk images, made by the real tools from folders, for tests of what reads them."""

import os
import subprocess
from dataclasses import dataclass, field
from pathlib import Path

MIB = 1 << 20

ESP = "C12A7328-F81F-11D2-BA4B-00A0C93EC93B"


@dataclass(frozen=True)
class Part:
    """A partition to be: `options` are those of the file system's maker."""

    kind: str
    tree: Path | None = None
    size_mib: int = 16
    options: tuple[str, ...] = ()
    type: str = ""


@dataclass
class Files:
    """A folder to be filled: `files` by path; a text is a file, bytes too, None a folder, "-> x" a link."""

    folder: Path
    files: dict[str, str | bytes | None] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        self.add(self.files)

    def add(self, files: dict[str, str | bytes | None]) -> Path:
        for name, content in files.items():
            path = self.folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            if content is None:
                path.mkdir(exist_ok=True)
            elif isinstance(content, str) and content.startswith("-> "):
                path.symlink_to(content[3:])
            else:
                path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return self.folder


def run(*command: str | Path, stdin: str = "") -> str:
    environment = {**os.environ, "PATH": f"{os.environ['PATH']}:/usr/sbin:/sbin", "MTOOLS_SKIP_CHECK": "1"}
    done = subprocess.run([*map(str, command)], input=stdin, capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def filesystem(path: Path, part: Part) -> Path:
    """One file system in a file of its own."""
    with path.open("wb") as file:
        file.truncate(part.size_mib * MIB)
    tree = part.tree
    given: dict[str, tuple[str | Path, ...]] = {"ext": ("-d", tree), "btrfs": ("--rootdir", tree)} if tree else {}
    match part.kind:
        case "ext2" | "ext3" | "ext4":
            run("mke2fs", "-q", "-F", "-t", part.kind, *part.options, *given.get("ext", ()), path)
        case "btrfs":
            run("mkfs.btrfs", "-q", *part.options, *given.get("btrfs", ()), path)
            os.truncate(path, part.size_mib * MIB)
        case "xfs":
            proto = path.with_suffix(".proto")
            proto.write_text(protofile(tree) if tree else "/\n0 0\nd--755 0 0\n$\n")
            run("mkfs.xfs", "-q", "-f", "-p", proto, *part.options, path)
        case "vfat":
            run("mformat", "-i", path, "-F", *part.options, "::")
            for entry in sorted(tree.iterdir()) if tree else []:
                run("mcopy", "-s", "-i", path, entry, "::")
        case "swap":
            run("mkswap", *part.options, path)
    return path


def protofile(tree: Path) -> str:
    """A folder as mkfs.xfs reads it."""

    def lines(folder: Path) -> list[str]:
        found: list[str] = []
        for path in sorted(folder.iterdir()):
            status = path.lstat()
            special = f"{'u' if status.st_mode & 0o4000 else '-'}{'g' if status.st_mode & 0o2000 else '-'}"
            about = f"{special}{status.st_mode & 0o777:03o} {status.st_uid} {status.st_gid}"
            if path.is_symlink():
                found.append(f"{path.name} l{about} {path.readlink()}")
            elif path.is_dir():
                found += [f"{path.name} d{about}", *lines(path), "$"]
            else:
                found.append(f"{path.name} -{about} {path}")
        return found

    return "\n".join(["/", "0 0", "d--755 0 0", *lines(tree), "$", ""])


def disk(path: Path, table: str, *parts: Part) -> Path:
    """A disk image; `table` is "dos", "gpt" or "none"."""
    if table == "none":
        return filesystem(path, parts[0])
    with path.open("wb") as file:
        file.truncate((sum(part.size_mib for part in parts) + 2) * MIB)
    start, lines = 1, [f"label: {table}"]
    places = []
    for part in parts:
        kind = part.type or ("83" if table == "dos" else "0FC63DAF-8483-4772-8E79-3D69D8477DE4")
        lines.append(f"start={start}MiB, size={part.size_mib}MiB, type={kind}")
        places.append(start)
        start += part.size_mib
    run("sfdisk", "--quiet", path, stdin="\n".join(lines) + "\n")
    for number, (part, place) in enumerate(zip(parts, places, strict=True), 1):
        if part.kind:
            made = filesystem(path.with_suffix(f".{number}"), part)
            run("dd", f"if={made}", f"of={path}", "bs=1M", f"seek={place}", "conv=notrunc,sparse", "status=none")
            made.unlink()
    return path
