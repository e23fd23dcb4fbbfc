"""The kernel of an image: found by the boot menu, read where it lies, audited for the ways that the image starts."""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from wizard.explain import Failure, explain
from wizard.inspect.aki import Kernels, kernel_in
from wizard.inspect.boots import Way
from wizard.inspect.findings import Finding, finding
from wizard.inspect.menus import BootEntry
from wizard.inspect.system import System
from wizard.kernel import config
from wizard.kernel.audit import Start, Verdict
from wizard.kernel.config import KernelConfig
from wizard.kernel.image import KernelImage
from wizard.kernel.initramfs import modules_of
from wizard.kernel.judge import judged
from wizard.kernel.profiles import profile
from wizard.kernel.subject import Subject, known_of

PLACES = (
    *("/boot/vmlinuz*", "/boot/vmlinux*", "/boot/bzImage*", "/boot/Image*", "/boot/kernel-*"),
    "/lib/modules/*/vmlinuz",
)
NAMED_OPTIONS = 5


@dataclass(frozen=True, slots=True)
class FoundKernel:
    """The kernel that is started; `modules` is the folder of its modules, `initramfs_modules` how many it brings.

    None stands for what is not there or could not be read.
    """

    path: str
    image: KernelImage
    config: str | None
    modules: str | None
    initramfs: str | None
    initramfs_modules: int | None
    verdicts: tuple[Verdict, ...]


def look_at_kernel(
    system: System, entries: list[BootEntry], ways: list[Way], known: Kernels
) -> tuple[FoundKernel | None, list[Finding]]:
    """The kernel and what is wrong with it; `known` are kernels that were looked at before."""
    chosen = next((entry for entry in entries if entry.kernel), None)
    path = chosen.kernel if chosen and chosen.kernel else _newest(system)
    if path is None:
        return None, [finding("no-kernel")]
    image = kernel_in(system.files, path, known)
    if isinstance(image, Failure):
        return None, [finding("could-not-look", path, reason=explain(image).what)]
    initramfs = next((place for _, place in chosen.initrds if place), None) if chosen else None
    modules, wrong = _initramfs(system, initramfs)
    config_path, beside = _config(system, image)
    folder = _modules_folder(system, image.version)
    start = _start(system, ways, modules if initramfs or chosen is None else frozenset())
    subject = Subject(Path(path), image, beside)
    verdicts = tuple(_verdicts(subject, ways, start))
    count = len(modules) if modules is not None and initramfs else None
    found = FoundKernel(path, image, config_path, folder, initramfs, count, verdicts)
    return found, [*wrong, *_findings(found, subject)]


def _newest(system: System) -> str | None:
    """Where no menu says which: the highest version, as far as names tell."""
    paths = [path for pattern in PLACES for path in system.files.glob(pattern)]
    return max(paths, key=lambda path: [int(number) for number in re.findall(r"\d+", path)], default=None)


def _initramfs(system: System, path: str | None) -> tuple[frozenset[str] | None, list[Finding]]:
    stream = system.files.stream(path) if path else None
    if path is None or stream is None:
        return None, []
    try:
        return modules_of(Path(path), stream), []
    except Failure as failure:
        return None, [finding("could-not-look", path, reason=explain(failure).what)]


def _config(system: System, image: KernelImage) -> tuple[str | None, KernelConfig | None]:
    """The config that lies beside it, under the names that distributions use."""
    places = (f"/boot/config-{image.version}", f"/lib/modules/{image.version}/config")
    for path in places if image.version else ():
        if text := system.files.text(path):
            return path, config.parse(text)
    return None, None


def _modules_folder(system: System, version: str | None) -> str | None:
    path = f"/lib/modules/{version}"
    return path if version and system.files.names(path) else None


def _start(system: System, ways: Iterable[Way], modules: frozenset[str] | None) -> Start:
    modes = {way.mode for way in ways}
    filesystem = system.root.partition.filesystem
    boot_mode = "uefi" if modes == {"uefi"} else None
    return Start(modules, None, filesystem.kind if filesystem else None, system.disk.table.kind, boot_mode)


def _verdicts(subject: Subject, ways: Iterable[Way], start: Start) -> Iterator[Verdict]:
    """For each kind of instance that the image starts on and the kernel is made for."""
    arch = known_of(subject).arch
    kinds = {"pv" if way.mode == "paravirtual" else "hvm" for way in ways}
    for name in (f"pv-{arch}", f"hvm-{arch}"):
        if name.partition("-")[0] in kinds:
            try:
                yield from judged(subject, name, start).verdicts
            except Failure:  # no instance has this architecture in this kind
                continue


def _findings(found: FoundKernel, subject: Subject) -> Iterator[Finding]:
    if found.modules is None and known_of(subject).value("MODULES") in ("y", None):
        yield finding("no-modules", f"/lib/modules/{found.image.version}", version=found.image.version)
    for verdict in found.verdicts:
        facts = {"title": profile(verdict.profile).title, "profile": verdict.profile}
        for severity, failed in (("boot", verdict.boots is False), ("access", verdict.reachable is False)):
            options = [one.option for one in verdict.findings if one.severity == severity]
            if failed and options:
                named = ", ".join(options[:NAMED_OPTIONS]) + (" and more" if len(options) > NAMED_OPTIONS else "")
                yield finding(f"kernel-{severity}", found.path, options=named, **facts)
        if verdict.boots is None and verdict.unknown:
            yield finding("kernel-unknown", found.path, reason=verdict.unknown, **facts)
