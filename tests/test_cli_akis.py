"""`ami-wizard akis`."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from wizard.cli.akis import akis
from wizard.targets.akis import all_akis


def run(*arguments: str) -> Result:
    return CliRunner().invoke(akis, arguments, standalone_mode=False)


def test_the_table_fits_80_columns_with_and_without_the_old_versions() -> None:
    for arguments in ([], ["--all"]):
        result = run(*arguments)
        assert result.return_value == 0
        assert max(map(len, result.output.splitlines())) <= 80


def test_without_all_each_region_and_architecture_has_one_id() -> None:
    rows = json.loads(run("--json").output)["akis"]
    places = [(row["region"], row["arch"]) for row in rows]
    assert len(places) == len(set(places)) == len({(row.region, row.arch) for row in all_akis()})
    assert all(row["device"] == "hd0" for row in rows)


def test_json_has_the_promised_fields_and_with_all_every_id() -> None:
    rows = json.loads(run("--all", "--json").output)["akis"]
    assert len(rows) == 149
    names = {"region", "arch", "image_name", "version", "device", "aki", "sources", "confidence"}
    for row in rows:
        assert set(row) == names
        assert isinstance(row["sources"], list)


def test_the_storage_makes_no_difference_to_the_ids() -> None:
    assert run("--storage", "s3", "--json").output == run("--storage", "ebs", "--json").output


def test_old_versions_say_why_they_are_not_the_one() -> None:
    output = run("--all", "--region", "us-east-1", "--arch", "x86_64").output
    assert output.count("the one to use") == 1
    assert "superseded by 1.05" in output
    assert "reads only partitioned images" in output


@pytest.mark.parametrize("arguments", [["--arch", "arm64"], ["--region", "eu-north-1"]])
def test_nothing_found_is_explained_and_exits_1(arguments: list[str]) -> None:
    result = run(*arguments, "--json")
    assert result.return_value == 1
    answer = json.loads(result.stdout)
    assert answer["akis"] == []
    assert answer["error"]["do"]
    assert "hvm" in result.stderr


def test_the_table_loads_nothing_heavy() -> None:
    code = (
        "import sys; from click.testing import CliRunner; from wizard.cli.akis import akis; "
        "CliRunner().invoke(akis, []); "
        "print([name for name in ('boto3', 'botocore', 'pydantic', 'textual', 'moto') if name in sys.modules])"
    )
    root = Path(__file__).parent.parent
    done = subprocess.run([sys.executable, "-c", code], cwd=root, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
