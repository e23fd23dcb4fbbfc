"""What every test is given: a home of its own, and for the slow ones the machine's real tools."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

SHARED = Path(__file__).resolve().parents[2] / "shared"
"""The facts that the presets were made from, when they lie beside the checkout."""


@pytest.fixture(autouse=True)
def home(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """No test sees the user's builds, configuration or credentials, nor another test's."""
    folder = tmp_path_factory.mktemp("home")
    monkeypatch.setenv("AMI_WIZARD_HOME", str(folder))
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_CONFIG_FILE", str(folder / "no-aws-config"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(folder / "no-aws-credentials"))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    yield folder


@pytest.fixture(scope="session")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The home that the long tests share, so that packages are fetched and installed as seldom as possible."""
    return tmp_path_factory.mktemp("world")


@pytest.fixture
def in_world(world: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """That home as this test's own."""
    monkeypatch.setenv("AMI_WIZARD_HOME", str(world))
    return world
