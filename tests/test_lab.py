"""The machines that images are started in on this machine: what they are, how they are watched, how they end."""

import os
import signal
import subprocess
import threading
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wizard import presets
from wizard.boot.lab.bundle import Bundle, xen_bundle
from wizard.boot.lab.machine import Logs, direct, nvme, paravirtual
from wizard.boot.lab.run import Boot, boot
from wizard.boot.lab.watch import LAST_LINES, LINE_WIDTH, Consoles, Verdict, judge, out_of_time, readable

BUNDLE = Bundle(Path("/lab/xen"), Path("/lab/vmlinuz"), Path("/lab/dom0.cpio.gz"))
IMAGE = Path("disk.img")
LOGS = Logs(Path("guest.log"), Path("lab.log"))
MACHINES = {
    "pv": paravirtual(BUNDLE, IMAGE, LOGS),
    "bios": nvme(IMAGE, LOGS),
    "uefi": nvme(IMAGE, LOGS, uefi_variables=Path("vars.fd")),
    "direct": direct(Path("bzImage"), "console=ttyS0", IMAGE, LOGS),
}

UP_TO_LOGIN = "Linux version 6.1.192\n[    2.1] Run /sbin/init as init process\n\nDebian GNU/Linux 12\n\nlab login: "


@pytest.mark.parametrize("name", MACHINES)
def test_a_machine_changes_nothing_on_the_disk_and_ends_rather_than_starting_again(name: str) -> None:
    command = MACHINES[name]
    (disk,) = [word for word in command if word.startswith("if=none,id=disk")]
    assert "snapshot=on" in disk
    assert "-no-reboot" in command
    assert not any("kvm" in word for word in command)


def test_what_a_machine_writes_is_kept_where_that_is_asked_for() -> None:
    kept = (
        paravirtual(BUNDLE, IMAGE, LOGS, keeps=True),
        nvme(IMAGE, LOGS, keeps=True),
        direct(Path("bzImage"), "", IMAGE, LOGS, keeps=True),
    )
    assert all("snapshot=off" in " ".join(command) for command in kept)


@pytest.mark.parametrize("name", ["bios", "uefi", "direct"])
def test_the_disk_of_an_hvm_machine_is_nvme_as_on_nitro(name: str) -> None:
    assert any(word.startswith("nvme,") and "drive=disk" in word for word in MACHINES[name])


@pytest.mark.parametrize(
    ("guest", "lab", "came_up", "reason"),
    [
        (UP_TO_LOGIN, "", True, ""),
        ("LAB: no menu.lst found\n", "", False, "found no menu.lst"),
        ("Linux version 6.1\nVFS: Unable to mount root fs on unknown-block(0,0)\n", "", False, "root file system"),
        (
            "Linux version 6.1\nALERT!  /dev/xvda9 does not exist.  Dropping to a shell!\n",
            "",
            False,
            "root file system",
        ),
        ("Linux version 6.1\nKernel panic - not syncing: No working init found.\n", "", False, "no first program"),
        ("Linux version 6.1\n\n(initramfs) ", "", False, "the initramfs gave up"),
        ("systemd[1]: Freezing execution.\n", "", False, "systemd stopped"),
        ("You are in emergency mode. After logging in, type\n", "", False, "emergency mode"),
        ("BdsDxe: No bootable option or device was found.\n", "", False, "firmware found nothing"),
        ("", "Booting from Hard Disk...\nBoot failed: not a bootable disk\n", False, "firmware found nothing"),
        ("Linux version 6.1\n", "(XEN) Domain 1 (vcpu#0) crashed on cpu#0:\n", False, "the guest crashed"),
        ("Linux version 6.1\n", "LAB: 17.44 guest shut down\n", False, "ended by itself"),
        ("", "(XEN) Hardware Dom0 crashed: rebooting machine in 5 seconds.\n", None, "local Xen machine failed"),
        ("", "LAB: 18.87 failed: xl create\n", None, "local Xen machine failed"),
        (
            "[ TIME ] Timed out waiting for device /dev/xvda1.\nYou are in emergency mode. After logging in, type\n",
            "",
            None,
            "too slow",
        ),
    ],
    ids=lambda value: None if isinstance(value, str) else str(value),
)
def test_what_the_consoles_say_decides(guest: str, lab: str, came_up: bool | None, reason: str) -> None:
    verdict = judge(Consoles(guest, lab), "login", 0)
    assert verdict is not None
    assert verdict.came_up is came_up
    assert reason in verdict.reason


def test_as_long_as_nothing_decisive_was_said_there_is_no_verdict() -> None:
    assert judge(Consoles("[    0.0] Linux version 6.1.192\n", "LAB: 4.94 dom0 is up\n"), "login", 3600) is None


def test_grubs_errors_count_only_when_it_stays_silent_and_no_kernel_follows() -> None:
    """GRUB also says "error:" of things that do no harm, such as a missing video mode."""
    refused = Consoles("LAB: boot loader started\nerror: couldn't load file /boot/vmlinuz.\n")
    assert judge(refused, "login", 0) is None
    verdict = judge(refused, "login", 10)
    assert verdict is not None
    assert verdict.came_up is False
    assert "couldn't load file" in verdict.last_words[-1]
    assert judge(Consoles(refused.guest + "Linux version 6.1.192\n"), "login", 60) is None
    assert judge(Consoles("GRUB\nerror: no suitable video mode found.\n"), "login", 60) is None


