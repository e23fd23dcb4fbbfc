"""`[publish]` in a recipe: what it may say, what follows from it, and that nothing follows where it is not."""

import json
import subprocess
from collections.abc import Mapping
from typing import Any

import pytest

from wizard import questions
from wizard.plan.actions import CopyImage
from wizard.plan.build import Occasion, identity, plan
from wizard.plan.prose import prose
from wizard.plan.publish.prose import in_short
from wizard.plan.script import action_script, script
from wizard.plan.steps import Plan, plan_as_dict
from wizard.recipe import Recipe, dumps, from_answers, problems_of

OCCASION = Occasion("a-build", "2026-11-24")
KEY = "arn:aws:kms:us-east-1:123456789012:key"
ORGANIZATION = "arn:aws:organizations::123456789012:organization/o-abcdefghij"
EVERYTHING: Mapping[str, Any] = {
    "regions": ["eu-west-1", "ap-southeast-2"],
    "share_with": ["everyone", "999988887777"],
    "deprecate_after_days": 90,
    "protect": True,
    "cooldown": True,
    "ssm_parameter": "/images/web",
}


def answers(publish: Mapping[str, Any] | None = None, **target: Any) -> dict[str, Any]:
    after = {} if publish is None else {"publish": dict(publish)}
    return {"name": "web", "target": {"region": "us-east-1", "arch": "x86_64", **target}, **after}


def recipe(publish: Mapping[str, Any] | None = None, **target: Any) -> Recipe:
    return from_answers(answers(publish, **target))


def made(publish: Mapping[str, Any] | None = None, **target: Any) -> Plan:
    return plan(recipe(publish, **target), OCCASION)


# Without it


def test_a_build_without_it_is_what_it_was() -> None:
    assert "publish" not in dumps(recipe())
    assert [step.id for step in made().steps][-2:] == ["snapshot", "register"]
    assert len(made().steps[0].actions) == 1


def test_an_empty_one_asks_for_nothing() -> None:
    assert made({}).keys() == made().keys()


def test_it_changes_nothing_that_is_made_before_it() -> None:
    """The image has the same ids, and what was made once is used again."""
    assert identity(recipe(EVERYTHING)) == identity(recipe())
    before, after = made().keys(), made(EVERYTHING).keys()
    assert {step for step in before if before[step] != after[step]} == {"account"}


def test_it_is_written_and_read_back_the_same() -> None:
    chosen = recipe(EVERYTHING)
    assert "[publish]" in dumps(chosen)
    assert questions.recipe(questions.answers_of(chosen)).publish == chosen.publish
    assert questions.recipe(questions.known(questions.answers_of(chosen))).publish == chosen.publish


def test_a_damaged_draft_of_it_is_left_out() -> None:
    assert "publish" not in questions.known({"publish": "{damaged"})


def test_an_encrypted_recipe_stays_encrypted_through_the_screens() -> None:
    chosen = recipe(encrypted=True, kms_key=f"{KEY}/0f3a")
    again = questions.recipe(questions.answers_of(chosen)).target
    assert (again.encrypted, again.kms_key) == (True, f"{KEY}/0f3a")


# What it may say


@pytest.mark.parametrize(
    ("publish", "target", "place", "said"),
    [
        ({"regions": ["eu-wst-1"]}, {}, "regions", "Did you mean eu-west-1?"),
        ({"regions": ["us-east-1"]}, {}, "regions", "is where the AMI is made"),
        ({"regions": ["eu-west-1", "eu-west-1"]}, {}, "regions", "twice"),
        ({"regions": ["cn-north-1"]}, {}, "regions", "AWS copies no AMI across"),
        ({"regions": ["eu-central-2"]}, {"virtualization": "paravirtual"}, "regions", "starts no paravirtual"),
        ({"regions": "eu-west-1"}, {}, "regions", "must be a list"),
        ({"share_with": ["12345"]}, {}, "share_with.1", "a right one is like 123456789012"),
        ({"share_with": [123456789012]}, {}, "share_with.1", "text in quotes"),
        ({"share_with": ["Everyone"]}, {}, "share_with.1", "everyone"),
        ({"share_with": [ORGANIZATION.replace("aws", "aws-cn")]}, {}, "share_with", "belongs to aws-cn"),
        ({"share_with": ["everyone"]}, {"encrypted": True, "kms_key": f"{KEY}/1"}, "share_with", "no encrypted AMI"),
        ({"share_with": ["999988887777"]}, {"encrypted": True}, "share_with", "default key"),
        (
            {"share_with": ["999988887777"]},
            {"encrypted": True, "kms_key": KEY.replace(":key", ":alias/aws/ebs")},
            "share_with",
            "default key",
        ),
        (
            {"share_with": ["999988887777"], "regions": ["eu-west-1"]},
            {"encrypted": True, "kms_key": f"{KEY}/0f3a"},
            "share_with",
            "multi-Region key",
        ),
        ({"deprecate_after_days": 0}, {}, "deprecate_after_days", "at least 1"),
        ({"deprecate_after_days": 3651}, {}, "deprecate_after_days", "at most 3650"),
        ({"deprecate_after_days": 900, "share_with": ["everyone"]}, {}, "deprecate_after_days", "two years"),
        ({"cooldown": True}, {}, "cooldown", "protect = true"),
        ({"ssm_parameter": "images/web"}, {}, "ssm_parameter", "a right one is like /images/web"),
        ({"ssm_parameter": "/aws/web"}, {}, "ssm_parameter", "AWS's own"),
        ({"ssm_parameter": "/images/my web"}, {}, "ssm_parameter", "a right one"),
        ({"share": ["everyone"]}, {}, "share", "Did you mean share_with?"),
    ],
)
def test_what_does_not_go_is_said_with_the_reason(
    publish: dict[str, Any], target: dict[str, Any], place: str, said: str
) -> None:
    found = [str(problem) for problem in problems_of(answers(publish, **target))]
    assert [one.split(":")[0] for one in found] == [f"publish.{place}"]
    assert said in found[0]


