"""XFS: mkfs.xfs fills a new file system from a list of files (a protofile).

Such a list carries owners, modes, symbolic links and content.  What it does not carry, as found with xfsprogs 6.1
(Debian 12), and what becomes of it here:

times of files, sticky bits             set afterwards, by xfs_db
file capabilities, ACLs, other xattrs   wait in an archive that the first boot unpacks
names with spaces, names like :x or $   likewise; until then the files are not there
hard links                              likewise; until then each name is a file of its own
sockets and device files                left out, and said
"""

import shlex

from wizard.disk.layout import Partition
from wizard.disk.making import Job, clock_stopped, put_in_place
from wizard.plan.actions import Write

TOOLS = ("mkfs.xfs", "xfs_db", "xfs_repair", "faketime", "getfattr")

OPTIONS = (
    "-b size=4096 -s size=512 -d agcount=4 -l size=64m -m bigtime=0,inobtcount=0,rmapbt=0,uuid={fs_id} -i nrext64=0"
)
"""The same on every machine.  Without nrext64 (Linux 5.19) and, until it is switched on, bigtime (Linux 5.10)."""

RESTORE_UNIT = "image/restore-uncarried.service"
ARCHIVE = "usr/local/lib/ami-wizard/uncarried.tar"

_RESTORE = f"""\
[Unit]
Description=What mkfs.xfs could not carry: file capabilities, access lists, hard links, names with spaces
DefaultDependencies=no
Requires=local-fs.target
After=local-fs.target
Before=systemd-tmpfiles-setup.service sysinit.target
ConditionPathExists=/{ARCHIVE}

[Service]
Type=oneshot
ExecStart=/bin/tar -C / --xattrs --xattrs-include=* --numeric-owner -xpf /{ARCHIVE}
ExecStart=/bin/rm /{ARCHIVE}

[Install]
WantedBy=sysinit.target
"""

# Where a word ends, a comment begins, and a folder ends, to mkfs.xfs.
_UNLISTED = (
    r"-path '*[[:space:]]*' -o -path '*/:*' -o -path '*/$' -o -path '*/$/*' -o -lname '*[[:space:]]*' -o -lname ':*'"
)

# One line a file: path, depth, kind, mode, uid, gid, time, link's target.  A folder comes right before what is in it.
_LIST = r"""find {tree} -not \( {unlisted} -o -type s -o -type b -o -type c \) \
    -printf '%P\001%d\001%y\001%m\001%U\001%G\001%Ts\001%l\n' |
  tr / '\002' | LC_ALL=C sort | tr '\002' / > image/{name}.list"""

_PROTOFILE = r"""BEGIN { FS = "\001"; print "/"; print "0 0" }
{
  while (open > $2) { print "$"; open-- }
  parts = split($1, part, "/"); mode = sprintf("%04d", $4); special = substr(mode, 1, 1) + 0
  source = $3 == "f" ? " " tree "/" $1 : $3 == "l" ? " " $8 : ""
  printf "%s%s%s%s%s %s %s%s\n", ($2 ? part[parts] " " : ""), ($3 == "f" ? "-" : $3), (special >= 4 ? "u" : "-"),
    (int(special / 2) % 2 ? "g" : "-"), substr(mode, 2), $5, $6, source
  if ($3 == "d") open = $2 + 1
}
END { while (open-- > 0) print "$" }"""

# xfs_db takes a time as it lies on the disk: 32 bits of seconds, 32 of nanoseconds.
_EDITS = r"""BEGIN { FS = "\001" }
{
  printf "path /%s\nwrite core.mtime.sec 0x%08x00000000\n", $1, $7
  if ($4 ~ /^[1357]...$/) printf "write core.mode 04%s\n", $4
}"""


