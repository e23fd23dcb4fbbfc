"""What an image is told: files, links, and what an instance does of itself at its start."""

import json
import os
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from wizard import presets
from wizard.distro import distros, openrc, system, systemd
from wizard.distro.settings import Settings
from wizard.distro.tidy import TIDY, TIDY_TMP
from wizard.plan.actions import Write
from wizard.plan.build import Occasion, plan
from wizard.plan.script import script
from wizard.recipe import Recipe, from_answers, problems_of

SCRIPT = presets.ROOT / "system" / "instance-metadata"
SHELLS = [["dash"], ["bash", "--posix"], ["busybox", "sh"]]


def recipe(**told: Any) -> Recipe:
    answers = {"name": "told", "target": {"region": "us-east-1", "arch": "x86_64"}, "system": told}
    return from_answers(answers)


def told(**answers: Any) -> Settings:
    return system.settings(recipe(**answers), "ttyS0", Settings())


def test_every_distribution_can_be_told_what_ec2_needs() -> None:
    for name in presets.names("distros"):
        distro = distros.load(name)
        if not distro.init:
            continue
        laid_over = system.INITS[distro.init].settings(recipe(), distro, "hvc0")
        assert {"usr/local/lib/instance-metadata", "usr/local/lib/grow-root"} <= laid_over.programs.keys()
        assert any(path.endswith(f"/{distro.system.ssh}{suffix(distro.init)}") for path in laid_over.links), name
        assert any("hvc0" in path for path in laid_over.links), name
        assert any("169.254.169.123" in text for text in laid_over.files.values()), name


def suffix(init: str) -> str:
    return {"systemd": ".service", "openrc": ""}[init]


def test_systemd_starts_ssh_behind_the_key_and_the_host_keys() -> None:
    files = told().files
    for unit in ("instance-metadata", "ssh-host-keys"):
        text = files[f"etc/systemd/system/{unit}.service"]
        assert "Before=ssh.service" in text
        # Ordered, not required: without a metadata service one still gets in, by a key that is there already.
        assert "Requires=" not in text
    assert told().links["etc/systemd/system/multi-user.target.wants/ssh.service"].endswith("/ssh.service")


def test_the_console_never_waits_for_metadata() -> None:
    for path, text in told().files.items():
        if path.startswith("etc/systemd/system/"):
            assert not {"getty.target", "sysinit.target", "basic.target"} & set(text.split("Before=")[-1].split()), path


def test_openrc_is_told_by_runlevels() -> None:
    distro = distros.load("debian")
    names = distros.System("sshd", "dhcpcd", time="chronyd", services={"boot": ("hostname",)})
    laid_over = openrc.settings(recipe(), replace_system(distro, names), "hvc0")
    assert laid_over.links["etc/runlevels/default/sshd"] == "/etc/init.d/sshd"
    assert laid_over.links["etc/runlevels/boot/hostname"] == "/etc/init.d/hostname"
    assert laid_over.links["etc/init.d/agetty.hvc0"] == "agetty"
    assert "before sshd" in laid_over.programs["etc/init.d/instance-metadata"]


def test_a_userland_without_a_time_service_gets_no_link_to_one() -> None:
    for init, network in ((openrc, "dhcpcd"), (systemd, "systemd-networkd")):
        names = distros.System("sshd", network, time="", services={})
        links = init.settings(recipe(), replace_system(distros.load("debian"), names), "hvc0").links
        assert not any("chrony" in place or "timesyncd" in place for place in (*links, *links.values()))


def replace_system(distro: distros.Distro, names: distros.System) -> distros.Distro:
    from dataclasses import replace

    return replace(distro, system=names)


def test_a_time_service_is_told_of_amazons_clock_in_its_own_file() -> None:
    distro = distros.load("debian")
    chrony = distros.System("ssh", "systemd-networkd", time="chrony", chrony_file="etc/chrony/chrony.conf")
    laid_over = systemd.settings(recipe(), replace_system(distro, chrony), "ttyS0")
    assert laid_over.files["etc/chrony/chrony.conf"].startswith("server 169.254.169.123 ")
    assert "etc/systemd/system/multi-user.target.wants/chrony.service" in laid_over.links


