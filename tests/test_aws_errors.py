"""Whatever AWS or botocore raises becomes an explanation with a next step."""

import os
import re
import sys
from pathlib import Path
from typing import Any

import click
import pytest
from botocore import exceptions as boto
from botocore.exceptions import BotoCoreError, ClientError

from wizard import presets
from wizard.cli import cli
from wizard.cloud import actions
from wizard.cloud.actions import perform
from wizard.cloud.errors import as_failure, aws_errors
from wizard.cloud.session import client, identity
from wizard.explain import Failure, explain
from wizard.plan.actions import CheckAccount
from wizard.run.journal import Journal

DENIED = (
    "User: arn:aws:iam::123456789012:user/me is not authorized to perform: ec2:CreateTags on resource: "
    "arn:aws:ec2:eu-west-1:123456789012:image/* with an explicit deny in a service control policy"
)

BY_AWS = [
    ("ExpiredTokenException", "The security token included in the request is expired", "expired-credentials"),
    ("RequestExpired", "Request has expired.", "expired-credentials"),
    ("AuthFailure", "AWS was not able to validate the provided access credentials", "invalid-credentials"),
    ("UnauthorizedOperation", "You are not authorized to perform this operation.", "access-denied"),
    ("AccessDeniedException", DENIED, "access-denied"),
    ("RequestThrottledException", "Rate exceeded", "throttled"),
    ("RequestLimitExceeded", "Request limit exceeded.", "throttled"),
    ("PendingSnapshotLimitExceeded", "Maximum allowed in-progress snapshots exceeded.", "quota-exceeded"),
    ("ConcurrentLimitExceededException", "", "quota-exceeded"),
    ("ServiceQuotaExceededException", "", "quota-exceeded"),
    ("InvalidAMIName.Duplicate", "AMI name x is already in use by AMI ami-0123", "duplicate-ami-name"),
    ("InvalidAMIID.NotFound", "The image id '[aki-12345678]' does not exist", "invalid-aki"),
    ("InvalidManifest", "Invalid or unaccessible kernel id in ami manifest", "invalid-aki"),
    ("InvalidAMIID.NotFound", "The image id '[ami-12345678]' does not exist", "aws-refused"),
    ("OptInRequired", "You are not subscribed to this service.", "region-not-usable"),
    ("ServiceUnavailable", "", "no-network-to-aws"),
    ("SomethingNew", "never heard of", "aws-refused"),
]

URL = "https://ec2.eu-west-1.amazonaws.com"

BY_BOTOCORE: list[tuple[BotoCoreError, str]] = [
    (boto.NoCredentialsError(), "no-credentials"),
    (boto.ProfileNotFound(profile="gone"), "no-credentials"),
    (boto.UnauthorizedSSOTokenError(), "expired-credentials"),
    (boto.SSOTokenLoadError(profile_name="dev", error_msg="expired"), "expired-credentials"),
    (boto.EndpointConnectionError(endpoint_url=URL), "no-network-to-aws"),
    (boto.ReadTimeoutError(endpoint_url=URL), "no-network-to-aws"),
    (boto.ConnectionClosedError(endpoint_url=URL), "no-network-to-aws"),
    (boto.SSLError(endpoint_url=URL, error=OSError("bad certificate")), "no-network-to-aws"),
    (boto.InvalidRegionError(region_name="eu west 1"), "region-not-usable"),
]


@pytest.mark.parametrize(("theirs", "message", "ours"), BY_AWS)
def test_an_answer_of_aws_becomes_a_failure_with_its_words_as_evidence(theirs: str, message: str, ours: str) -> None:
    failure = as_failure(refusal(theirs, message), "RegisterImage", "eu-west-1")

    assert failure.code == ours
    assert failure.evidence == (f"{theirs}: {message}",)


@pytest.mark.parametrize(("error", "ours"), BY_BOTOCORE, ids=lambda item: type(item).__name__)
def test_an_error_of_botocore_becomes_a_failure(error: BotoCoreError, ours: str) -> None:
    assert as_failure(error, "RegisterImage", "eu-west-1").code == ours


def test_a_region_that_does_not_exist_is_not_taken_for_a_dead_network() -> None:
    no_such_host = boto.EndpointConnectionError(endpoint_url="https://ec2.eu-vest-1.amazonaws.com")
    assert as_failure(no_such_host, "DescribeImages", "eu-vest-1").code == "region-not-usable"