def test_copies_of_an_s3_backed_ami_are_refused_as_nothing_would_remove_their_buckets() -> None:
    given = answers({"regions": ["eu-west-1"]}, storage="s3", virtualization="paravirtual")
    found = {problem.place: problem.message for problem in problems_of(given)}
    assert "buckets of its own" in found["publish.regions"]


@pytest.mark.parametrize(
    ("publish", "target"),
    [
        (EVERYTHING, {}),
        ({"regions": ["eu-west-1"]}, {"virtualization": "paravirtual"}),
        ({"share_with": ["999988887777"]}, {"encrypted": True, "kms_key": f"{KEY}/0f3a"}),
        ({"share_with": ["999988887777"], "regions": ["eu-west-1"]}, {"encrypted": True, "kms_key": f"{KEY}/mrk-0f3a"}),
        ({"share_with": [ORGANIZATION, ORGANIZATION.replace("organization/", "ou/") + "/ou-abcd-12345678"]}, {}),
        ({"regions": ["cn-northwest-1"]}, {"region": "cn-north-1"}),
    ],
    ids=["everything", "paravirtual", "own key", "multi-Region key", "organization", "China"],
)
def test_what_goes_is_taken(publish: dict[str, Any], target: dict[str, Any]) -> None:
    assert list(problems_of(answers(publish, **target))) == []


# What follows from it


def test_copies_wait_for_the_registration_alone_and_so_run_side_by_side() -> None:
    steps = {step.id: step for step in made(EVERYTHING).steps}
    for region in EVERYTHING["regions"]:
        assert steps[f"copy-{region}"].waits_for == ("register",)
    places = ("register", "copy-eu-west-1", "copy-ap-southeast-2")
    assert [steps[one].needs for one in ("share", "deprecate", "protect", "parameter")] == [places] * 4
    assert steps["parameter"].after == ("share", "deprecate", "protect")


def test_every_region_gets_everything() -> None:
    steps = {step.id: step for step in made(EVERYTHING).steps}
    everywhere = ["us-east-1", *EVERYTHING["regions"]]
    for step in ("share", "deprecate", "protect", "parameter"):
        assert [action["region"] for action in actions_of(steps[step].id)] == everywhere
    assert [action["region"] for action in actions_of("account")] == ["us-east-1", *everywhere]


def actions_of(step_id: str) -> list[dict[str, Any]]:
    steps = plan_as_dict(made(EVERYTHING))["steps"]
    found: list[dict[str, Any]] = next(step["actions"] for step in steps if step["id"] == step_id)
    return found


def copied(**target: Any) -> Mapping[str, Any]:
    action = made({"regions": ["eu-west-1"]}, **target).step("copy-eu-west-1").actions[0]
    assert isinstance(action, CopyImage)
    return action.parameters


def test_a_copy_of_what_is_encrypted_is_encrypted_by_a_key_of_its_own_region() -> None:
    assert "Encrypted" not in copied()
    by_default = copied(encrypted=True, kms_key=f"{KEY}/0f3a")
    assert (by_default["Encrypted"], by_default.get("KmsKeyId")) == (True, None)
    by_replica = copied(encrypted=True, kms_key=f"{KEY}/mrk-0f3a")
    assert by_replica["KmsKeyId"] == f"{KEY}/mrk-0f3a".replace("us-east-1", "eu-west-1")


