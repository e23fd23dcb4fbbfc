"""The recipe: what the user chose.  Typed, checked, read from TOML and written to it."""

import contextlib
import difflib
import re
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, get_args

import tomlkit
from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError, model_validator

from wizard import presets
from wizard.disk.layout import Filesystem
from wizard.disk.layout import Table as PartitionTable
from wizard.explain import Failure

Arch = Literal["i386", "x86_64", "arm64"]
Virtualization = Literal["paravirtual", "hvm"]
Storage = Literal["ebs", "s3"]
Init = Literal["systemd", "openrc"]
BootMode = Literal["legacy-bios", "uefi", "uefi-preferred"]
Upload = Literal["direct", "volume"]

# Source of the name's rule: the RegisterImage API reference.
AmiName = Annotated[str, StringConstraints(min_length=3, max_length=128, pattern=r"^[A-Za-z0-9()\[\] ./\-'@_]+$")]
Hostname = Annotated[str, StringConstraints(pattern=r"^[a-zA-Z0-9]([a-zA-Z0-9-]{0,62})(\.[a-zA-Z0-9-]{1,63})*$")]
Word = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._+:~/=-]*$")]
"""Something that stands on a command line as it is: a package, a release, a time zone."""
# A line break would end a line of a file that we write, or of the script; the other control codes could fool a reader.
Line = Annotated[str, StringConstraints(min_length=1, pattern=r"^[^\x00-\x1f\x7f]+$")]
"""Free text on one line: a path.  Commands must quote it."""
# apt's own ways (sources.list(5)); the characters of RFC 3986 without those that a shell or apt reads otherwise.
Address = Annotated[str, StringConstraints(pattern=r"^(https?://|ftp://|file:/|copy:/)[A-Za-z0-9._~:/?#@%+,=&-]+$")]
# Source: EBS direct's StartSnapshot, `KmsKeyArn`, which takes no other form.
KmsKey = Annotated[
    str, StringConstraints(pattern=r"^arn:aws[a-z-]*:kms:[a-z0-9-]+:\d{12}:(key|alias)/[A-Za-z0-9/_-]+$")
]
# Source: Amazon S3 User Guide, "General purpose bucket naming rules" and "Naming Amazon S3 objects" (safe characters).
BucketName = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$")]
Prefix = Annotated[
    str, StringConstraints(max_length=512, pattern=r"^[A-Za-z0-9_-][A-Za-z0-9._-]*(/[A-Za-z0-9_-][A-Za-z0-9._-]*)*$")
]
Checksum = Annotated[str, StringConstraints(pattern=r"^sha256:[0-9a-f]{64}$")]
# Sources: EC2 User Guide, "Resource IDs": 8 digits before 2016, 17 since.
InstanceId = Annotated[str, StringConstraints(pattern=r"^i-[0-9a-f]{8}([0-9a-f]{9})?$")]
VolumeId = Annotated[str, StringConstraints(pattern=r"^vol-[0-9a-f]{8}([0-9a-f]{9})?$")]
SnapshotId = Annotated[str, StringConstraints(pattern=r"^snap-[0-9a-f]{8}([0-9a-f]{9})?$")]
# Neither part may begin with a dash: ssh would take it for an option.
SshAddress = Annotated[
    str, StringConstraints(pattern=r"^([A-Za-z0-9_][A-Za-z0-9._-]*@)?[A-Za-z0-9:][A-Za-z0-9._:-]*$", max_length=255)
]
"""What ssh connects to: a host or an address, with or without a user before it."""
# Source: ModifyImageAttribute's LaunchPermission; ids of AWS Organizations as its API Reference has them.
Sharer = Annotated[
    str,
    StringConstraints(
        pattern=r"^(everyone|\d{12}|arn:aws[a-z-]*:organizations::\d{12}:"
        r"(organization/o-[a-z0-9]{10,32}|ou/o-[a-z0-9]{10,32}/ou-[0-9a-z]{4,32}-[a-z0-9]{8,32}))$"
    ),
]
"""Who an AMI is shared with: an account, an organization, one of its units, or everyone."""
# Source: SSM's PutParameter, `Name`: at most 15 levels, a leading slash where there are levels.
ParameterName = Annotated[
    str, StringConstraints(max_length=900, pattern=r"^([A-Za-z0-9_.-]+|(/[A-Za-z0-9_.-]+){1,15})$")
]
SshKey = Annotated[str, StringConstraints(pattern=r"^[a-z0-9@.-]+ [A-Za-z0-9+/=]+( [^\x00-\x1f\x7f]*)?$")]
"""A line of authorized_keys: type, key, comment (sshd(8)); options before the type are not taken."""
PartitionName = Annotated[str, StringConstraints(max_length=36, pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")]
"""The name of a GPT entry has room for 36 characters (UEFI specification 2.10, §5.3.3)."""
# No part begins with a dot: `..` would lead out of the tree that a file system is made from.
MountPoint = Annotated[str, StringConstraints(pattern=r"^/$|^(/[A-Za-z0-9_][A-Za-z0-9._+@-]*)+$")]
Subfolder = Annotated[
    str, StringConstraints(pattern=r"^[A-Za-z0-9_@][A-Za-z0-9._+@-]*(/[A-Za-z0-9_][A-Za-z0-9._+@-]*)*$")
]
MountOptions = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._:=+@/,-]*$")]
"""The fourth field of /etc/fstab: one word (fstab(5))."""


MOST_GIB = 16384
"""The largest volume of EBS's general purpose types (AWS EBS User Guide, "Volume types")."""


class Table(BaseModel):
    """A table of the recipe; a key that nobody knows is a mistake, never ignored."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Target(Table):
    """Where the AMI will live and how an instance of it starts.

    `encrypted`: whether its snapshot is, with the account's default key for EBS or with `kms_key`.
    `upload`: straight into a snapshot, or by way of a volume, of which the table [volume] tells.
    """

    region: Word
    arch: Arch
    virtualization: Virtualization = "hvm"
    storage: Storage = "ebs"
    aki: Annotated[str, StringConstraints(pattern=r"^aki-[0-9a-f]{8,17}$")] | None = None
    boot_mode: BootMode | None = None
    encrypted: bool = False
    kms_key: KmsKey | None = None
    upload: Upload = "direct"

    @model_validator(mode="before")
    @classmethod
    def _i386_is_paravirtual(cls, given: Any) -> Any:
        """The only virtualization that i386 has is its default."""
        if isinstance(given, dict) and given.get("arch") == "i386":
            return {"virtualization": "paravirtual", **given}
        return given


class Volume(Table):
    """The way to the snapshot by a volume: one of these three.

    instance    a new volume is attached to this instance, written over ssh, and deleted in the end; `ssh` says where
                and as whom ("admin@1.2.3.4"), `ssh_key` and `ssh_port` are ssh's own choice otherwise
    id          a volume that the user wrote: a snapshot is made of it
    snapshot    a snapshot that exists already: it is registered
    """

    instance: InstanceId | None = None
    ssh: SshAddress | None = None
    ssh_key: Line | None = None
    ssh_port: Annotated[int, Field(strict=True, ge=1, le=65535)] | None = None
    id: VolumeId | None = None
    snapshot: SnapshotId | None = None

    @property
    def already_there(self) -> str | None:
        """The volume or the snapshot that exists, so that no image is made."""
        return self.id or self.snapshot


class Kernel(Table):
    """The kernel: the distribution's, or files that the user built.  Paths are absolute once a recipe is loaded.

    `repack`: whether a paravirtual AMI's kernel is packed again when its PV-GRUB cannot unpack it.
    """

    source: Literal["distro", "files"] = "distro"
    image: Line | None = None
    config: Line | None = None
    modules: Line | None = None
    repack: Literal["as-needed", "never"] = "as-needed"


class Partition(Table):
    """A partition of one's own, or the whole disk where there is no table; what is left out is filled in.

    number      the lowest one that is free otherwise
    name        by what it is for otherwise: root, boot, esp, swap …
    size_mib    only the last one goes without: it takes the rest of the disk, and grows with it
    options     how it is mounted
    label       of the file system; its name otherwise
    subvolumes  of btrfs: folders that become subvolumes
    """

    number: Annotated[int, Field(strict=True, ge=1, le=128)] | None = None
    name: PartitionName | None = None
    filesystem: Filesystem
    mount: MountPoint | None = None
    size_mib: Annotated[int, Field(strict=True, ge=1, le=MOST_GIB * 1024)] | None = None
    options: MountOptions | None = None
    label: PartitionName | None = None
    subvolumes: tuple[Subfolder, ...] | None = None


class Disk(Table):
    """The partition layout and the volume's size in GiB (None: from the content).

    The layout is one of presets/layouts by its name, or a partition table with partitions of one's own in the order in
    which they lie on the disk.
    """

    layout: Word | None = None
    size_gib: Annotated[int, Field(strict=True, ge=1, le=MOST_GIB)] | None = None
    table: PartitionTable | None = None
    partitions: tuple[Partition, ...] | None = None


class Distro(Table):
    """The userland: a distribution's, or with the name "own" one that the user made.

    Of an own one: `source` is a folder, a tar archive or an OCI image, absolute once a recipe is loaded; `checksum` is
    the archive's, or the digest of the image's manifest or index; `unsigned` is the explicit yes to having none;
    `init` is given where it cannot be told from the files.  `release` is "" for what has none.
    """

    name: Word = "debian"
    release: Word | Literal[""] = ""
    mirror: Address | None = None
    packages: tuple[Word, ...] = ()
    source: Line | None = None
    checksum: Checksum | None = None
    unsigned: bool = False
    init: Init | None = None

    @model_validator(mode="before")
    @classmethod
    def _newest_release(cls, given: Any) -> Any:
        """The newest release is the default, where a distribution has releases."""
        if not isinstance(given, dict):
            return given
        name = given.get("name", cls.model_fields["name"].default)
        releases = presets.load(f"distros/{name}")["releases"] if name in presets.names("distros") else []
        return {**({"release": releases[0]} if releases else {}), **given}


class System(Table):
    """What the running system is told; what is left out comes from instance metadata.

    `metadata`: who reads it there: a short script of ours, or cloud-init with all that it can do.
    """

    hostname: Hostname | None = None
    ssh_authorized_keys: tuple[SshKey, ...] = ()
    timezone: Word = "UTC"
    locale: Word = "C.UTF-8"
    metadata: Literal["script", "cloud-init"] = "script"


class Bundle(Table):
    """Where the bundle of an S3-backed AMI is put, and the account's X.509 pair that it is signed with.

    Paths of PEM files are absolute once a recipe is loaded.  `prefix`: where in the bucket, a folder named as the AMI
    otherwise; `ec2_certificate`: EC2's own, for a region of which it is not known here.
    """

    bucket: BucketName | None = None
    prefix: Prefix | None = None
    certificate: Line | None = None
    private_key: Line | None = None
    ec2_certificate: Line | None = None


class Publish(Table):
    """What becomes of the AMI once it is registered, in its own region and in those that it is copied to.

    regions               where it is copied to
    share_with            who else may launch it: accounts, organizations, their units, or everyone
    deprecate_after_days  counted from its creation; from then on others do not find it any more
    protect               whether it cannot be deregistered; with `cooldown`, also for 24 hours after that was lifted
    ssm_parameter         the parameter that is to hold its id
    """

    regions: tuple[Word, ...] = ()
    share_with: tuple[Sharer, ...] = ()
    # Source: EnableImageDeprecation, `DeprecateAt`: ten years ahead at most.
    deprecate_after_days: Annotated[int, Field(strict=True, ge=1, le=3650)] | None = None
    protect: bool = False
    cooldown: bool = False
    ssm_parameter: ParameterName | None = None


class Recipe(Table):
    """A complete, shareable description of a build.

    `prove`: whether the image is started on this machine, and must come up, before it is uploaded.
    """

    name: AmiName
    prove: bool = True
    target: Target
    volume: Volume | None = None
    kernel: Kernel = Kernel()
    disk: Disk = Disk()
    distro: Distro = Distro()
    system: System = System()
    bundle: Bundle | None = None
    publish: Publish | None = None


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing wrong with a recipe: where, what, and the nearest right spelling if there is one."""

    place: str
    message: str
    suggestion: str | None = None

    def __str__(self) -> str:
        hint = f" Did you mean {self.suggestion}?" if self.suggestion else ""
        return f"{self.place}: {self.message}{hint}"


def load(path: Path) -> Recipe:
    """Reads and checks a recipe file; relative paths in it are taken from its folder.

    Raises Failure: `unreadable-recipe`, `bad-recipe` (every problem at once, as evidence).
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise Failure("unreadable-recipe", path=path, evidence=[str(error)]) from error
    try:
        answers = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise Failure("bad-recipe", path=path, count=1, evidence=[f"not TOML: {error}"]) from error
    return from_answers(answers, folder=path.resolve().parent, path=path)


def from_answers(answers: Mapping[str, Any], folder: Path | None = None, path: Path | None = None) -> Recipe:
    """A checked recipe from plain tables.  Raises Failure `bad-recipe` with every problem at once."""
    problems = list(problems_of(answers, folder))
    if problems:
        where = path or "these answers"
        raise Failure("bad-recipe", path=where, count=len(problems), evidence=[str(problem) for problem in problems])
    return _with_absolute_paths(Recipe.model_validate(answers), folder)


def problems_of(answers: Mapping[str, Any], folder: Path | None = None) -> Iterator[Problem]:
    """Everything that is wrong with these answers: spelling and types first, then what does not go together."""
    from wizard.plan.defaults import combination_problems

    try:
        recipe = _with_absolute_paths(Recipe.model_validate(answers), folder)
    except ValidationError as error:
        details = error.errors()
        for detail in details:
            yield _problem(detail)
        yield from _problems_of_the_rest(answers, [detail["loc"] for detail in details], folder)
        return
    yield from combination_problems(recipe)


def dumps(recipe: Recipe) -> str:
    """The recipe as TOML: every answer that was given or taken by default, tables in the order of the screens."""
    document = tomlkit.document()
    for key, value in recipe.model_dump(exclude_none=True, mode="json").items():
        document[key] = value
    return tomlkit.dumps(document)


def _with_absolute_paths(recipe: Recipe, folder: Path | None) -> Recipe:
    if folder is None:
        return recipe
    tables = {}
    for table, names in PATHS.items():
        given = getattr(recipe, table)
        if given is None:
            continue
        paths = {name: str(folder / _at_home(value)) for name in names if (value := getattr(given, name)) is not None}
        tables[table] = given.model_copy(update=paths)
    return recipe.model_copy(update=tables)


PATHS = {
    "kernel": ("image", "config", "modules"),
    "distro": ("source",),
    "bundle": ("certificate", "private_key", "ec2_certificate"),
    "volume": ("ssh_key",),
}
"""The answers that are paths, by their table."""


def _at_home(path: str) -> Path:
    """`~` is one's home; a `~name` that nobody has is a file's name."""
    try:
        return Path(path).expanduser()
    except RuntimeError:
        return Path(path)


def _problems_of_the_rest(
    answers: Mapping[str, Any], wrong: list[tuple[int | str, ...]], folder: Path | None
) -> Iterator[Problem]:
    """What does not go together in the answers that are well-formed, so that one misspelling hides nothing else.

    Most other answers depend on the target: it is judged unless what kind of target it is was misspelt.  In a table
    with a key that nobody knows, what is lacking might be what was misspelt; the kernel's keys depend on each other.
    """
    from wizard.plan.defaults import combination_problems

    bad = {place[:2] for place in wrong}
    rest = {table: _without(content, table, bad) for table, content in answers.items() if (table,) not in bad}
    if ("disk", "partitions") in bad:
        # A table without its partitions would be called one.
        rest["disk"] = _without(rest["disk"], "disk", {("disk", "table")})
    unknown = {place[0] for place in bad if len(place) == 2 and place[1] not in _fields_at(place[:1])}
    is_judged = "target" not in unknown and not bad & {("target", "arch"), ("target", "virtualization"), ("target",)}
    given = rest.get("target")
    target = {**STAND_IN, **(given if isinstance(given, Mapping) and is_judged else {})}
    if isinstance(given, Mapping) and "region" in given:
        target["region"] = given["region"]
    with contextlib.suppress(ValidationError):
        recipe = Recipe.model_validate({**rest, "name": "unnamed", "target": target})
        for problem in combination_problems(_with_absolute_paths(recipe, folder), judges_target=is_judged):
            table, _, key = problem.place.partition(".")
            is_lacking = table in unknown and (table == "kernel" or key not in answers.get(table, {}))
            if (table, key) not in bad and not is_lacking:
                yield problem


STAND_IN = {"region": "us-east-1", "arch": "x86_64"}
"""For what a target lacks, so that the rest of a recipe can be judged."""


def _without(content: Any, table: str, bad: set[tuple[int | str, ...]]) -> Any:
    if not isinstance(content, Mapping):
        return content
    return {key: value for key, value in content.items() if (table, key) not in bad}


def _problem(detail: Mapping[str, Any]) -> Problem:
    location = detail["loc"]
    # People count from 1.
    place = ".".join(str(part + 1 if isinstance(part, int) else part) for part in location)
    match detail["type"]:
        case "extra_forbidden":
            known = _fields_at(location[:-1])
            elsewhere = _table_with(place) if len(location) == 1 else None
            return Problem(place, "nobody knows this key.", elsewhere or nearest(str(location[-1]), known))
        case "missing":
            return Problem(place, "is needed and not given.")
        case "literal_error":
            choices = re.findall(r"'([^']+)'", detail["ctx"]["expected"])
            given = detail["input"]
            return Problem(place, f"is {given!r}; it can be {', '.join(choices)}.", nearest(str(given), choices))
        case "string_pattern_mismatch":
            example = _example(".".join(part for part in location if isinstance(part, str)))
            return Problem(place, f"is {detail['input']!r}, which cannot stand there; a right one is like {example}.")
        case "tuple_type" if place == "disk.partitions":
            return Problem(place, "is no list: write [[disk.partitions]], in two brackets, above each partition.")
        case kind:
            rule = RULES[kind].format_map(detail.get("ctx", {})) if kind in RULES else detail["msg"].lower()
            return Problem(place, f"is {detail['input']!r}; {rule}.")


def partition_problem(field: str, value: object) -> str | None:
    """Why a field of a partition cannot have such a value, whatever the others are; None when it can."""
    try:
        Partition.model_validate({"filesystem": "ext4", field: value})
    except ValidationError as error:
        detail = error.errors()[0]
        said = _problem({**detail, "loc": ("disk", "partitions", *detail["loc"])})
        return f"{said.message[0].upper()}{said.message[1:]}"
    return None


def _example(place: str) -> str:
    """An answer that makes sense: as the questions show it, or of what is not asked."""
    asked = presets.load("questions").get(place, {})
    return str(asked.get("example") or EXAMPLES.get(place, "one or more letters, digits and . _ + -"))


def _fields_at(location: tuple[int | str, ...]) -> list[str]:
    model: type[BaseModel] = Recipe
    for part in location:
        if isinstance(part, int):
            continue
        tables = [one for one in _parts_of(model.model_fields[part].annotation) if issubclass(one, BaseModel)]
        if not tables:
            return []
        model = tables[0]
    return list(model.model_fields)


def _table_with(key: str) -> str | None:
    """Where a key that stands outside of every table belongs: "region" into "target.region"."""
    return next((f"{table}.{key}" for table in Recipe.model_fields if key in _fields_at((table,))), None)


def _parts_of(annotation: Any) -> Iterator[type]:
    """The types that a type is made of: of `tuple[Partition, ...] | None` also Partition."""
    if isinstance(annotation, type) and not get_args(annotation):
        yield annotation
    for part in get_args(annotation):
        yield from _parts_of(part)


def nearest(word: str, choices: list[str]) -> str | None:
    """The choice that is spelt most like the word, two letters that changed places before others; None when none is."""
    close = difflib.get_close_matches(word, choices, n=8, cutoff=0.5)
    return next((one for one in close if sorted(one) == sorted(word)), close[0] if close else None)


RULES = {
    "int_type": "it must be a whole number, without quotes",
    "string_type": "it must be a text in quotes",
    "tuple_type": 'it must be a list: ["…", "…"]',
    "model_type": "it must be a table: its name in brackets on a line of its own, and its answers below",
    "string_too_short": "it must have at least {min_length} characters",
    "string_too_long": "it can have at most {max_length} characters",
    "greater_than_equal": "it must be at least {ge}",
    "less_than_equal": "it can be at most {le}",
}
"""What pydantic calls a mistake, in words of ours."""

EXAMPLES = {
    "target.aki": "aki-5c21674b",
    "target.kms_key": "arn:aws:kms:us-east-1:123456789012:key/0f3a5c1e-2b4d-4c6e-8f90-a1b2c3d4e5f6",
    "volume.instance": "i-0123456789abcdef0",
    "volume.ssh": "admin@203.0.113.7",
    "volume.ssh_key": "~/.ssh/id_ed25519",
    "volume.id": "vol-0123456789abcdef0",
    "volume.snapshot": "snap-0123456789abcdef0",
    "bundle.prefix": "images/web",
    "distro.checksum": "sha256: and the 64 digits that `sha256sum` prints",
    "distro.mirror": "https://mirror.example.org/debian",
    "system.ssh_authorized_keys": "ssh-ed25519 AAAAC3… me@home",
    "system.locale": "C.UTF-8",
    "publish.regions": "eu-west-1",
    "publish.share_with": "123456789012, an organization's ARN, or everyone",
    "publish.ssm_parameter": "/images/web",
    "disk.partitions.name": "root",
    "disk.partitions.label": "root",
    "disk.partitions.mount": "/srv/data",
    "disk.partitions.options": "noatime,nodev",
    "disk.partitions.subvolumes": "home",
}

ARCHITECTURES: tuple[str, ...] = get_args(Arch)
