"""The far end writes the disk that is our volume, as long as nobody else has a use for it, and nothing else."""

import hashlib
import os
import shutil
import subprocess
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

import pytest

from wizard.cloud.volume.session import FAR_SCRIPT, Request, Session, bootstrap, conversation
from wizard.cloud.waiting import Cancelled
from wizard.explain import Failure, explain
from wizard.explain.catalogue import entries

BLOCK = 524288
SIZE = 8 * BLOCK
OURS, OTHERS = "vol0123456789abcdef0", "vol0fedcba9876543210"
SHELLS = [name for name in ("dash", "busybox", "bash") if shutil.which(name)]


@dataclass(frozen=True)
class World:
    """What a far end sees as its root: disks that are files, and what Linux says of them."""

    root: Path

    def add(self, name: str, serial: str = "", size: int = SIZE) -> Path:
        """A disk with zeros on it, with a serial number as NVMe disks have it, or none as Xen's."""
        shown, device = self.root / "sys/block" / name, self.root / "dev" / name
        (shown / "holders").mkdir(parents=True)
        self._write({"size": f"{size // 512}", "ro": "0", "dev": f"259:{len(name)}"}, shown)
        if serial:
            # The kernel fills it up with spaces.
            self._write({"device/serial": f"{serial:<20}"}, shown)
        with device.open("wb") as file:
            file.truncate(size)
        return device

    def say(self, path: str, text: str) -> None:
        self._write({path: text}, self.root)

    def _write(self, files: Mapping[str, str], below: Path) -> None:
        for path, text in files.items():
            (below / path).parent.mkdir(parents=True, exist_ok=True)
            (below / path).write_text(f"{text}\n")

    def meet(
        self, shell: str = "sh", *, before: str = "", cancelled: Callable[[], bool] = lambda: False, **environment: str
    ) -> AbstractContextManager[Session]:
        """A conversation with a far end in this world, whose login shell runs something first."""
        command = [*(["busybox", "sh"] if shell == "busybox" else [shell]), "-c", f"{before}{bootstrap()}"]
        return conversation(command, "i-1", cancelled, {"AMI_WIZARD_FAR_ROOT": str(self.root), **environment})


@pytest.fixture
def world(tmp_path: Path) -> World:
    made = World(tmp_path / "root")
    for path in ("proc/self/mounts", "proc/swaps", "proc/sys/vm/drop_caches"):
        made.say(path, "")
    (made.root / "dev").mkdir()
    return made


@pytest.fixture
def disk(world: World) -> Path:
    """Our volume's disk, between two that are not."""
    world.add("nvme0n1", OTHERS)
    device = world.add("nvme1n1", OURS)
    world.add("nvme2n1", OTHERS[::-1])
    return device


def find(session: Session, state: str = "fresh", before: str = "nvme0n1", size: int = SIZE) -> str:
    return session.ask(f"find {OURS} f {size} {state} {before}")


def refusal(work: Callable[[], object]) -> Failure:
    with pytest.raises(Failure) as caught:
        work()
    assert "not known" not in str(explain(caught.value).as_dict())
    return caught.value


# The disk


@pytest.mark.parametrize("shell", SHELLS)
def test_what_is_written_is_read_back_in_every_shell(world: World, disk: Path, shell: str) -> None:
    data = os.urandom(3 * BLOCK)
    with world.meet(shell) as session:
        assert session.ask("disks") == "disks nvme0n1,nvme1n1,nvme2n1"
        assert find(session) == "found nvme1n1"
        # The data holds line ends, zeros and whatever a shell could trip over.
        answers = session.talk(
            [Request("put 2 2", [data[:BLOCK], data[BLOCK:-BLOCK]]), Request("put 6 1", [data[-BLOCK:]])]
        )
        assert list(answers) == ["put 2", "put 6"]
        assert session.ask("flush").split()[1] in ("direct", "dropped")
        assert session.ask("sum 2 2") == f"sum 2 {hashlib.sha256(data[: 2 * BLOCK]).hexdigest()}"
    written = disk.read_bytes()
    assert written == bytes(2 * BLOCK) + data[: 2 * BLOCK] + bytes(2 * BLOCK) + data[-BLOCK:] + bytes(BLOCK)
    others = (path.read_bytes() for path in disk.parent.iterdir() if path != disk)
    assert all(not any(content) for content in others)


def test_a_disk_with_another_id_is_never_found(world: World) -> None:
    world.add("nvme0n1", OTHERS)
    world.add("xvdf")
    with world.meet() as session:
        assert find(session, before="nvme0n1,xvdf") == "absent"
        assert refusal(lambda: session.ask("put 0 1")).code == "volume-device-gone"


