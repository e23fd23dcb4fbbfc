"""Small systems of several distributions: the files by which an image is judged, all as they should be."""

import lzma
import struct
from pathlib import Path

from images import ESP, Files, Part, disk
from kernels import RELEASE, bzimage, cpio, elf, sized

from wizard import presets

Tree = dict[str, str | bytes | None]

ROOT_UUID = "11111111-2222-4333-8444-555555555555"
ARGUMENTS = f"root=UUID={ROOT_UUID} ro console=tty0 console=ttyS0,115200n8 nvme_core.io_timeout=4294967295"
MODULES = ("nvme", "nvme-core", "ena", "ext4", "xen-blkfront", "crc32c_generic", "crc32c-intel", "mbcache", "jbd2")

EFI_PROGRAM = b"MZ".ljust(60, b"\0") + struct.pack("<I", 64) + b"PE\0\0" + struct.pack("<H", 0x8664) + bytes(400)

SYSTEMD = "usr/lib/systemd/system"
WANTS = "etc/systemd/system/multi-user.target.wants"

SCRIPT = """#!/bin/sh
set -eu
token=$(curl -X PUT -H 'X-aws-ec2-metadata-token-ttl-seconds: 300' http://169.254.169.254/latest/api/token) || token=
key=$(curl ${token:+-H "X-aws-ec2-metadata-token: $token"} http://169.254.169.254/latest/meta-data/public-keys/0/openssh-key)
hostname "$(curl http://169.254.169.254/latest/meta-data/local-hostname)"
"""

COMMON: Tree = {
    "etc/fstab": f"UUID={ROOT_UUID} / ext4 defaults 0 1\n",
    "etc/passwd": "root:x:0:0:root:/root:/bin/sh\nsshd:x:74:74::/run:/sbin/nologin\n",
    "etc/shadow": "root:*:19000:0:99999:7:::\nsshd:!:19000::::::\n",
    "etc/ssh/sshd_config": "Include /etc/ssh/sshd_config.d/*.conf\nPermitRootLogin yes\nPasswordAuthentication yes\n",
    "etc/ssh/sshd_config.d/10-image.conf": "PasswordAuthentication no\nPermitRootLogin prohibit-password\n",
    "etc/machine-id": "",
    "etc/hostname": "",
    "var/log/journal": None,
    "var/log/wtmp": "",
    "tmp": None,
    f"boot/vmlinuz-{RELEASE}": bzimage(sized(lzma.compress)(elf(config=None))),
    f"boot/config-{RELEASE}": (presets.ROOT / "kernel/configs/debian-bookworm-amd64.config").read_text(),
    f"boot/initrd.img-{RELEASE}": cpio(*(f"lib/modules/{RELEASE}/{name}.ko" for name in MODULES)),
    f"usr/lib/modules/{RELEASE}/modules.dep": "",
    "lib": "-> usr/lib",
}

GRUB_CFG = f"""set timeout=1
search --no-floppy --fs-uuid --set=root {ROOT_UUID}
menuentry "Linux" {{
    linux /boot/vmlinuz-{RELEASE} {ARGUMENTS}
    initrd /boot/initrd.img-{RELEASE}
}}
"""

SYSTEMD_COMMON: Tree = {
    **COMMON,
    "usr/lib/systemd/systemd": "",
    "usr/lib/systemd/systemd-udevd": "",
    "usr/lib/systemd/system-generators/systemd-getty-generator": "",
}

CLOUD_INIT: Tree = {
    f"{SYSTEMD}/cloud-init.service": "[Service]\nExecStart=/usr/bin/cloud-init init\n",
    f"{WANTS}/cloud-init.service": f"-> /{SYSTEMD}/cloud-init.service",
}

DEBIAN: Tree = {
    **SYSTEMD_COMMON,
    "boot/grub/grub.cfg": GRUB_CFG,
    "etc/systemd/network/20-first.network": "[Match]\nType=ether\n\n[Network]\nDHCP=yes\n",
    f"{SYSTEMD}/systemd-networkd.service": "[Service]\n",
    f"{WANTS}/systemd-networkd.service": "-> /lib/systemd/system/systemd-networkd.service",
    f"{SYSTEMD}/ssh.service": "[Service]\nExecStart=/usr/sbin/sshd -D\n",
    f"{WANTS}/ssh.service": "-> /lib/systemd/system/ssh.service",
    "etc/systemd/system/host-keys.service": "[Unit]\nBefore=ssh.service\n[Service]\nExecStart=/usr/bin/ssh-keygen -A\n",
    f"{WANTS}/host-keys.service": "-> /etc/systemd/system/host-keys.service",
    "etc/systemd/system/metadata.service": "[Unit]\nBefore=ssh.service\n[Service]\nExecStart=/usr/local/lib/metadata\n",
    f"{WANTS}/metadata.service": "-> /etc/systemd/system/metadata.service",
    "usr/local/lib/metadata": SCRIPT,
    "etc/systemd/timesyncd.conf.d/10-ec2.conf": "[Time]\nNTP=169.254.169.123\n",
    "etc/systemd/system/sysinit.target.wants/systemd-timesyncd.service": f"-> /{SYSTEMD}/systemd-timesyncd.service",
    "etc/systemd/system/grow.service": "[Service]\nExecStart=-/usr/bin/growpart /dev/nvme0n1 1\n",
    f"{WANTS}/grow.service": "-> /etc/systemd/system/grow.service",
}

