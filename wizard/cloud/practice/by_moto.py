"""Everything that is not answered here is moto's: it keeps what it makes in memory."""

import os
from email.message import Message
from functools import cache
from typing import Any
from urllib.parse import urlencode

from wizard.cloud.practice import model
from wizard.cloud.practice.messages import Request, Response

PASSING_HEADERS = ("Authorization", "Content-Type", "Host", "X-Amz-Content-Sha256", "X-Amz-Date", "X-Amz-Target")


def forward(request: Request) -> Response:
    """moto's answer."""
    headers = {name: request.headers[name] for name in PASSING_HEADERS if name in request.headers}
    said = _moto().open(request.target, method=request.method, headers=headers, data=request.body)
    kept = {name: value for name, value in said.headers.items() if name.lower() not in ("content-length", "connection")}
    return Response(said.status_code, said.get_data(), kept)


@cache
def _moto() -> Any:
    """Loaded on first use: it costs half a second, which an upload need not wait for."""
    # Its catalogue of 1,300 public images costs three seconds, and DescribeImages is ours.
    os.environ["MOTO_EC2_LOAD_DEFAULT_AMIS"] = "false"
    from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
    from werkzeug.test import Client

    return Client(DomainDispatcherApplication(create_backend_app), use_cookies=False)


def ask(region: str, action: str, **parameters: str) -> dict[str, Any]:
    """What moto says to an EC2 operation; the parameters as the query protocol writes them.  Raises its Refusal."""
    operation = model.operation("ec2", action)
    headers = Message()
    headers["Authorization"] = (
        f"AWS4-HMAC-SHA256 Credential=practice/20260101/{region}/ec2/aws4_request, Signature=none"
    )
    headers["Content-Type"] = "application/x-www-form-urlencoded"
    headers["Host"] = f"ec2.{region}.amazonaws.com"
    asked = {"Action": action, "Version": operation.service_model.api_version, **parameters}
    said = forward(Request("POST", "/", headers, urlencode(asked).encode()))
    return model.read_answer(operation, said.status, said.body)
