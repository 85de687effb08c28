"""The other end of the dashboard's HTTP API, for commands: on this machine, with the token from its file."""

from __future__ import annotations

import http.client
import json
import socket
import ssl
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlencode

from procman import dashboard_token
from procman.clients import event_stream, supervisor
from procman.errors import StoresError
from procman.paths import Paths
from procman.snapshot import Snapshot
from procman.supervisor.roster import GATEWAY

#: Seconds for an answer. A start takes as long as it takes, and is not asked for in this way.
_PATIENCE = 30.0


class DashboardClient:
    """The dashboard of a workspace, which is there while its gateway is."""

    def __init__(self, paths: Paths) -> None:
        """Raises `StoresError` (exit code 3) where nothing runs."""
        self._paths = paths
        self._snapshot = Snapshot.from_json(supervisor.answer(paths, "status"))

    def token(self) -> str:
        """What opens the API to programs. Raises `StoresError` where it cannot be had."""
        folder = self._paths.state / GATEWAY
        try:
            return dashboard_token.kept(folder)
        except OSError as error:
            raise StoresError(
                f"{folder / dashboard_token.FILE} cannot be read: {error.strerror}", "It has to be yours: ls -l it"
            ) from error

    def ask(self, method: str, path: str, query: Mapping[str, Any] | None = None, body: Any = None) -> Any:
        """The answer's JSON. Raises `StoresError` with the dashboard's own words where it refuses."""
        with self._asked(method, path, query, body) as answer:
            return _told(answer.status, answer.read())

    def file(self, path: str, query: Mapping[str, Any]) -> bytes:
        """What is no JSON: an export. Raises `StoresError` as `ask` does."""
        with self._asked("GET", path, query) as answer:
            data = answer.read()
            if answer.status != http.HTTPStatus.OK:
                _told(answer.status, data)
            return data

    def follow(self, query: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
        """The stream's events as they come, name and data, until the gateway ends. Raises `StoresError`."""
        with self._asked("GET", "/stream", query) as answer:
            if answer.status != http.HTTPStatus.OK:
                _told(answer.status, answer.read())
            for message in event_stream.read(answer):
                yield message.event, json.loads(message.data)

    @contextmanager
    def _asked(
        self, method: str, path: str, query: Mapping[str, Any] | None, body: Any = None
    ) -> Iterator[http.client.HTTPResponse]:
        port = self._snapshot.gateway.http
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=_PATIENCE)
        fields = {
            "Host": f"stores.localhost:{port}",
            "Authorization": f"Bearer {self.token()}",
            "Content-Type": "application/json",
        }
        target = f"/api/v1{path}?{urlencode(query)}" if query else f"/api/v1{path}"
        try:
            connection.request(method, target, None if body is None else json.dumps(body), fields)
            with connection.getresponse() as answer:
                yield answer
        except (OSError, http.client.HTTPException) as error:
            raise StoresError(
                f"The gateway does not answer on port {port}: {error}", "stores status; stores logs gateway"
            ) from error
        finally:
            connection.close()

    def url(self) -> str:
        """The page's, without its ticket: by https where this machine knows the name and trusts the certificate."""
        gateway = self._snapshot.gateway
        name = f"stores.{self._snapshot.domain}"
        if trusted(name, gateway.https):
            return f"https://{name}{'' if gateway.https == 443 else f':{gateway.https}'}/"  # noqa: PLR2004 (https' own)
        return f"http://stores.localhost{'' if gateway.http == 80 else f':{gateway.http}'}/"  # noqa: PLR2004 (http's own)

    def link(self) -> str:
        """The page's URL with a ticket, which is good once, for a minute."""
        return f"{self.url()}#ticket={self.ask('POST', '/tickets')['ticket']}"


def _told(status: int, data: bytes) -> Any:
    try:
        value = json.loads(data) if data else None
    except ValueError as error:
        raise StoresError(f"The gateway says something else ({status})", "stores restart gateway") from error
    if status >= http.HTTPStatus.BAD_REQUEST and isinstance(value, dict):
        code = 4 if status == http.HTTPStatus.NOT_FOUND else 1  # as for every name that is not known
        raise StoresError(str(value.get("detail", status)), str(value.get("hint", "")), exit_code=code)
    return value


def trusted(name: str, port: int) -> bool:
    """Whether the system's resolver leads `name` here, and its roots trust what answers."""
    try:
        found = {address[0] for *_, address in socket.getaddrinfo(name, port, type=socket.SOCK_STREAM)}
        if not found <= {"127.0.0.1", "::1"}:
            return False
        with (
            socket.create_connection((name, port), timeout=2.0) as raw,
            ssl.create_default_context().wrap_socket(raw, server_hostname=name),
        ):
            return True
    except (OSError, ValueError):
        return False
