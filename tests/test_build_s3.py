"""An S3-backed AMI by the real command: from a recipe to an AMI that stands on its bundle, and back to nothing."""

from pathlib import Path

import pytest
from real_builds import ami_wizard, build, digest
from unbundle import KeyPair, key_pair, unbundle

from wizard.cloud.practice.process import practice_cloud
from wizard.cloud.session import client

pytestmark = pytest.mark.slow

REGION = "eu-west-1"
BUCKET = f"practice-{REGION}"

RECIPE = """\
name = "bundled"
prove = false
[target]
region = "{region}"
arch = "x86_64"
virtualization = "paravirtual"
storage = "s3"
[bundle]
bucket = "{bucket}"
certificate = "{pem.certificate}"
private_key = "{pem.private_key}"
"""


@pytest.fixture(scope="module")
def pem(tmp_path_factory: pytest.TempPathFactory) -> KeyPair:
    return key_pair(tmp_path_factory.mktemp("keys"), "user")


def test_a_recipe_becomes_an_ami_from_a_bundle_and_goes_away_whole(
    pem: KeyPair, world: Path, in_world: Path, tmp_path: Path
) -> None:
    made = build(world, RECIPE.format(region=REGION, bucket=BUCKET, pem=pem), home=world)

    with practice_cloud(world / "practice") as endpoint:
        s3, ec2 = client("s3", REGION, endpoint), client("ec2", REGION, endpoint)
        (image,) = ec2.describe_images(ImageIds=[made["image_id"]])["Images"]
        assert (image["RootDeviceType"], image["RootDeviceName"]) == ("instance-store", "/dev/sda1")
        assert image["ImageLocation"] == made["image_location"]
        keys = [item["Key"] for item in s3.list_object_versions(Bucket=BUCKET)["Versions"]]
        found = {key.rpartition("/")[2]: s3.get_object(Bucket=BUCKET, Key=key)["Body"].read() for key in keys}
        manifest = found[made["image_location"].rpartition("/")[2]]
        assert digest(unbundle(manifest, found, pem.private_key, tmp_path)) == made["sha256"]

        cleaned = ami_wizard("clean", made["build"], "--cloud", "--yes", home=world)

        assert cleaned.returncode == 0, cleaned.stderr
        assert "Versions" not in s3.list_object_versions(Bucket=BUCKET)
        assert ec2.describe_images(Owners=["self"], Filters=[{"Name": "name", "Values": ["bundled"]}])["Images"] == []
