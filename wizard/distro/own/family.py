"""The user's own userland: unpacked as it is, with a kernel where the boot loader looks for one.

No package manager is run.  What belongs to one machine only is taken out: keys, ids, a random seed.
"""

import json
import re
import shlex
from collections.abc import Iterator, Mapping

from wizard import host, presets
from wizard.distro.own.found import Found, digests, find, kernel_of
from wizard.distro.tree import ROOT, kernel_commands, kernel_tools, made_apart
from wizard.distro.userland import Userland
from wizard.explain import Failure
from wizard.plan.actions import Run, Write
from wizard.plan.steps import Step

IMAGE = "bootstrap/image"
"""An OCI image layout with nothing but the chosen image in it."""

REF_NAME = "org.opencontainers.image.ref.name"

UNPACKERS = {"bzip2": "bzip2", "xz": "xz", "lzma": "xz", "lzo": "lzop", "lz4": "lz4", "zstd": "zstd"}
"""The programs that tar calls; gzip is part of every system."""

XATTRS = "--xattrs --xattrs-include=security.capability --numeric-owner"

WRITTEN_TO = (
    *("boot", "dev", "etc", "proc", "root", "run", "sys", "tmp"),
    *("etc/default", "etc/network", "etc/ssh", "etc/systemd/network", "etc/systemd/system"),
    *("etc/init.d", "etc/runlevels", "lib/modules", "usr/lib", "usr/local/lib"),
    *("var/lib/dbus", "var/lib/misc", "var/lib/seedrng", "var/lib/systemd", "var/lib/urandom"),
)
"""Where files are put or removed later.  A link there could lead into this machine's own files."""


def tools(wanted: Userland) -> list[str]:
    """The host's programs that the step needs."""
    found = find(wanted.recipe.distro, wanted.recipe.target)
    names = [UNPACKERS[found.packing]] if found.packing in UNPACKERS else []
    if found.image:
        names.append("umoci")
        names += ["skopeo"] if _is_converted(found) else []
    return [*names, *kernel_tools(wanted)]


def bootstrap_step(wanted: Userland, _inputs: Mapping[str, str]) -> Step:
    """The step that makes bootstrap/root.tar.  It is the same on every day: nothing is fetched.

    Raises Failure: what `find` raises, `no-kernel-in-userland`, `no-initramfs-maker`, `image-of-another-digest`.
    """
    found = find(wanted.recipe.distro, wanted.recipe.target)
    commands = "\n".join([*_unpack(found), *_guard(), *_tidy(), *_kernel(wanted, found)])
    programs = {name: host.stamp(name) for name in tools(wanted)}
    return Step(
        "bootstrap",
        f"Unpack {wanted.title}",
        f"Your userland ({found.kind}) is taken as it is: nothing is installed into it. What belongs to one machine "
        "only is left out: ssh host keys, the machine id, a random seed.",
        (*_check(wanted, found), *_image(found), *made_apart(commands, wanted.epoch), *_image_goes(found)),
        ("kernel",) if wanted.kernel else (),
        {**digests(wanted.recipe.distro), **programs},
    )


def _check(wanted: Userland, found: Found) -> Iterator[Run]:
    """By the archive's checksum; an image that is named by a digest is checked by it, blob by blob."""
    checksum = wanted.recipe.distro.checksum
    if checksum is None or (found.image and checksum in found.image.digests):
        return
    if found.path.is_dir():
        known = found.image.digests if found.image else ()
        raise Failure("image-of-another-digest", path=found.path, wanted=checksum, evidence=known)
    digits = checksum.removeprefix("sha256:")
    yield Run(f"printf '%s  %s\\n' {digits} {_path(found)} | sha256sum --check --quiet")


def _image(found: Found) -> Iterator[Run | Write]:
    """Lays the chosen image ready as an OCI layout."""
    image = found.image
    if image is None:
        return
    index = {"schemaVersion": 2, "manifests": [{**image.descriptor, "annotations": {REF_NAME: "own"}}]}
    ours = f"{IMAGE}-packed" if image.is_zstd else IMAGE
    if image.form == "docker-archive":
        yield Run(f"skopeo --insecure-policy copy --quiet docker-archive:{_path(found)} oci:{IMAGE}:own")
        return
    yield Write(f"{ours}/oci-layout", '{"imageLayoutVersion": "1.0.0"}\n')
    yield Write(f"{ours}/index.json", json.dumps(index, indent=2) + "\n")
    if found.path.is_dir():
        yield Run(f"ln -s {_path(found)}/blobs {ours}/blobs")
    else:
        yield Run(f"tar -C {ours} --no-same-owner --wildcards -xf {_path(found)} '*blobs/sha256/*'")
    if image.is_zstd:
        convert = "skopeo --insecure-policy copy --quiet --dest-compress --dest-compress-format gzip"
        yield Run(f"{convert} oci:{ours}:own oci:{IMAGE}:own")


