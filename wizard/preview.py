"""What the answers cause, as plain text: shown beside the form of each screen, while the highlight moves."""

import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path

from wizard import host, presets, questions
from wizard.disk.layout import DiskIds, Layout, Partition, fstab, load
from wizard.distro import debian, system
from wizard.explain import Failure, explain
from wizard.kernel import subject
from wizard.kernel.audit import Finding, Verdict, audit
from wizard.kernel.config import KernelConfig
from wizard.kernel.profiles import profile
from wizard.plan.build import identity, register_parameters
from wizard.plan.defaults import choices
from wizard.questions import Answers
from wizard.recipe import Disk, Recipe
from wizard.targets import akis

ASSUMED_GIB = 4
"""What the map is drawn with when the size follows from the content."""

SMALLEST_BOX = 11


def preview(screen: str, answers: Answers, width: int = 60) -> str:
    """The text for one screen; lines are at most `width` long where that can be (fstab stands as it is).

    Never raises for answers that do not go together: it says what is wrong instead.
    """
    draw = _SCREENS.get(screen)
    if draw is None:
        return ""
    try:
        return "\n".join(draw(answers, width))
    except Failure as failure:
        return "\n".join(_failure(failure, width))


def _failure(failure: Failure, width: int) -> Iterator[str]:
    if failure.code == "bad-recipe":
        yield "This appears when the answers go together:"
        for line in failure.evidence:
            yield from _bullet(line, width)
        return
    said = explain(failure)
    yield from textwrap.wrap(said.what, width)
    yield from textwrap.wrap(said.why, width)
    for line in (*said.evidence, *said.do):
        yield from _bullet(line, width)


def _bullet(text: str, width: int) -> list[str]:
    return textwrap.wrap(text, width, initial_indent="• ", subsequent_indent="  ")


def _facts(rows: list[tuple[str, str]], width: int) -> Iterator[str]:
    column = max(len(name) for name, _ in rows) + 2
    for name, text in rows:
        yield from textwrap.wrap(
            text, max(width, column + 20), initial_indent=f"{name:<{column}}", subsequent_indent=" " * column
        )


def _layout(answers: Answers) -> Layout:
    return load(questions.value("disk.layout", answers))


def _target(answers: Answers, width: int) -> Iterator[str]:
    where = questions.target_of(answers)
    partitioned = _layout(answers).table != "none"
    if where.virtualization == "paravirtual":
        yield f"AKIs in {where.region}: PV-GRUB, which starts the AMI"
        yield from _akis(where.region, where.arch, partitioned)
    else:
        yield "No AKI is needed"
        yield from textwrap.wrap(
            "An HVM instance starts like a PC: its firmware loads GRUB from the disk, and GRUB loads the kernel. "
            "AKIs are for paravirtual AMIs, whose disk no firmware ever reads.",
            width,
        )
    yield ""
    yield from _follows(answers, width)


def _akis(region: str, arch: str, partitioned: bool) -> Iterator[str]:
    rows = akis.matching(region)
    if not rows:
        yield "  none is known"
        return
    possible = bool(akis.matching(region, arch))
    reasons = {row: akis.why_not(row, region, arch, partitioned) if possible else f"not for {arch}" for row in rows}
    # The chosen one first, then those that come near.
    for row in sorted(rows, key=lambda row: (reasons[row] is not None, row.arch != arch)):
        why = reasons[row]
        mark = "▸" if why is None else " "
        yield f"{mark} {row.aki}  {row.device:<4} {row.version:<5} {why or 'chosen: ' + _why_chosen(row.device)}"


def _why_chosen(device: str) -> str:
    return "the newest hd0" if device == "hd0" else "the newest hd00"