FEDORA: Tree = {
    **SYSTEMD_COMMON,
    **CLOUD_INIT,
    f"boot/loader/entries/abc-{RELEASE}.conf": f"title Fedora\nversion {RELEASE}\nlinux /boot/vmlinuz-{RELEASE}\n"
    f"initrd /boot/initrd.img-{RELEASE}\noptions $kernelopts\n",
    "boot/grub2/grubenv": f"# GRUB Environment Block\nkernelopts={ARGUMENTS}\n",
    "boot/grub2/grub.cfg": f"search --no-floppy --fs-uuid --set=root {ROOT_UUID}\nblscfg\n",
    f"{WANTS}/NetworkManager.service": f"-> /{SYSTEMD}/NetworkManager.service",
    f"{WANTS}/sshd.service": f"-> /{SYSTEMD}/sshd.service",
    f"{WANTS}/chronyd.service": f"-> /{SYSTEMD}/chronyd.service",
    "etc/chrony.conf": "server 169.254.169.123 prefer iburst minpoll 4 maxpoll 4\n",
}

SUSE: Tree = {
    **SYSTEMD_COMMON,
    **CLOUD_INIT,
    "boot/grub2/grub.cfg": GRUB_CFG.replace(ARGUMENTS, f"{ARGUMENTS} net.ifnames=0"),
    "etc/sysconfig/network/ifcfg-eth0": "BOOTPROTO='dhcp'\nSTARTMODE='auto'\n",
    f"{WANTS}/wicked.service": f"-> /{SYSTEMD}/wicked.service",
    f"{WANTS}/sshd.service": f"-> /{SYSTEMD}/sshd.service",
    f"{WANTS}/chronyd.service": f"-> /{SYSTEMD}/chronyd.service",
    "etc/chrony.d/ec2.conf": "server 169.254.169.123\n",
}

ARCH: Tree = {
    **DEBIAN,
    "boot/grub/grub.cfg": GRUB_CFG,
    f"{WANTS}/sshd.service": f"-> /{SYSTEMD}/sshd.service",
    f"{SYSTEMD}/sshd.service": "[Unit]\nWants=sshdgenkeys.service\n[Service]\nExecStart=/usr/bin/sshd -D\n",
    "etc/fstab": f"UUID={ROOT_UUID} / ext4 defaults,x-systemd.growfs 0 1\n",
    "etc/repart.d/root.conf": "[Partition]\nType=root\n",
}
for _name in ("ssh.service", "host-keys.service", "grow.service"):
    del ARCH[f"{WANTS}/{_name}"]

ALPINE: Tree = {
    **COMMON,
    "boot/extlinux.conf": f"DEFAULT lts\nLABEL lts\n  LINUX /boot/vmlinuz-{RELEASE}\n"
    f"  INITRD /boot/initrd.img-{RELEASE}\n  APPEND {ARGUMENTS}\n",
    "etc/network/interfaces": "auto eth0\niface eth0 inet dhcp\n",
    "etc/init.d/networking": "#!/sbin/openrc-run\n",
    "etc/init.d/sshd": "#!/sbin/openrc-run\nstart_pre() {\n    ssh-keygen -A\n}\n",
    "etc/init.d/metadata": "#!/sbin/openrc-run\nstart() {\n    /usr/local/lib/metadata\n}\n",
    "usr/local/lib/metadata": SCRIPT,
    "etc/init.d/growroot": "#!/sbin/openrc-run\nstart() {\n    growpart /dev/nvme0n1 1; resize2fs /dev/nvme0n1p1\n}\n",
    "etc/runlevels/boot/networking": "-> /etc/init.d/networking",
    **{
        f"etc/runlevels/default/{name}": f"-> /etc/init.d/{name}"
        for name in ("sshd", "metadata", "growroot", "chronyd")
    },
    "etc/chrony/chrony.conf": "server 169.254.169.123\n",
    "etc/inittab": "ttyS0::respawn:/sbin/getty -L ttyS0 115200 vt100\n",
}

GENTOO: Tree = {
    **ALPINE,
    "boot/grub/grub.cfg": GRUB_CFG,
    "etc/conf.d/net": 'config_eth0="dhcp"\n',
    "etc/runlevels/default/net.eth0": "-> /etc/init.d/net.eth0",
    "etc/runlevels/default/agetty.ttyS0": "-> /etc/init.d/agetty.ttyS0",
}
for _name in ("boot/extlinux.conf", "etc/network/interfaces", "etc/runlevels/boot/networking", "etc/inittab"):
    del GENTOO[_name]

ALL = {"debian": DEBIAN, "fedora": FEDORA, "suse": SUSE, "arch": ARCH, "alpine": ALPINE, "gentoo": GENTOO}


def image(folder: Path, tree: Tree, *, modes: dict[str, int] | None = None) -> Path:
    """A disk that starts by UEFI: the root, which is partition 1, and an EFI system partition."""
    root = Files(folder / "root", tree).folder
    for path, mode in {"etc/shadow": 0o640, **(modes or {})}.items():
        if (root / path).exists():
            (root / path).chmod(mode)
    esp = Files(folder / "esp", {"EFI/BOOT/BOOTX64.EFI": EFI_PROGRAM}).folder
    options = ("-U", ROOT_UUID)
    return disk(folder / "disk.img", "gpt", Part("ext4", root, 24, options), Part("vfat", esp, 40, type=ESP))