def commands(job: Job) -> list[str]:
    """Makes the file system from its folder.

    `bigtime` (dates after 2038) needs Linux 5.10, and to be read by GRUB 2.12 or Debian's 2.06: not for PV's old
    kernels.  xfs_db 6.1 sets no time where it is on, so it is switched on last.
    """
    name, alone = job.part.name, job.alone
    bigtime = "" if job.is_pv else "-c bigtime=1 "
    options = OPTIONS.format(fs_id=job.fs_id)
    return [
        _LIST.format(tree=job.tree, name=name, unlisted=_UNLISTED),
        f"awk -v tree={job.tree} {shlex.quote(_PROTOFILE)} image/{name}.list > image/{name}.proto",
        f'truncate -s "{job.mib}M" {alone}',
        f"{clock_stopped(job.epoch)} \\",
        f"  mkfs.xfs -q -f -L {shlex.quote(job.part.label[:12])} {options} -p image/{name}.proto {alone}",
        f"awk {shlex.quote(_EDITS)} image/{name}.list | xfs_db -x -f {alone} > image/{name}.db ||",
        f"  refuse \"$(grep -v '^core' image/{name}.db)\"",
        f"test \"$(xfs_db -f -r -c 'path /' -c 'print core.mtime.sec' {alone})\" = "
        f'"core.mtime.sec = $(date -d "$(stat -c @%Y {job.tree})" \'+%a %b %e %T %Y\')" ||',
        "  refuse 'xfs_db has set other times than it was told to'",
        f'xfs_repair {bigtime}-f {alone} > image/{name}.repair 2>&1 || refuse "$(cat image/{name}.repair)"',
        f"rm image/{name}.list image/{name}.proto image/{name}.db image/{name}.repair",
        *put_in_place(job),
    ]


def restore_unit() -> Write:
    """The unit that restores at first boot what could not be carried."""
    return Write(RESTORE_UNIT, _RESTORE)


def set_aside(tree: str, parts: list[Partition], mounts: list[str]) -> list[str]:
    """Puts into an archive in the tree what the protofiles of these partitions will not carry; `mounts`: of all."""
    found = " ".join(f".{(part.mount or '').rstrip('/')}" for part in parts)
    inside = [mount for mount in mounts if mount != "/" and mount not in {part.mount for part in parts}]
    skip = "".join(f"-path .{mount} -prune -o " for mount in inside)
    units = f"{tree}/etc/systemd/system"
    return [
        f"( cd {tree}",
        f"  find {found} {skip}\\( -type f -links +1 -o {_UNLISTED} \\) -print0",
        f"  find {found} {skip}-print0 | xargs -0 getfattr -h -m - |",
        "    sed -n 's/^# file: //p' | sed 's/\\\\\\([0-7][0-7][0-7]\\)/\\\\0\\1/g' |",
        "    while IFS= read -r path; do printf '%b\\0' \"./${path#./}\"; done",
        ") | LC_ALL=C sort -zu > image/uncarried",
        f"( cd {tree} && find {found} {skip}\\( -type s -o -type b -o -type c \\) "
        "-printf 'a protofile cannot carry %p: left out\\n' )",
        "if [ -s image/uncarried ]; then",
        "  echo 'mkfs.xfs cannot carry all that these are; the first boot restores it from an archive:'",
        "  tr '\\0' '\\n' < image/uncarried | sed 's/^\\./  /'",
        f"  mkdir -p {tree}/{ARCHIVE.rpartition('/')[0]}",
        f"  tar -C {tree} --null --no-recursion -T image/uncarried --xattrs --xattrs-include='*' --numeric-owner \\",
        "    --format=posix --pax-option=exthdr.name=%d/PaxHeaders/%f,delete=atime,delete=ctime \\",
        "    -cf image/uncarried.tar",
        f"  install -m 644 image/uncarried.tar {tree}/{ARCHIVE}",
        f"  if [ -d {units} ]; then",
        f"    mkdir -p {units}/sysinit.target.wants",
        f"    install -m 644 {RESTORE_UNIT} {units}/",
        f"    ln -s ../{RESTORE_UNIT.rpartition('/')[2]} {units}/sysinit.target.wants/",
        "  else",
        f"    echo 'Without systemd nothing does that: run once  tar -C / --xattrs --xattrs-include=* -xpf /{ARCHIVE}'",
        "  fi",
        "  rm image/uncarried.tar",
        "fi",
        "rm image/uncarried",
    ]


NOTE = (
    "XFS is filled from a list of files, which carries no file capabilities, access lists, hard links or names with "
    "spaces. What the system has of these waits in an archive that its first boot unpacks, and the build names it."
)
"""What the screen says of XFS."""
