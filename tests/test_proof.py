"""The boot proof: what is seen of a started image, and what is made of it."""

import json
import os
import shutil
import struct
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from wizard import host
from wizard.boot.lab import accelerator
from wizard.boot.lab.machine import Logs
from wizard.boot.lab.watch import Verdict, troubles
from wizard.boot.proof import login, prove, ways
from wizard.boot.proof.judgement import Outcome, Seen, has_not_grown, outcome
from wizard.boot.proof.login import INSIDE, Inside, Login, parse
from wizard.boot.proof.network import Request, Wire, network, seen_on
from wizard.boot.proof.prove import Observer, Trial
from wizard.cli.build import build
from wizard.explain import Failure, explain
from wizard.plan.actions import ProveImage
from wizard.run.proving import prove_all

KEY = "/latest/meta-data/public-keys/0/openssh-key"
GIVEN = (Request("PUT", "/latest/api/token", 200, False), Request("GET", KEY, 200, True))
BY_V1 = (Request("GET", KEY, 200, False),)
REFUSED = (Request("GET", KEY, 401, False),)
OTHER = (Request("GET", "/latest/meta-data/instance-id", 200, True),)
MIB = 1 << 20

WELL = Inside("6.1.0", "/dev/nvme0n1p1", "ext4", 1900 * MIB, 1980 * MIB, 2048 * MIB, 2047 * MIB, "running", (), "")

AT_LOGIN = Seen(
    verdict=Verdict(None, "", "login", ("lab login:",)),
    console="Linux version 6.1.0\nlab login: ",
    machine_ended="",
    is_lab_fault=False,
    kept_waiting=False,
    had_its_time=True,
    is_talking=False,
    wire=Wire(True, True),
    requests=GIVEN,
    answer="nothing",
    complaint="",
    inside=None,
)


def at(phase: str, **more: Any) -> Seen:
    return replace(AT_LOGIN, verdict=Verdict(None, "", phase, ()), requests=(), wire=Wire(False, False), **more)


def said(came_up: bool | None, code: str) -> Seen:
    return at("kernel", console="") and replace(AT_LOGIN, verdict=Verdict(came_up, "", "kernel", ("…",), code))


def codes(found: Outcome) -> tuple[bool | None, str | None, set[str]]:
    return found.came_up, found.failure.code if found.failure else None, {one.code for one in found.findings}


CASES = {
    "logged in": (replace(AT_LOGIN, inside=WELL, answer="in"), True, None),
    "console says why": (said(False, "proof-no-init"), False, "proof-no-init"),
    "Xen failed": (said(None, "proof-lab-failed"), None, "proof-lab-failed"),
    "QEMU failed": (at("nothing", machine_ended="no disk", is_lab_fault=True), None, "proof-lab-failed"),
    "restarted": (at("kernel", machine_ended="restarted"), False, "proof-guest-ended"),
    "silent firmware": (at("nothing"), None, "proof-lab-failed"),
    "silent boot code": (at("lab"), False, "proof-stuck-firmware"),
    "silent loader": (at("boot loader"), False, "proof-stuck-loader"),
    "silent kernel": (at("kernel"), False, "proof-stuck-kernel"),
    "no login": (at("userspace"), False, "proof-stuck-start"),
    "still starting": (at("userspace", is_talking=True), None, "proof-too-slow"),
    "busy host": (at("kernel", had_its_time=False), None, "proof-too-slow"),
    "a disk that never came": (said(None, "proof-device-missing"), False, "proof-device-missing"),
    "the same on a busy host": (
        replace(said(None, "proof-device-missing"), kept_waiting=True),
        None,
        "proof-too-slow",
    ),
    "no address": (replace(AT_LOGIN, wire=Wire(True, False), requests=()), False, "proof-no-address"),
    "metadata refused": (replace(AT_LOGIN, requests=REFUSED), False, "proof-metadata-not-reached"),
    "metadata unit failed": (
        replace(AT_LOGIN, requests=(), console="[FAILED] Failed to start instance-metadata.service.\nlab login: "),
        False,
        "proof-metadata-not-reached",
    ),
    "another address asked": (
        replace(AT_LOGIN, requests=(), wire=Wire(True, True, ("169.254.169.99",))),
        False,
        "proof-metadata-not-reached",
    ),
    "key refused": (replace(AT_LOGIN, answer="denied", complaint="Permission denied"), False, "proof-ssh-refused"),
    "no ssh server": (AT_LOGIN, False, "proof-ssh-no-answer"),
    "no ssh server on a busy host": (replace(AT_LOGIN, had_its_time=False), None, "proof-too-slow"),
}


