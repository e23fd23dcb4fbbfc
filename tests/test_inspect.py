"""`ami-wizard inspect`: nothing is said against an image as it should be, and everything against one that is not."""

import json
import re
from pathlib import Path

import pytest
from images import MIB, Files, Part, disk, run
from kernels import RELEASE
from real_builds import ami_wizard
from userlands import ALL, ARGUMENTS, DEBIAN, ROOT_UUID, SYSTEMD, WANTS, Tree, image

from wizard import presets
from wizard.inspect.findings import SEVERITIES
from wizard.inspect.image import Inspection, inspect


def codes(path: Path) -> list[str]:
    return [one.code for one in inspect(path).findings]


@pytest.mark.parametrize("name", ALL)
def test_nothing_is_said_against_a_system_that_is_as_it_should_be(name: str, tmp_path: Path) -> None:
    found = inspect(image(tmp_path, ALL[name]))
    assert [one.what for one in found.findings] == []
    assert [(way.mode, way.arch) for way in found.boots_by] == [("uefi", "x86_64")]
    assert found.kernel
    assert found.kernel.image.version == RELEASE
    assert found.kernel.initramfs_modules == 9
    assert [(verdict.profile, verdict.boots, verdict.reachable) for verdict in found.kernel.verdicts] == [
        ("hvm-x86_64", True, True)
    ]


@pytest.fixture(scope="module")
def dirty(tmp_path_factory: pytest.TempPathFactory) -> Inspection:
    """Everything left behind that people leave behind."""
    key = "-----BEGIN OPENSSH PRIVATE KEY-----\nnot really\n"
    left: Tree = {
        "etc/ssh/ssh_host_ed25519_key": key,
        "root/.ssh/authorized_keys": "ssh-ed25519 AAAA somebody\n",
        "home/me/.ssh/id_rsa": key.replace("OPENSSH", "RSA"),
        "home/me/.ssh/known_hosts": "github.com ssh-ed25519 AAAA\n",
        "home/me/deploy.pem": key,
        "home/me/.bash_history": "mysql -psecret\n",
        "root/.aws/credentials": "[default]\naws_secret_access_key = x\n",
        "home/me/.netrc": "machine example.com password x\n",
        "etc/machine-id": "0123456789abcdef0123456789abcdef\n",
        "var/lib/systemd/random-seed": b"seed",
        "var/lib/cloud/instances/i-1/user-data.txt": "#!/bin/sh\n",
        "etc/udev/rules.d/70-persistent-net.rules": 'SUBSYSTEM=="net", ATTR{address}=="0a:", NAME="eth0"\n',
        "var/log/dpkg.log": "installed\n",
        "var/log/apt/history.log": "installed\n",
        "var/cache/apt/archives/htop_3_amd64.deb": b"!<arch>",
        "var/lib/apt/lists/deb_dists_bookworm_Packages": "Package: htop\n",
        "var/lib/dhcp/dhclient.eth0.leases": "lease {}\n",
        "tmp/build.log": "x",
        "var/mail/root": "From me\n",
        "etc/apt/apt.conf.d/90proxy": 'Acquire::http::Proxy "http://10.0.0.1:3128";\n',
        "etc/pacman.d/gnupg/private-keys-v1.d/A.key": "(11:private-key(3:rsa",
        "etc/passwd": "root:x:0:0::/root:/bin/sh\nme:x:1000:1000::/home/me:/bin/sh\ntoor:x:0:0::/root:/bin/sh\n",
        "etc/shadow": "root::19000::::::\nme:$6$salt$hash:19000::::::\ntoor:!$y$j9T$salt$hash:19000::::::\n",
        "etc/ssh/sshd_config.d/10-image.conf": "PermitEmptyPasswords yes\nUseDNS yes\n",
        "etc/hostname": "build-host\n",
    }
    return inspect(image(tmp_path_factory.mktemp("dirty"), {**DEBIAN, **left}, modes={"etc/shadow": 0o644}))