def _is_converted(found: Found) -> bool:
    """umoci reads OCI's own form, and of Debian 12's versions none that is packed with zstd."""
    return found.image is not None and (found.image.form == "docker-archive" or found.image.is_zstd)


def _image_goes(found: Found) -> tuple[Run, ...]:
    return (Run(f"rm -rf {IMAGE} {IMAGE}-packed"),) if found.image else ()


def _unpack(found: Found) -> Iterator[str]:
    if found.image:
        yield f"rmdir {ROOT}"
        yield f"umoci raw unpack --image {IMAGE}:own {ROOT}"
    elif found.path.is_dir():
        left_out = " ".join(f"--exclude='./{name}/*'" for name in ("dev", "proc", "sys", "run", "tmp"))
        yield f"tar -C {_path(found)} --one-file-system {left_out} {XATTRS} -cf - . | tar -C {ROOT} {XATTRS} -xpf -"
    else:
        packed = "-I lz4 " if found.packing == "lz4" else ""
        left_out = "--anchored --exclude='./dev/*' --exclude='dev/*'"
        yield f"tar -C {ROOT} {packed}{left_out} {XATTRS} -xpf {_path(found)}"


def _guard() -> Iterator[str]:
    yield f'inside="$(realpath {ROOT})"'
    yield f"for place in {' '.join(WRITTEN_TO)}; do"
    yield f'  case "$(realpath -m "{ROOT}/$place")/" in "$inside"/*) ;; *)'
    yield '    echo "unpack: /$place is a link that leads out of the userland" >&2'
    yield "    exit 1 ;;"
    yield "  esac"
    yield "done"


def _tidy() -> Iterator[str]:
    """/.dockerenv makes programs believe that they run in a container."""
    yield f"rm -f {ROOT}/.dockerenv {ROOT}/etc/machine-id {ROOT}/var/lib/urandom/random-seed"
    yield f"for folder in boot dev etc proc root run sys tmp; do [ -e {ROOT}/$folder ] || mkdir {ROOT}/$folder; done"
    yield f"chmod 700 {ROOT}/root"
    yield f"chmod 1777 {ROOT}/tmp"


def _kernel(wanted: Userland, found: Found) -> Iterator[str]:
    """Puts /boot/vmlinuz and /boot/initrd.img in place."""
    boot = f"{ROOT}/boot"
    if wanted.kernel:
        release = wanted.kernel.release
        yield from kernel_commands(release)
        if wanted.kernel.has_initramfs:
            yield from _initramfs(found, release)
        return
    kernel = kernel_of(found)
    name = kernel.path.relative_to(found.path).as_posix()
    release = _release(found)
    if not name.startswith("boot/"):
        yield f"cp {ROOT}/{shlex.quote(name)} {boot}/vmlinuz-{release}"
        name = f"boot/vmlinuz-{release}"
    if name != "boot/vmlinuz":
        yield f"ln -sfn {shlex.quote(name.removeprefix('boot/'))} {boot}/vmlinuz"
    initramfs = found.contents.initramfs
    if initramfs and initramfs != "boot/initrd.img":
        yield f"ln -sfn {shlex.quote(initramfs.removeprefix('boot/'))} {boot}/initrd.img"
    elif initramfs is None and found.contents.maker:
        yield from _initramfs(found, release)


def _release(found: Found) -> str:
    kernel = kernel_of(found)
    release = (kernel.image.version if kernel.image else None) or kernel.modules or ""
    if not re.fullmatch(r"[A-Za-z0-9.+~_-]+", release):
        raise Failure("unknown-kernel-release", path=kernel.path)
    return release


def _initramfs(found: Found, release: str) -> Iterator[str]:
    maker = found.contents.maker
    if maker is None:
        raise Failure("no-initramfs-maker", path=found.path, release=release)
    command = presets.load("distros/own")["own"]["initramfs"][maker].format(release=release)
    yield f"furnish {ROOT}"
    yield f"inside {ROOT} /bin/sh -c {shlex.quote(command)}"
    yield f"clear_away {ROOT}"
    yield f"mv {ROOT}/boot/initramfs.made {ROOT}/boot/initrd.img-{release}"
    yield f"ln -sfn initrd.img-{release} {ROOT}/boot/initrd.img"


def _path(found: Found) -> str:
    return shlex.quote(str(found.path))