@pytest.mark.parametrize("name", CASES)
def test_what_was_seen_decides(name: str) -> None:
    seen, came_up, code = CASES[name]
    assert codes(outcome(seen))[:2] == (came_up, code)


@pytest.mark.parametrize("name", [name for name, case in CASES.items() if case[1] is None])
def test_what_could_not_be_told_is_never_said_to_be_the_images_fault(name: str) -> None:
    failure = outcome(CASES[name][0]).failure
    assert failure is not None
    assert failure.code in ("proof-lab-failed", "proof-too-slow")


def test_an_image_that_asks_for_no_key_came_up_with_the_finding_that_ssh_could_not_be_tried() -> None:
    assert codes(outcome(replace(AT_LOGIN, requests=()))) == (True, None, {"proof-metadata-not-asked"})
    assert codes(outcome(replace(AT_LOGIN, requests=OTHER))) == (True, None, {"proof-key-not-asked"})


@pytest.mark.parametrize(
    ("change", "finding"),
    [
        ({"failed": ("cron.service",), "state": "degraded"}, "proof-units-failed"),
        ({"state": "starting"}, "proof-still-starting"),
        ({"taken_bytes": 1024 * MIB}, "proof-root-not-grown"),
        ({"filesystem_bytes": 950 * MIB}, "proof-root-not-grown"),
        ({"messages": "[  1.0] BUG: kernel NULL pointer dereference, address: 0\n"}, "proof-kernel-troubles"),
    ],
)
def test_what_is_wrong_inside_is_found_though_it_came_up(change: dict[str, Any], finding: str) -> None:
    seen = replace(AT_LOGIN, inside=replace(WELL, **change), answer="in")
    assert codes(outcome(seen)) == (True, None, {finding})


def test_a_key_by_version_1_alone_is_a_finding() -> None:
    seen = replace(AT_LOGIN, inside=WELL, answer="in", requests=BY_V1)
    assert codes(outcome(seen)) == (True, None, {"proof-metadata-v1-only"})


def test_a_file_system_on_the_bare_disk_can_have_grown_too() -> None:
    bare = replace(WELL, taken_bytes=0, partition_bytes=2048 * MIB)
    assert not has_not_grown(bare)
    assert has_not_grown(replace(bare, filesystem_bytes=1000 * MIB))


def test_an_oops_is_told_from_what_a_kernel_says_every_day() -> None:
    boot = "Linux version 6.1\n[    0.1] Warning: unsafe default\n[    2.0] EXT4-fs (xvda1): mounted\n"
    assert troubles(boot) == ()
    assert len(troubles(boot + "[    3.0] general protection fault, probably for non-canonical address\n")) == 1


# --- the network ---------------------------------------------------------------------------------------------------


def capture(*kinds: int) -> bytes:
    """A capture file with DHCP messages of these kinds (RFC 2132, option 53), and one packet that is none."""
    frames = [bytes(12) + b"\x08\x06" + bytes(28)]
    for kind in kinds:
        ports = struct.pack(">HH", 67, 68) if kind in (2, 5) else struct.pack(">HH", 68, 67)
        ip = b"\x45" + bytes(8) + b"\x11" + bytes(10)
        options = b"\x63\x82\x53\x63" + bytes([0, 53, 1, kind, 255])
        frames.append(bytes(12) + b"\x08\x00" + ip + ports + bytes(4) + bytes(236) + options)
    return bytes(24) + b"".join(struct.pack("<IIII", 0, 0, len(frame), len(frame)) + frame for frame in frames)


@pytest.mark.parametrize(
    ("kinds", "wire"),
    [((), Wire(False, False)), ((1,), Wire(True, False)), ((1, 2, 3, 5), Wire(True, True))],
)
def test_what_dhcp_came_to_is_read_from_the_wire(tmp_path: Path, kinds: tuple[int, ...], wire: Wire) -> None:
    path = tmp_path / "packets"
    path.write_bytes(capture(*kinds))
    assert seen_on(path) == wire
    assert seen_on(tmp_path / "none") == Wire(False, False)


def test_an_address_that_is_none_of_ec2s_is_seen_to_be_looked_for(tmp_path: Path) -> None:
    path = tmp_path / "packets"
    path.write_bytes(bytes(24) + b"".join(arp(last) for last in (254, 123, 15, 99)))
    assert seen_on(path).sought == ("169.254.169.99",)


def arp(last: int) -> bytes:
    """A packet of a capture that asks who has 169.254.169.LAST (RFC 826)."""
    asked = b"\x00\x01\x08\x00\x06\x04\x00\x01" + bytes(6) + bytes([169, 254, 169, 15]) + bytes(6)
    frame = bytes(12) + b"\x08\x06" + asked + bytes([169, 254, 169, last])
    return struct.pack("<IIII", 0, 0, len(frame), len(frame)) + frame


