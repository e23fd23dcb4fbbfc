"""What a step does: its actions, each as data, and the tags that they give."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal

from wizard.bundle.names import manifest_name

Way = Literal["pv", "bios", "uefi"]
"""How an image is started: as a paravirtual guest of Xen, or like a PC or server by its firmware."""

BUILD_TAG = "ami-wizard:build"
"""The tag on every resource that says which build made it."""

IMAGE_TAG = "ami-wizard:image"
"""The tag on an AMI that says from which image it was made: the beginning of the image step's key."""


VOLUME_TYPE = "gp3"
"""Of the volume that an image is written to: no other costs less for what it does (Amazon EBS pricing page)."""

NO_SNAPSHOT = "snap-ffffffffffffffff"
"""Of the right form, and nobody's: for a dry run, when what an image will be made from is not there yet."""

NO_IMAGE = "ami-ffffffffffffffff"
"""The same for an image that is yet to be made."""

EVERYONE = "everyone"
"""Who an image is shared with when it is public."""


@dataclass(frozen=True, slots=True)
class Run:
    """Bash text, run in the build's work folder, where every step has a folder by its id."""

    command: str


@dataclass(frozen=True, slots=True)
class Write:
    """A file with this text."""

    path: str
    text: str
    mode: int = 0o644


@dataclass(frozen=True, slots=True)
class ProveImage:
    """Starts an image on this machine in each of these ways and lets it go on only when it has
    come up in all of them.  The consoles go to the folder `saves`.

    `allows_imds_v1`: whether the metadata service answers without a token, as for instances that may ask so.
    `pvgrub`: the loader that the AKI names, e.g. "hd0 1.04", against which the image is held; empty for HVM.
    """

    image: str
    ways: tuple[Way, ...]
    arch: str
    saves: str
    allows_imds_v1: bool
    pvgrub: str = ""


@dataclass(frozen=True, slots=True)
class CheckAccount:
    """Who we are at AWS, whether the AMI's name is still free there, and whether we may register such an AMI.

    GetCallerIdentity, DescribeImages, and RegisterImage as a dry run with the parameters in `registers`.
    """

    region: str
    ami_name: str
    build: str
    image: str
    registers: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class UploadSnapshot:
    """An image file to an EBS snapshot by the EBS direct API; the snapshot's id goes to the file `saves`.

    `encryption`: StartSnapshot's `Encrypted` and `KmsKeyArn`, or nothing.
    """

    region: str
    image: str
    saves: str
    description: str
    tags: Mapping[str, str]
    encryption: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class FarEnd:
    """The instance that writes a volume, and how ssh reaches it.

    `ssh` is "user@host" or "host"; where it is empty, the address that AWS names and the user of AWS's own images.
    `ssh_key` is an identity file; where it is empty ssh chooses, and so it does with a `ssh_port` of None.
    """

    instance: str
    ssh: str = ""
    ssh_key: str = ""
    ssh_port: int | None = None


@dataclass(frozen=True, slots=True)
class CheckFarEnd:
    """Whether the instance that is to write a volume runs, lets us in and become root, and whether we may make volumes.

    DescribeInstances, a conversation over ssh, and CreateVolume as a dry run with the parameters in `creates`.
    """

    region: str
    far_end: FarEnd
    creates: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class SnapshotByVolume:
    """An image file to an EBS snapshot by way of a volume; the snapshot's id goes to the file `saves`.

    The volume is created, attached to the instance of `far_end`, written there, detached and deleted in the end.
    `encryption`: CreateVolume's `Encrypted` and `KmsKeyId`, or nothing.
    """

    region: str
    image: str
    saves: str
    description: str
    tags: Mapping[str, str]
    far_end: FarEnd
    encryption: Mapping[str, Any] = field(default_factory=dict)

    UNKEYED: ClassVar = frozenset({"far_end"})
    """Who writes the volume changes nothing about the snapshot: work goes on with another address or key."""


@dataclass(frozen=True, slots=True)
class SnapshotVolume:
    """A snapshot of a volume that the user wrote, and that stays as it is; its id goes to the file `saves`."""

    region: str
    volume: str
    saves: str
    description: str
    tags: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class UseSnapshot:
    """A snapshot that exists already and stays as it is: it must be complete.  Its id goes to the file `saves`."""

    region: str
    snapshot: str
    saves: str


@dataclass(frozen=True, slots=True)
class CheckBucket:
    """Whether a bucket is there, in the region, and lets EC2 be given rights: GetBucketLocation and
    GetBucketOwnershipControls."""

    region: str
    bucket: str


