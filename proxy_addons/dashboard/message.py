"""A request to the dashboard, complete, and an answer: what operations take and give."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

from proxy_addons.front.client import Client


@dataclass(slots=True)
class Request:
    """`headers` by names in lower case (the first of each); `authority`: what stands in Host."""

    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    authority: str
    client: Client
    body: bytes = b""
    #: Set by `api.Api` once they were checked: arguments of path and query, and the body's members.
    values: dict[str, Any] = field(default_factory=dict)

    @property
    def origin(self) -> str:
        """The origin of a page that was got in the same way."""
        return f"{'https' if self.client.secure else 'http'}://{self.authority}"


@dataclass(slots=True)
class Response:
    """`body`, or `stream`: sent as it comes and until the client goes."""

    status: int = 200
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)
    stream: AsyncIterator[bytes] | None = None


def as_json(value: Any, status: int = 200, **headers: str) -> Response:
    """A document, which nobody keeps."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    fields = {"Content-Type": "application/json", "Cache-Control": "no-store", **headers}
    return Response(status, text.encode("utf-8", "backslashreplace") + b"\n", fields)
