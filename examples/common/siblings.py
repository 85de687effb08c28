"""The other services: where they are, what they answer, and which way the answer came."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus
from http.client import HTTPException
from threading import Thread
from typing import Any
from urllib.parse import quote

from common.message import Request
from common.neighbourhood import neighbourhood

TIMEOUT = 2.0  # seconds: a page waits no longer for a sibling
SESSION = "session"  # the cookie that `account` sets for the whole domain


@dataclass(frozen=True)
class Answer:
    """What a sibling said. `status` is 0 when it could not be reached; `route` is the gateway's X-Stores-Route."""

    sibling: str
    status: int
    data: Any = None
    route: str = ""
    detail: str = ""

    @property
    def ok(self) -> bool:
        return HTTPStatus.OK <= self.status < HTTPStatus.MULTIPLE_CHOICES

    @property
    def hint(self) -> str:
        """For the foot of the page: "account: remote", "reserve: local", "account: 503 fallback"."""
        if not self.status:
            return f"{self.sibling}: not reachable ({self.detail})"
        status = "" if self.ok or self.status == HTTPStatus.UNAUTHORIZED else f"{self.status} "
        return f"{self.sibling}: {status}{self.route or 'direct'}"


class Siblings:
    """Calls to other services with plain urllib, which honours HTTP(S)_PROXY, NO_PROXY and SSL_CERT_FILE by itself."""

    def __init__(self, name: str, environ: Mapping[str, str]) -> None:
        self.name = name
        self._environ = environ

    def url(self, sibling: str) -> str:
        default = f"https://{sibling}.local.example.com"
        return self._environ.get(f"STORES_{sibling.upper().replace('-', '_')}_URL", default).rstrip("/")

    def public_url(self, request: Request, sibling: str) -> str:
        """Where the visitor's browser finds a sibling: beside the host that it is looking at now."""
        here = neighbourhood(request, self.name)
        return here.url(sibling) if here else self.url(sibling)

    def call(self, sibling: str, path: str, *, method: str = "GET", data: Any = None, session: str = "") -> Answer:
        headers = {"Accept": "application/json", "User-Agent": f"{self.name} (sample)"}
        headers |= {"Cookie": f"{SESSION}={quote(session)}"} if session else {}
        headers |= {"Content-Type": "application/json"} if data is not None else {}
        body = None if data is None else json.dumps(data).encode()
        try:
            return self._send(sibling, path, method, headers, body)
        except (OSError, ValueError, HTTPException) as error:  # URLError is an OSError, a bad URL a ValueError
            return Answer(sibling, 0, detail=str(getattr(error, "reason", error)))

    def _send(self, sibling: str, path: str, method: str, headers: dict[str, str], body: bytes | None) -> Answer:
        request = urllib.request.Request(self.url(sibling) + path, body, headers, method=method)
        try:
            reply = urllib.request.urlopen(request, timeout=TIMEOUT)
        except urllib.error.HTTPError as error:
            reply = error
        with reply:
            kind, route = reply.headers.get("Content-Type", ""), reply.headers.get("X-Stores-Route", "")
            return self.answer(sibling, reply.status, kind, reply.read(1 << 20), route)

    @staticmethod
    def answer(sibling: str, status: int, content_type: str, body: bytes, route: str) -> Answer:
        return Answer(sibling, status, json.loads(body) if "json" in content_type else None, route[:40])

    def through_gateway(self, path: str, token: str) -> Answer:
        """Asks the API gateway in the name of whoever `token` belongs to: it knows who serves the path, and who may."""
        headers = {"Accept": "application/json", "Authorization": f"Bearer {token}"}
        try:
            return self._send("api-gateway", path, "GET", headers, None)
        except (OSError, ValueError, HTTPException) as error:
            return Answer("api-gateway", 0, detail=str(getattr(error, "reason", error)))

    def who_is(self, request: Request) -> Answer:
        """Who is signed in, says account: ``{"user": {...}}``, or ``{"user": null}``."""
        return self.call("account", "/api/me", session=request.cookies.get(SESSION, ""))

    def both(self, request: Request, sibling: str, path: str) -> tuple[Answer, Answer]:
        """`who_is` and another question at the same time: a page waits for the slower one only."""
        answers: list[Answer] = []
        # A daemon, not a pool: a stop need not wait for a sibling that is slow.
        thread = Thread(target=lambda: answers.append(self.who_is(request)), daemon=True)
        thread.start()
        other = self.call(sibling, path)
        thread.join()
        return answers[0], other
