"""What goes in and out of the practice cloud, free of any HTTP library."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from email.message import Message
from urllib.parse import parse_qsl, urlsplit


@dataclass(frozen=True, slots=True)
class Request:
    """One HTTP request; `target` is the path with its query, `headers` ignores case."""

    method: str
    target: str
    headers: Message
    body: bytes

    @property
    def path(self) -> str:
        return urlsplit(self.target).path

    @property
    def query(self) -> dict[str, str]:
        return dict(parse_qsl(urlsplit(self.target).query))


@dataclass(frozen=True, slots=True)
class Response:
    """One HTTP answer."""

    status: int
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)


class Refusal(Exception):
    """The cloud says no, in AWS's own words: an error code, a message and, for EBS direct, a reason."""

    def __init__(self, code: str, message: str, *, status: int = 400, reason: str | None = None) -> None:
        self.code = code
        self.message = message
        self.status = status
        self.reason = reason
        super().__init__(f"{code}: {message}")
