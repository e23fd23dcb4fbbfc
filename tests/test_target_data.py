"""The facts about targets: their schema, their sources, and whether they agree with each other and with AWS's data.

What moto and botocore carry was fetched from AWS by others; here it is what our own tables are compared with.
"""

import csv
import gzip
import hashlib
import json
import re
from collections.abc import Iterable
from importlib.metadata import version
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest
from botocore.loaders import Loader

from wizard import presets

FACTS = Path(__file__).resolve().parents[2] / "shared" / "facts"
ARCHITECTURES = ["i386", "x86_64", "arm64"]
OPTIONAL = {"listed", "size", "unverified"}
FIELDS = {
    *("architectures", "virtualization", "hypervisor", "generation", "boot_modes", "nitro_tpm"),
    *("instance_store_root", "ena", "nvme", "source", "date"),
}

INSTANCES: list[dict[str, Any]] = presets.load("instances")["instances"]
PARAVIRTUAL: list[dict[str, Any]] = presets.load("instances")["paravirtual"]
UNVERIFIED: list[dict[str, Any]] = presets.load("instances")["paravirtual_unverified"]
REGIONS: dict[str, dict[str, Any]] = {row["name"]: row for row in presets.load("regions")["region"]}
AKIS: list[dict[str, Any]] = presets.load("akis")["aki"]
UNCONFIRMED: list[dict[str, Any]] = presets.load("akis_unconfirmed")["unconfirmed"]
MISTAKEN: list[dict[str, Any]] = presets.load("akis_unconfirmed")["mistaken"]


def entry(instance_type: str) -> dict[str, Any] | None:
    """What the preset says of a type: under its own name, else as a family's bare metal, else as its family."""
    family, size = instance_type.split(".")
    single = [row for row in INSTANCES if instance_type in row.get("types", ())]
    of_family = [row for row in INSTANCES if family in row.get("families", ())]
    metal = [row for row in of_family if "size" in row and size.startswith("metal")]
    return next(iter([*single, *metal, *(row for row in of_family if "size" not in row)]), None)


def from_aws(resource: str) -> Any:
    """An answer of EC2's that moto carries."""
    return json.loads(gzip.decompress((files("moto.ec2") / "resources" / resource).read_bytes()))


def described(answer: dict[str, Any]) -> dict[str, Any]:
    """One type of DescribeInstanceTypes in the preset's words."""
    supported = answer["ProcessorInfo"]["SupportedArchitectures"]
    return {
        "architectures": [arch for arch in ARCHITECTURES if arch in supported],
        "virtualization": sorted(answer["SupportedVirtualizationTypes"], reverse=True),
        "hypervisor": answer.get("Hypervisor", "none"),
        "boot_modes": sorted(answer["SupportedBootModes"]),
        "nitro_tpm": answer["NitroTpmSupport"] == "supported",
        "instance_store_root": "instance-store" in answer["SupportedRootDeviceTypes"],
        "ena": answer["NetworkInfo"]["EnaSupport"],
        "nvme": answer["EbsInfo"]["NvmeSupport"],
    }


def paravirtual_families(rows: Iterable[dict[str, Any]]) -> set[str]:
    return {name for row in rows if "paravirtual" in row["virtualization"] for name in row.get("families", ())}


def test_every_entry_has_the_fields_of_the_header_and_only_known_words() -> None:
    for row in INSTANCES:
        names = row.get("families", []) or row.get("types", [])
        assert FIELDS | {"families" if "families" in row else "types"} == set(row) - OPTIONAL, names
        assert names == sorted(set(names))
        assert row["architectures"] == [arch for arch in ARCHITECTURES if arch in row["architectures"]] != [], names
        assert row["virtualization"] in (["hvm"], ["paravirtual", "hvm"]), names
        assert row["boot_modes"] in (["legacy-bios"], ["uefi"], ["legacy-bios", "uefi"]), names
        assert row["hypervisor"] in ("xen", "nitro", "none"), names
        assert row["generation"] in ("current", "previous"), names
        assert {row["ena"], row["nvme"]} <= {"unsupported", "supported", "required"}, names
        assert {type(row["nitro_tpm"]), type(row["instance_store_root"])} == {bool}, names
        assert row.get("size", "metal") == "metal", names
        assert row.get("listed", False) is False, names
        assert set(row.get("unverified", ())) <= FIELDS, names


