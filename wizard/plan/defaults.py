"""What follows from a recipe where it is silent, and what in it does not go together."""

import os
import zoneinfo
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from wizard import presets
from wizard.disk import own, rules
from wizard.disk.layout import Layout, load
from wizard.disk.layout import names as layout_names
from wizard.distro import distros
from wizard.distro.content import least_mib
from wizard.distro.distros import Distro
from wizard.distro.own.found import Found, find, init_of, kernel_of
from wizard.explain import Failure, explain
from wizard.plan import kernel as kernels
from wizard.plan.publish.problems import problems as publishing_problems
from wizard.recipe import Disk, Problem, Recipe, Target, nearest
from wizard.targets import instances, target
from wizard.targets.regions import regions

DEFAULT_LAYOUT = {"paravirtual": "single-ext4", "hvm": "gpt-ext4"}
S3_LAYOUT = "unpartitioned-ext4"
"""What S3-backed AMIs always were: a file system alone, which the instance has as sda1."""


@dataclass(frozen=True, slots=True)
class Choices:
    """A recipe's answers with every default filled in."""

    layout: Layout
    consequences: target.Consequences


def choices(recipe: Recipe, *, starts_by_uefi: bool = True) -> Choices:
    """The answers as they will be used; where no boot mode is asked for, one that the kernel can do.

    Raises Failure `no-aki-in-region`.
    """
    layout = layout_of(recipe.target, recipe.disk)
    modes = tuple(mode for mode in layout.boot_modes if starts_by_uefi or mode == "legacy-bios")
    return Choices(layout, target.consequences(recipe.target, layout.table, modes or layout.boot_modes))


def layout_of(where: Target, disk: Disk) -> Layout:
    """The layout asked for: partitions of one's own, or a preset's; without any, the first that starts such a target.

    Raises FileNotFoundError for a preset that there is not.
    """
    if disk.partitions:
        return own.layout(disk, where.virtualization)
    return load(disk.layout or default_layout(where))


def default_layout(where: Target) -> str:
    """The layout that is taken when nobody asks for one."""
    return next(iter(fitting_layouts(where)), DEFAULT_LAYOUT[where.virtualization])


def region_problem(name: str) -> Problem | None:
    """A region that nobody knows."""
    known = [region.name for region in regions()]
    return None if name in known else Problem("target.region", f"no region {name!r} is known.", nearest(name, known))


def target_problems(where: Target) -> Iterator[Problem]:
    """What does not go together in a target."""
    unknown = region_problem(where.region)
    found = [problem for problem in target.problems(where) if not (unknown and problem.place in OF_REGION)]
    yield from filter(None, [unknown, *found])
    if where.kms_key and not where.encrypted:
        yield Problem("target.kms_key", "is given, but encrypted is not true.", "encrypted = true")
    if where.kms_key and f":kms:{where.region}:" not in where.kms_key:
        yield Problem("target.kms_key", f"is a key of another region than {where.region}.")
    if where.storage == "s3" and where.encrypted:
        yield Problem("target.encrypted", "is of EBS snapshots; the bundle of an S3-backed AMI is always encrypted.")


OF_REGION = ("target.region", "target.aki")
"""What cannot be judged in a region that nobody knows."""


def combination_problems(recipe: Recipe, *, judges_target: bool = True) -> Iterator[Problem]:
    """Everything in a well-formed recipe that does not go together.

    What a wrong target makes wrong in its turn is left out: it would hide the cause.  `judges_target`: False where the
    target is a stand-in, of which only the region is the user's.
    """
    wrong = list(target_problems(recipe.target)) if judges_target else [region_problem(recipe.target.region)]
    yield from filter(None, wrong)
    if judges_target:
        yield from _volume_problems(recipe)
    yield from publishing_problems(recipe)
    if judges_target and not any(found and found.place == "target.storage" for found in wrong):
        yield from _bundle_problems(recipe)
    unknown = [*_size_problems(recipe), *_distro_problems(recipe), *_unknown_layout(recipe), *_mixed_layouts(recipe)]
    yield from unknown
    if judges_target and not wrong:
        if not any(problem.place == "disk.layout" for problem in unknown):
            yield from _layout_problems(recipe)
        yield from _kernel_problems(recipe)
    if recipe.system.timezone not in zoneinfo.available_timezones():
        known = sorted(zoneinfo.available_timezones())
        yield Problem(
            "system.timezone", f"no time zone {recipe.system.timezone!r}.", nearest(recipe.system.timezone, known)
        )


