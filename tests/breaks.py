"""Images that are broken on purpose: what is done to a good one, and what a proof must say of it.

`make breaks` tries them all, or those that are named, and writes a table; CI tries those that are quick.
"""

import json
import os
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass, field
from pathlib import Path

from wizard import host
from wizard.boot.proof.prove import ALONE, Observer, Proof, Trial, prove
from wizard.disk.read import open_image
from wizard.plan.actions import Way
from wizard.run.warden import Warden

HVM = 'name = "broken-hvm"\n[target]\nregion = "us-east-1"\narch = "x86_64"\n'
CLASSIC = 'virtualization = "paravirtual"\n[disk]\nlayout = "ext3-boot-btrfs-root"\nsize_gib = 2\n'
PV = HVM.replace("hvm", "pv") + CLASSIC

NOWHERE = "00000000-0000-4000-8000-000000000000"
MENU = "boot/grub/grub.cfg"
PV_MENU = "boot/grub/menu.lst"
UNITS = "etc/systemd/system"


@dataclass(frozen=True)
class Break:
    """`edits`: a file's path → pairs of old and new text in it; `removes`: files; `adds`: a file's path → its text.

    All are on the file system that is mounted at / (HVM) or /boot (PV).  `explanation` is the code of why it did not
    come up; None where it did, and `finding` is what is wrong all the same.
    """

    name: str
    explanation: str | None
    way: Way = "bios"
    edits: dict[str, tuple[tuple[str, str], ...]] = field(default_factory=dict)
    removes: tuple[str, ...] = ()
    adds: dict[str, str] = field(default_factory=dict)
    finding: str | None = None
    is_quick: bool = False


FAILS = "[Service]\nType=oneshot\nExecStart=/bin/false\n"

BREAKS = (
    Break("no menu", "proof-no-menu", removes=(MENU,), is_quick=True),
    Break("no kernel", "proof-kernel-not-found", edits={MENU: (("/vmlinuz ", "/vmlinuz-gone "),)}, is_quick=True),
    Break("no such disk", "proof-loader-wrong-disk", edits={MENU: (("linux /", "linux (hd9,gpt9)/"),)}),
    Break("no root device", "proof-no-root", edits={MENU: (("root=UUID=", f"root=UUID={NOWHERE[:-1]}1 old="),)}),
    Break("wrong root file system", "proof-root-unreadable", edits={MENU: ((" ro ", " ro rootfstype=xfs "),)}),
    Break("no init", "proof-no-init", removes=("usr/sbin/init",), is_quick=True),
    Break("no login and no network", "proof-stuck-start", adds={f"{UNITS}/default.target": "[Unit]\n"}),
    Break(
        "fstab names no disk",
        "proof-device-missing",
        edits={"etc/fstab": (("# <", f"UUID={NOWHERE} /data ext4 x-systemd.device-timeout=5s 0 2\n# <"),)},
    ),
    Break("no DHCP", "proof-no-address", removes=("etc/systemd/network/20-first.network",)),
    Break(
        "wrong metadata address",
        "proof-metadata-not-reached",
        edits={"usr/local/lib/instance-metadata": (("169.254.169.254", "169.254.169.99"),)},
    ),
    Break(
        "root may not log in",
        "proof-ssh-refused",
        edits={"etc/ssh/sshd_config.d/10-ami-wizard.conf": (("prohibit-password", "no"),)},
        is_quick=True,
    ),
    Break("no ssh server", "proof-ssh-no-answer", removes=(f"{UNITS}/multi-user.target.wants/ssh.service",)),
    Break(
        "a unit fails",
        None,
        edits={f"{UNITS}/grow-root.service": (("[Unit]\n", "[Unit]\nWants=fails.service\n"),)},
        adds={f"{UNITS}/fails.service": FAILS},
        finding="proof-units-failed",
    ),
    Break("no menu.lst", "proof-no-menu", "pv", removes=(PV_MENU,), is_quick=True),
    Break("no PV kernel", "proof-kernel-not-loaded", "pv", edits={PV_MENU: (("/vmlinuz ", "/vmlinuz-gone "),)}),
    Break("no PV initramfs", "proof-kernel-not-found", "pv", edits={PV_MENU: (("/initrd.img", "/initrd-gone"),)}),
    Break("no PV initramfs at all", "proof-no-root", "pv", edits={PV_MENU: (("initrd ", "# "),)}),
)