def _follows(answers: Answers, width: int) -> Iterator[str]:
    """What is decided without being asked."""
    recipe = Recipe(
        name="the name from Review", target=questions.target_of(answers), disk=Disk(layout=_layout(answers).name)
    )
    chosen = choices(recipe)
    outcome = chosen.consequences
    yield "What follows"
    yield from _facts(
        [
            ("root device", f"{outcome.root_device_name}, seen inside as {outcome.disk}"),
            ("console", f"{outcome.console}, which EC2 records"),
            ("kernel audit", f"{outcome.audit_profile}: {profile(outcome.audit_profile).title}"),
        ],
        width,
    )
    yield ""
    yield "RegisterImage will be told"
    plain = {
        key: str(text)
        for key, text in register_parameters(recipe, chosen, {}).items()
        if isinstance(text, str | bool) and key not in ("Name", "Description")
    }
    yield from _facts(list(plain.items()), width)


def _kernel(answers: Answers, width: int) -> Iterator[str]:
    name, config = _config(answers)
    where = questions.target_of(answers)
    # The question before the disk's: without an answer there, the default layout counts.
    root = _layout(answers).root.filesystem
    kind = f"{'pv' if where.virtualization == 'paravirtual' else 'hvm'}-{where.arch}"
    judged = [audit(config, against) for against in (kind, f"rootfs-{root}")]
    yield from textwrap.wrap(name, width)
    for verdict in judged:
        yield from _bullet(verdict_sentence(verdict), width)
    findings = {finding.option: finding for verdict in judged for finding in verdict.findings}
    for heading, severity in (
        ("Keeps it from booting", "boot"),
        ("Keeps it from being reached or seen", "access"),
        ("Better otherwise, but it boots", "recommended"),
    ):
        found = [finding for finding in findings.values() if finding.severity == severity]
        if found:
            yield from ("", heading)
        for finding in found:
            yield from _finding(finding, width)


def _config(answers: Answers) -> tuple[str, KernelConfig]:
    """What is known of the chosen kernel, with a line that says what it is."""
    if questions.value("kernel.source", answers) == "distro":
        where = questions.target_of(answers)
        distro = presets.load(f"distros/{questions.value('distro.name', answers)}")
        row = distro["kernels"][where.virtualization].get(where.arch)
        if row is None:
            raise Failure(
                "no-distro-kernel", distro=distro["title"], virtualization=where.virtualization, arch=where.arch
            )
        path = presets.ROOT / f"kernel/configs/{row['config']}.config"
        return f"{row['package']}, by its recorded configuration", subject.config_of(path)
    for place in ("kernel.config", "kernel.image"):
        if text := questions.value(place, answers):
            path = Path(text).expanduser()
            return f"your kernel, by {path.name}", subject.config_of(path)
    raise Failure("no-kernel-file-yet")


def verdict_sentence(verdict: Verdict) -> str:
    """A verdict in words."""
    where = f"As {profile(verdict.profile).title}"
    if verdict.profile.startswith("rootfs-"):
        where = f"With {verdict.profile.removeprefix('rootfs-')} as its root file system"
    if verdict.boots is False:
        return f"{where} it does NOT boot."
    if verdict.reachable is False:
        return f"{where} it comes up, but nobody can reach or see it."
    return f"{where} it is UNKNOWN whether it boots." if verdict.boots is None else f"{where} it boots."


def _finding(finding: Finding, width: int) -> Iterator[str]:
    yield f"{finding.option}: wanted {finding.wanted}, found {finding.found}"
    yield from textwrap.wrap(f"{finding.breaks}.", width, initial_indent="  ", subsequent_indent="  ")


def _disk(answers: Answers, width: int) -> Iterator[str]:
    layout = _layout(answers)
    size = questions.value("disk.size_gib", answers)
    gib = int(size) if size.isascii() and size.isdigit() and int(size) > 0 else ASSUMED_GIB
    size_words = f"{gib} GiB" if size else f"drawn for {ASSUMED_GIB} GiB: the size follows from the content"
    yield f"{layout.table.upper()} partition table, {size_words}"
    yield from partition_map(layout, gib * 1024, width)
    for part in layout.partitions:
        extent = f"{part.size_mib} MiB" if part.size_mib else "the rest"
        yield f"  {part.number:>2}  {part.name:<5} {part.filesystem:<10} {part.mount or 'not mounted':<12} {extent}"
    yield ""
    yield from textwrap.wrap(layout.why, width)
    yield ""
    yield "/etc/fstab"
    yield from fstab(layout, _ids(answers)).splitlines()