DIRT = {
    "host-keys": "/etc/ssh/ssh_host_ed25519_key",
    "authorized-keys": "/root/.ssh/authorized_keys",
    "private-keys": "/home/me/deploy.pem",
    "known-hosts": "/home/me/.ssh/known_hosts",
    "history": "/home/me/.bash_history",
    "cloud-credentials": "/root/.aws/credentials",
    "other-credentials": "/home/me/.netrc",
    "machine-id": "/etc/machine-id",
    "random-seed": "/var/lib/systemd/random-seed",
    "cloud-init-state": "/var/lib/cloud/instances/i-1/user-data.txt",
    "network-names": "/etc/udev/rules.d/70-persistent-net.rules",
    "logs": "/var/log/dpkg.log",
    "package-caches": "/var/cache/apt/archives/htop_3_amd64.deb",
    "package-lists": "/var/lib/apt/lists/deb_dists_bookworm_Packages",
    "leases": "/var/lib/dhcp/dhclient.eth0.leases",
    "temporary-files": "/tmp/build.log",
    "mail": "/var/mail/root",
    "proxy": "/etc/apt/apt.conf.d/90proxy",
    "gpg-master-key": "/etc/pacman.d/gnupg/private-keys-v1.d/A.key",
    "empty-password": "/etc/shadow",
    "password": "/etc/shadow",
    "locked-password": "/etc/shadow",
    "second-root": "/etc/passwd",
    "shadow-for-all": "/etc/shadow",
    "ssh-root-by-password": "/etc/ssh/sshd_config",
    "ssh-by-empty-password": "/etc/ssh/sshd_config",
    "ssh-asks-dns": "/etc/ssh/sshd_config",
    "fixed-hostname": "/etc/hostname",
}


def test_everything_that_was_left_behind_is_found_where_it_is(dirty: Inspection) -> None:
    found = {one.code: one.path for one in dirty.findings}
    assert {code: path for code, path in found.items() if code in DIRT} == DIRT
    assert found.keys() == DIRT.keys()


def test_the_worst_comes_first_and_every_text_is_filled(dirty: Inspection) -> None:
    order = [SEVERITIES.index(one.severity) for one in dirty.findings]
    assert order == sorted(order)
    for one in dirty.findings:
        assert not re.search(r"\{\w+\}", one.what + one.why + one.do)


def test_every_finding_of_the_presets_is_whole() -> None:
    for code, entry in presets.load("inspect")["finding"].items():
        assert re.fullmatch(r"[a-z0-9-]+", code)
        assert entry["severity"] in SEVERITIES
        assert all(entry[name].strip() for name in ("what", "why", "do", "source"))


def test_every_path_rule_was_seen_to_fit(dirty: Inspection) -> None:
    """A pattern with a slip in it would be silent for ever."""
    ruled = {code for code, entry in presets.load("inspect")["finding"].items() if "paths" in entry}
    seen = {one.code for one in dirty.findings}
    assert ruled - seen == {"credential-secret"}


def test_keys_that_the_recipe_gives_are_no_leftover(tmp_path: Path) -> None:
    key = "ssh-ed25519 AAAAC3 me@home"
    made = image(tmp_path, {**DEBIAN, "root/.ssh/authorized_keys": f"{key}\n"})
    assert codes(made) == ["authorized-keys"]
    assert [one.code for one in inspect(made, [key]).findings] == []
    assert [one.code for one in inspect(made, ["ssh-ed25519 BBBB"]).findings] == ["authorized-keys"]


def without(tree: Tree, *names: str) -> Tree:
    return {path: content for path, content in tree.items() if not any(name in path for name in names)}


LACKING: dict[str, tuple[Tree, str]] = {
    "no-network": (without(DEBIAN, "systemd-networkd.service"), "no-dhcp"),
    "network-by-name": (
        {**DEBIAN, "etc/systemd/network/20-first.network": "[Match]\nName=eth0\n\n[Network]\nDHCP=yes\n"},
        "dhcp-by-name",
    ),
    "static-address": (
        {**DEBIAN, "etc/systemd/network/20-first.network": "[Match]\nType=ether\n\n[Network]\nAddress=10.0.0.2/24\n"},
        "no-dhcp",
    ),
    "masked": ({**DEBIAN, "etc/systemd/system/systemd-networkd.service": "-> /dev/null"}, "no-dhcp"),
    "no-key": (without(DEBIAN, "usr/local/lib/metadata"), "no-key"),
    "imdsv1-only": (
        {**DEBIAN, "usr/local/lib/metadata": "#!/bin/sh\ncurl http://169.254.169.254/latest/meta-data/public-keys/0\n"},
        "key-without-imdsv2",
    ),
    "imdsv2-only": (
        {**DEBIAN, "usr/local/lib/metadata": (presets.ROOT / "system/instance-metadata.sh").read_text()}
        if (presets.ROOT / "system/instance-metadata.sh").exists()
        else DEBIAN,
        "key-without-imdsv1",
    ),
    "key-after-ssh": (
        {**DEBIAN, "etc/systemd/system/metadata.service": "[Service]\nExecStart=/usr/local/lib/metadata\n"},
        "key-after-ssh",
    ),
    "no-host-keys": (without(DEBIAN, "host-keys.service"), "no-host-keys-made"),
    "no-ssh": (without(DEBIAN, f"{WANTS}/ssh.service"), "no-ssh"),
    "no-time": (without(DEBIAN, "systemd-timesyncd.service"), "no-time"),
    "time-from-the-pool": (
        {**DEBIAN, "etc/systemd/timesyncd.conf.d/10-ec2.conf": "[Time]\n#NTP=169.254.169.123\nNTP=pool.ntp.org\n"},
        "time-from-elsewhere",
    ),
    "no-growth": (without(DEBIAN, "grow.service"), "root-does-not-grow"),
    "passwords-by-ssh": ({**DEBIAN, "etc/ssh/sshd_config": "UsePAM yes\n"}, "ssh-by-password"),
    "no-console": (
        {**DEBIAN, "boot/grub/grub.cfg": str(DEBIAN["boot/grub/grub.cfg"]).replace("console=ttyS0,115200n8", "")},
        "kernel-without-console",
    ),
    "no-prompt": ({**ALL["alpine"], "etc/inittab": "::sysinit:/sbin/openrc sysinit\n"}, "no-getty"),
    "no-modules": (without(DEBIAN, "modules.dep"), "no-modules"),
}


