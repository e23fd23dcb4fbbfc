"""A recipe: every mistake is named at once, and no answer is ever more than an answer."""

import shlex
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from kernels import bzimage

from wizard.explain import Failure
from wizard.plan.actions import CheckAccount, Run, UploadSnapshot, Write
from wizard.plan.build import Occasion, build_id, identity, plan
from wizard.plan.script import action_script, script
from wizard.plan.steps import Plan
from wizard.recipe import Recipe, dumps, from_answers, load, problems_of

SMALLEST = 'name = "first-ami"\n[target]\nregion = "us-east-1"\narch = "x86_64"\n'


def answers(**tables: Any) -> dict[str, Any]:
    target = {"region": "us-east-1", "arch": "x86_64", **tables.pop("target", {})}
    return {"name": "first-ami", "target": target, **tables}


def problems(given_answers: Mapping[str, Any]) -> list[str]:
    return [str(problem) for problem in problems_of(given_answers)]


def written(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "recipe.toml"
    path.write_text(text, encoding="utf-8")
    return path


def test_three_answers_are_enough(tmp_path: Path) -> None:
    recipe = load(written(tmp_path, SMALLEST))
    assert (recipe.target.virtualization, recipe.target.storage, recipe.kernel.source) == ("hvm", "ebs", "distro")


def test_what_was_written_is_read_back_the_same(tmp_path: Path) -> None:
    recipe = from_answers(
        answers(
            target={"virtualization": "paravirtual", "aki": "aki-5c21674b"},
            disk={"layout": "ext3-boot-btrfs-root", "size_gib": 4},
            distro={"packages": ["nginx", "g++"], "mirror": "https://mirror.example.org/debian"},
            system={"hostname": "web-1.example", "ssh_authorized_keys": ["ssh-ed25519 AAAA+/= it's me"]},
        )
    )
    assert load(written(tmp_path, dumps(recipe))) == recipe


def test_every_problem_is_named_at_once_with_the_nearest_spelling() -> None:
    found = problems(
        {
            "name": "x",
            "target": {"region": "us-east-1", "arch": "x86-64", "virtualisation": "hvm"},
            "disk": {"size_gib": "big"},
            "system": {"timezone": "Europe/Berlin", "hostnam": "web"},
            "kernal": {},
        }
    )
    assert any(text.startswith("name: ") for text in found)
    assert any(text.startswith("target.arch: ") and text.endswith("Did you mean x86_64?") for text in found)
    assert "target.virtualisation: nobody knows this key. Did you mean virtualization?" in found
    assert any(text.startswith("disk.size_gib: ") for text in found)
    assert "system.hostnam: nobody knows this key. Did you mean hostname?" in found
    assert "kernal: nobody knows this key. Did you mean kernel?" in found
    assert len(found) == 6


def test_a_misspelling_in_one_place_does_not_hide_what_is_wrong_in_another() -> None:
    found = problems(
        answers(disk={"layuot": "gpt-ext4"}, distro={"release": "bookwrom"}, system={"timezone": "Berlin"})
    )
    assert [text.split(":")[0] for text in found] == ["disk.layuot", "distro.release", "system.timezone"]


def test_a_wrong_type_hides_nothing_that_can_be_judged_without_it() -> None:
    found = problems(
        {
            "name": "some-name",
            "target": {
                **{"region": "us-esat-1", "arch": "arm64", "virtualization": "paravirtual"},
                **{"boot_mode": "uefi", "storage": "S3"},
            },
            "disk": {"layout": "gpt-ext", "size_gib": "8"},
            "distro": {"release": "bookwrm", "packages": "htop"},
            "system": {"timezone": "Europe/Belin"},
        }
    )
    places = ("target.storage", "disk.size_gib", "distro.packages", "target.region", "target.virtualization")
    more = ("target.boot_mode", "distro.release", "disk.layout", "system.timezone")
    assert sorted(text.split(":")[0] for text in found) == sorted((*places, *more))
    assert any("Did you mean us-east-1?" in text for text in found)


@pytest.mark.parametrize("mirror", ["htp:/x", "mirror.example.org/debian", "javascript:x", "https:/x"])
def test_a_mirror_is_an_address_that_apt_can_ask(mirror: str) -> None:
    assert [text.split(":")[0] for text in problems(answers(distro={"mirror": mirror}))] == ["distro.mirror"]


def test_a_misspelt_key_is_not_also_called_missing() -> None:
    assert problems(answers(kernel={"sorce": "files", "image": "bzImage"})) == [
        "kernel.sorce: nobody knows this key. Did you mean source?"
    ]


def test_a_key_outside_of_its_table_is_told_where_it_belongs() -> None:
    found = {one.place: one.suggestion for one in problems_of({"name": "web", "region": "us-east-1"})}
    assert found["region"] == "target.region"


@pytest.mark.parametrize("missing", ["name", "target.region", "target.arch"])
def test_the_three_needed_answers_are_asked_for_by_name(missing: str) -> None:
    given_answers = answers()
    table, _, key = missing.rpartition(".")
    del (given_answers[table] if table else given_answers)[key]
    assert problems(given_answers) == [f"{missing}: is needed and not given."]


def test_arm64_is_never_paravirtual() -> None:
    found = problems(answers(target={"arch": "arm64", "virtualization": "paravirtual"}, disk={"size_gb": 4}))
    assert any(text.startswith("target.") and "arm64" in text for text in found)
    assert any(text.startswith("disk.size_gb: ") for text in found)


def test_an_instance_store_image_cannot_ask_for_uefi() -> None:
    found = problems(answers(target={"storage": "s3", "boot_mode": "uefi"}))
    assert any(text.startswith("target.") for text in found)


@pytest.mark.parametrize("size", ["8", 8.0, True, 0, -1, 16385])
def test_a_size_is_a_whole_number_of_gib_that_a_volume_can_have(size: object) -> None:
    assert any(text.startswith("disk.size_gib: ") for text in problems(answers(disk={"size_gib": size})))


@pytest.mark.parametrize(
    ("tables", "said"),
    [
        ({"disk": {"size_gib": "8"}}, "disk.size_gib: is '8'; it must be a whole number, without quotes."),
        ({"disk": {"size_gib": 0}}, "disk.size_gib: is 0; it must be at least 1."),
        ({"distro": {"packages": "nginx"}}, 'distro.packages: is \'nginx\'; it must be a list: ["…", "…"].'),
        ({"system": {"hostname": 7}}, "system.hostname: is 7; it must be a text in quotes."),
        (
            {"system": {"hostname": "a_b"}},
            "system.hostname: is 'a_b', which cannot stand there; a right one is like web.",
        ),
    ],
)
def test_a_mistake_is_explained_in_words_of_the_recipe(tables: dict[str, Any], said: str) -> None:
    assert problems(answers(**tables)) == [said]


def test_a_text_that_is_not_toml_is_refused_with_its_line(tmp_path: Path) -> None:
    with pytest.raises(Failure) as caught:
        load(written(tmp_path, "name = 'a'\nregion us-east-1\n"))
    assert caught.value.code == "bad-recipe"
    assert "line 2" in caught.value.evidence[0]


@pytest.mark.parametrize("kind", ["missing", "folder", "not text"])
def test_a_recipe_that_cannot_be_read_is_refused(tmp_path: Path, kind: str) -> None:
    path = tmp_path if kind == "folder" else tmp_path / "recipe.toml"
    if kind == "not text":
        path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(Failure) as caught:
        load(path)
    assert caught.value.code == "unreadable-recipe"


def test_relative_paths_are_taken_from_the_recipes_folder(tmp_path: Path) -> None:
    (tmp_path / "bzImage").write_bytes(bzimage(b"a kernel"))
    recipe = load(written(tmp_path, f'{SMALLEST}[kernel]\nsource = "files"\nimage = "bzImage"\n'))
    assert recipe.kernel.image == str(tmp_path / "bzImage")


def test_a_file_that_is_no_kernel_is_said_before_anything_is_built(tmp_path: Path) -> None:
    (tmp_path / "bzImage").write_bytes(b"hello")
    with pytest.raises(Failure) as caught:
        load(written(tmp_path, f'{SMALLEST}[kernel]\nsource = "files"\nimage = "bzImage"\n'))
    assert "kernel.image" in caught.value.evidence[0]
    assert "is not a Linux kernel" in caught.value.evidence[0]


def test_a_home_that_nobody_has_is_a_file_that_is_not_there(tmp_path: Path) -> None:
    path = written(tmp_path, f'{SMALLEST}[kernel]\nsource = "files"\nimage = "~nobody-of-this-name/bzImage"\n')
    with pytest.raises(Failure) as caught:
        load(path)
    assert "kernel.image: there is no" in caught.value.evidence[0]


# What follows proves that an answer stays one word wherever it is used.  Each field, with text around the noise that
# makes an answer well-formed if only the noise is.
FIELDS = {
    "name": "ami-{}-x",
    "target.region": "us-{}-1",
    "target.aki": "aki-5c21674b{}",
    "disk.layout": "gpt{}ext4",
    "distro.release": "bookworm{}",
    "distro.mirror": "http://mirror.example.org/{}/debian",
    "distro.packages": "nginx{}full",
    "system.hostname": "web{}a",
    "system.ssh_authorized_keys": "ssh-ed25519 AAAA me{}x",
    "system.timezone": "UTC{}",
    "system.locale": "de{}DE.UTF-8",
}
NOISE = st.one_of(
    st.text(alphabet=" \t\n\r\0'\"`$(){}[]<>|&;#!*?~\\=,:/.-_@%^+aE", max_size=8),
    st.sampled_from(["'; id; '", "$(id)", "`id`", "\nEND\nid\n", "' || id", "\\", "&& id", "${IFS}", "-o", "\r\nid"]),
)


def with_answer(place: str, text: str) -> dict[str, Any]:
    """A recipe's tables with that text in that place."""
    made = answers()
    table, _, key = place.rpartition(".")
    where = made.setdefault(table, {}) if table else made
    where[key] = [text] if key in ("packages", "ssh_authorized_keys") else text
    return made


def plan_of(recipe: Recipe) -> Plan:
    return plan(recipe, Occasion(build_id(recipe, practice=True), "2026-11-23"))


def accepted(place: str, text: str) -> Recipe | None:
    try:
        return from_answers(with_answer(place, text))
    except Failure as failure:
        assert failure.code == "bad-recipe"
        return None


@pytest.mark.parametrize("place", FIELDS)
@settings(max_examples=25, deadline=None)
@given(noise=NOISE)
def test_no_answer_is_ever_more_than_one_word_of_a_command(place: str, noise: str) -> None:
    recipe, plain = (
        accepted(place, FIELDS[place].format(f"qzq{noise}qzq")),
        accepted(place, FIELDS[place].format("qzq")),
    )
    if recipe is None:
        return
    assert plain is not None
    commands, plain_commands = commands_of(recipe), commands_of(plain)
    assert list(map(shape, commands)) == list(map(shape, plain_commands))
    for command in commands:
        # Double quotes keep these special, so no count of words would tell.
        assert f"qzq{noise}" not in command or not set("$`\\").intersection(noise)
    assert subprocess.run(["bash", "-n"], input=script(plan_of(recipe)).encode(), check=False).returncode == 0


def commands_of(recipe: Recipe) -> list[str]:
    """Every command, those to AWS too; texts that become files have a test of their own below."""
    actions = [action for step in plan_of(recipe).steps for action in step.actions]
    return [action_script(action) for action in actions if isinstance(action, Run | CheckAccount | UploadSnapshot)]


def shape(command: str) -> list[int]:
    """How many words a command has: one for each, and for mmdebstrap's hooks, which are commands themselves, theirs."""
    return [len(shlex.split(word)) if "-hook=" in word else 1 for word in shlex.split(command)]


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(noise=NOISE)
def test_an_answer_arrives_in_a_file_of_the_script_as_it_is(noise: str, tmp_path: Path) -> None:
    recipe = accepted("system.ssh_authorized_keys", f"ssh-ed25519 AAAA me{noise}")
    if recipe is None:
        return
    writes = [action for action in plan_of(recipe).step("system").actions if isinstance(action, Write)]
    keys = next(action for action in writes if action.path.endswith("authorized_keys"))
    (tmp_path / keys.path).parent.mkdir(parents=True, exist_ok=True)
    subprocess.run(["bash", "-euc", action_script(keys)], cwd=tmp_path, check=True)
    assert (tmp_path / keys.path).read_text(encoding="utf-8") == f"ssh-ed25519 AAAA me{noise}\n"


@pytest.mark.parametrize("key", ["image", "config", "modules"])
@pytest.mark.parametrize("bad", ["a\nb", "a\0b", "a\x1b[2Jb", ""])
def test_a_path_has_no_control_characters(key: str, bad: str) -> None:
    assert any(text.startswith(f"kernel.{key}: ") for text in problems(answers(kernel={"source": "files", key: bad})))


def test_a_misspelt_architecture_does_not_hide_a_misspelt_region() -> None:
    answers = {"name": "both", "target": {"region": "us-eats-1", "arch": "x86-64"}}
    assert {problem.place: problem.suggestion for problem in problems_of(answers)} == {
        "target.arch": "x86_64",
        "target.region": "us-east-1",
    }


def test_of_an_impossible_target_only_the_cause_is_told() -> None:
    target = {"region": "us-east-1", "arch": "arm64", "virtualization": "paravirtual"}
    assert [problem.place for problem in problems_of({"name": "cause", "target": target})] == ["target.virtualization"]


OWN = {
    "table": "gpt",
    "partitions": [
        {"number": 14, "filesystem": "bios-boot", "size_mib": 1},
        {"number": 15, "filesystem": "vfat", "mount": "/boot/efi", "size_mib": 64},
        {"filesystem": "btrfs", "mount": "/", "options": "compress=zstd", "subvolumes": ["home", "var/log"]},
    ],
}


def test_partitions_of_ones_own_are_read_back_the_same(tmp_path: Path) -> None:
    recipe = from_answers(answers(disk={**OWN, "size_gib": 4}))
    assert load(written(tmp_path, dumps(recipe))) == recipe


def test_what_a_partition_leaves_out_is_filled_in_and_changes_no_identity() -> None:
    silent = from_answers(answers(disk={"partitions": [{"filesystem": "ext4", "mount": "/"}], "table": "dos"}))
    spoken = {"number": 1, "name": "root", "label": "root", "filesystem": "ext4", "mount": "/", "options": "defaults"}
    assert identity(silent) == identity(from_answers(answers(disk={"partitions": [spoken], "table": "dos"})))
    assert identity(silent) != identity(from_answers(answers(disk={"layout": "single-ext4"})))


def test_every_mistake_in_a_partition_is_named_with_its_place() -> None:
    wrong = {"filesystm": "ext4", "filesystem": "ext5", "mount": "/srv/../etc", "options": "a b", "size_mib": 0}
    found = {problem.place: problem.suggestion for problem in problems_of(answers(disk={"partitions": [wrong]}))}
    assert found == {
        "disk.partitions.1.filesystm": "filesystem",
        "disk.partitions.1.filesystem": "ext4",
        "disk.partitions.1.mount": None,
        "disk.partitions.1.options": None,
        "disk.partitions.1.size_mib": None,
    }


@pytest.mark.parametrize(
    ("disk", "place", "words"),
    [
        ({"partitions": {"filesystem": "ext4"}}, "disk.partitions", "[[disk.partitions]]"),
        ({"partitions": []}, "disk.partitions", "empty"),
        ({"table": "gpt"}, "disk.table", "there are none"),
        ({**OWN, "layout": "gpt-ext4"}, "disk.layout", "leave one of them out"),
    ],
)
def test_partitions_that_are_half_given_are_refused(disk: dict[str, Any], place: str, words: str) -> None:
    [problem] = problems_of(answers(disk=disk))
    assert problem.place == place
    assert words in problem.message


@pytest.mark.parametrize("arch", ["arm64", "i386"])
def test_a_distribution_is_not_taken_for_an_architecture_that_it_does_not_have(arch: str) -> None:
    found = problems(answers(target={"arch": arch}, distro={"name": "arch", "release": "rolling"}))
    assert found == ["distro.name: Arch Linux is made for x86_64 only."]
