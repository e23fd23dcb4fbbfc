"""Who can log in: passwords, root's twins, and what sshd allows."""

import re
from collections.abc import Iterator

from wizard.disk.read import Tree
from wizard.inspect.findings import Finding, finding
from wizard.inspect.system import System

SSHD_CONFIGS = ("/etc/ssh/sshd_config", "/usr/etc/ssh/sshd_config")
DEEPEST_INCLUDE = 4


def account_findings(system: System) -> Iterator[Finding]:
    """Of passwd, shadow and sshd's settings."""
    files = system.files
    for path in ("/etc/passwd", "/etc/shadow", "/etc/passwd-", "/etc/shadow-"):
        for fields in _lines(files, path):
            yield from _password(path, fields[0], fields[1])
            if path == "/etc/passwd" and fields[2:3] == ["0"] and fields[0] != "root":
                yield finding("second-root", path, user=fields[0])
    shadow = files.stat("/etc/shadow")
    if shadow and shadow.mode & 0o007:
        yield finding("shadow-for-all", "/etc/shadow", mode=f"{shadow.mode & 0o777:04o}")
    yield from _sshd(files)


def _lines(files: Tree, path: str) -> Iterator[list[str]]:
    for line in (files.text(path) or "").splitlines():
        fields = line.split(":")
        if len(fields) > 1 and fields[0]:
            yield fields


def _password(path: str, user: str, password: str) -> Iterator[Finding]:
    """Source: shadow(5), crypt(5): what is no hash, such as "*", "!" or "x", lets nobody in."""
    if password == "":
        yield finding("empty-password", path, user=user)
    elif re.match(r"\$\w+\$|_?[./0-9A-Za-z]{13,}$", password):
        yield finding("password", path, user=user)
    elif re.match(r"!+(\$\w+\$)", password):
        yield finding("locked-password", path, user=user)


def _sshd(files: Tree) -> Iterator[Finding]:
    path = next((path for path in SSHD_CONFIGS if files.stat(path)), None)
    if path is None:
        return
    said = sshd_settings(files, path)
    root, passwords = said.get("permitrootlogin", "prohibit-password"), said.get("passwordauthentication", "yes")
    if root == "yes" and passwords != "no":
        yield finding("ssh-root-by-password", path)
    elif passwords != "no":
        yield finding("ssh-by-password", path)
    if said.get("permitemptypasswords") == "yes":
        yield finding("ssh-by-empty-password", path)
    if said.get("usedns") == "yes":
        yield finding("ssh-asks-dns", path)


def sshd_settings(files: Tree, path: str, depth: int = 0) -> dict[str, str]:
    """The settings that hold for everyone, names in small letters.  The first mention wins, as in sshd_config(5)."""
    said: dict[str, str] = {}
    for line in (files.text(path) or "").splitlines():
        words = re.split(r"[\s=]+", line.strip(), maxsplit=1)
        name, value = words[0].lower(), words[1].strip("\"'") if len(words) > 1 else ""
        if name == "match":
            break
        if name == "include" and depth < DEEPEST_INCLUDE:
            patterns = [one if one.startswith("/") else f"/etc/ssh/{one}" for one in value.split()]
            for inner in (inner for pattern in patterns for inner in files.glob(pattern)):
                said = {**sshd_settings(files, inner, depth + 1), **said}
        elif name and not name.startswith("#"):
            said.setdefault(name, value.lower())
    return said