@pytest.mark.parametrize("name", LACKING)
def test_what_is_missing_is_said(name: str, tmp_path: Path) -> None:
    tree, code = LACKING[name]
    if name == "passwords-by-ssh":
        tree = without(tree, "sshd_config.d")
    assert code in codes(image(tmp_path, tree))


GRUB_CFG = str(DEBIAN["boot/grub/grub.cfg"])
OTHER = "99999999-2222-4333-8444-555555555555"

ROOT_LINE = f"UUID={ROOT_UUID} / ext4 rw 0 1\n"


def fstab(line: str) -> Tree:
    return {"etc/fstab": f"{ROOT_LINE}{line}\n"}


def menu(old: str, new: str) -> Tree:
    """GRUB's menu with something else in it."""
    assert old in GRUB_CFG
    return {"boot/grub/grub.cfg": GRUB_CFG.replace(old, new)}


def root(spec: str) -> Tree:
    return menu(f"root=UUID={ROOT_UUID}", f"root={spec}")


CONFIG = str(DEBIAN[f"boot/config-{RELEASE}"])

BROKEN: dict[str, tuple[Tree, list[str]]] = {
    "fstab-uuid": (fstab(f"UUID={OTHER} /srv ext4 rw 0 2"), ["fstab-nothing-there"]),
    "fstab-nofail": (fstab(f"UUID={OTHER} /srv ext4 nofail 0 2"), ["fstab-nothing-there-optional"]),
    "fstab-kind": ({"etc/fstab": f"UUID={ROOT_UUID} / xfs rw 0 1\n"}, ["fstab-other-kind"]),
    "fstab-device": (fstab("/dev/xvda2 /boot/efi vfat ro 0 2"), ["fstab-by-device"]),
    "another-disk": (fstab("/dev/xvdb /mnt auto nofail 0 2"), []),
    "root-uuid": (root(f"UUID={OTHER}"), ["menu-root-not-there"]),
    "root-device": (root("/dev/xvda1"), ["menu-root-by-device"]),
    "root-another": (root("/dev/nvme0n1p2"), ["menu-root-another"]),
    "no-initrd": (menu(f"    initrd /boot/initrd.img-{RELEASE}\n", ""), ["kernel-boot", "menu-root-needs-initramfs"]),
    "initrd-path": (menu("initrd.img-", "initrd-"), ["kernel-boot", "menu-without-initramfs"]),
    "grub-search": (menu(f"root {ROOT_UUID}", f"root {OTHER}"), ["menu-searches-nothing"]),
    "kernel-path": (menu("vmlinuz-", "vmlinuz-0"), ["menu-without-kernel"]),
    "kernel-cut-off": ({f"boot/vmlinuz-{RELEASE}": b"HdrS" * 500}, ["could-not-look"]),
    "kernel-without-nvme": (
        {f"boot/config-{RELEASE}": CONFIG.replace("CONFIG_BLK_DEV_NVME=m", "")},
        ["kernel-boot"],
    ),
}


@pytest.mark.parametrize("name", BROKEN)
def test_fstab_menus_and_kernel_must_agree_with_what_is_there(name: str, tmp_path: Path) -> None:
    changed, expected = BROKEN[name]
    assert codes(image(tmp_path, {**DEBIAN, **changed})) == expected