def test_every_fact_has_a_source_and_a_date() -> None:
    table = presets.load("instances")
    for row in [*INSTANCES, *PARAVIRTUAL, *UNVERIFIED, table["instance_store"], *table["ami_options"]]:
        assert row["source"].strip()
        assert re.fullmatch(r"20\d\d-\d\d-\d\d", row["date"])
    for row in [*UNCONFIRMED, *MISTAKEN, *AKIS]:
        assert row["sources"]
        assert all(source.strip() for source in row["sources"])


def test_no_family_and_no_type_is_described_twice() -> None:
    families = [(name, row.get("size")) for row in INSTANCES for name in row.get("families", ())]
    types = [name for row in INSTANCES for name in row.get("types", ())]
    assert len(families) == len(set(families))
    assert len(types) == len(set(types))
    assert {name.split(".")[0] for name in types} <= {family for family, size in families if size is None}


def test_the_facts_of_an_entry_fit_each_other() -> None:
    for row in INSTANCES:
        names = row.get("families", row.get("types"))
        if "paravirtual" in row["virtualization"] or row["instance_store_root"]:
            assert (row["hypervisor"], row["boot_modes"]) == ("xen", ["legacy-bios"]), names
        if "arm64" in row["architectures"]:
            assert (row["architectures"], row["boot_modes"]) == (["arm64"], ["uefi"]), names
        if row["nitro_tpm"]:
            assert row["hypervisor"] == "nitro", names
            assert "uefi" in row["boot_modes"], names
        if row["hypervisor"] != "xen":
            assert row["nvme"] == row["ena"] == "required", names
        assert (row["hypervisor"] == "none") == (row.get("size") == "metal"), names


def test_a_32_bit_paravirtual_ami_starts_on_five_types_only() -> None:
    singles = [name for row in INSTANCES for name in row.get("types", ()) if "i386" in row["architectures"]]
    families = [name for row in INSTANCES for name in row.get("families", ()) if "i386" in row["architectures"]]
    assert families == ["t1"]
    assert [name for name in singles if "paravirtual" in (entry(name) or {})["virtualization"]] == [
        *("c1.medium", "c3.large", "m1.medium", "m1.small")
    ]


def test_every_type_that_aws_describes_is_described_the_same_here() -> None:
    compared = 0
    for name, answer in from_aws("instance_types.json.gz").items():
        row = entry(name)
        if row is None:
            continue
        assert {field: row[field] for field in described(answer)} == described(answer), name
        assert row["generation"] == "current" or not answer["CurrentGeneration"], name
        compared += 1
    assert compared > 1000


def test_only_macos_types_and_types_newer_than_the_table_are_missing_from_it() -> None:
    told = {name.split(".")[0] for row in INSTANCES for name in [*row.get("families", ()), *row.get("types", ())]}
    by_family = {name.split(".")[0]: answer for name, answer in from_aws("instance_types.json.gz").items()}
    missing = {family for family in by_family.keys() - told if not family.startswith("mac")}
    if any(row["source"].startswith(f"getmoto/moto {version('moto')}:") for row in INSTANCES):
        assert not missing
    assert all("paravirtual" not in by_family[family]["SupportedVirtualizationTypes"] for family in missing)


def test_paravirtual_types_are_offered_where_the_table_says() -> None:
    folder = "instance_type_offerings/region"
    offered: dict[str, set[str]] = {}
    for file in (files("moto.ec2") / "resources" / folder).iterdir():
        region = file.name.removesuffix(".json.gz")
        for offer in from_aws(f"{folder}/{file.name}"):
            if "paravirtual" in (entry(offer["InstanceType"]) or {"virtualization": ()})["virtualization"]:
                offered.setdefault(offer["InstanceType"].split(".")[0], set()).add(region)
    assert offered == {family: set(row["regions"]) for row in PARAVIRTUAL for family in row["families"]}


def test_the_regions_of_paravirtual_types_are_those_marked_so_and_each_has_an_aki() -> None:
    sourced = {region for row in PARAVIRTUAL for region in row["regions"]}
    unverified = {row["region"] for row in UNVERIFIED}
    assert sourced | unverified == {name for name, row in REGIONS.items() if row["paravirtual"]}
    assert not sourced & unverified
    assert sourced | unverified <= {row["region"] for row in AKIS}
    still_there = paravirtual_families(row for row in INSTANCES if row.get("listed", True))
    assert {family for row in PARAVIRTUAL for family in row["families"]} == still_there
    assert paravirtual_families(INSTANCES) - still_there == {"hs1"}


