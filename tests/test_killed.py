"""kill -9 at every point of the journal: one snapshot with the image's content, one AMI, and nothing after a clean."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from to_be_killed import BUILD, REGION

from wizard.cloud.images import remove, remove_tagged, tagged
from wizard.cloud.practice.process import practice_cloud
from wizard.cloud.read_back import read_back
from wizard.cloud.session import client
from wizard.run.journal import Journal

pytestmark = pytest.mark.slow

BLOCK = 524288
SCRIPT = Path(__file__).with_name("to_be_killed.py")


def test_whenever_it_is_killed_the_next_start_goes_on_and_nothing_is_made_twice(tmp_path: Path) -> None:
    """Killed once at each moment, every start in the state that the one before left."""
    image = tmp_path / "disk.img"
    image.write_bytes(os.urandom(40 * BLOCK))
    os.truncate(image, 1 << 30)
    with practice_cloud(tmp_path / "cloud") as endpoint:
        image_id, killed = run_to_the_end(endpoint, tmp_path)
        assert killed >= 10, "a record before and behind each of what was asked and answered"
        ec2, ebs = client("ec2", REGION, endpoint), client("ebs", REGION, endpoint)
        (snapshot,) = [item["SnapshotId"] for item in ec2.describe_snapshots(OwnerIds=["self"])["Snapshots"]]
        assert tagged(ec2, BUILD) == [("image", image_id), ("snapshot", snapshot)]
        read_back(ebs, snapshot, tmp_path / "back")
        assert (tmp_path / "back").read_bytes() == image.read_bytes()

        journals = [Journal(path) for path in sorted(tmp_path.glob("journal-*.jsonl"), reverse=True)]
        assert {made for journal in journals for made in remove(ec2, journal)} == {image_id, snapshot}
        assert remove_tagged(ec2, journals[0], BUILD) == []
        assert ec2.describe_snapshots(OwnerIds=["self"])["Snapshots"] == []
        assert ec2.describe_images(Owners=["self"])["Images"] == []


def run_to_the_end(endpoint: str, folder: Path) -> tuple[str, int]:
    """Starts it again and again, killed at its first moment, then at its second, and so on, until it ends by itself.

    Gives the AMI's id and how often it was killed.
    """
    killed = 0
    while True:
        # Each start gets one record further than the last, so the moment that comes next is always among the first.
        command = [sys.executable, str(SCRIPT), endpoint, str(folder), str(killed % 3 + 1)]
        done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode != -signal.SIGKILL:
            assert done.returncode == 0, done.stderr[-2000:]
            return done.stdout.strip(), killed
        killed += 1
        assert killed < 60
