"""The plan as a shell script that does the same with public tools."""

import json
import shlex
import textwrap
from collections.abc import Iterator
from pathlib import Path

from wizard.boot.lab.machine import Logs
from wizard.boot.proof.ways import LIMIT_SECONDS, by_firmware, firmware_memory
from wizard.plan import volume_script
from wizard.plan.actions import (
    NO_IMAGE,
    NO_SNAPSHOT,
    Action,
    CheckAccount,
    CheckBucket,
    CheckFarEnd,
    CheckLaunch,
    LaunchInstance,
    ProveImage,
    RegisterImage,
    Run,
    SnapshotByVolume,
    SnapshotVolume,
    UploadBundle,
    UploadSnapshot,
    UseSnapshot,
    Way,
    Write,
    fill,
)
from wizard.plan.launch import login_line
from wizard.plan.publish.script import publishing_script
from wizard.plan.steps import Plan, Step
from wizard.targets.instances import is_nitro

PRELUDE = """\
# A folder in which files can belong to root: a user namespace of its own, or nothing special as root.
as_root() {
  if [ "$(id -u)" = 0 ]; then "$@"; else unshare --map-root-user --map-auto "$@"; fi
}
# The same, with mounts and processes that nobody else sees and that end with the command.
as_root_apart() {
  if [ "$(id -u)" = 0 ]; then unshare --mount --pid --fork --kill-child "$@"
  else unshare --map-root-user --map-auto --mount --pid --fork --kill-child "$@"; fi
}
# As root, mounts that the command makes are its own and vanish with it, however it ends.
own_mounts() {
  if [ "$(id -u)" = 0 ] && unshare --mount true 2>/dev/null; then unshare --mount "$@"; else "$@"; fi
}
"""


def environment(plan: Plan) -> dict[str, str]:
    """What every command of a plan is told, so that the same recipe gives the same bytes everywhere."""
    return {
        "SOURCE_DATE_EPOCH": str(plan.epoch),
        "E2FSPROGS_FAKE_TIME": str(plan.epoch),
        "TZ": "UTC",
        "LC_ALL": "C.UTF-8",
        "MTOOLS_SKIP_CHECK": "1",
    }


def script(plan: Plan) -> str:
    """The whole plan as bash.  Run in an empty folder, it leaves the image in image/disk.img and then goes on to AWS;
    with --image-only it stops before that."""
    makes_image = [step for step in plan.steps if not step.in_cloud and step.id != "prove"]
    behind = [step for step in plan.steps if step not in makes_image]
    return "\n".join(
        [
            "#!/usr/bin/env bash",
            *_comment(f"Makes the AMI “{plan.name}”, step by step, with public tools{_beside(plan)}."),
            *_comment("Run it in an empty folder. With --image-only it stops when image/disk.img is there."),
            "set -euo pipefail",
            "umask 022",
            *(f"export {name}={value}" for name, value in environment(plan).items()),
            'export PATH="$PATH:/usr/sbin:/sbin"',
            'export DOWNLOADS="${DOWNLOADS:-$PWD/downloads}"',
            "",
            PRELUDE,
            *(line for step in makes_image for line in _step(step)),
            'if [ "${1:-}" = --image-only ]; then exit 0; fi',
            "",
            *(line for step in behind for line in _step(step)),
        ]
    )


def _beside(plan: Plan) -> str:
    has_bundle = any(isinstance(action, UploadBundle) for step in plan.steps for action in step.actions)
    return " and, for the bundle, ami-wizard" if has_bundle else " only"


def action_script(action: Action) -> str:
    """One action as bash text."""
    match action:
        case Run(command):
            return command
        case Write():
            return _write(action)
        case ProveImage():
            return "\n".join(_prove(action, way) for way in action.ways)
        case CheckAccount():
            return _check_account(action)
        case CheckBucket():
            return _check_bucket(action)
        case UploadSnapshot():
            return _upload(action)
        case CheckFarEnd() | SnapshotByVolume() | SnapshotVolume() | UseSnapshot():
            return volume_script.action_script(action)
        case UploadBundle():
            return _bundle(action)
        case RegisterImage():
            return _register(action)
        case CheckLaunch():
            return _check_launch(action)
        case LaunchInstance():
            return _launch(action)
        case _:
            return publishing_script(action)


