"""Who builds: root, and somebody who is not."""

import contextlib
import os
import pwd
import shutil
import tempfile
from collections.abc import Iterator
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


@contextlib.contextmanager
def open_folder() -> Iterator[Path]:
    """A folder that others reach: pytest shuts its own again at any time, when another of its processes begins."""
    folder = Path(tempfile.mkdtemp(prefix="ami-wizard-"))
    folder.chmod(0o755)
    try:
        yield folder
    finally:
        shutil.rmtree(folder)