def test_on_xen_the_disk_has_the_name_that_was_asked_for_and_is_new(world: World) -> None:
    world.add("xvda")
    with world.meet() as session:
        before = session.ask("disks").split()[1]
        assert find(session, before=before) == "absent"
        world.add("xvdg")
        assert find(session, before=before) == "absent"
        device = world.add("xvdf")
        assert find(session, before="-") == "absent", "nobody saw it come"
        assert find(session, before=before) == "found xvdf"
        assert list(session.talk([Request("put 0 1", [b"x" * BLOCK])])) == ["put 0"]
    assert device.read_bytes()[: BLOCK + 1] == b"x" * BLOCK + b"\0"


def test_a_disk_that_was_there_before_is_not_taken_for_ours(world: World) -> None:
    world.add("xvdf")
    with world.meet() as session:
        assert find(session, before="xvda,xvdf") == "absent"


@pytest.mark.parametrize(
    ("path", "text", "code"),
    [
        ("sys/block/nvme1n1/size", f"{SIZE // 512 - 1}", "volume-device-differs"),
        ("sys/block/nvme1n1/ro", "1", "volume-device-differs"),
        ("proc/self/mounts", "proc /proc proc rw 0 0\n/dev/nvme1n1 /mnt ext4 rw 0 0", "volume-device-in-use"),
        ("proc/self/mounts", "/dev/nvme1n1p1 /mnt ext4 rw 0 0", "volume-device-in-use"),
        ("proc/swaps", "Filename Type\n/dev/nvme1n1p2 partition", "volume-device-in-use"),
        ("sys/block/nvme1n1/holders/dm-0", "", "volume-device-in-use"),
        ("sys/block/nvme1n1/nvme1n1p3/holders/md0", "", "volume-device-in-use"),
    ],
    ids=["too small", "read-only", "mounted", "partition mounted", "swap", "held", "partition held"],
)
def test_a_disk_that_is_in_use_or_not_as_it_should_be_is_refused(
    world: World, disk: Path, path: str, text: str, code: str
) -> None:
    world.say(path, text)
    with world.meet() as session:
        assert refusal(lambda: find(session)).code == code
    assert not any(disk.read_bytes())


def test_another_disk_with_a_longer_name_may_be_mounted(world: World, disk: Path) -> None:
    world.say("proc/self/mounts", "/dev/nvme1n10 /mnt ext4 rw 0 0\n/dev/nvme0n1p1 / ext4 rw 0 0")
    with world.meet() as session:
        assert find(session) == "found nvme1n1"


@pytest.mark.parametrize("place", [510, 65600, SIZE - 512], ids=["partition table", "btrfs", "end of gpt"])
def test_a_disk_with_data_is_refused_unless_we_began_to_write_it(world: World, disk: Path, place: int) -> None:
    with disk.open("r+b") as file:
        file.seek(place)
        file.write(b"\x55\xaa")
    with world.meet() as session:
        assert refusal(lambda: find(session)).code == "volume-not-empty"
    with world.meet() as session:
        assert find(session, "begun") == "found nvme1n1"


@pytest.mark.parametrize("path", ["sys/block/nvme1n1/device/serial", "sys/block/nvme1n1/dev"])
def test_another_disk_that_gets_the_name_in_between_is_not_written(world: World, disk: Path, path: str) -> None:
    with world.meet() as session:
        assert find(session) == "found nvme1n1"
        world.say(path, OTHERS)
        assert refusal(lambda: list(session.talk([Request("put 0 1", [b"x" * BLOCK])]))).code == "volume-device-gone"
    assert not any(disk.read_bytes())


def test_a_disk_that_cannot_take_more_is_said_with_what_dd_says(world: World, disk: Path) -> None:
    with world.meet(before="ulimit -f 2048; trap '' XFSZ; ") as session:
        find(session)
        failure = refusal(lambda: list(session.talk([Request("put 6 1", [b"x" * BLOCK])])))
    assert failure.code == "volume-write-failed"
    assert "File too large" in failure.evidence[0]


def test_every_refusal_of_the_script_is_explained() -> None:
    words = [
        line.split("refuse ")[1].split()[0] for line in FAR_SCRIPT.read_text().splitlines() if "refuse volume" in line
    ]
    assert len(words) > 8
    assert set(words) <= entries().keys()


# Reading back


@pytest.fixture
def dd_without_direct(tmp_path: Path) -> str:
    """A PATH on which dd cannot read past the cache, like busybox's."""
    folder = tmp_path / "bin"
    folder.mkdir()
    real = shutil.which("dd")
    (folder / "dd").write_text(f'#!/bin/sh\ncase "$*" in *iflag=direct*) exit 1 ;; esac\nexec {real} "$@"\n')
    (folder / "dd").chmod(0o755)
    return f"{folder}:{os.environ['PATH']}"


