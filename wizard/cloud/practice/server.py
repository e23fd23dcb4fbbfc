"""The practice cloud's server: HTTP on loopback.

EBS direct, S3, images, volumes and parameters are ours, every other operation is moto's.

The standard library's server, as werkzeug's closes the connection after each answer and the blocks come
through 64 kept ones.
"""

import fcntl
import json
import os
import re
import threading
import time
import traceback
from functools import cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

from wizard.cloud.practice import ebs, ec2, publishing, s3, ssm, volumes
from wizard.cloud.practice.faults import STALL_SECONDS, Faults
from wizard.cloud.practice.messages import Refusal, Request, Response
from wizard.cloud.practice.process import HEALTH, SERVER_FILE, USERS_LOCK
from wizard.cloud.practice.state import save
from wizard.cloud.practice.traffic import Traffic

SIGNED_FOR = re.compile(r"Credential=[^/]+/\d+/(?P<region>[a-z]{2}(?:-[a-z]+)+-\d+)/(?P<service>[a-z0-9-]+)/")

PASSING_HEADERS = ("Authorization", "Content-Type", "Host", "X-Amz-Content-Sha256", "X-Amz-Date", "X-Amz-Target")

WATCH = 1.0
"""Seconds between two looks whether anybody still uses the cloud."""

EC2_OPERATIONS = volumes.beside({**ec2.OPERATIONS, **publishing.OPERATIONS})
"""What is answered here; every other operation of EC2's is moto's."""

_one_at_a_time = threading.Lock()
"""Held wherever a record is read and then written; blocks do not need it."""


def answer(folder: Path, request: Request) -> Response:
    """Routes by what the request was signed for, as AWS does by host name."""
    signed = SIGNED_FOR.search(request.headers.get("Authorization", ""))
    if signed is None:
        return Response(403, b'{"Message": "The request is not signed."}')
    region = folder / signed["region"]
    if signed["service"] == "ebs":
        if request.method in ("PUT", "GET"):
            return ebs.answer(region, request)
        with _one_at_a_time:
            return ebs.answer(region, request)
    if signed["service"] == "s3":
        return s3.answer(folder, signed["region"], request)
    if signed["service"] == "ec2":
        action = parse_qs(request.body.decode()).get("Action", [""])[0]
        if action in EC2_OPERATIONS:
            with _one_at_a_time:
                return ec2.answer(region, action, request.body, EC2_OPERATIONS[action])
    if signed["service"] == "ssm":
        action = request.headers.get("X-Amz-Target", "").rpartition(".")[2]
        if action in ssm.OPERATIONS:
            with _one_at_a_time:
                return ssm.answer(region, action, request.body)
    return by_moto(request)


def refusal_of(fault: str | None, request: Request) -> Response | None:
    """The answer to a request that meets a fault, in the words of its service; None where it is to be answered."""
    if fault not in REFUSALS:
        return None
    signed = SIGNED_FOR.search(request.headers.get("Authorization", ""))
    service = signed["service"] if signed else ""
    others = {"ebs": (0, ebs.refused), "ssm": (0, ssm.refused), "s3": (2, s3.refused)}
    place, refused = others.get(service, (1, ec2.refused))
    return refused(REFUSALS[fault][place])


# Sources of the codes: EBS direct API Reference, "Common errors"; EC2 API Reference, "Error codes"; S3 API Reference,
# "Error responses".
REFUSALS = {
    "throttle": (
        Refusal("RequestThrottledException", "The number of API requests has exceeded the maximum allowed."),
        Refusal("RequestLimitExceeded", "Request limit exceeded.", status=503),
        Refusal("SlowDown", "Please reduce your request rate.", status=503),
    ),
    "500": (
        Refusal("InternalServerException", "An internal error has occurred.", status=500),
        Refusal("InternalError", "An internal error has occurred", status=500),
        Refusal("InternalError", "We encountered an internal error. Please try again.", status=500),
    ),
    "expire": (
        Refusal("ExpiredTokenException", "The security token included in the request is expired", status=403),
        Refusal("RequestExpired", "Request has expired."),
        Refusal("ExpiredToken", "The provided token has expired."),
    ),
}
"""For the services that speak JSON, for those of the query protocol, for S3."""


def by_moto(request: Request) -> Response:
    """moto's answer; it keeps what it makes in memory."""
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


class Handler(BaseHTTPRequestHandler):
    """HTTP to Request and Response to HTTP."""

    protocol_version = "HTTP/1.1"
    # An answer is two writes; with Nagle's algorithm the second waits 40 ms for an acknowledgement.
    disable_nagle_algorithm = True
    folder: Path
    faults: Faults
    traffic: Traffic

    def respond(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        request = Request(self.command, self.path, self.headers, body)
        if request.path == HEALTH:
            self._send(self._health())
            return
        time.sleep(self.faults.delay())
        fault = self.faults.draw()
        if fault == "reset" and self.faults.is_before():
            self.close_connection = True
            return
        if fault == "stall":
            time.sleep(STALL_SECONDS)
        try:
            response = refusal_of(fault, request) or answer(self.folder, request)
        except Exception:  # noqa: BLE001  a mistake in here is an answer too, and stands in the log
            traceback.print_exc()
            response = Response(500, b'{"Message": "The practice cloud failed; see its server.log."}')
        self.traffic.note(request.method, request.path, len(body), response.status)
        if fault == "reset":
            self.close_connection = True
            return
        self._send(response)

    def _health(self) -> Response:
        about = {"folder": str(self.folder), "pid": os.getpid(), "traffic": self.traffic.as_dict()}
        return Response(200, json.dumps(about).encode())

    def _send(self, response: Response) -> None:
        self.send_response(response.status)
        for name, value in response.headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(response.body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(response.body)

    do_DELETE = do_GET = do_HEAD = do_POST = do_PUT = respond

    def log_request(self, code: object = "-", size: object = "-") -> None:
        """Thousands of blocks make no log worth keeping."""


class Server(ThreadingHTTPServer):
    """A thread a connection; the queue holds a pool of uploaders that connect at the same moment."""

    daemon_threads = True
    request_queue_size = 256


def serve(folder: Path) -> None:
    """Serves the cloud kept in `folder` on a free port of loopback, until nobody holds the users' lock."""
    handler = type("FolderHandler", (Handler,), {"folder": folder, "faults": Faults(folder), "traffic": Traffic()})
    server = Server(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    save(folder / SERVER_FILE, {"pid": os.getpid(), "port": server.server_port})
    with (folder / USERS_LOCK).open("a") as users:
        while not _nobody_holds(users):
            time.sleep(WATCH)
        # Still under the lock: whoever comes now waits for it, and then finds no server and starts one.
        (folder / SERVER_FILE).unlink(missing_ok=True)
        os._exit(0)


def _nobody_holds(lock: Any) -> bool:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
