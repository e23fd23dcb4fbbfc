"""A system by its files: what it starts at boot, whatever its init is."""

import re
import stat
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property

from wizard.disk.read import Disk, Root, Tree

UNIT_FOLDERS = ("/etc/systemd/system", "/usr/lib/systemd/system", "/lib/systemd/system")
SCRIPT_FOLDERS = ("/etc/local.d/*.start", "/etc/rc.d/rc.local", "/etc/rc.local", "/etc/inittab")
MOST_SCRIPT = 256 << 10


@dataclass
class System:
    """The system on a disk.  What is asked of it is looked up once."""

    disk: Disk
    root: Root

    @property
    def files(self) -> Tree:
        """Its files, by the paths that it has when it runs."""
        return self.root.files

    @cached_property
    def services(self) -> frozenset[str]:
        """What is started at boot, without ".service": by systemd, OpenRC, or links of System V's kind."""
        found = {name.removesuffix(".service") for name in self._systemd_units()}
        for pattern in ("/etc/runlevels/*/*", "/etc/rc.d/*"):
            found |= {path.rpartition("/")[2] for path in self.files.glob(pattern) if "rc.local" not in path}
        for path in self.files.glob("/etc/rc?.d/S*"):
            found.add(re.sub(r"^S\d*", "", path.rpartition("/")[2]))
        return frozenset(found)

    @cached_property
    def boot_texts(self) -> Mapping[str, str]:
        """By path, the texts that say what is done at boot: units, scripts of services, and what they call."""
        texts = {path: _commands(self.files.text(path) or "") for path in self._boot_files()}
        called = {path for text in texts.values() for path in _programs(text)}
        return texts | {path: text for path in sorted(called - texts.keys()) if (text := self._script(path))}

    def starts(self, *names: str) -> bool:
        """Whether one of these services is started at boot; instances of "name@" count as "name@"."""
        started = {re.sub(r"@.*", "@", name) for name in self.services} | self.services
        return any(name in started for name in names)

    def has(self, *paths: str) -> bool:
        """Whether one of these paths is there."""
        return any(self.files.stat(path) is not None for path in paths)

    def texts(self, *patterns: str) -> Iterator[tuple[str, str]]:
        """The files that fit, with their lines that are no comments."""
        for pattern in patterns:
            for path in self.files.glob(pattern):
                text = self.files.text(path)
                if text is not None:
                    yield path, "\n".join(line for line in text.splitlines() if line.lstrip()[:1] not in ("#", ";"))

    def _systemd_units(self) -> Iterator[str]:
        masked = {
            path.rpartition("/")[2]
            for path in self.files.glob("/etc/systemd/system/*")
            if self.files.target(path) == "/dev/null"
        }
        for folder in UNIT_FOLDERS:
            for pattern in (f"{folder}/*.wants/*", f"{folder}/*.requires/*", f"{folder}/*.upholds/*"):
                for path in self.files.glob(pattern):
                    name = path.rpartition("/")[2]
                    if name not in masked:
                        yield name

    def _boot_files(self) -> Iterator[str]:
        for name in sorted(self.services):
            unit = re.sub(r"@.+", "@", name)
            paths = [f"{folder}/{unit}.service" for folder in UNIT_FOLDERS]
            yield from [path for path in [*paths, f"/etc/init.d/{name}"] if self._is_script(path)][:1]
            yield from self.files.glob(f"/{{etc,usr/lib}}/systemd/system/{unit}.service.d/*.conf")
        for pattern in SCRIPT_FOLDERS:
            yield from (path for path in self.files.glob(pattern) if self._is_script(path))

    def _is_script(self, path: str) -> bool:
        node = self.files.stat(path)
        return node is not None and node.is_file and node.size <= MOST_SCRIPT

    def _script(self, path: str) -> str | None:
        """A text that begins with "#!"; programs are of no use here."""
        node = self.files.stat(path)
        if node is None or not stat.S_ISREG(node.mode) or node.size > MOST_SCRIPT:
            return None
        text = self.files.text(path)
        return text if text and text.startswith("#!") else None


def _commands(text: str) -> str:
    """Without what is said to people."""
    lines = (line for line in text.splitlines() if not re.match(r"\s*[#;]|Documentation=|Description=", line))
    return "\n".join(lines)


def _programs(text: str) -> Iterator[str]:
    """The programs that a unit or a script names by their absolute paths."""
    before = r"(?:^Exec\w+=[-@:+!]*|[\s;&|=\"'])"
    for match in re.finditer(before + r"(/(?:usr/|etc/|opt/|s?bin/|lib)[\w./+-]+)", text, re.MULTILINE):
        yield match[1]