def _volume_problems(recipe: Recipe) -> Iterator[Problem]:
    """What does not go together in the way to the snapshot by a volume."""
    where, volume = recipe.target, recipe.volume
    if volume is None:
        if where.upload == "volume":
            yield Problem(
                "volume", "is needed when upload is 'volume': the table [volume], with instance, id or snapshot."
            )
        return
    if where.storage == "s3":
        yield Problem("target.storage", "is 's3', but the table [volume] is of the way to an EBS snapshot.", "ebs")
    if where.upload == "direct":
        yield Problem("target.upload", "is 'direct', but there is a table [volume]: leave one of them out.", "volume")
    ways = {"instance": volume.instance, "id": volume.id, "snapshot": volume.snapshot}
    given = [name for name, value in ways.items() if value]
    if len(given) != 1:
        message = f"has {' and '.join(given)}; give one of them" if given else "needs one of instance, id and snapshot"
        yield Problem("volume", f"{message}: who writes the volume, a volume that is written, or its snapshot.")
    of_ssh = [name for name in ("ssh", "ssh_key", "ssh_port") if getattr(volume, name)]
    if of_ssh and not volume.instance:
        yield Problem(f"volume.{of_ssh[0]}", "is given, but there is no instance to reach by it.")
    if volume.ssh_key and not Path(volume.ssh_key).is_file():
        yield Problem("volume.ssh_key", f"there is no {volume.ssh_key}.")
    if volume.already_there and where.encrypted:
        yield Problem("target.encrypted", f"is true, but {volume.already_there} is what it is: leave it out.")


def _size_problems(recipe: Recipe) -> Iterator[Problem]:
    most, size = instances.most_s3_gib(), recipe.disk.size_gib
    if recipe.target.storage == "s3" and size and size > most:
        yield Problem("disk.size_gib", f"is {size}; an S3 (instance store) root has at most {most} GiB.", str(most))


def _bundle_problems(recipe: Recipe) -> Iterator[Problem]:
    """What an S3-backed AMI needs and does not have, or an EBS-backed one has and does not need."""
    given = recipe.bundle
    if recipe.target.storage != "s3":
        if given:
            yield Problem("bundle", "is given, but storage is 'ebs'.", 'storage = "s3"')
        return
    for key, what in BUNDLE_NEEDS.items():
        if given is None or not getattr(given, key):
            yield Problem(f"bundle.{key}", f"is needed for an S3-backed AMI: {what}.")
    if given is None:
        return
    from wizard.bundle import keys

    try:
        if given.certificate and given.private_key:
            keys.signing_pair(Path(given.certificate), Path(given.private_key))
        keys.ec2_key(recipe.target.region, Path(given.ec2_certificate) if given.ec2_certificate else None)
    except Failure as failure:
        said = explain(failure)
        is_ec2_s = failure.code == "no-ec2-certificate" or failure.facts.get("path") == given.ec2_certificate
        key = "ec2_certificate" if is_ec2_s else "private_key" if "key" in failure.code else "certificate"
        yield Problem(f"bundle.{key}", f"{said.what} {said.do[0]}")


BUNDLE_NEEDS = {
    "bucket": "the name of a bucket of yours in the AMI's region",
    "certificate": "the PEM file of your account's X.509 certificate; `openssl req -x509 -newkey rsa:2048 -nodes "
    "-days 3650 -subj /CN=ami -keyout pk.pem -out cert.pem` makes one, with its key",
    "private_key": "the PEM file of the key that belongs to the certificate",
}


