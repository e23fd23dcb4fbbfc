"""The instance metadata service that a guest of the boot proof asks, as EC2's own would answer."""

import json
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from wizard.boot.proof import metadata
from wizard.boot.proof.metadata import TOKEN_HEADER, TOKEN_PATH, TTL_HEADER, answer
from wizard.boot.proof.network import requests_in

NOW = 1_700_000_000.0
KEY = "/latest/meta-data/public-keys/0/openssh-key"
SETTINGS = {
    "secret": "s",
    "allows_v1": False,
    "answers": {
        "meta-data/instance-id": "i-0123456789abcdef0",
        "meta-data/placement/region": "us-east-1",
        "meta-data/public-keys/0/openssh-key": "ssh-ed25519 AAAA proof",
    },
}


def token(seconds: int = 60) -> str:
    status, text = answer(SETTINGS, "PUT", TOKEN_PATH, {TTL_HEADER: str(seconds)}, NOW)
    assert status == 200
    return text


def get(path: str, given: str | None, now: float = NOW, *, allows_v1: bool = False) -> tuple[int, str]:
    headers = {TOKEN_HEADER: given} if given is not None else {}
    return answer({**SETTINGS, "allows_v1": allows_v1}, "GET", path, headers, now)


def test_a_token_opens_what_is_closed_without_one() -> None:
    assert get(KEY, None) == (401, "")
    assert get(KEY, token()) == (200, "ssh-ed25519 AAAA proof")


def test_version_1_needs_no_token_where_it_is_allowed_but_a_wrong_token_is_never_taken() -> None:
    assert get(KEY, None, allows_v1=True)[0] == 200
    assert get(KEY, "9999999999-0000", allows_v1=True)[0] == 401


def test_a_token_ends_with_its_time() -> None:
    assert get(KEY, token(60), NOW + 59)[0] == 200
    assert get(KEY, token(60), NOW + 61)[0] == 401


def test_a_token_of_ones_own_making_is_not_taken() -> None:
    ends, _, signature = token().partition("-")
    assert get(KEY, f"{int(ends) + 3600}-{signature}")[0] == 401


@pytest.mark.parametrize(
    ("path", "headers", "status"),
    [
        (TOKEN_PATH, {}, 400),
        (TOKEN_PATH, {TTL_HEADER: "0"}, 400),
        (TOKEN_PATH, {TTL_HEADER: "21601"}, 400),
        (TOKEN_PATH, {TTL_HEADER: "21600"}, 200),
        (TOKEN_PATH, {TTL_HEADER: "60", "X-Forwarded-For": "10.0.0.1"}, 403),
        (KEY, {TTL_HEADER: "60"}, 404),
    ],
)
def test_a_token_is_given_only_to_who_asks_as_aws_wants_it(path: str, headers: dict[str, str], status: int) -> None:
    assert answer(SETTINGS, "PUT", path, headers, NOW)[0] == status


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("/latest/meta-data/", "instance-id\nplacement/\npublic-keys/"),
        ("/latest/meta-data", "instance-id\nplacement/\npublic-keys/"),
        ("/latest/meta-data/placement/", "region"),
        ("/latest/meta-data/public-keys/", "0=ami-wizard"),
        ("/latest/meta-data/public-keys/0/", "openssh-key"),
        ("/2009-04-04/meta-data/instance-id", "i-0123456789abcdef0"),
    ],
)
def test_folders_list_what_is_in_them_in_every_version(path: str, text: str) -> None:
    assert get(path, token()) == (200, text)


def test_what_it_does_not_know_is_not_there() -> None:
    assert get("/latest/user-data", token())[0] == 404


def test_on_a_connection_as_qemu_makes_it_two_requests_are_answered_and_noted(tmp_path: Path) -> None:
    answers, requests = tmp_path / "answers.json", tmp_path / "requests.jsonl"
    answers.write_text(json.dumps(SETTINGS))
    ours, theirs = socket.socketpair()
    with ours, theirs:
        command = [sys.executable, "-I", metadata.__file__, str(answers), str(requests)]
        program = subprocess.Popen(command, stdin=theirs.fileno(), stdout=theirs.fileno())
        theirs.close()
        ours.sendall(f"PUT {TOKEN_PATH} HTTP/1.1\r\nHost: x\r\n{TTL_HEADER}: 60\r\n\r\n".encode())
        given = _body(ours)
        ours.sendall(f"GET {KEY} HTTP/1.1\r\nHost: x\r\n{TOKEN_HEADER}: {given}\r\nConnection: close\r\n\r\n".encode())
        assert _body(ours) == "ssh-ed25519 AAAA proof"
        assert program.wait(10) == 0
    asked = requests_in(requests)
    assert [(one.method, one.path, one.status, one.by_token) for one in asked] == [
        ("PUT", TOKEN_PATH, 200, False),
        ("GET", KEY, 200, True),
    ]


def _body(connection: socket.socket) -> str:
    """Of one answer, by its length."""
    said = b""
    while b"\r\n\r\n" not in said:
        said += connection.recv(4096)
    head, _, body = said.partition(b"\r\n\r\n")
    length = int(next(line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")).split()[1])
    while len(body) < length:
        body += connection.recv(4096)
    return body.decode()