@given(st.binary(max_size=400), st.integers(0, 600))
def test_a_capture_that_is_half_written_or_odd_does_no_harm(odd: bytes, cut: int) -> None:
    path = Path(os.environ["AMI_WIZARD_HOME"]) / "packets"
    path.write_bytes((capture(1, 5) + odd)[:cut])
    seen_on(path)


def test_the_guest_reaches_the_metadata_service_and_nothing_else(tmp_path: Path) -> None:
    odd = tmp_path / "a, b"
    netdev, dump = network(2222, odd / "answers", odd / "requests", odd / "packets")[1::2]
    assert "restrict=on" in netdev
    assert "guestfwd=tcp:169.254.169.254:80-cmd:" in netdev
    assert "hostfwd=tcp:127.0.0.1:2222-:22" in netdev
    assert "a,, b" in netdev
    assert "a,, b" in dump


# --- the login -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("shell", [["sh"], ["bash"], ["busybox", "sh"]], ids=lambda words: words[0])
def test_what_is_asked_from_inside_is_answered_by_any_shell(shell: list[str]) -> None:
    """On this very machine."""
    if shutil.which(shell[0]) is None:
        pytest.skip(f"no {shell[0]} here")
    done = subprocess.run([*shell, "-s"], input=INSIDE.read_text(), capture_output=True, text=True, check=True)
    inside = parse(done.stdout)
    assert inside.kernel == os.uname().release
    assert inside.root
    assert inside.filesystem
    assert inside.filesystem_bytes > 0


