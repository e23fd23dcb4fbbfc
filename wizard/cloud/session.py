"""boto3 clients for real AWS and for the practice cloud, and who we are there."""

import os
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal

import boto3
import botocore.session
from botocore.config import Config
from botocore.exceptions import BotoCoreError

from wizard.cloud.errors import aws_errors
from wizard.cloud.puts import Put, putter
from wizard.explain import Failure

Client = Any
"""boto3 builds its clients from data when the program runs: they have no type of their own."""

Service = Literal["ebs", "ec2", "s3", "ssm", "sts"]

CONNECTIONS = 64
"""As many as the uploader has threads.  8 threads cannot hide a latency of 50 ms, 64 can (measured)."""

LIMITS = Config(
    connect_timeout=5,
    read_timeout=20,
    max_pool_connections=CONNECTIONS,
    # Not adaptive: that lowers its own rate without a floor (measured: 14 requests a second).
    retries={"mode": "standard", "total_max_attempts": 10},
)

HASTY = LIMITS.merge(Config(connect_timeout=3, read_timeout=10, retries={"mode": "standard", "total_max_attempts": 3}))
"""For what nobody needs to wait for."""

ONCE = LIMITS.merge(Config(retries={"mode": "standard", "total_max_attempts": 1}))
"""For what has a patience of its own, and for calls that make something and take no client token."""

PRACTICE_KEYS = {"aws_access_key_id": "practice", "aws_secret_access_key": "practice"}

SOURCES = {
    "env": "the environment variables AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY",
    "shared-credentials-file": "the credentials file (~/.aws/credentials)",
    "config-file": "the configuration file (~/.aws/config)",
    "assume-role": "a role that the profile assumes",
    "assume-role-with-web-identity": "a role assumed with a web identity token",
    "sso": "IAM Identity Center (aws sso login)",
    "login": "a console login (aws login)",
    "custom-process": "the profile's credential_process",
    "container-role": "the role of this container",
    "iam-role": "the role of this EC2 instance",
}
"""botocore's names for where credentials came from, in words.  Source: botocore/credentials.py, `METHOD`."""


@dataclass(frozen=True, slots=True)
class Identity:
    """Who AWS takes us for, where the credentials came from, in words, and when they end, if botocore knows it."""

    account: str
    arn: str
    source: str
    expires: datetime | None = None

    @property
    def until(self) -> str:
        """When the credentials end, as a person reads it; "" where it is not known, or they never do."""
        return f"{self.expires.astimezone(UTC):%Y-%m-%d %H:%M} UTC" if self.expires else ""


def client(service: Service, region: str, endpoint: str | None, limits: Config = LIMITS) -> Client:
    """A client with time limits.  `endpoint` is the practice cloud's URL; None is AWS as boto3 is configured.

    Region is always given: botocore reads AWS_DEFAULT_REGION but not AWS_REGION.
    """
    with aws_errors("Connect", region):
        return _make(_session(endpoint), service, region, endpoint, limits)


def block_putter(region: str, endpoint: str | None) -> Put:
    """The lean PutSnapshotBlock of a region, with the credentials and the settings that a client has."""
    with aws_errors("Connect", region):
        session = _session(endpoint)
        return putter(session, _make(session, "ebs", region, endpoint, LIMITS), CONNECTIONS)


def identity(region: str, endpoint: str | None) -> Identity:
    """Asks STS.  Fails with no-credentials, expired-credentials or whatever keeps it from answering."""
    with aws_errors("GetCallerIdentity", region):
        source, expires = ("the practice cloud", None) if endpoint else _source()
        said = client("sts", region, endpoint).get_caller_identity()
        return Identity(said["Account"], said["Arn"], source, expires)


def key_in_use() -> str | None:
    """The id of the access key that a new client would use now: another one after `aws sso login` elsewhere."""
    try:
        credentials = boto3.session.Session().get_credentials()
        return credentials.get_frozen_credentials().access_key if credentials else None
    except BotoCoreError:
        return None


def _session(endpoint: str | None) -> Any:
    if endpoint is None:
        return boto3.session.Session()
    return boto3.session.Session(botocore_session=_session_without_configuration(), **PRACTICE_KEYS)


def _make(session: Any, service: Service, region: str, endpoint: str | None, limits: Config) -> Client:
    # A proxy must not see requests to this machine.
    config = limits.merge(Config(proxies={})) if endpoint else limits
    return session.client(service, region_name=region, endpoint_url=endpoint, config=config)


def _source() -> tuple[str, datetime | None]:
    credentials = boto3.session.Session().get_credentials()
    if credentials is None:
        raise Failure("no-credentials")
    credentials.get_frozen_credentials()
    # botocore tells nobody when its temporary credentials end, but knows it.
    return SOURCES.get(credentials.method, credentials.method), getattr(credentials, "_expiry_time", None)


def _session_without_configuration() -> botocore.session.Session:
    """Reads neither the user's profile nor files, so that no real key can reach the practice cloud."""
    nothing = (None, None, None, None)
    null_file = (None, None, os.devnull, None)
    variables = {"profile": nothing, "config_file": null_file, "credentials_file": null_file}
    return botocore.session.Session(session_vars=variables)