def test_a_login_prompt_is_enough_only_where_nothing_more_is_asked_for() -> None:
    assert judge(Consoles(UP_TO_LOGIN), "report", 0) is None
    reported = UP_TO_LOGIN + "LAB-REPORT kernel=6.1.192 root=ext4 network=eth0 end\n"
    verdict = judge(Consoles(reported), "report", 0)
    assert verdict is not None
    assert (verdict.came_up, verdict.phase) == (True, "report")


def test_a_lab_that_never_reached_the_image_says_nothing_of_it() -> None:
    assert out_of_time(Consoles("", "LAB: 4.94 dom0 is up\n"), "too late").came_up is None
    stuck = out_of_time(Consoles("Linux version 6.1\nrandom: crng init done\n"), "too late")
    assert (stuck.came_up, stuck.phase, stuck.reason) == (False, "kernel", "too late")
    assert stuck.last_words[-1] == "random: crng init done"


@given(st.binary(max_size=2000), st.binary(max_size=500))
def test_whatever_a_console_says_the_last_words_are_few_short_and_printable(guest: bytes, lab: bytes) -> None:
    consoles = Consoles(readable(guest), readable(lab))
    verdict = judge(consoles, "login", 60) or out_of_time(consoles, "too late")
    assert len(verdict.last_words) <= LAST_LINES
    assert all(len(line) <= LINE_WIDTH and line.isprintable() for line in verdict.last_words)


def test_escape_sequences_do_not_hide_what_was_said() -> None:
    assert readable(b"\x1b[2J\x1b[01;01H\x1b[=3h\x1b[0;32m[  OK  ]\x1b[0m ready\r\n") == "[  OK  ] ready\n"


def sham(folder: Path, script: str, timeout: float = 20) -> Boot:
    """A shell script in a machine's place: it writes to $1, the guest's console, and $2, the lab's."""
    logs = Logs(folder / "guest.log", folder / "lab.log")
    return boot(["sh", "-c", script, "sham", str(logs.guest), str(logs.lab)], logs, until="login", timeout=timeout)


def test_a_machine_is_ended_with_all_that_it_started_as_soon_as_the_verdict_is_known(tmp_path: Path) -> None:
    child = tmp_path / "child"
    boot = sham(tmp_path, f"sleep 600 & echo $! > {child}; printf 'lab login: ' >> $1; wait")
    assert boot.verdict == Verdict(True, "", "login", ("lab login:",))
    assert is_gone(int(child.read_text()))


def test_a_machine_that_will_not_end_is_killed(tmp_path: Path) -> None:
    boot = sham(tmp_path, "trap '' TERM; printf 'lab login: ' >> $1; while :; do sleep 1; done")
    assert boot.verdict.came_up is True


def test_a_machine_that_says_nothing_is_ended_when_its_time_is_up(tmp_path: Path) -> None:
    boot = sham(tmp_path, "echo Linux version 6.1 >> $1; sleep 600", timeout=1)
    assert (boot.verdict.came_up, boot.verdict.phase) == (False, "kernel")


def test_what_a_machine_says_last_is_heard_though_it_ended_at_once(tmp_path: Path) -> None:
    boot = sham(tmp_path, "echo 'Kernel panic - not syncing: stack-protector' >> $1")
    assert boot.verdict.reason == "the kernel stopped"


def test_a_machine_that_cannot_run_is_the_labs_fault_and_says_why(tmp_path: Path) -> None:
    boot = sham(tmp_path, "echo 'qemu: could not open disk.img' >&2; exit 1")
    assert boot.verdict.came_up is None
    assert "could not open disk.img" in boot.verdict.reason


def test_an_interruption_leaves_no_machine_behind(tmp_path: Path) -> None:
    child = tmp_path / "child"

    def interrupt() -> None:
        while not child.exists() or not child.read_text():
            time.sleep(0.05)
        os.kill(os.getpid(), signal.SIGINT)

    threading.Thread(target=interrupt).start()
    with pytest.raises(KeyboardInterrupt):
        sham(tmp_path, f"sleep 600 & echo $! > {child}; wait")
    assert is_gone(int(child.read_text()))


def is_gone(pid: int) -> bool:
    """Whether a process has ended, or is about to be reaped."""
    for _ in range(100):
        state = subprocess.run(
            ["ps", "-o", "stat=", "-p", str(pid)], capture_output=True, text=True, check=False
        ).stdout
        if not state.strip() or state.startswith("Z"):
            return True
        time.sleep(0.05)
    return False


@pytest.mark.parametrize("name", presets.load("lab/bundle")["xen_programs"])
def test_dom0_starts_every_xen_program_that_it_carries(name: str) -> None:
    script = (presets.ROOT / "lab/dom0-init").read_text(encoding="utf-8")
    assert f"{name} " in script


@pytest.mark.slow
def test_an_empty_disk_is_found_out_by_the_firmware_and_by_the_paravirtual_boot_loader(
    world: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Really in Xen: the loader only speaks when hypervisor, dom0 and the guest's disk and console all work."""
    monkeypatch.setenv("AMI_WIZARD_HOME", str(world))
    disk = tmp_path / "disk.img"
    disk.write_bytes(bytes(1 << 20))
    logs = Logs(tmp_path / "guest.log", tmp_path / "lab.log")
    bios = boot(nvme(disk, logs), logs, until="login", timeout=60)
    assert (bios.verdict.came_up, bios.verdict.reason) == (False, "the firmware found nothing to start")
    pv = boot(paravirtual(xen_bundle(), disk, logs), logs, until="login", timeout=180)
    assert (pv.verdict.came_up, pv.verdict.reason) == (False, "the boot loader found no menu.lst")
