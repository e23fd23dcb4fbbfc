"""The recipe's tables."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, model_validator

from wizard import presets
from wizard.disk.layout import Filesystem
from wizard.disk.layout import Table as PartitionTable
from wizard.recipe.words import (
    MOST_GIB,
    Address,
    AmiName,
    Arch,
    BootMode,
    BucketName,
    Checksum,
    Hostname,
    Init,
    InstanceId,
    KeyName,
    KmsKey,
    Line,
    MountOptions,
    MountPoint,
    ParameterName,
    PartitionName,
    Prefix,
    Sharer,
    SnapshotId,
    SshAddress,
    SshKey,
    Storage,
    Subfolder,
    Upload,
    Virtualization,
    VolumeId,
    Word,
)


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


class Launch(Table):
    """An instance of the AMI, launched once it is registered; what is left out is chosen by AWS or by us.

    instance_type  the cheapest sensible one that starts such an AMI otherwise
    subnet         of the default VPC otherwise, and the default group for `security_group`
    key_name       of a key pair in the account; nobody's key but the recipe's own otherwise
    keep           whether the instance goes on running once it has come up
    wait_seconds   for so long it may take to come up
    """

    instance_type: Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9-]*\.[a-z0-9-]+$")] | None = None
    subnet: Annotated[str, StringConstraints(pattern=r"^subnet-[0-9a-f]{8,17}$")] | None = None
    security_group: Annotated[str, StringConstraints(pattern=r"^sg-[0-9a-f]{8,17}$")] | None = None
    key_name: KeyName | None = None
    keep: bool = False
    wait_seconds: Annotated[int, Field(strict=True, ge=30, le=3600)] = 600


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
    launch: Launch | None = None