def test_without_direct_reading_the_cache_is_emptied(world: World, disk: Path, dd_without_direct: str) -> None:
    with world.meet(PATH=dd_without_direct) as session:
        find(session)
        assert session.ask("flush") == "flush dropped"
        assert session.ask("sum 0 8") == f"sum 0 {hashlib.sha256(bytes(SIZE)).hexdigest()}"
    assert (world.root / "proc/sys/vm/drop_caches").read_text() == "1\n"


def test_where_neither_is_possible_it_says_so(world: World, disk: Path, dd_without_direct: str) -> None:
    shutil.rmtree(world.root / "proc/sys")
    with world.meet(PATH=dd_without_direct) as session:
        find(session)
        assert session.ask("flush") == "flush cached"


# Who may


@pytest.fixture
def a_users_path(tmp_path: Path) -> Path:
    """A folder for PATH in which one is not root, and where there is no sudo yet."""
    folder = tmp_path / "user"
    folder.mkdir()
    for name in ("sh", "dd", "sha256sum"):
        (folder / name).symlink_to(shutil.which(name) or name)
    (folder / "id").write_text("#!/bin/sh\necho 1000\n")
    (folder / "id").chmod(0o755)
    return folder


def test_without_sudo_it_is_said(world: World, a_users_path: Path) -> None:
    failure = refusal(lambda: enter(world.meet(PATH=str(a_users_path), AMI_WIZARD_FAR_ROOT="")))
    assert failure.code == "volume-no-root"
    assert "sudo" in failure.evidence[-1]


def test_a_user_who_would_have_to_type_a_password_is_said(world: World, a_users_path: Path) -> None:
    sudo = a_users_path / "sudo"
    sudo.write_text('#!/bin/sh\n[ "$1" = -n ] && echo "sudo: a password is required" >&2\nexit 1\n')
    sudo.chmod(0o755)
    failure = refusal(lambda: enter(world.meet(PATH=str(a_users_path), AMI_WIZARD_FAR_ROOT="")))
    assert failure.code == "volume-no-root"


def test_with_sudo_the_script_runs_as_root(world: World, disk: Path, a_users_path: Path) -> None:
    sudo = a_users_path / "sudo"
    sudo.write_text(
        f'#!/bin/sh\n[ "$1" = -n ] || exit 1\nshift\nexport AMI_WIZARD_FAR_ROOT="{world.root}"\nexec "$@"\n'
    )
    sudo.chmod(0o755)
    with world.meet(PATH=str(a_users_path), AMI_WIZARD_FAR_ROOT="") as session:
        assert find(session) == "found nvme1n1"


def test_a_shell_without_the_programs_is_said(world: World, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    shell = shutil.which("bash") or "bash"
    failure = refusal(lambda: enter(world.meet(shell, PATH=str(tmp_path / "empty"))))
    assert failure.code == "volume-far-end-failed"
    assert "not found" in failure.evidence[-1]


def test_what_a_login_shell_says_first_does_not_disturb(world: World, disk: Path) -> None:
    with world.meet(before="echo Welcome; echo no news >&2; ") as session:
        assert find(session) == "found nvme1n1"


# The conversation


def test_an_end_in_the_middle_is_a_lost_connection(world: World, disk: Path) -> None:
    with world.meet() as session:
        find(session)
        session.process.kill()
        assert refusal(lambda: session.ask("flush")).code == "volume-connection-lost"


def test_who_wants_to_stop_need_not_wait_for_an_answer(world: World, disk: Path) -> None:
    stop: list[bool] = []
    with world.meet(cancelled=lambda: bool(stop)) as session:
        find(session)
        stop.append(True)
        with pytest.raises(Cancelled):
            session.ask("sum 0 8")


def test_a_fault_of_the_sender_is_not_hidden_behind_a_lost_connection(world: World, disk: Path) -> None:
    def torn() -> Iterator[bytes]:
        yield b"x" * 1000
        raise OSError("the image cannot be read any more")

    with world.meet() as session:
        find(session)
        with pytest.raises(OSError, match="cannot be read"):
            list(session.talk([Request("put 0 1", torn())]))


def test_the_script_is_one_that_a_plain_shell_reads() -> None:
    for shell in SHELLS:
        command = ["busybox", "sh"] if shell == "busybox" else [shell]
        subprocess.run([*command, "-n", FAR_SCRIPT], check=True)


def enter(context: AbstractContextManager[Session]) -> None:
    with context:
        pass
