"""The wheel, installed in an environment of its own, works like the checkout: a user has nothing else."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

CHECKOUT = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The command, in a clean virtual environment far from the checkout."""
    folder = tmp_path_factory.mktemp("wheel")
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--quiet"]
    subprocess.run([*pip, "wheel", "--no-deps", "--wheel-dir", folder, CHECKOUT], check=True)
    subprocess.run([sys.executable, "-m", "venv", folder / "venv"], check=True)
    python = folder / "venv" / "bin" / "python"
    wheel = next(folder.glob("*.whl"))
    subprocess.run([python, "-m", "pip", "--disable-pip-version-check", "--quiet", "install", wheel], check=True)
    return folder / "venv" / "bin" / "ami-wizard"


def run(installed: Path, *arguments: str) -> "subprocess.CompletedProcess[str]":
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    return subprocess.run([installed, *arguments], capture_output=True, text=True, env=environment, cwd="/")


def test_it_knows_its_version_its_presets_and_its_commands(installed: Path) -> None:
    from wizard import __version__

    assert __version__ in run(installed, "--version").stdout
    assert len(json.loads(run(installed, "akis", "--all", "--json").stdout)["akis"]) == 149
    assert "resume" in run(installed, "--help").stdout


def test_it_plans_and_builds_up_to_the_boot_loader_in_its_own_runner(installed: Path, tmp_path: Path) -> None:
    recipe = tmp_path / "recipe.toml"
    recipe.write_text('name = "wheel"\n[target]\nregion = "us-east-1"\narch = "x86_64"\n')
    assert "register-image" in run(installed, "plan", str(recipe), "--script").stdout
    done = run(installed, "build", str(recipe), "--practice", "--until", "bootloader", "--json")
    assert json.loads(done.stdout.splitlines()[-1])["event"] == "finished", done.stdout + done.stderr


def test_its_practice_cloud_and_its_screens_are_all_there(installed: Path) -> None:
    python = installed.with_name("python")
    program = (
        "import screens.app, wizard.folders\n"
        "from wizard.cloud.practice.process import practice_cloud\n"
        "from wizard.cloud.session import identity\n"
        "assert screens.app.Wizard(practice=True).stylesheet is not None\n"
        "with practice_cloud(wizard.folders.practice()) as endpoint:\n"
        "    print(identity('us-east-1', endpoint).account)\n"
    )
    done = subprocess.run([python, "-c", program], capture_output=True, text=True, cwd="/")
    assert done.stdout.strip() == "123456789012", done.stderr
