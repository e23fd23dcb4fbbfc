"""EC2's instance metadata service, as an instance on this machine sees it.

QEMU runs this file as a program for every connection that a guest makes to 169.254.169.254: the guest is on standard
input and output.  So nothing listens on this machine, and no port can be taken or be wrong.  It imports nothing of
ours and keeps nothing but a line a request, which tells the proof what the guest asked for.

    python metadata.py ANSWERS REQUESTS

ANSWERS is a JSON file: `{"secret", "allows_v1", "answers": {PATH: TEXT}}`, the paths without their version ("latest").
REQUESTS gets one JSON line a request: `{"method", "path", "status", "by_token"}`.

Source: AWS EC2 User Guide, "Access instance metadata" and "Use the Instance Metadata Service".
"""

import hashlib
import hmac
import json
import socket
import sys
import time
from collections.abc import Mapping
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from socketserver import BaseServer
from typing import Any, cast

TOKEN_PATH = "/latest/api/token"
TTL_HEADER = "X-aws-ec2-metadata-token-ttl-seconds"
TOKEN_HEADER = "X-aws-ec2-metadata-token"
LONGEST_SECONDS = 6 * 60 * 60
WAITS_SECONDS = 30


def token(secret: str, seconds: int, now: float) -> str:
    """A token that is good for so long: it carries its own end, and is signed."""
    ends = str(int(now) + seconds)
    return f"{ends}-{_signature(secret, ends)}"


def is_good(secret: str, given: str, now: float) -> bool:
    """Whether a token is ours and has not ended."""
    ends, _, signature = given.partition("-")
    return ends.isdigit() and now < int(ends) and hmac.compare_digest(signature, _signature(secret, ends))


def _signature(secret: str, ends: str) -> str:
    return hmac.new(secret.encode(), ends.encode(), hashlib.sha256).hexdigest()


def answer(
    settings: Mapping[str, Any], method: str, path: str, headers: Mapping[str, str], now: float
) -> tuple[int, str]:
    """The status and the text for a request."""
    secret = settings["secret"]
    if method == "PUT":
        wanted = headers.get(TTL_HEADER, "")
        if path != TOKEN_PATH:
            return 404, ""
        if headers.get("X-Forwarded-For"):
            return 403, ""
        if not (wanted.isdigit() and 1 <= int(wanted) <= LONGEST_SECONDS):
            return 400, ""
        return 200, token(secret, int(wanted), now)
    given = headers.get(TOKEN_HEADER)
    if not (is_good(secret, given, now) if given else settings["allows_v1"]):
        return 401, ""
    return _content(settings["answers"], path)


def _content(answers: Mapping[str, str], path: str) -> tuple[int, str]:
    """A value, or the names below a folder, a line each."""
    place = path.strip("/").partition("/")[2]
    if place in answers:
        return 200, answers[place]
    folder = f"{place}/" if place else ""
    names: dict[str, None] = {}
    for known in answers:
        if known.startswith(folder):
            name, deeper, _ = known[len(folder) :].partition("/")
            names[f"{name}{deeper}"] = None
    # A key pair stands in its list with its name.
    lines = [f"{name.rstrip('/')}=ami-wizard" if place == "meta-data/public-keys" else name for name in names]
    return (200, "\n".join(lines)) if names else (404, "")


class Service(BaseHTTPRequestHandler):
    """One connection; it may bring several requests."""

    protocol_version = "HTTP/1.1"
    server_version = "EC2ws"
    sys_version = ""
    timeout = WAITS_SECONDS
    settings: Mapping[str, Any]
    requests: Path

    def do_GET(self) -> None:
        """Asks for a value."""
        self._reply()

    def do_PUT(self) -> None:
        """Asks for a token."""
        self._reply()

    def _reply(self) -> None:
        headers = {name.title(): value for name, value in self.headers.items()}
        known = {name: headers[name.title()] for name in (TTL_HEADER, TOKEN_HEADER) if name.title() in headers}
        if "X-Forwarded-For" in headers:
            known["X-Forwarded-For"] = headers["X-Forwarded-For"]
        status, text = answer(self.settings, self.command, self.path, known, time.time())
        said = {"method": self.command, "path": self.path, "status": status, "by_token": TOKEN_HEADER in known}
        with self.requests.open("a", encoding="utf-8") as file:
            file.write(json.dumps(said) + "\n")
        body = text.encode()
        self.send_response(status)
        self.send_header("Content-Type", "text/plain")
        self.send_header("Content-Length", str(len(body)))
        if self.command == "PUT" and status == 200:
            self.send_header(TTL_HEADER, known[TTL_HEADER])
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002  the name is http.server's
        """Standard error is the guest too."""


def main(answers: Path, requests: Path) -> None:
    """Serves the connection on standard input."""
    Service.settings = json.loads(answers.read_text(encoding="utf-8"))
    Service.requests = requests
    with socket.socket(fileno=0) as guest:
        # There is no server: QEMU is it.
        Service(guest, ("guest", 0), cast(BaseServer, None))


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