@dataclass(frozen=True, slots=True)
class UploadBundle:
    """An image file to an S3 bucket, as a bundle for S3-backed AMIs (wizard/bundle); where its manifest lies goes to
    the file `saves`.

    folder          where in the bucket its objects lie; their names begin with `name`, which no other build has
    certificate     the account's X.509 certificate and its private key, PEM files; the manifest is signed with them
    ec2_certificate a file with EC2's certificate; "" for the key that is known of the region
    devices         which device the image is: of EC2's virtual devices "ami" and "root" the names inside
    time            of the image in the archive, in Unix seconds
    """

    region: str
    image: str
    saves: str
    bucket: str
    folder: str
    name: str
    certificate: str
    private_key: str
    ec2_certificate: str
    arch: str
    aki: str
    devices: Mapping[str, str]
    time: int

    UNKEYED: ClassVar = frozenset({"certificate", "private_key", "ec2_certificate"})
    """Where the keys lie changes nothing about a bundle that is there: work goes on with other files."""

    @property
    def base(self) -> str:
        """What the keys of all its objects begin with."""
        return f"{self.folder}/{self.name}"

    @property
    def location(self) -> str:
        """Where its manifest lies, as RegisterImage takes it."""
        return f"{self.bucket}/{manifest_name(self.base)}"


@dataclass(frozen=True, slots=True)
class RegisterImage:
    """RegisterImage with these parameters; `<snapshot>` in them stands for the id in the file `snapshot`.

    `snapshot` is "" for an AMI that is made from a bundle in S3.
    """

    region: str
    snapshot: str
    saves: str
    parameters: Mapping[str, Any]
    build: str


@dataclass(frozen=True, slots=True)
class CheckPublishing:
    """Whether an AMI will be let into a region and be offered there as it is meant to, before the long work.

    `copies`: CopyImage's parameters for a dry run, and whose Name must be free; empty where it is registered itself.
    `shares`: with whom its unencrypted snapshots are to be shared, which GetEbsEncryptionByDefault may rule out.
    `public`: whether with everyone, which GetImageBlockPublicAccessState may rule out.
    `parameter`: the name of the SSM parameter that will hold its id, or "".
    """

    region: str
    build: str
    image: str
    copies: Mapping[str, Any] = field(default_factory=dict)
    shares: tuple[str, ...] = ()
    public: bool = False
    parameter: str = ""


@dataclass(frozen=True, slots=True)
class CopyImage:
    """CopyImage to `region` with these parameters; `<image>` in them stands for the id in the file `image`."""

    region: str
    image: str
    saves: str
    parameters: Mapping[str, Any]
    build: str


@dataclass(frozen=True, slots=True)
class ShareImage:
    """ModifyImageAttribute: the image whose id is in the file `image` may be launched by these too."""

    region: str
    image: str
    shares: tuple[str, ...]
    build: str


@dataclass(frozen=True, slots=True)
class DeprecateImage:
    """EnableImageDeprecation, so many days after the image's creation."""

    region: str
    image: str
    days: int
    build: str


@dataclass(frozen=True, slots=True)
class ProtectImage:
    """EnableImageDeregistrationProtection; `cooldown`: for 24 hours more once it is lifted."""

    region: str
    image: str
    cooldown: bool
    build: str


@dataclass(frozen=True, slots=True)
class PutParameter:
    """SSM's PutParameter: the parameter `name`, of the data type aws:ec2:image, holds the image's id."""

    region: str
    image: str
    name: str
    tags: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class CheckLaunch:
    """Whether we may launch an instance, and whether its key pair and network are there: RunInstances as a dry run."""

    region: str
    parameters: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class LaunchInstance:
    """RunInstances with these parameters, until the instance has come up; `<image>` in them stands for the id in the
    file `image`.  Its console and what became of it go to the folder `saves`.

    keep          whether it goes on running then
    wait_seconds  for so long it may take
    user          who logs in
    key           whose private key that takes, in words; "" where nobody's does
    """

    UNKEYED: ClassVar = frozenset({"wait_seconds", "user", "key"})
    """An instance that runs is the same one however long it is waited for."""

    region: str
    image: str
    saves: str
    parameters: Mapping[str, Any]
    build: str
    keep: bool
    wait_seconds: int
    user: str
    key: str


LaunchAction = CheckLaunch | LaunchInstance
PublishAction = CheckPublishing | CopyImage | ShareImage | DeprecateImage | ProtectImage | PutParameter
VolumeAction = CheckFarEnd | SnapshotByVolume | SnapshotVolume | UseSnapshot
UploadAction = CheckBucket | UploadSnapshot | UploadBundle | VolumeAction
CloudAction = CheckAccount | UploadAction | RegisterImage | LaunchAction | PublishAction
Action = Run | Write | ProveImage | CloudAction


def writes(files: Mapping[str, str], folder: str, executable: tuple[str, ...] = ()) -> Iterator[Write]:
    """Write actions for files below a folder."""
    for path, text in files.items():
        yield Write(f"{folder}/{path}", text, 0o755 if path in executable else 0o644)


def fill(value: Any, names: Mapping[str, str]) -> Any:
    """A value with every placeholder string in it replaced."""
    if isinstance(value, Mapping):
        return {key: fill(item, names) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [fill(item, names) for item in value]
    return names.get(value, value) if isinstance(value, str) else value
