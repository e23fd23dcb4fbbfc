"""The regions, and which is offered first."""

from pathlib import Path

import pytest

from wizard.explain import Failure
from wizard.targets.regions import default_region, nearest, region_named, regions


def test_regions_cover_the_public_the_chinese_and_the_government_partition() -> None:
    assert {region.partition for region in regions()} == {"aws", "aws-cn", "aws-us-gov"}
    assert region_named("us-east-1").long_name == "US East (N. Virginia)"
    assert len({region.name for region in regions()}) == len(regions()) > 30


def test_the_environment_wins_over_the_file_and_aws_region_over_the_older_name(tmp_path: Path) -> None:
    file = tmp_path / "config"
    file.write_text("[default]\nregion = eu-west-1\n")
    env = {"AWS_CONFIG_FILE": str(file), "AWS_DEFAULT_REGION": "eu-west-2", "AWS_REGION": "eu-west-3"}
    assert default_region(env) == ("eu-west-3", "from AWS_REGION")
    del env["AWS_REGION"]
    assert default_region(env) == ("eu-west-2", "from AWS_DEFAULT_REGION")
    del env["AWS_DEFAULT_REGION"]
    assert default_region(env) == ("eu-west-1", f"from {file} [default]")


def test_the_chosen_profile_of_aws_config_is_honoured(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / ".aws").mkdir()
    (tmp_path / ".aws" / "config").write_text(
        "[default]\nregion = eu-west-1\ns3 =\n  max_concurrent_requests = 20\n[profile dev]\nregion = sa-east-1\n"
    )
    assert default_region({"AWS_PROFILE": "dev"}) == ("sa-east-1", "from ~/.aws/config [dev]")
    assert default_region({}) == ("eu-west-1", "from ~/.aws/config [default]")


def test_a_profile_without_a_region_does_not_borrow_the_default_profiles(tmp_path: Path) -> None:
    file = tmp_path / "config"
    file.write_text("[default]\nregion = eu-west-1\n[profile dev]\noutput = json\n")
    assert default_region({"AWS_CONFIG_FILE": str(file), "AWS_PROFILE": "dev"}) == ("us-east-1", "preset")


def test_without_any_hint_it_is_the_preset(tmp_path: Path) -> None:
    assert default_region({"AWS_CONFIG_FILE": str(tmp_path / "none")}) == ("us-east-1", "preset")


@pytest.mark.parametrize("content", [b"region = eu-west-1\n", b"\xff\xfe\x00", b"[default\nregion"])
def test_a_broken_aws_config_is_named_and_does_not_stop_anybody(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "config"
    file.write_bytes(content)
    region, origin = default_region({"AWS_CONFIG_FILE": str(file)})
    assert region == "us-east-1"
    assert str(file) in origin


def test_a_misspelled_region_is_answered_with_the_closest_names() -> None:
    with pytest.raises(Failure) as caught:
        region_named("us-est-1")
    assert caught.value.code == "unknown-region"
    assert "us-east-1" in caught.value.facts["near"]


def test_the_nearest_region_is_of_the_same_partition_and_continent() -> None:
    names = [region.name for region in regions()]
    assert nearest("eu-west-9", names)[0].startswith("eu-west-")
    assert nearest("us-gov-east-1", ["us-east-1", "us-gov-west-1"])[0] == "us-gov-west-1"
