"""Who builds: root, and somebody who is not."""

import os
import pwd
from pathlib import Path

import pytest

ORDINARY_USER = "ami-wizard-test"
"""Made by .ci/run, with subordinate ids: the proof that no root is needed."""


def has_ordinary_user() -> bool:
    """Whether this machine has that user, and we may become it."""
    return os.geteuid() == 0 and any(entry.pw_name == ORDINARY_USER for entry in pwd.getpwall())


USERS = [
    pytest.param("root", marks=pytest.mark.skipif(os.geteuid() != 0, reason="needs root")),
    pytest.param(ORDINARY_USER, marks=pytest.mark.skipif(not has_ordinary_user(), reason="needs .ci/run's user")),
]


def open_to_all(folder: Path) -> None:
    """Lets others reach a folder that pytest made for its own user alone."""
    for place in (folder, *folder.parents):
        if place.stat().st_mode & 0o777 == 0o700 and place.is_relative_to("/tmp"):
            place.chmod(0o755)