def _distro_problems(recipe: Recipe) -> Iterator[Problem]:
    names = presets.names("distros")
    if recipe.distro.name not in names:
        message = f"is {recipe.distro.name!r}; this version makes {', '.join(names)}."
        yield Problem("distro.name", message, nearest(recipe.distro.name, names))
        return
    distro = distros.load(recipe.distro.name)
    if distro.releases and recipe.distro.release not in distro.releases:
        message = f"is {recipe.distro.release!r}; {distro.title} has {', '.join(distro.releases)} here."
        yield Problem("distro.release", message, nearest(recipe.distro.release, list(distro.releases)))
    if recipe.system.metadata == "cloud-init" and not distro.cloud_init_packages:
        yield Problem("system.metadata", f"is 'cloud-init', which {distro.title} has no package of here.", "script")
    if distro.family == "own":
        yield from _own_problems(recipe)
        return
    if distro.family == "gentoo" and recipe.distro.packages:
        yield Problem("distro.packages", f"are given, but nothing is installed into a stage of {distro.title}.")
    for key in ("source", "checksum", "unsigned", "init"):
        if getattr(recipe.distro, key):
            yield Problem(f"distro.{key}", f"is given, but name is {recipe.distro.name!r}.", 'name = "own"')
    if not _made_for(distro, recipe):
        yield Problem("distro.name", f"{distro.title} is made for {', '.join(distro.architectures)} only.")


def _made_for(distro: Distro, recipe: Recipe) -> bool:
    """Whether the distribution has the target's architecture; a userland of the user's own names none."""
    return not distro.architectures or recipe.target.arch in distro.architectures


def _own_problems(recipe: Recipe) -> Iterator[Problem]:
    """What is wrong with a userland of the user's own."""
    own = recipe.distro
    if not own.source:
        yield Problem(
            "distro.source", 'is needed when name is "own": the path of a folder, a tar archive or an OCI image.'
        )
        return
    if not Path(own.source).exists():
        yield Problem("distro.source", f"there is no {own.source}.")
        return
    try:
        found = find(own, recipe.target)
        init_of(own, found)
    except Failure as failure:
        place = "distro.init" if failure.code == "unknown-init" else "distro.source"
        yield Problem(place, explain(failure).what)
        return
    is_folder = found.kind == "a folder"
    if is_folder and not _keeps_owners(found.path):
        message = (
            "belongs to another user, so only root can take its files with their owners: give a tar archive of it."
        )
        yield Problem("distro.source", message)
    if is_folder and own.checksum:
        yield Problem("distro.checksum", "is given, but a folder has none.", "unsigned = true")
    elif is_folder and not own.unsigned:
        yield Problem("distro.unsigned", "must be true for a folder: nothing tells whether it was changed.", "true")
    elif not (own.checksum or own.unsigned):
        message = f"is needed for {found.kind}: {_checksum_of(found)}; or say unsigned = true, and nothing is checked."
        yield Problem("distro.checksum", message)
    if own.packages:
        yield Problem("distro.packages", "are given, but nothing is installed into a userland of one's own.")


def _keeps_owners(folder: Path) -> bool:
    """In a user namespace one's own files are root's; those of others would be nobody's."""
    me = os.geteuid()
    return me == 0 or all(path.lstat().st_uid == me for path in (folder, folder / "etc") if path.exists())


def _checksum_of(found: Found) -> str:
    if found.image and found.image.digests:
        return f"its digest, which is {found.image.digests[-1]} now"
    return f"what `sha256sum {found.path.name}` prints, as sha256:…"


def _distro_kernel_problems(recipe: Recipe) -> Iterator[Problem]:
    """A distribution without a kernel for the target."""
    if recipe.distro.name not in presets.names("distros"):
        return
    distro, where = distros.load(recipe.distro.name), recipe.target
    if distro.family == "own":
        yield from _no_kernel_inside(recipe)
        return
    if _made_for(distro, recipe) and distro.kernel(where.virtualization, where.arch) is None:
        others = " or ".join(distro.kernel_architectures(where.virtualization))
        instead = f", or choose the architecture {others}" if others else ""
        yield Problem(
            "kernel.source",
            f"{distro.title} has no kernel for {where.virtualization} on {where.arch}: "
            f'give your own (source = "files"){instead}.',
        )


def _no_kernel_inside(recipe: Recipe) -> Iterator[Problem]:
    try:
        kernel_of(find(recipe.distro, recipe.target))
    except Failure as failure:
        if failure.code == "no-kernel-in-userland":
            yield Problem("kernel.source", f'{explain(failure).what} Give your own (source = "files").')


