"""`python tests/to_be_killed.py ENDPOINT FOLDER AT`: an upload and a registration; kill -9 at the moment AT.

A moment is one just before, or just behind, a record of the journal; 0 is never.  Prints the AMI's id.
"""

import os
import signal
import sys
from itertools import count
from pathlib import Path
from typing import Any

from wizard.cloud.actions import perform
from wizard.plan.actions import BUILD_TAG, CloudAction, RegisterImage, UploadSnapshot
from wizard.run.journal import Journal

REGION = "eu-west-3"
NAME = "to be killed"
BUILD = "killed-1"
TAGS = {"Name": NAME, BUILD_TAG: BUILD}
ACTIONS: tuple[CloudAction, ...] = (
    UploadSnapshot(REGION, "disk.img", "snapshot-id", "a test", TAGS),
    RegisterImage(
        REGION,
        "snapshot-id",
        "image-id",
        {
            "Name": NAME,
            "Architecture": "x86_64",
            "VirtualizationType": "hvm",
            "RootDeviceName": "/dev/xvda",
            "BlockDeviceMappings": [{"DeviceName": "/dev/xvda", "Ebs": {"SnapshotId": "<snapshot>"}}],
        },
        BUILD,
    ),
)


def main(endpoint: str, folder: Path, at: int) -> None:
    moments, append = count(1), Journal._append

    def killed(journal: Journal, *record: Any) -> None:
        _end_at(at, next(moments))
        append(journal, *record)
        _end_at(at, next(moments))

    Journal._append = killed  # type: ignore[assignment,method-assign]
    for place, action in enumerate(ACTIONS):
        journal = Journal(folder / f"journal-{place}.jsonl")
        perform(endpoint, action, folder, journal, lambda *_: None, lambda: False)
    print((folder / "image-id").read_text().strip())


def _end_at(at: int, now: int) -> None:
    if now == at:
        os.kill(os.getpid(), signal.SIGKILL)


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), int(sys.argv[3]))
