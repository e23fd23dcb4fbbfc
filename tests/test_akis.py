"""The AKI table and the choice from it."""

import csv
import re
from pathlib import Path

import pytest

from wizard.explain import Failure, explain
from wizard.targets.akis import all_akis, choose, matching, reads, why_not
from wizard.targets.regions import regions

FACTS = Path(__file__).resolve().parents[2] / "shared" / "facts"


def test_every_row_of_the_researched_table_is_there_word_for_word() -> None:
    if not FACTS.is_dir():
        pytest.skip("the research notes are not beside this checkout")
    with (FACTS / "akis.csv").open(encoding="utf-8") as file:
        researched = list(csv.DictReader(file))
    assert len(researched) == len(all_akis())
    for wanted, row in zip(researched, all_akis(), strict=True):
        count = "SINGLE SOURCE" if row.confidence == 1 else f"{row.confidence} independent sources"
        assert wanted == {
            "region": row.region,
            "arch": row.arch,
            "image_name": row.image_name,
            "version": row.version,
            "device": row.device,
            "aki": row.aki,
            "sources": f"[{count}] {'; '.join(row.sources)}",
        }


def test_no_unconfirmed_id_is_offered() -> None:
    if not FACTS.is_dir():
        pytest.skip("the research notes are not beside this checkout")
    with (FACTS / "akis_unconfirmed.csv").open(encoding="utf-8") as file:
        doubtful = [row for row in csv.DictReader(file) if "do not use" not in row["probable_image_name"]]
    assert doubtful
    assert not {row["aki"] for row in doubtful} & {row.aki for row in all_akis()}


def test_every_id_is_well_formed_unique_and_in_a_known_region() -> None:
    known = {region.name for region in regions()}
    for row in all_akis():
        assert re.fullmatch(r"aki-[0-9a-f]{8}", row.aki)
        assert row.region in known
        assert row.arch in ("i386", "x86_64")
        assert row.device in row.image_name
        assert row.version in row.image_name
        assert row.arch in row.image_name
        assert row.confidence >= 1
        assert all(row.sources)
    assert len({row.aki for row in all_akis()}) == len(all_akis()) == 149


def test_a_partitioned_image_gets_the_newest_hd0_as_aws_advises() -> None:
    chosen = choose("us-east-1", "x86_64")
    assert (chosen.aki, chosen.version, chosen.device) == ("aki-5c21674b", "1.05", "hd0")


def test_an_unpartitioned_image_is_never_given_an_hd00() -> None:
    for region, arch in {(row.region, row.arch) for row in all_akis()}:
        assert choose(region, arch, "none").device == "hd0"


def test_an_old_hd0_is_not_trusted_with_a_partitioned_disk() -> None:
    old = next(row for row in all_akis() if (row.device, row.version) == ("hd0", "1.03"))
    assert not reads(old, "dos")
    assert reads(old, "none")


def test_an_arm64_instance_is_never_offered_an_aki() -> None:
    with pytest.raises(Failure) as caught:
        choose("us-east-1", "arm64")
    assert caught.value.code == "no-aki-for-arm64"
    assert "hvm" in " ".join(explain(caught.value).do)


def test_a_region_without_an_aki_is_answered_with_regions_that_have_one_and_can_run_it() -> None:
    with pytest.raises(Failure) as caught:
        choose("eu-north-1", "x86_64")
    assert caught.value.code == "no-aki-in-region"
    near = caught.value.facts["near"].split(", ")
    assert near[0].startswith("eu-")
    able = {region.name for region in regions() if region.paravirtual}
    for name in near:
        assert name in able
        assert matching(name, "x86_64")


def test_matching_puts_the_one_to_use_first() -> None:
    for region, arch in {(row.region, row.arch) for row in all_akis()}:
        rows = matching(region, arch)
        assert rows[0] == choose(region, arch)
        assert {(row.region, row.arch) for row in rows} == {(region, arch)}


@pytest.mark.parametrize(
    ("aki", "arch", "table", "reason"),
    [
        ("aki-5c21674b", "x86_64", "dos", None),
        ("aki-919dcaf8", "x86_64", "dos", "superseded by 1.05"),
        ("aki-5c21674b", "i386", "dos", "64-bit only"),
        ("aki-04206613", "x86_64", "dos", "32-bit only"),
        ("aki-499ccb20", "x86_64", "none", "reads only partitioned images"),
        ("aki-88aa75e1", "x86_64", "dos", "reads only unpartitioned images"),
        (
            "aki-88aa75e1",
            "x86_64",
            "none",
            "superseded by 1.05: cannot read GPT, only gzip kernels, menu.lst in one place",
        ),
        ("aki-88aa75e1", "x86_64", "gpt", "reads only unpartitioned images"),
        ("aki-b4aa75dd", "x86_64", "gpt", "cannot read GPT"),
    ],
)
def test_every_id_that_is_not_chosen_says_why(aki: str, arch: str, table: str, reason: str | None) -> None:
    row = next(row for row in all_akis() if row.aki == aki)
    assert why_not(row, "us-east-1", arch, table) == reason


def test_an_id_of_another_region_is_not_valid_here() -> None:
    row = choose("us-west-2", "x86_64")
    assert why_not(row, "us-east-1", "x86_64") == "valid only in us-west-2"