def test_a_refused_permission_is_named_as_aws_names_it() -> None:
    failure = as_failure(refusal("AccessDeniedException", DENIED), "RegisterImage", "eu-west-1")
    assert failure.facts["permission"] == "ec2:CreateTags"


def test_where_aws_names_no_permission_the_operation_does() -> None:
    assert (
        as_failure(refusal("AccessDenied", ""), "PutSnapshotBlock", "x").facts["permission"] == "ebs:PutSnapshotBlock"
    )
    assert as_failure(refusal("AccessDenied", ""), "RegisterImage", "x").facts["permission"] == "ec2:RegisterImage"


def test_every_explanation_is_whole() -> None:
    errors = [refusal(theirs, message) for theirs, message, _ in BY_AWS] + [error for error, _ in BY_BOTOCORE]
    for error in errors:
        explanation = explain(as_failure(error, "RegisterImage", "eu-west-1"))
        assert explanation.code != "unexpected"
        assert explanation.do
        assert "not known)" not in "".join([explanation.what, explanation.why, *explanation.do]), explanation


def test_advice_names_only_commands_and_options_that_exist() -> None:
    for code, table in presets.load("failures/40-aws").items():
        for name, rest in re.findall(r"`ami-wizard (\w+)([^`]*)`", " ".join(table["do"])):
            command = cli.get_command(click.Context(cli), name)
            assert command is not None, f"{code}: {name}"
            options = {option for parameter in command.params for option in parameter.opts}
            assert set(re.findall(r"--[\w-]+", rest)) <= options, f"{code}: {name}{rest}"


def test_other_errors_pass_unchanged() -> None:
    with pytest.raises(ZeroDivisionError), aws_errors("RegisterImage", "eu-west-1"):
        raise ZeroDivisionError


def test_without_credentials_the_identity_says_how_to_get_some(no_credentials: None) -> None:
    with pytest.raises(Failure) as caught:
        identity("eu-west-1", None)
    assert caught.value.code == "no-credentials"


def test_a_profile_that_does_not_exist_is_explained(no_credentials: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_PROFILE", "gone")
    with pytest.raises(Failure) as caught:
        client("ec2", "eu-west-1", None)
    assert caught.value.code == "no-credentials"


def test_new_credentials_in_the_middle_go_on_where_the_old_ones_ended(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIAOLD")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "old")
    attempts: list[str] = []

    def look(*_: Any) -> dict[str, Any]:
        attempts.append(os.environ["AWS_ACCESS_KEY_ID"])
        if attempts == ["AKIAOLD"]:
            # As `aws sso login` in another terminal would do it.
            monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIANEW")
        if attempts[-1] == "AKIAOLD" or len(attempts) > 2:
            raise Failure("expired-credentials")
        return {"account": "1"}

    monkeypatch.setattr(actions, "_check_account", look)
    action = CheckAccount("eu-west-1", "name", "build", "image")

    assert perform(None, action, tmp_path, Journal(tmp_path / "j"), lambda *_: None, lambda: False) == {"account": "1"}
    assert attempts == ["AKIAOLD", "AKIANEW"]
    with pytest.raises(Failure):
        perform(None, action, tmp_path, Journal(tmp_path / "j"), lambda *_: None, lambda: False)
    assert len(attempts) == 3, "the same credentials are not tried again"


def test_the_practice_cloud_never_gets_the_real_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIAREAL")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "real")
    monkeypatch.setenv("AWS_PROFILE", "gone")
    sent: list[str] = []
    ec2 = client("ec2", "eu-west-1", "http://127.0.0.1:9")

    def note(request: Any, **_: Any) -> None:
        sent.append(str(request.headers["Authorization"]))
        sys.exit("far enough")

    ec2.meta.events.register("before-send.ec2", note)
    with pytest.raises(SystemExit):
        ec2.describe_images()
    assert "Credential=practice/" in sent[0]
    assert "AKIAREAL" not in sent[0]


@pytest.fixture
def no_credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    for name in ("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"):
        monkeypatch.setenv(name, "/dev/null")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")


def refusal(code: str, message: str) -> ClientError:
    return ClientError({"Error": {"Code": code, "Message": message}}, "RegisterImage")
