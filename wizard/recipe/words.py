"""What an answer may be: the types of single answers, with the sources of their rules."""

from typing import Annotated, Literal, get_args

from pydantic import StringConstraints

Arch = Literal["i386", "x86_64", "arm64"]
ARCHITECTURES: tuple[str, ...] = get_args(Arch)
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
# Source: the CreateKeyPair API reference, `KeyName`.
KeyName = Annotated[
    str, StringConstraints(min_length=1, max_length=255, pattern=r"^[\x21-\x7e]([\x20-\x7e]*[\x21-\x7e])?$")
]
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
