"""PutSnapshotBlock, made lean: an upload asks for it thousands of times, and AWS allows a thousand a second.

botocore checks, routes and parses every call anew, which costs about 2 ms of CPU; here its own signer and its own
HTTP sessions are used, and nothing between them.
"""

import base64
from collections.abc import Callable
from typing import Any

from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.exceptions import ClientError
from botocore.httpsession import URLLib3Session
from botocore.parsers import create_parser
from botocore.utils import get_environ_proxies

Put = Callable[[str, int, bytes, bytes], None]
"""Sends a block: the snapshot's id, the block's index, its 512 KiB, and their SHA-256 (raw).

Raises ClientError and BotoCoreError as a client of boto3 does; it tries once.
"""


def putter(session: Any, client: Any, connections: int) -> Put:
    """The call for one region, as `client` (of the service `ebs`, made by the boto3 `session`) would make it."""
    endpoint, config, region = client.meta.endpoint_url, client.meta.config, client.meta.region_name
    # An empty table means: none at all.
    proxies = config.proxies if config.proxies is not None else get_environ_proxies(endpoint)
    http = URLLib3Session(
        verify=session._session.get_config_variable("ca_bundle") or True,
        proxies=proxies,
        # Both: the stubs know of one alone.
        timeout=(config.connect_timeout, config.read_timeout),  # type: ignore[arg-type]
        max_pool_connections=connections,
    )
    credentials = session.get_credentials()
    shape = client.meta.service_model.operation_model("PutSnapshotBlock").output_shape
    parser = create_parser("rest-json")

    def put(snapshot_id: str, index: int, data: bytes, digest: bytes) -> None:
        request = AWSRequest(
            method="PUT",
            url=f"{endpoint}/snapshots/{snapshot_id}/blocks/{index}",
            headers={
                "X-Amz-Data-Length": str(len(data)),
                "X-Amz-Checksum": base64.b64encode(digest).decode(),
                "X-Amz-Checksum-Algorithm": "SHA256",
                "User-Agent": config.user_agent,
            },
            data=data,
        )
        # The operation's own way (`authtype: v4-unsigned-body` in botocore's model): the checksum guards the body.
        request.context["payload_signing_enabled"] = False
        SigV4Auth(credentials.get_frozen_credentials(), "ebs", region).add_auth(request)
        response = http.send(request.prepare())
        if response.status_code != 201:
            said = {"status_code": response.status_code, "headers": response.headers, "body": response.content}
            raise ClientError(parser.parse(said, shape), "PutSnapshotBlock")

    return put