def test_with_cloud_init_none_of_our_units_is_there() -> None:
    laid_over = told(metadata="cloud-init")
    assert not laid_over.programs
    assert not [path for path in laid_over.paths if "metadata" in path or "grow" in path or "host-keys" in path]
    assert "datasource_list: [Ec2]" in laid_over.files["etc/cloud/cloud.cfg.d/99-ami-wizard.cfg"]
    made = script(plan(recipe(metadata="cloud-init"), Occasion("test", "2026-01-01")))
    assert "cloud-init" in next(line for line in made.splitlines() if "--include=" in line)
    named = told(metadata="cloud-init", hostname="web").files["etc/cloud/cloud.cfg.d/99-ami-wizard.cfg"]
    assert "preserve_hostname: true" in named


def test_cloud_init_is_refused_where_the_distribution_has_no_package_of_it(monkeypatch: pytest.MonkeyPatch) -> None:
    answers = {
        "name": "none",
        "target": {"region": "us-east-1", "arch": "x86_64"},
        "system": {"metadata": "cloud-init"},
    }
    assert not list(problems_of(answers))
    table = {key: value for key, value in presets.load("distros/debian").items() if key != "cloud_init_packages"}
    without = {"distros/debian": table}
    load = presets.load
    monkeypatch.setattr(presets, "load", lambda name: without.get(name) or load(name))
    distros.load.cache_clear()
    try:
        assert [problem.place for problem in problems_of(answers)] == ["system.metadata"]
    finally:
        distros.load.cache_clear()


def test_scripts_and_services_are_executable_and_settings_are_not() -> None:
    step = system.system_step(told(), 0)
    modes = {action.path: action.mode for action in step.actions if isinstance(action, Write)}
    assert modes["system/files/usr/local/lib/grow-root"] == 0o755
    assert modes["system/files/etc/fstab" if "system/files/etc/fstab" in modes else "system/files/etc/hosts"] == 0o644


SERVICE = """\
import json, sys
from http.server import BaseHTTPRequestHandler, HTTPServer

told = json.loads(sys.argv[1])

class Metadata(BaseHTTPRequestHandler):
    def do_PUT(self):
        known = told["v2"] and self.path == "/latest/api/token"
        known = known and self.headers["X-aws-ec2-metadata-token-ttl-seconds"]
        self.reply(200 if known else 404, "the-token")

    def do_GET(self):
        if told["v2"] and self.headers["X-aws-ec2-metadata-token"] != "the-token":
            return self.reply(401, "")
        text = told["answers"].get(self.path.removeprefix("/latest/meta-data/"))
        self.reply(404 if text is None else 200, text or "<html>Not Found</html>")

    def reply(self, status, text):
        self.send_response(status)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text.encode())

    def log_message(self, *_):
        pass

HTTPServer(("169.254.169.254", 80), Metadata).serve_forever()
"""
"""EC2's metadata service as far as the script asks it; `v2`: by token alone, otherwise there is no token."""


