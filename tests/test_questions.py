"""The questions: defaults that boot, impossible options with their reason, answers that are kept and marked."""

from pathlib import Path

import pytest
from unbundle import key_pair

from wizard import questions
from wizard.plan.defaults import layout_of
from wizard.recipe import Recipe, from_answers


@pytest.fixture(autouse=True)
def _own_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AMI_WIZARD_HOME", str(tmp_path))
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    monkeypatch.delenv("AWS_REGION", raising=False)
    monkeypatch.delenv("AWS_DEFAULT_REGION", raising=False)


@pytest.mark.parametrize(
    "answers",
    [
        {},
        {"target.arch": "arm64"},
        {"target.arch": "x86_64", "target.virtualization": "paravirtual"},
    ],
)
def test_no_further_answer_is_needed_to_make_a_recipe(answers: dict[str, str]) -> None:
    assert isinstance(questions.recipe(answers), Recipe)


def test_every_question_has_words_and_an_example() -> None:
    for question in questions.QUESTIONS:
        assert question.label and question.help and question.example, question.path


def test_a_default_says_where_it_came_from(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-west-1")
    region = next(one for one in questions.QUESTIONS if one.path == "target.region").default({})
    assert (region.value, region.origin) == ("eu-west-1", "from AWS_DEFAULT_REGION")


def test_the_default_region_of_a_paravirtual_ami_is_one_that_has_an_aki(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_REGION", "eu-south-1")
    answers = {"target.arch": "x86_64", "target.virtualization": "paravirtual"}
    assert questions.value("target.region", answers).startswith("eu-")
    assert questions.recipe(answers)


def test_an_impossible_option_says_why() -> None:
    question = next(one for one in questions.QUESTIONS if one.path == "target.virtualization")
    options = {option.value: option.impossible for option in question.options({"target.arch": "arm64"})}
    assert options["hvm"] == ""
    assert "Graviton" in options["paravirtual"]


def test_an_answer_that_a_later_one_makes_impossible_is_marked_and_kept() -> None:
    answers = {"disk.layout": "gpt-ext4", "target.arch": "x86_64", "target.virtualization": "paravirtual"}
    assert set(questions.invalid(answers)) == {"disk.layout"}
    assert answers["disk.layout"] == "gpt-ext4"


@pytest.mark.parametrize(
    ("path", "text"), [("name", "a"), ("disk.size_gib", "many"), ("system.hostname", "not a name")]
)
def test_a_wrong_answer_is_refused_in_words(path: str, text: str) -> None:
    assert questions.problem(path, text, {})


def test_a_path_is_taken_from_where_the_user_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    tables = questions.tables({"kernel.source": "files", "kernel.image": "bzImage"})
    assert tables["kernel"]["image"] == str(tmp_path / "bzImage")


def test_a_recipe_gives_back_the_answers_that_made_it() -> None:
    answers = {"target.arch": "x86_64", "target.virtualization": "paravirtual", "disk.size_gib": "3", "name": "mine"}
    assert answers.items() <= questions.answers_of(questions.recipe(answers)).items()


def test_answers_from_a_file_that_no_question_offers_are_left_out() -> None:
    kept = questions.known({"target.arch": "vax", "target.region": "[red]", "name": "mine", "nobody.asks": "x"})
    assert kept == {"name": "mine"}


def test_a_region_in_the_environment_that_nobody_knows_is_said_and_not_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_REGION", "[red] nowhere")
    region = next(one for one in questions.QUESTIONS if one.path == "target.region").default({})
    assert region.value == "us-east-1"
    assert "nowhere" in region.origin


def test_answers_from_a_file_hold_nothing_that_does_not_print() -> None:
    assert questions.known({"name": "mi\x1b[2Jne\x07"}) == {"name": "mi[2Jne"}


def test_answers_of_a_recipe_that_no_screen_asks_for_are_carried_along() -> None:
    given = from_answers(
        {
            "name": "carried",
            "target": {"region": "us-east-1", "arch": "x86_64", "virtualization": "paravirtual", "aki": "aki-919dcaf8"},
            "distro": {"mirror": "http://deb.example.org/debian"},
            "system": {
                "ssh_authorized_keys": ["ssh-ed25519 AAAA one", "ssh-ed25519 BBBB two"],
                "locale": "de_DE.UTF-8",
            },
        }
    )
    again = questions.recipe(questions.answers_of(given))
    assert again.target.aki == given.target.aki
    assert again.distro.mirror == given.distro.mirror
    assert again.system == given.system


def test_partitions_of_ones_own_are_an_answer_that_gives_back_the_recipe() -> None:
    given = from_answers(
        {
            "name": "own-disk",
            "target": {"region": "us-east-1", "arch": "x86_64", "boot_mode": "legacy-bios"},
            "disk": {"table": "dos", "partitions": [{"filesystem": "ext4", "mount": "/"}]},
        }
    )
    answers = questions.answers_of(given)
    assert answers["disk.layout"] == "own"
    again = questions.recipe(questions.known(answers))
    assert layout_of(again.target, again.disk) == layout_of(given.target, given.disk)


def test_a_preset_chosen_instead_leaves_ones_own_partitions_to_come_back_to() -> None:
    own = 'table = "dos"\n[[partitions]]\nfilesystem = "ext4"\nmount = "/"\n'
    answers = questions.known({"disk.layout": "gpt-ext4", "disk.partitions": own})
    assert questions.recipe(answers).disk.partitions is None
    assert "own" in [option.value for option in questions.find("disk.layout").options(answers)]


def test_partitions_that_cannot_be_read_are_not_offered() -> None:
    assert questions.known({"disk.layout": "own", "disk.partitions": "[[partitions]\nfilesystem = 7"}) == {}


def test_a_bucket_and_a_key_pair_are_asked_for_where_the_root_disk_comes_from_s3() -> None:
    paths = {"bundle.bucket", "bundle.certificate", "bundle.private_key"}
    assert paths.isdisjoint(question.path for question in questions.ask("target", {}))
    in_s3 = {"target.arch": "x86_64", "target.virtualization": "paravirtual", "target.storage": "s3"}
    assert paths <= {question.path for question in questions.ask("target", in_s3)}
    assert "needed" in (questions.problem("bundle.bucket", "", in_s3) or "")
    assert questions.problem("bundle.bucket", "my-images", in_s3) is None


def test_the_answers_of_an_s3_backed_ami_come_back_from_its_recipe(tmp_path: Path) -> None:
    pem = key_pair(tmp_path, "user")
    answers = {
        "target.arch": "x86_64",
        "target.virtualization": "paravirtual",
        "target.storage": "s3",
        "bundle.bucket": "my-images",
        "bundle.certificate": str(pem.certificate),
        "bundle.private_key": str(pem.private_key),
        "bundle.prefix": "images/web",
    }
    given = questions.answers_of(questions.recipe(answers))
    assert {path: given[path] for path in answers} == answers
    assert questions.recipe({**given, "target.storage": "ebs"}).bundle is None


def test_what_no_screen_asks_for_is_carried_through_the_answers() -> None:
    more = {"prove": False, "launch": {}, "publish": {"protect": True}}
    given = from_answers({"name": "carried", "target": {"region": "us-east-1", "arch": "x86_64"}, **more})
    kept = questions.recipe(questions.known(questions.answers_of(given)))
    assert (kept.prove, kept.launch, kept.publish) == (False, given.launch, given.publish)