def _step(step: Step) -> Iterator[str]:
    yield f"### {step.title}"
    yield from _comment(step.why)
    folders = [step.id, *(action.path.rpartition("/")[0] for action in step.actions if isinstance(action, Write))]
    yield f"mkdir -p {' '.join(map(shlex.quote, dict.fromkeys(folders)))}"
    for action in step.actions:
        yield action_script(action)
    yield ""


def _comment(text: str) -> list[str]:
    return textwrap.wrap(text, 100, initial_indent="# ", subsequent_indent="# ")


def _write(action: Write) -> str:
    path = shlex.quote(action.path)
    lines = []
    if action.text:
        end = "END" if "\nEND\n" not in f"\n{action.text}" else "END_OF_FILE"
        lines += [f"cat > {path} <<'{end}'", f"{action.text}{end}"]
    else:
        lines.append(f": > {path}")
    if action.mode != 0o644:
        lines.append(f"chmod {action.mode:o} {path}")
    return "\n".join(lines)


def _prove(action: ProveImage, way: Way) -> str:
    """The machine alone, until it asks for a login: of what is asked over ssh a few lines of shell cannot tell."""
    whole = f"`ami-wizard prove {action.image} --as {way}` asks for more: address, metadata, ssh, units."
    if way == "pv":
        return "\n".join(_comment(f"A paravirtual image is started in Xen, made from Debian's packages: {whole}"))
    folder = Path(action.saves)
    logs = Logs(folder / f"console-{way}.log", folder / f"firmware-{way}.log")
    command = shlex.join(by_firmware(way, action.arch, Path(action.image), logs, memory := folder / "firmware-memory"))
    copies = [f"cp {firmware_memory(action.arch)} {memory}"] if way == "uefi" else []
    return "\n".join(
        [
            *_comment(f"Until the image asks for a login on its console. {whole}"),
            *copies,
            f": > {logs.guest}",
            f"timeout {LIMIT_SECONDS[way]} {command} &",
            f"until grep -q 'login: ' {logs.guest}; do kill -0 $!; sleep 1; done",
            "kill $!",
        ]
    )


def _check_account(action: CheckAccount) -> str:
    return "\n".join(
        [
            f"aws sts get-caller-identity --region {action.region}",
            f"taken=$(aws ec2 describe-images --region {action.region} --owners self \\",
            f"  --filters {shlex.quote(f'Name=name,Values={action.ami_name}')} \\",
            "  --query 'Images[].ImageId' --output text)",
            'if [ -n "$taken" ]; then echo "The name is taken by $taken" >&2; exit 1; fi',
            "# A dry run: what it says beside “not authorized” tells nothing, as there is no snapshot yet.",
            "cat > account/request.json <<'END'",
            json.dumps(fill(action.registers, {"<snapshot>": NO_SNAPSHOT}), indent=2),
            "END",
            f"said=$(aws ec2 register-image --dry-run --region {action.region} \\",
            "  --cli-input-json file://account/request.json 2>&1 || true)",
            'case "$said" in *UnauthorizedOperation*) echo "$said" >&2; exit 1;; esac',
        ]
    )


def _check_bucket(action: CheckBucket) -> str:
    bucket, region = shlex.quote(action.bucket), action.region
    return f"""\
located=$(aws s3api get-bucket-location --region {region} --bucket {bucket} --query LocationConstraint --output text)
case "$located" in None) located=us-east-1;; EU) located=eu-west-1;; esac
if [ "$located" != {region} ]; then echo "The bucket is in $located" >&2; exit 1; fi"""


def _bundle(action: UploadBundle) -> str:
    """By this program: openssl would take the key of the bundle on its command line, where every user can read it."""
    options = {
        "region": action.region,
        "name": action.name,
        "certificate": action.certificate,
        "private-key": action.private_key,
        "ec2-certificate": action.ec2_certificate,
        "arch": action.arch,
        "aki": action.aki,
        "device": action.devices["ami"],
    }
    given = [item for name, value in options.items() if value for item in (f"--{name}", value)]
    command = ["ami-wizard", "bundle", action.image, f"{action.bucket}/{action.folder}", *given]
    why = "openssl and the old tools take the key of a bundle on their command line, where every user can read it."
    return "\n".join([*_comment(why), f"{shlex.join(command)} > {action.saves}"])


