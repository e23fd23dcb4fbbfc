"""The keys of distributions: fetched, and known by their fingerprints."""

import subprocess
from pathlib import Path

import pytest

from wizard.distro import keys


@pytest.fixture
def gnupg(tmp_path: Path) -> str:
    """A home of gpg's with a key that has a subkey, exported as key.asc beside it."""
    home = tmp_path / "gnupg"
    home.mkdir(mode=0o700)
    gpg(home, "--passphrase", "", "--quick-gen-key", "Someone <someone@miniature.invalid>", "future-default")
    gpg(home, "--armor", "--output", f"{tmp_path}/key.asc", "--export")
    listed = gpg(home, "--with-colons", "--list-keys")
    subprocess.run(["gpgconf", "--homedir", home, "--kill", "all"], check=True)
    return listed


def gpg(home: Path, *arguments: str) -> str:
    command = ["gpg", "--homedir", str(home), "--quiet", "--batch", *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def fetched(fingerprint: str, place: Path) -> subprocess.CompletedProcess[str]:
    (place / "bootstrap").mkdir()
    rows = [{"fingerprint": fingerprint, "address": (place / "key.asc").as_uri()}]
    script = "\n".join(run.command for run in keys.fetch(rows))
    return subprocess.run(
        ["bash", "-euo", "pipefail", "-c", script],
        cwd=place,
        env={"PATH": "/usr/bin:/bin", "DOWNLOADS": str(place / "downloads")},
        capture_output=True,
        text=True,
        check=False,
    )


def test_a_key_with_the_fingerprint_is_kept(gnupg: str, tmp_path: Path) -> None:
    own, _ = (line.split(":")[9] for line in gnupg.splitlines() if line.startswith("fpr:"))
    done = fetched(own, tmp_path)
    assert done.returncode == 0, done.stderr
    assert "BEGIN PGP PUBLIC KEY" in (tmp_path / f"bootstrap/keys/{own}.asc").read_text()


def test_a_key_with_the_fingerprint_on_a_subkey_alone_is_not_the_one(gnupg: str, tmp_path: Path) -> None:
    _, subkey = (line.split(":")[9] for line in gnupg.splitlines() if line.startswith("fpr:"))
    done = fetched(subkey, tmp_path)
    assert done.returncode == 1
    assert f"is not the key {subkey}" in done.stderr
    assert not (tmp_path / "downloads/keys" / subkey).exists()
