"""A root file system that is made in a folder, apart from this machine: by root, and by somebody who is not."""

import os
import shutil
import subprocess
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from users import USERS, open_folder

from wizard.distro.tree import made_apart
from wizard.plan.script import PRELUDE

EPOCH = 1686355200


@pytest.fixture
def place() -> Iterator[Path]:
    with open_folder() as folder:
        yield folder


def made(commands: str, place: Path, user: str | None) -> "subprocess.CompletedProcess[str]":
    """Runs the actions one after another, as a build does."""
    (place / "bootstrap").mkdir()
    if user:
        shutil.chown(place, user)
        shutil.chown(place / "bootstrap", user)
    actions = "\n".join(action.command for action in made_apart(commands, EPOCH))
    environment = {
        **os.environ,
        "TMPDIR": "/nowhere",
        "TZ": "UTC",
        "LC_ALL": "C.UTF-8",
        "SOURCE_DATE_EPOCH": str(EPOCH),
        "PATH": f"{os.environ['PATH']}:/usr/sbin:/sbin",
    }
    return subprocess.run(
        ["bash", "-euo", "pipefail", "-c", f"umask 022\n{PRELUDE}\n{actions}"],
        cwd=place,
        env=environment,
        user=user,
        group=user,
        extra_groups=[] if user else None,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
    )


FOLDERS = """
mkdir -p bootstrap/root/bin bootstrap/root/etc bootstrap/root/root bootstrap/root/tmp
mkdir -p bootstrap/root/var/cache bootstrap/root/var/log bootstrap/root/var/tmp
touch bootstrap/root/etc/shadow
"""
"""What a package manager leaves in every root."""

WITH_A_SHELL = f"""{FOLDERS}
cp /bin/busybox bootstrap/root/bin/sh
furnish bootstrap/root
inside bootstrap/root /bin/sh -c '{{inside}}'
clear_away bootstrap/root
"""


@pytest.mark.parametrize("user", USERS)
def test_programs_inside_find_what_they_expect_and_leave_no_trace_of_it(place: Path, user: str) -> None:
    tried = 'echo > /dev/null; read a < /proc/self/stat; echo "$TMPDIR-" | { read a < /dev/stdin; echo $a > /made; }'
    done = made(WITH_A_SHELL.format(inside=f"set -e; {tried}"), place, user)
    assert done.returncode == 0, done.stderr
    with tarfile.open(place / "bootstrap/root.tar") as tar:
        names = tar.getnames()
        noted = tar.extractfile("./made")
        assert noted is not None
        assert noted.read() == b"-\n", "TMPDIR is this machine's"
    assert {"./made", "./bin/sh"} <= set(names)
    assert not [name for name in names if name.startswith(("./dev/", "./proc/", "./run/"))]
    assert not (place / "bootstrap/root").exists()


def test_a_program_that_reads_its_input_takes_nothing_of_the_commands(place: Path) -> None:
    done = made(WITH_A_SHELL.format(inside="while read -r line; do :; done"), place, None)
    assert done.returncode == 0, done.stderr
    assert (place / "bootstrap/root.tar").exists()


@pytest.mark.parametrize("user", USERS)
def test_owners_capabilities_and_times_are_kept_and_no_other_attribute(place: Path, user: str) -> None:
    capability = "0100000200200000000000000000000000000000"
    attributes = f'"ping", "security.capability", bytes.fromhex("{capability}")', '"new", "user.note", b"host"'
    commands = f"""{FOLDERS}
cd bootstrap/root
touch -d @{EPOCH - 5} old
touch new
chown 33:44 new
cp /bin/true ping
python3 -c 'import os; os.setxattr({attributes[0]}); os.setxattr({attributes[1]})'
ln ping again
cd ../..
"""
    done = made(commands, place, user)
    assert done.returncode == 0, done.stderr
    with tarfile.open(place / "bootstrap/root.tar") as tar:
        members = {member.name: member for member in tar.getmembers()}
    assert (members["./new"].uid, members["./new"].gid) == (33, 44)
    assert members["./new"].mtime == EPOCH
    assert members["./old"].mtime == EPOCH - 5
    assert members["./ping"].islnk() != members["./again"].islnk()
    first = members["./again"]
    assert [name for name in first.pax_headers if "xattr" in name.lower()] == ["SCHILY.xattr.security.capability"]


@pytest.mark.parametrize("user", USERS)
def test_the_same_commands_give_the_same_bytes(
    place: Path, tmp_path_factory: pytest.TempPathFactory, user: str
) -> None:
    """Whoever runs them: one of the two is root's."""
    other = tmp_path_factory.mktemp("other")
    commands = WITH_A_SHELL.format(inside="echo x > /b; echo y > /a; chown 5:6 /a")
    for folder, whose in ((place, user), (other, "root")):
        done = made(commands, folder, whose)
        assert done.returncode == 0, done.stderr
    assert (place / "bootstrap/root.tar").read_bytes() == (other / "bootstrap/root.tar").read_bytes()


@pytest.mark.parametrize("user", USERS)
def test_what_fails_in_the_middle_leaves_nothing_mounted_and_no_archive(place: Path, user: str) -> None:
    done = made(WITH_A_SHELL.format(inside="exit 7"), place, user)
    assert done.returncode == 7
    assert not (place / "bootstrap/root.tar").exists()
    assert str(place) not in Path("/proc/self/mountinfo").read_text()
    assert list((place / "bootstrap/root/dev").iterdir()) == []