def test_the_ways_to_start_are_told_by_what_is_there(tmp_path: Path) -> None:
    tree = Files(tmp_path / "root", DEBIAN).folder
    nothing = disk(tmp_path / "nothing", "gpt", Part("ext4", tree, 24, ("-U", ROOT_UUID)))
    assert codes(nothing)[:1] == ["starts-by-nothing"]
    old = ("-U", ROOT_UUID, "-O", "^64bit,^metadata_csum")
    menu = f"default 0\ntitle x\nroot (hd0,0)\nkernel /boot/vmlinuz-{RELEASE} {ARGUMENTS} console=hvc0\n"
    pv = Files(tmp_path / "pv", {**without(DEBIAN, "grub.cfg"), "boot/grub/menu.lst": menu}).folder
    ways = inspect(disk(tmp_path / "pv.img", "dos", Part("ext4", pv, 24, old))).boots_by
    assert [(way.mode, way.by) for way in ways] == [("paravirtual", "PV-GRUB hd0 1.04, 1.05; hd00 1.04, 1.05")]
    newer = disk(tmp_path / "pv2.img", "dos", Part("ext4", pv, 24, ("-U", ROOT_UUID)))
    assert {"starts-by-nothing", "aki-features"} <= set(codes(newer))
    esp = disk(tmp_path / "esp", "gpt", Part("ext4", tree, 24, ("-U", ROOT_UUID)), Part("vfat", None, 40, type="uefi"))
    assert "esp-without-program" in codes(esp)


def test_what_cannot_be_read_is_said_and_never_counts_as_fine(tmp_path: Path) -> None:
    made = image(tmp_path, DEBIAN)
    run("debugfs", "-w", "-R", "sif /etc/shadow block[0] 0xfffffff", f"{made}?offset={MIB}")
    run("debugfs", "-w", "-R", "sif /var/log size 77777777777", f"{made}?offset={MIB}")
    assert "could-not-look" in codes(made)
    cut = tmp_path / "cut.img"
    cut.write_bytes(made.read_bytes()[: 30 * MIB])
    assert {"image-cut-off", "table-damaged"} <= set(codes(cut))
    luks = tmp_path / "luks"
    luks.write_bytes(b"LUKS\xba\xbe" + bytes(4 * MIB))
    assert {"no-system", "could-not-look"} <= set(codes(luks))


def test_names_out_of_an_image_do_not_drive_the_terminal(tmp_path: Path) -> None:
    made = image(
        tmp_path, {**DEBIAN, "tmp/\x1b[31mred\n": "x", "etc/os-release": 'PRETTY_NAME="\x1b]0;title\x07[red]"\n'}
    )
    done = ami_wizard("inspect", str(made))
    assert done.returncode == 1
    assert "red" in done.stdout
    assert "\x1b" not in done.stdout


def test_the_command_speaks_to_people_and_to_machines(tmp_path: Path) -> None:
    made = image(tmp_path, {**DEBIAN, "etc/os-release": 'PRETTY_NAME="A Linux"\n'})
    done = ami_wizard("inspect", str(made))
    assert (done.returncode, done.stderr) == (0, "")
    assert all(len(line) <= 80 for line in done.stdout.splitlines())
    for word in ("A Linux", "uefi (x86_64)", "grub.cfg", "ext4", "Nothing wrong was found"):
        assert word in done.stdout
    said = json.loads(ami_wizard("inspect", str(made), "--json").stdout)
    assert said["findings"] == []
    assert said["partitions"][0]["filesystem"]["uuid"] == ROOT_UUID
    assert said["partitions"][0]["mounted_at"] == ["/"]
    assert said["kernel"]["verdicts"] == {"hvm-x86_64": {"boots": True, "reachable": True}}


def test_exit_codes_are_those_of_every_command(tmp_path: Path) -> None:
    (tmp_path / "disk.qcow2").write_bytes(b"QFI\xfb" + bytes(1000))
    done = ami_wizard("inspect", str(tmp_path / "disk.qcow2"))
    assert done.returncode == 2
    assert "qemu-img convert -f qcow2 -O raw" in done.stderr
    assert ami_wizard("inspect", str(tmp_path / "missing")).returncode == 2
    lists = image(tmp_path, {**DEBIAN, "var/lib/apt/lists/x_Packages": "Package: x\n"})
    assert ami_wizard("inspect", str(lists)).returncode == 0, "a recommendation is no fault"


def test_an_image_is_inspected_by_anybody_and_left_as_it_was(tmp_path: Path) -> None:
    made = image(tmp_path, DEBIAN)
    made.chmod(0o444)
    before = (made.stat().st_mtime_ns, made.read_bytes())
    assert codes(made) == []
    assert (made.stat().st_mtime_ns, made.read_bytes()) == before
    assert str(made) not in Path("/proc/mounts").read_text()


def test_units_and_scripts_are_followed_to_what_they_call(tmp_path: Path) -> None:
    unit = "[Unit]\nBefore=sshd.service\n[Service]\nExecStart=/bin/sh -c '/opt/agent/start --quick'\n"
    tree: Tree = {
        **without(DEBIAN, "metadata"),
        f"{SYSTEMD}/agent.service": unit,
        f"{WANTS}/agent.service": f"-> /{SYSTEMD}/agent.service",
        "opt/agent/start": str(DEBIAN["usr/local/lib/metadata"]),
    }
    assert codes(image(tmp_path, tree)) == []
