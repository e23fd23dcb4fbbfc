"""The way to a snapshot by a volume as bash text, with the AWS CLI, ssh, dd and sha256sum."""

import json
import shlex
from collections.abc import Mapping

from wizard.plan.actions import CheckFarEnd, FarEnd, SnapshotByVolume, SnapshotVolume, UseSnapshot, VolumeAction


def action_script(action: VolumeAction) -> str:
    """One of the actions."""
    match action:
        case CheckFarEnd():
            return _check(action)
        case SnapshotByVolume():
            return "\n".join(
                [_volume(action), _written(action), _snapshot(action, '"$(cat snapshot/volume-id)"'), _gone(action)]
            )
        case SnapshotVolume():
            return _snapshot(action, action.volume)
        case UseSnapshot(region, snapshot, saves):
            return (
                f"aws ec2 wait snapshot-completed --region {region} --snapshot-ids {snapshot}\n"
                f"echo {snapshot} > {saves}"
            )


def _volume(action: SnapshotByVolume) -> str:
    region, instance, image = action.region, action.far_end.instance, shlex.quote(action.image)
    encrypted = " --encrypted" if action.encryption.get("Encrypted") else ""
    key = f" --kms-key-id {action.encryption['KmsKeyId']}" if "KmsKeyId" in action.encryption else ""
    return f"""\
size=$(stat -c %s {image})
gib=$(( (size + 1073741823) / 1073741824 ))
{_instance(action.region, instance)}
aws ec2 create-volume --region {region} --availability-zone "$zone" --size "$gib" --volume-type gp3{encrypted}{key} \\
  --tag-specifications {_tags("volume", action.tags)} --query VolumeId --output text > snapshot/volume-id
volume=$(cat snapshot/volume-id)
aws ec2 wait volume-available --region {region} --volume-ids "$volume"
aws ec2 attach-volume --region {region} --volume-id "$volume" --instance-id {instance} --device /dev/sdf
aws ec2 wait volume-in-use --region {region} --volume-ids "$volume\""""


def _written(action: SnapshotByVolume) -> str:
    """The volume's id is the serial number of its disk; instances on Xen have none, and this script does without."""
    image = shlex.quote(action.image)
    return f"""\
{_on_instance(action.far_end)}
# Only a disk of this size with the volume's id is written, and only while nothing is on it.
find_disk="disk= serial=${{volume/-/}} sectors=$(( gib * 2097152 ))
"'for at in /sys/block/nvme*; do
  read -r found < "$at/device/serial"
  if [ "$found" = "$serial" ]; then disk=/dev/${{at##*/}}; fi
done
[ -b "$disk" ]
[ "$(cat "/sys/block/${{disk##*/}}/size")" = "$sectors" ]
'
looked=0
until on_instance "$find_disk" < /dev/null; do
  looked=$(( looked + 1 ))
  [ "$looked" -lt 60 ]
  sleep 2
done
on_instance "$find_disk"'[ "$(dd if="$disk" bs=1M count=1 | tr -d "\\0" | wc -c)" = 0 ]
dd of="$disk" bs=1M iflag=fullblock conv=sparse,notrunc,fsync status=none' < {image}
# Read back past the cache: all of it, zeros too.
mib=$(( (size + 1048575) / 1048576 ))
there=$(on_instance "$find_disk mib=$mib size=$size"'
dd if="$disk" bs=1M count="$mib" iflag=direct status=none | head -c "$size" | sha256sum' < /dev/null)
here=$(sha256sum < {image})
[ "$there" = "$here" ] || {{ echo "The volume does not hold what was sent." >&2; exit 1; }}
aws ec2 detach-volume --region {action.region} --volume-id "$volume"
aws ec2 wait volume-available --region {action.region} --volume-ids "$volume\""""


def _check(action: CheckFarEnd) -> str:
    return f"""\
{_instance(action.region, action.far_end.instance)}
{_on_instance(action.far_end)}
on_instance true < /dev/null"""


def _instance(region: str, instance: str) -> str:
    """Its zone and its address; fails where it does not run."""
    return f"""\
aws ec2 describe-instances --region {region} --instance-ids {instance} --output text \\
  --filters Name=instance-state-name,Values=running \\
  --query 'Reservations[0].Instances[0].[Placement.AvailabilityZone, PublicIpAddress || PrivateIpAddress]' \\
  > instance-place
read -r zone address < instance-place
[ "$zone" != None ] || {{ echo "{instance} does not run." >&2; exit 1; }}"""


def _on_instance(far_end: FarEnd) -> str:
    """A function that runs shell text as root there."""
    words = ["ssh", "-C", "-o", "StrictHostKeyChecking=accept-new", "-o", "UserKnownHostsFile=known_hosts"]
    words += ["-i", far_end.ssh_key] if far_end.ssh_key else []
    words += ["-p", str(far_end.ssh_port)] if far_end.ssh_port else []
    to = shlex.quote(far_end.ssh) if far_end.ssh else '"ec2-user@$address"'
    return f"""\
on_instance() {{
  {shlex.join(words)} {to} "sudo -n sh -euc '$(printf %s "$1" | sed "s/'/'\\\\\\\\''/g")'"
}}"""


def _snapshot(action: SnapshotByVolume | SnapshotVolume, volume: str) -> str:
    return f"""\
aws ec2 create-snapshot --region {action.region} --volume-id {volume} --description {shlex.quote(action.description)} \\
  --tag-specifications {_tags("snapshot", action.tags)} --query SnapshotId --output text > {action.saves}
aws ec2 wait snapshot-completed --region {action.region} --snapshot-ids "$(cat {action.saves})\""""


def _gone(action: SnapshotByVolume) -> str:
    return f'aws ec2 delete-volume --region {action.region} --volume-id "$volume"'


def _tags(kind: str, tags: Mapping[str, str]) -> str:
    listed = [{"Key": key, "Value": value} for key, value in tags.items()]
    return shlex.quote(json.dumps([{"ResourceType": kind, "Tags": listed}]))