def test_all_of_it_is_told_in_prose_and_in_short() -> None:
    told = prose(made(EVERYTHING))
    for call in (
        "ec2:CopyImage in eu-west-1",
        "ec2:ModifyImageAttribute in us-east-1: everyone may launch it",
        "ec2:EnableImageDeprecation in ap-southeast-2",
        "ec2:EnableImageDeregistrationProtection in eu-west-1, with a cooldown of 24 hours",
        "ssm:PutParameter in us-east-1: /images/web",
        "ec2:GetImageBlockPublicAccessState in eu-west-1",
    ):
        assert f"AWS {call}" in told
    assert in_short(None) == in_short(recipe({}).publish) == ""
    assert "copied to eu-west-1, ap-southeast-2" in in_short(recipe(EVERYTHING).publish)
    assert "shared with everyone" in in_short(recipe(EVERYTHING).publish)


def test_a_key_of_one_s_own_is_not_held_against_the_account_s_default_one() -> None:
    chosen = {"share_with": ["999988887777"]}
    assert "GetEbsEncryptionByDefault" in prose(made(chosen))
    assert "GetEbsEncryptionByDefault" not in prose(made(chosen, encrypted=True, kms_key=f"{KEY}/0f3a"))


# The script


def test_bash_accepts_the_script() -> None:
    checked = subprocess.run(["bash", "-n"], input=script(made(EVERYTHING)), text=True, capture_output=True)
    assert checked.returncode == 0, checked.stderr


def test_the_script_asks_aws_for_the_same(tmp_path: Any) -> None:
    """Run with an `aws` that writes down what it is asked, and answers as AWS would."""
    for folder in FOLDERS:
        (tmp_path / folder).mkdir()
    (tmp_path / "register/image-id").write_text("ami-1\n")
    (tmp_path / "aws").write_text(AWS)
    (tmp_path / "aws").chmod(0o755)
    wanted = made({**EVERYTHING, "regions": ["eu-west-1"]})
    behind = [step for step in wanted.steps if step.id in FOLDERS[2:]]
    actions = [*wanted.step("account").actions[1:], *(action for step in behind for action in step.actions)]
    text = "\n".join(["set -euo pipefail", *map(action_script, actions)])

    ran = subprocess.run(
        ["bash", "-c", text], cwd=tmp_path, capture_output=True, text=True, env={"PATH": f"{tmp_path}:/usr/bin:/bin"}
    )

    assert ran.returncode == 0, ran.stderr
    asked = (tmp_path / "asked").read_text().splitlines()
    (copy,) = [line for line in asked if line.startswith("ec2 copy-image") and "--dry-run" not in line]
    assert copy.startswith("ec2 copy-image --region eu-west-1 --cli-input-json file://copy-eu-west-1/request.json ")
    request = json.loads((tmp_path / "copy-eu-west-1/request.json").read_text())
    assert request == {**copied(), "SourceImageId": "ami-1"}
    everyone = json.dumps({"Add": [{"Group": "all"}, {"UserId": "999988887777"}]})
    for region, image_id in (("us-east-1", "ami-1"), ("eu-west-1", "ami-2")):
        on = f"--region {region} --image-id {image_id}"
        assert f"ec2 modify-image-attribute {on} --launch-permission {everyone}" in asked
        assert f"ec2 enable-image-deprecation {on} --deprecate-at 2027-02-22T22:00:00Z" in asked
        assert f"ec2 enable-image-deregistration-protection {on} --with-cooldown" in asked
        put = [line for line in asked if line.startswith(f"ssm put-parameter --region {region}")]
        assert put == [
            f"ssm put-parameter --region {region} --name /images/web --type String --data-type aws:ec2:image "
            f"--value {image_id} --overwrite"
        ]


FOLDERS = ("account", "register", "copy-eu-west-1", "share", "deprecate", "protect", "parameter")

AWS = """\
#!/bin/bash
echo "$*" >> asked
case "$*" in
  *--dry-run*) exit 255;;
  *get-ebs-encryption-by-default*) echo False;;
  *get-image-block-public-access-state*) echo unblocked;;
  *Parameter.DataType*) echo aws:ec2:image;;
  *Parameter.Value*us-east-1*|*us-east-1*Parameter.Value*) echo ami-1;;
  *Parameter.Value*) echo ami-2;;
  *copy-image*) echo ami-2;;
  *CreationDate*) echo 2026-11-24T22:00:07.000Z;;
  *State*) echo available;;
esac
"""