def partition_map(layout: Layout, total_mib: int, width: int) -> list[str]:
    """The disk as boxes in their order on it, as wide as the partitions are large; none too small to name."""
    fixed = sum(part.size_mib or 0 for part in layout.partitions)
    room = max(width - len(layout.partitions) - 1, SMALLEST_BOX * len(layout.partitions))

    def wanted(part: Partition) -> int:
        mib = part.size_mib or max(total_mib - fixed, 1)
        return max(SMALLEST_BOX, round(room * mib / total_mib))

    boxes = [wanted(part) for part in layout.partitions]
    # The largest one gives what the small ones got too much.
    boxes[boxes.index(max(boxes))] -= sum(boxes) - room

    def row(left: str, between: str, right: str, cells: list[str]) -> str:
        return left + between.join(cells) + right

    names = [f" {part.name}".ljust(box)[:box] for part, box in zip(layout.partitions, boxes, strict=True)]
    systems = [f" {part.filesystem}".ljust(box)[:box] for part, box in zip(layout.partitions, boxes, strict=True)]
    edge = ["─" * box for box in boxes]
    return [row("┌", "┬", "┐", edge), row("│", "│", "│", names), row("│", "│", "│", systems), row("└", "┴", "┘", edge)]


def _ids(answers: Answers) -> DiskIds:
    try:
        return DiskIds(identity(questions.recipe(answers)))
    except Failure:
        # Something else is not answered well yet; the ids will differ, the form is the same.
        return DiskIds("preview")


def _distro(answers: Answers, width: int) -> Iterator[str]:
    recipe = questions.recipe(answers)
    layout = _layout(answers)
    # How an own kernel starts is found out when it is read; the package list is drawn for the common case.
    own = debian.UserKernel("", has_initramfs=True) if recipe.kernel.source == "files" else None
    names = debian.packages(recipe, tuple(part.filesystem for part in layout.partitions), own)
    yield f"{len(names)} packages, and what they depend on"
    yield from textwrap.wrap(" ".join(names), width, initial_indent="  ", subsequent_indent="  ")
    yield ""
    yield "The system is told"
    given = recipe.system
    yield from _facts(
        [
            ("host name", given.hostname or "what EC2 calls the instance"),
            ("ssh key", "the one chosen at launch, from instance metadata"),
            ("password", "none, anywhere"),
            ("time zone", given.timezone),
            ("locale", given.locale),
        ],
        width,
    )
    yield ""
    yield "Files that are written for it"
    yield from (f"  /{path}" for path in sorted(system.system_files(recipe, fstab(layout, _ids(answers)), {})))


def _review(answers: Answers, width: int) -> Iterator[str]:
    import datetime

    from wizard.plan.build import Occasion, build_id, plan
    from wizard.plan.prose import prose

    recipe = questions.recipe(answers)
    today = datetime.datetime.now(datetime.UTC).date().isoformat()
    yield prose(plan(recipe, Occasion(build_id(recipe, practice=False), today)), width)


def missing_tools(answers: Answers) -> list[host.Tool]:
    """The programs that this machine lacks for the build; none while the answers do not make a recipe."""
    from wizard.plan.build import tools_of

    try:
        return host.missing(tools_of(questions.recipe(answers)))
    except Failure:
        return []


_SCREENS: dict[str, Callable[[Answers, int], Iterator[str]]] = {
    "target": _target,
    "kernel": _kernel,
    "disk": _disk,
    "distro": _distro,
    "review": _review,
}