def start(home: Path, shell: list[str], answers: dict[str, str], *, v2: bool = True) -> str:
    """One start of an instance: the script, in a network, a name and files of its own.  Gives the host name."""
    for name in ("root", "state"):
        (home / name).mkdir(exist_ok=True, mode=0o700)
    (home / "hostname").touch()
    (home / "service.py").write_text(SERVICE)
    answered = shlex.quote(json.dumps({"v2": v2, "answers": answers}))
    started = f"mount --bind {home}/root /root; mount -t tmpfs none /var/lib; mkdir /var/lib/instance-metadata; "
    started += f"mount --bind {home}/state /var/lib/instance-metadata; mount --bind {home}/hostname /etc/hostname; "
    started += f"{' '.join(shell)} {SCRIPT}; uname -n"
    machine = f"""
        ip link set lo up
        ip address add 169.254.169.254/32 dev lo
        {sys.executable} {home}/service.py {answered} &
        trap 'kill %1' EXIT
        unshare --mount bash -ec '{started}'
    """
    spaces = ["--net", "--uts", *([] if os.geteuid() == 0 else ["--map-root-user"])]
    done = subprocess.run(["unshare", *spaces, "bash", "-emc", machine], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


FIRST = {
    "instance-id": "i-1",
    "public-keys/0/openssh-key": "ssh-ed25519 AAAA first",
    "local-hostname": "ip-10-0-0-1.ec2.internal",
}


@pytest.mark.parametrize("shell", SHELLS, ids=lambda shell: shell[0])
@pytest.mark.parametrize("v2", [True, False], ids=["v2", "v1"])
def test_the_key_and_the_name_come_by_either_version(shell: list[str], v2: bool, tmp_path: Path) -> None:
    if not shutil.which(shell[0]):
        pytest.skip(f"no {shell[0]} here")
    assert start(tmp_path, shell, FIRST, v2=v2) == "ip-10-0-0-1"
    keys = tmp_path / "root/.ssh/authorized_keys"
    assert keys.read_text() == "ssh-ed25519 AAAA first\n"
    assert keys.stat().st_mode & 0o777 == 0o600
    assert keys.parent.stat().st_mode & 0o777 == 0o700


def test_a_key_that_was_removed_stays_away_until_another_instance_starts(tmp_path: Path) -> None:
    start(tmp_path, ["dash"], FIRST)
    keys = tmp_path / "root/.ssh/authorized_keys"
    keys.write_text("ssh-ed25519 BBBB mine\n")
    start(tmp_path, ["dash"], FIRST)
    assert keys.read_text() == "ssh-ed25519 BBBB mine\n"
    start(tmp_path, ["dash"], {**FIRST, "instance-id": "i-2", "public-keys/0/openssh-key": "ssh-ed25519 CCCC second"})
    assert keys.read_text() == "ssh-ed25519 BBBB mine\nssh-ed25519 CCCC second\n"


def test_an_instance_without_a_key_pair_still_gets_its_name(tmp_path: Path) -> None:
    answers = {name: text for name, text in FIRST.items() if "key" not in name}
    assert start(tmp_path, ["dash"], answers) == "ip-10-0-0-1"
    assert not (tmp_path / "root/.ssh").exists()


def test_what_belongs_in_no_image_is_removed_and_the_rest_stays(tmp_path: Path) -> None:
    rest = {"etc/passwd": "root:x:0:0::/root:/bin/sh\n", "var/cache/debconf/config.dat": "x", "root/.profile": "x"}
    gone = [
        *("etc/shadow-", "etc/ssh/ssh_host_rsa_key", "var/lib/systemd/random-seed", "var/log/apt/history.log"),
        *("root/.bash_history", "var/cache/ldconfig/aux-cache", "var/cache/debconf/config.dat-old", "tmp/left"),
        "var/tmp/left",
    ]
    shadow = "root::1::::::\nme:$6$salt$hash:1::::::\nlocked:!*:1::::::\nsshd:!:1::::::\nbin:*:1::::::\n"
    for path, text in {**rest, **dict.fromkeys(gone, "x"), "etc/shadow": shadow}.items():
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(text)
    subprocess.run(["sh", "-euc", f"{TIDY}{TIDY_TMP}"], cwd=tmp_path, check=True)
    assert {str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*") if path.is_file()} == {*rest, "etc/shadow"}
    assert (tmp_path / "etc/shadow").read_text() == (
        "root:*:1::::::\nme:*:1::::::\nlocked:!*:1::::::\nsshd:!:1::::::\nbin:*:1::::::\n"
    )
    assert (tmp_path / "var/log/apt").is_dir(), "folders stay"


def test_what_tells_mmdebstrap_s_apt_its_root_stays_as_long_as_it_works(tmp_path: Path) -> None:
    """Without it, apt's last words are said to this machine: its lists of packages were gone after every build."""
    told = tmp_path / "tmp/mmdebstrap.apt.conf.x"
    told.parent.mkdir()
    told.touch()
    subprocess.run(["sh", "-euc", TIDY], cwd=tmp_path, check=True)
    assert told.exists()