def _unknown_layout(recipe: Recipe) -> Iterator[Problem]:
    names, name = layout_names(), recipe.disk.layout
    if name and name not in names:
        yield Problem("disk.layout", f"is {name!r}; there are {', '.join(names)}.", nearest(name, names))


def _mixed_layouts(recipe: Recipe) -> Iterator[Problem]:
    disk = recipe.disk
    if disk.layout and disk.partitions:
        yield Problem(
            "disk.layout", f"is {disk.layout!r}, and there are partitions of your own: leave one of them out."
        )
    if disk.partitions is not None and not disk.partitions:
        yield Problem("disk.partitions", "is empty: add [[disk.partitions]], or leave it out.")
    elif disk.table and not disk.partitions:
        yield Problem("disk.table", "is of partitions of one's own, and there are none: add [[disk.partitions]].")


def own_problems(recipe: Recipe) -> Iterator[Problem]:
    """What is wrong with partitions of one's own, by the rules of wizard/disk/rules.py."""
    content = least_mib(recipe.distro.name, recipe.kernel.source, recipe.target.virtualization)
    layout = layout_of(recipe.target, recipe.disk)
    for found in rules.refusals(layout, recipe.target, recipe.disk.size_gib, content):
        field = "size_gib" if found.field == "gib" else found.field
        place = f"disk.{field}" if found.at is None else f"disk.partitions.{found.at + 1}.{field}"
        yield Problem(place, found.reason, found.suggestion)


def _layout_problems(recipe: Recipe) -> Iterator[Problem]:
    if recipe.disk.partitions:
        yield from own_problems(recipe)
        return
    name = recipe.disk.layout or default_layout(recipe.target)
    if reason := layout_unfit(recipe.target, load(name)):
        fitting = fitting_layouts(recipe.target)
        if fitting:
            yield Problem("disk.layout", f"{name} {reason}.", fitting[0])
        else:
            yield Problem("target.aki", f"no layout fits it: {name} {reason}; leave it out for the newest.")
    size, layout = recipe.disk.size_gib, load(name)
    if size and size < layout.least_gib:
        before = f"the partitions before the root take {layout.root.start_mib} MiB"
        yield Problem("disk.size_gib", f"is {size}, too small for {name}: {before}.", str(layout.least_gib))


def _kernel_problems(recipe: Recipe) -> Iterator[Problem]:
    kernel = recipe.kernel
    if kernel.source == "distro":
        yield from _distro_kernel_problems(recipe)
        given = [name for name in ("image", "config", "modules") if getattr(kernel, name)]
        for name in given:
            yield Problem(f"kernel.{name}", 'is given, but source is "distro".', 'source = "files"')
        return
    if not kernel.image:
        yield Problem("kernel.image", 'is needed when source is "files": the path of a bzImage, vmlinuz or Image.')
    for name in ("image", "config", "modules"):
        path = getattr(kernel, name)
        if path and not Path(path).exists():
            yield Problem(f"kernel.{name}", f"there is no {path}.")
    if kernel.image and Path(kernel.image).exists():
        yield from _no_kernel(kernel.image)


def _no_kernel(path: str) -> Iterator[Problem]:
    """A file that holds no kernel, or a damaged one."""
    try:
        image = kernels.read(path).image
    except Failure as failure:
        yield Problem("kernel.image", explain(failure).what)
        return
    if image is None:
        yield Problem("kernel.image", f"{path} is a kernel's config, not a kernel.")


def fitting_layouts(where: Target) -> list[str]:
    """The layouts that start such a target, the default first."""
    default = S3_LAYOUT if where.storage == "s3" else DEFAULT_LAYOUT[where.virtualization]
    fitting = [name for name in layout_names() if layout_unfit(where, load(name)) is None]
    return sorted(fitting, key=lambda name: (name != default, name))


def layout_unfit(where: Target, layout: Layout) -> str | None:
    """Why a disk of this layout does not start such a target, as words behind its name; None when it does."""
    if where.virtualization not in layout.virtualization:
        return f"does not start {where.virtualization} instances"
    if where.virtualization == "hvm":
        mode = target.boot_mode(where, layout.boot_modes)
        return None if mode in layout.boot_modes else f"starts by {', '.join(layout.boot_modes)}, not by {mode}"
    return target.unreadable(where, layout.table, layout.boot.filesystem)