def _upload(action: UploadSnapshot) -> str:
    tags = shlex.quote(json.dumps([{"Key": key, "Value": value} for key, value in action.tags.items()]))
    region, saves, image = action.region, action.saves, shlex.quote(action.image)
    encrypted = " --encrypted" if action.encryption.get("Encrypted") else ""
    key = f" --kms-key-arn {action.encryption['KmsKeyArn']}" if "KmsKeyArn" in action.encryption else ""
    return f"""\
aws ebs start-snapshot --region {region} --timeout 4320 --volume-size "$(( $(stat -c %s {image}) / 1073741824 ))" \\
  --description {shlex.quote(action.description)} --tags {tags}{encrypted}{key} \\
  --query SnapshotId --output text > {saves}
# Blocks of 512 KiB; one that is all zeros need not be sent.
zeros=$(head -c 524288 /dev/zero | sha256sum)
blocks=$(( $(stat -c %s {image}) / 524288 ))
sent=0
for (( index = 0; index < blocks; index++ )); do
  dd if={image} of=snapshot/block bs=524288 skip="$index" count=1 status=none
  if [ "$(sha256sum < snapshot/block)" = "$zeros" ]; then continue; fi
  aws ebs put-snapshot-block --region {region} --snapshot-id "$(cat {saves})" --block-index "$index" \\
    --data-length 524288 --block-data snapshot/block --checksum-algorithm SHA256 \\
    --checksum "$(openssl dgst -sha256 -binary snapshot/block | base64)" > snapshot/answer
  sent=$(( sent + 1 ))
done
aws ebs complete-snapshot --region {region} --snapshot-id "$(cat {saves})" --changed-blocks-count "$sent"
aws ec2 wait snapshot-completed --region {region} --snapshot-ids "$(cat {saves})\""""


def _register(action: RegisterImage) -> str:
    snapshot = f'sed -i "s/<snapshot>/$(cat {action.snapshot})/" register/request.json\n' if action.snapshot else ""
    return f"""\
cat > register/request.json <<'END'
{json.dumps(action.parameters, indent=2)}
END
{snapshot}aws ec2 register-image --region {action.region} --cli-input-json file://register/request.json \\
  --query ImageId --output text > {action.saves}
aws ec2 wait image-available --region {action.region} --image-ids "$(cat {action.saves})\""""


def _check_launch(action: CheckLaunch) -> str:
    return f"""\
# A dry run: there is no image yet, so most of what it says tells nothing.
cat > account/launch.json <<'END'
{json.dumps(fill(action.parameters, {"<image>": NO_IMAGE}), indent=2)}
END
said=$(aws ec2 run-instances --dry-run --region {action.region} \\
  --cli-input-json file://account/launch.json 2>&1 || true)
case "$said" in *UnauthorizedOperation*|*InvalidKeyPair*|*InvalidSubnetID*|*InvalidGroup*|*VPCIdNotSpecified*)
  echo "$said" >&2; exit 1;; esac"""


def _launch(action: LaunchInstance) -> str:
    """The whole of it, but for the explanation of a console: that is `ami-wizard explain launch/console.log`."""
    region, saves = action.region, action.saves
    latest = "--latest" if is_nitro(action.parameters["InstanceType"]) else "--no-latest"
    one = f'--region {region} --instance-id "$(cat {saves}/instance-id)"'
    these = f'--region {region} --instance-ids "$(cat {saves}/instance-id)"'
    login = '"$address"'.join(map(shlex.quote, login_line("ADDRESS", action.key, action.user).split("ADDRESS")))
    end = f"trap 'aws ec2 terminate-instances {these} > {saves}/terminated.json' EXIT\n"
    ends = "" if action.keep else f"# Whatever comes: an instance costs as long as it runs.\n{end}"
    return f"""\
cat > {saves}/request.json <<'END'
{json.dumps(action.parameters, indent=2)}
END
sed -i "s/<image>/$(cat {action.image})/" {saves}/request.json
# The token makes a second call give the same instance.
cat /proc/sys/kernel/random/uuid > {saves}/client-token
aws ec2 run-instances --region {region} --cli-input-json file://{saves}/request.json \\
  --client-token "$(cat {saves}/client-token)" --query 'Instances[0].InstanceId' --output text > {saves}/instance-id
{ends}aws ec2 wait instance-running {these}
for (( second = 0; second < {action.wait_seconds}; second += 10 )); do
  aws ec2 get-console-output {latest} {one} --output text --query Output > {saves}/console.log || true
  if grep -q ' login: ' {saves}/console.log; then break; fi
  sleep 10
done
address=$(aws ec2 describe-instances {these} \\
  --query 'Reservations[0].Instances[0].PublicIpAddress' --output text)
echo "To log in:" {login}
grep -q ' login: ' {saves}/console.log"""
