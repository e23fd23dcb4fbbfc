"""A kernel that PV-GRUB cannot unpack, packed again as one that it can: the ELF vmlinux inside, with gzip.

There is one way to do it, bash lines, which a plan shows and `--fix` runs: gzip's bytes are those of gzip(1), which
Python's zlib does not give.  Every PV-GRUB loads a gzipped ELF.  Source: Xen's stubdom/grub/kexec.c.
"""

import contextlib
import os
import shlex
import subprocess
from collections.abc import Collection
from dataclasses import replace
from pathlib import Path

from wizard import host
from wizard.explain import Failure
from wizard.kernel.image import KernelImage, read_image

UNPACKERS = {
    "none": None,
    "gzip": "gzip -dc",
    "bzip2": "bzip2 -dc",
    "xz": "xz -dc",
    "lzma": "xz --format=lzma -dc",
    "lzo": "lzop -dc",
    "lz4": "lz4 -dc",
    "zstd": "zstd -dc",
}

SIZE_BYTES = 4
"""A kernel's build appends the unpacked size, which all but gzip take for garbage.  Source: scripts/Makefile.lib."""


def check(image: KernelImage) -> None:
    """Raises Failure "not-for-xen" when the kernel could not start under PV-GRUB however it was packed,
    "unknown-packing" when it is not known how it is packed.
    """
    if image.kind not in ("bzImage", "vmlinux"):
        raise Failure("not-for-xen", path=image.path, reason=f"it is an {image.arch} kernel, and Xen's are for x86")
    if image.compression not in UNPACKERS:
        raise Failure("unknown-packing", path=image.path)
    if not image.xen:
        raise Failure("not-for-xen", path=image.path, reason="it has no notes for Xen: it was built without CONFIG_XEN")
    if not image.starts_paravirtual:
        reason = (
            "its notes for Xen name no entry for paravirtual guests (CONFIG_XEN_PV; 32-bit PV ended with Linux 5.8)"
        )
        raise Failure("not-for-xen", path=image.path, reason=reason)


def loads(image: KernelImage, compressions: Collection[str]) -> bool:
    """Whether a PV-GRUB with these decompressors loads an image; a bare or gzipped ELF is loaded by every one."""
    return image.compression in (compressions if image.kind == "bzImage" else ("none", "gzip"))


def repack_commands(image: KernelImage, source: str, target: str) -> list[str]:
    """Bash lines that make of the kernel in `source` a gzipped ELF in `target`, always with the same bytes.

    To be run with `set -o pipefail`; `programs_of` says what they need.  Raises what `check` raises.
    """
    check(image)
    steps = [unpack] if (unpack := UNPACKERS[image.compression]) else []
    steps.append(f"gzip -n -9 > {shlex.quote(target)}")
    if image.header is None:
        return [f"< {shlex.quote(source)} {' | '.join(steps)}"]
    offset, length = image.header.offset, image.header.length
    if image.compression not in ("gzip", "none"):
        length -= SIZE_BYTES
    cut = f"dd if={shlex.quote(source)} bs=1M iflag=skip_bytes,count_bytes skip={offset} count={length} status=none"
    return [" | ".join([cut, *steps])]


def programs_of(image: KernelImage) -> list[str]:
    """The programs beside coreutils and gzip that `repack_commands` needs, by their names in presets/host.toml."""
    unpack = UNPACKERS[image.compression]
    return [name for name in (unpack or "gzip").split()[:1] if name != "gzip"]


def repack(image: KernelImage, target: Path) -> KernelImage:
    """Writes the kernel to `target` as a gzipped ELF, and gives it as read back from there.

    Raises Failure: what `check` raises, "missing-programs", "repacking-failed"; `target` is then as it was.
    """
    check(image)
    host.require(programs_of(image))
    aside = target.with_name(f".{target.name}.{os.getpid()}")
    try:
        _run(repack_commands(image, str(image.path), str(aside)), image.path, target)
        done = read_image(aside)
        if done.xen != image.xen:
            raise Failure("repacking-failed", path=image.path, target=target, evidence=["The notes for Xen got lost."])
        aside.replace(target)
        return replace(done, path=target)
    except OSError as error:
        evidence = [str(error)]
        raise Failure("repacking-failed", path=image.path, target=target, evidence=evidence) from error
    finally:
        with contextlib.suppress(OSError):
            aside.unlink(missing_ok=True)


def _run(commands: list[str], source: Path, target: Path) -> None:
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", "\n".join(commands)],
        env={**os.environ, "PATH": host.SEARCH_PATH, "LC_ALL": "C.UTF-8"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        errors="replace",
        check=False,
    )
    if done.returncode != 0:
        evidence = [*commands, *done.stderr.splitlines()[-10:]]
        raise Failure("repacking-failed", path=source, target=target, evidence=evidence)