def sham(folder: Path, name: str, script: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A shell script in a program's place."""
    tools = folder / "bin"
    tools.mkdir(exist_ok=True)
    (tools / name).write_text(f"#!/bin/sh\n{script}\n")
    (tools / name).chmod(0o755)
    if str(tools) not in host.SEARCH_PATH:
        monkeypatch.setattr(host, "SEARCH_PATH", f"{tools}{os.pathsep}{host.SEARCH_PATH}")
        monkeypatch.setenv("PATH", host.SEARCH_PATH)


def tried(folder: Path, *, attempts: int = 1) -> Login:
    found = Login(folder / "key", 22)
    while found.attempts < attempts or found.is_trying:
        found.go_on()
    return found


@pytest.mark.parametrize(
    ("script", "answer"),
    [
        ("echo 'kex_exchange_identification: Connection reset by peer' >&2; exit 255", "nothing"),
        ("echo 'root@127.0.0.1: Permission denied (publickey).' >&2; exit 255", "denied"),
        ("echo kernel=6.1.0; echo messages=", "in"),
        ("echo 'This account is currently not available.'; exit 1", "denied"),
    ],
)
def test_what_ssh_says_tells_whether_we_are_in(
    script: str, answer: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sham(tmp_path, "ssh", script, monkeypatch)
    assert tried(tmp_path).answer == answer


def test_where_root_is_sent_to_another_user_that_user_is_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As cloud-init has it."""
    script = """case "$*" in
      *admin@*) echo kernel=6.1.0; echo messages=;;
      *) echo 'Please login as the user "admin" rather than the user "root".';;
    esac"""
    sham(tmp_path, "ssh", script, monkeypatch)
    found = tried(tmp_path, attempts=2)
    assert (found.user, found.answer) == ("admin", "in")


def test_ssh_knows_nothing_of_the_users_own_configuration_and_keys(tmp_path: Path) -> None:
    words = login.ssh_command(tmp_path / "key", 2222, "root")
    assert words[1:3] == ["-F", "none"]
    assert {"IdentitiesOnly=yes", "IdentityAgent=none", "BatchMode=yes", "UserKnownHostsFile=/dev/null"} <= set(words)


# --- the whole, with a script in the machine's place ---------------------------------------------------------------

TALKS = """for word in "$@"; do case "$word" in file:*guest.log) log=${word#file:};; esac; done
[ -n "$log" ] || exit 1
"""


@pytest.fixture
def image(tmp_path: Path) -> Path:
    path = tmp_path / "disk.img"
    path.write_bytes(bytes(1 << 20))
    return path


@pytest.mark.parametrize(
    ("script", "came_up", "code"),
    [
        ("echo 'BdsDxe: No bootable option or device was found.' >> $log; sleep 60", False, "proof-no-loader"),
        ("echo 'qemu: no such disk' >&2; exit 1", None, "proof-lab-failed"),
    ],
    ids=["nothing to start", "QEMU fails"],
)
def test_a_proof_ends_as_soon_as_it_is_known_and_leaves_the_console(
    script: str, came_up: bool | None, code: str, image: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sham(tmp_path, "qemu-system-x86_64", TALKS + script, monkeypatch)
    sham(tmp_path, "qemu-img", "exit 0", monkeypatch)
    proof = prove.prove(Trial(image, "bios"), tmp_path / "console.log")
    assert (proof.came_up, proof.failure and proof.failure.code) == (came_up, code)
    assert proof.console.exists()
    shape = proof.as_dict()
    assert {"came_up", "as", "seconds", "kernel", "explanation", "console"} <= set(shape)
    assert shape["came_up"] == ("unknown" if came_up is None else came_up)
    json.dumps(shape)


def test_a_proof_can_be_given_up(image: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sham(tmp_path, "qemu-system-x86_64", TALKS + "sleep 60", monkeypatch)
    sham(tmp_path, "qemu-img", "exit 0", monkeypatch)
    with pytest.raises(Failure, match="interrupted"):
        prove.prove(Trial(image, "bios"), tmp_path / "console.log", Observer(stop=lambda: True))


class Unguarded:
    def guard(self, group: int) -> None: ...

    def release(self, group: int) -> None: ...


def test_a_step_that_proves_fails_with_the_explanation_and_where_the_console_is(
    image: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sham(
        tmp_path, "qemu-system-x86_64", TALKS + "echo 'Boot failed: not a bootable disk' >> $log; sleep 9", monkeypatch
    )
    sham(tmp_path, "qemu-img", "exit 0", monkeypatch)
    (tmp_path / "prove").mkdir()
    lines: list[str] = []
    action = ProveImage("disk.img", ("bios", "uefi"), "x86_64", "prove", False)
    with pytest.raises(Failure) as raised:
        prove_all(action, tmp_path, lines.extend, lambda: False, Unguarded())
    assert raised.value.code == "proof-no-loader"
    assert raised.value.evidence[-1].endswith("console-bios.log")
    assert "usually about" in lines[0]
    assert json.loads((tmp_path / "prove/verdict-bios.json").read_text())["came_up"] is False
    assert not (tmp_path / "prove/verdict-uefi.json").exists()


@pytest.mark.parametrize("arch", ["x86_64", "arm64"])
def test_the_machine_of_each_architecture_starts_the_disk_by_nvme(arch: str) -> None:
    command = ways.by_firmware("uefi", arch, Path("disk.img"), Logs(Path("g"), Path("l")), Path("memory"))
    assert any(word.startswith("nvme,") for word in command)
    assert any("pflash" in word and "memory" in word for word in command)


def test_every_program_that_a_proof_needs_is_known_to_doctor() -> None:
    host.missing(ways.tools(["pv", "bios", "uefi"], "x86_64") + ways.tools(["uefi"], "arm64"))


# --- the choice ----------------------------------------------------------------------------------------------------


def test_no_prove_leaves_the_step_out(tmp_path: Path) -> None:
    path = tmp_path / "recipe.toml"
    path.write_text('name = "one"\n[target]\nregion = "us-east-1"\narch = "x86_64"\n')
    done = CliRunner().invoke(build, [str(path), "--practice", "--no-prove", "--until", "prove"])
    assert isinstance(done.exception, Failure)
    assert done.exception.code == "unknown-step"


def test_a_machine_without_qemu_is_told_what_to_install_and_how_to_do_without(
    image: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(host, "SEARCH_PATH", str(tmp_path))
    with pytest.raises(Failure) as raised:
        prove.prove(Trial(image, "bios"), tmp_path / "console.log")
    said = explain(raised.value)
    assert said.code == "missing-programs-to-prove"
    assert "qemu-system-x86_64" in said.what
    assert any("--no-prove" in advice for advice in said.do)
    assert any("qemu-system-x86" in advice for advice in said.do)


def test_kvm_is_used_only_where_a_machine_really_runs_by_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """/dev/kvm can be there and be of no use."""
    device = tmp_path / "kvm"
    device.touch()
    monkeypatch.setattr(accelerator, "DEVICE", device)
    monkeypatch.setattr(host, "architecture", lambda: "x86_64")
    for script, expected in (("printf '\\376'", accelerator.KVM), ("exit 134", accelerator.EMULATED)):
        accelerator._kvm_works.cache_clear()
        sham(tmp_path, "qemu-system-x86_64", script, monkeypatch)
        assert accelerator.accelerator("x86_64") == expected
    assert accelerator.accelerator("arm64") == accelerator.EMULATED
    accelerator._kvm_works.cache_clear()