def test_every_region_that_botocore_knows_is_in_the_table_and_no_other() -> None:
    endpoints = Loader().load_data("endpoints")
    theirs = {
        name: (partition["partition"], region["description"])
        for partition in endpoints["partitions"]
        if partition["partition"] in ("aws", "aws-cn", "aws-us-gov")
        for name, region in partition["regions"].items()
    }
    ours = {name: (row["partition"], row["long_name"]) for name, row in REGIONS.items()}
    assert not theirs.keys() - ours.keys(), "botocore knows regions that presets/regions.toml lacks: add them there"
    assert not ours.keys() - theirs.keys(), "presets/regions.toml has regions that botocore does not know"
    assert ours == theirs


def test_only_public_regions_without_old_instance_types_need_opting_in() -> None:
    opt_in = {name for name, row in REGIONS.items() if row.get("opt_in", False)}
    assert len(opt_in) == 17
    assert {"af-south-1", "ap-east-1", "me-south-1", "ap-southeast-6", "mx-central-1"} <= opt_in
    assert {REGIONS[name]["partition"] for name in opt_in} == {"aws"}
    assert not opt_in & {row["region"] for row in AKIS}, "AKIs are older than opting in"


def test_register_image_takes_every_option_and_boot_mode_that_the_table_names() -> None:
    shapes = Loader().load_service_model("ec2", "service-2")["shapes"]
    options = {row["option"]: row["values"] for row in presets.load("instances")["ami_options"]}
    members = shapes["RegisterImageRequest"]["members"]
    for option, values in options.items():
        shape = shapes[members[option]["shape"]]
        assert values == (shape["enum"] if shape["type"] == "string" else ["true"])


def digest(rows: Iterable[dict[str, Any]]) -> str:
    lines = [" ".join(row[field] for field in ("region", "arch", "image_name", "aki")) for row in rows]
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()[:16]


def test_the_aki_table_is_the_researched_one_also_where_the_research_is_not_at_hand() -> None:
    assert len(AKIS) == 149
    assert digest(AKIS) == "c00313482042239c"
    if FACTS.is_dir():
        with (FACTS / "akis.csv").open(encoding="utf-8") as file:
            assert digest(csv.DictReader(file)) == digest(AKIS)


def test_an_unconfirmed_id_is_not_in_the_table_and_neither_is_another_for_its_image() -> None:
    assert len({row["aki"] for row in UNCONFIRMED}) == len(UNCONFIRMED) == 6
    images = {(row["region"], row["image_name"]) for row in AKIS}
    for row in UNCONFIRMED:
        assert re.fullmatch(r"aki-[0-9a-f]{8}", row["aki"])
        assert row["region"] in REGIONS
        assert all(row[part] in row["image_name"] for part in ("arch", "version", "device"))
        assert row["aki"] not in {known["aki"] for known in AKIS}
        assert (row["region"], row["image_name"]) not in images


def test_a_mistaken_id_belongs_to_another_image_than_the_one_it_was_listed_for() -> None:
    by_id = {row["aki"]: row for row in AKIS}
    for row in MISTAKEN:
        listed = tuple(row[f"listed_as_{field}"] for field in ("region", "arch", "image_name"))
        is_really, instead = (
            tuple(by_id[aki][field] for field in ("region", "arch", "image_name"))
            for aki in (row["aki"], row["instead"])
        )
        assert instead == listed
        assert is_really != listed
        assert row["why"]


def test_every_id_that_the_research_calls_doubtful_is_explained() -> None:
    if not FACTS.is_dir():
        pytest.skip("the research notes are not beside this checkout")
    with (FACTS / "akis_unconfirmed.csv").open(encoding="utf-8") as file:
        doubtful = {aki for row in csv.DictReader(file) for aki in re.findall(r"aki-[0-9a-f]{8}", row["aki"])}
    assert doubtful
    explained = {row["aki"] for row in [*UNCONFIRMED, *MISTAKEN]}
    assert doubtful - explained == set()