def broken(image: Path, what: Break, folder: Path) -> Path:
    """A copy of the image, broken."""
    copy = folder / "broken.img"
    subprocess.run(["cp", "--sparse=always", image, copy], check=True)
    at = f"{copy}?offset={_start(copy, '/boot' if what.way == 'pv' else '/')}"
    for path, pairs in what.edits.items():
        text = _debugfs(at, f"cat {path}")
        for old, new in pairs:
            assert old in text, f"{path} holds no {old!r}"
            text = text.replace(old, new)
        _put(at, path, text, folder)
    for path in what.removes:
        _debugfs(at, f"rm {path}", writes=True)
    for path, text in what.adds.items():
        _put(at, path, text, folder)
    return copy


def proved(image: Path, what: Break, folder: Path, observer: Observer = ALONE) -> Proof:
    """The proof of such an image."""
    trial = Trial(broken(image, what, folder), what.way, allows_imds_v1=False)
    return prove(trial, folder / "console.log", observer)


def agrees(proof: Proof, what: Break) -> bool:
    """Whether the proof said what it must."""
    code = proof.explanation.code if proof.explanation else None
    return code == what.explanation and (what.finding is None or what.finding in {one.code for one in proof.findings})


def _start(image: Path, mount: str) -> int:
    """Where the ext file system begins: /boot is the first partition, / of the default layout the largest."""
    with open_image(image) as disk:
        parts = [part for part in disk.partitions if part.filesystem and part.filesystem.kind.startswith("ext")]
        part = parts[0] if mount == "/boot" else max(parts, key=lambda part: part.entry.size)
        return part.entry.start


def _put(at: str, path: str, text: str, folder: Path) -> None:
    written = folder / "written"
    written.write_text(text)
    mode = _debugfs(at, f"stat {path}")
    with_mode = "0100755" if "Mode:  0755" in mode else "0100644"
    _debugfs(at, f"rm {path}", writes=True)
    _debugfs(at, f"write {written} {path}", writes=True)
    _debugfs(at, f"sif {path} mode {with_mode}", writes=True)


def _debugfs(at: str, command: str, *, writes: bool = False) -> str:
    access = ["-w"] if writes else []
    environment = {**os.environ, "PATH": host.SEARCH_PATH}
    return subprocess.run(
        ["debugfs", *access, "-R", command, at], env=environment, capture_output=True, text=True, check=True
    ).stdout


def _image(recipe: str, folder: Path) -> Path:
    """A good one."""
    path = folder / "recipe.toml"
    path.write_text(recipe)
    command = [sys.executable, "-m", "wizard", "build", str(path), "--practice", "--until", "image", "--json"]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    return Path(json.loads(done.stdout.splitlines()[-1])["image"])


def main(names: list[str]) -> None:
    """Prints one line a break."""
    warden = Warden()
    kept = Path(tempfile.mkdtemp(prefix="ami-wizard-consoles-"))
    print(f"Consoles: {kept}", flush=True)
    hvm, pv = _image(HVM, kept), _image(PV, kept)
    for what in BREAKS:
        if names and what.name not in names:
            continue
        with tempfile.TemporaryDirectory(prefix="ami-wizard-break-") as folder:
            proof = proved(pv if what.way == "pv" else hvm, what, Path(folder), Observer(guard=warden))
            shutil.copy(proof.console, kept / f"{what.name.replace(' ', '-')}.txt")
        said = proof.explanation.code if proof.explanation else ", ".join(one.code for one in proof.findings)
        verdict = "as expected" if agrees(proof, what) else "NOT AS EXPECTED"
        print(f"{what.name:<26} {what.way:<5} {proof.seconds:>6} s  {said:<32} {verdict}", flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
