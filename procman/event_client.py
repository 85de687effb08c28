"""The other end of the event broker, for commands: asks over HTTP, and turns a refusal into what a person reads."""

from __future__ import annotations

import http.client
import json
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import urlencode

from procman import client, event_stream
from procman.errors import StoresError
from procman.paths import Paths

#: Seconds for an answer; what waits longer says so in its question.
_PATIENCE = 30.0


class EventClient:
    """The broker of a workspace, which runs while its gateway does."""

    def __init__(self, paths: Paths) -> None:
        """Raises `StoresError` (exit code 3) where nothing runs."""
        self.port = int(client.answer(paths, "status")["events"]["port"])

    def ask(
        self,
        method: str,
        path: str,
        query: Mapping[str, Any] | None = None,
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        patience: float = _PATIENCE,
    ) -> Any:
        """The answer's JSON. Raises `StoresError` with the broker's own words where it refuses."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=patience)
        try:
            connection.request(method, _target(path, query), body, dict(headers or {}))
            answer = connection.getresponse()
            return _read(answer, answer.read())
        except (OSError, http.client.HTTPException) as error:
            raise StoresError(
                f"The event broker does not answer on port {self.port}: {error}", "stores status; stores logs gateway"
            ) from error
        finally:
            connection.close()

    def follow(self, query: Mapping[str, Any]) -> Iterator[tuple[int, Any]]:
        """Place and event, as they come, for ever."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port)
        try:
            connection.request("GET", _target("/v1/events", query), headers={"Accept": "text/event-stream"})
            answer = connection.getresponse()
            if answer.status != http.HTTPStatus.OK:
                _read(answer, answer.read())
            for message in event_stream.read(answer):
                yield int(message.id or 0), json.loads(message.data)
        except (OSError, http.client.HTTPException) as error:
            raise StoresError(f"The event broker has gone: {error}", "See what runs: stores status") from error
        finally:
            connection.close()


def _target(path: str, query: Mapping[str, Any] | None) -> str:
    given = {name: value for name, value in (query or {}).items() if value not in {None, ""}}
    return f"{path}?{urlencode(given)}" if given else path


def _read(answer: http.client.HTTPResponse, body: bytes) -> Any:
    try:
        value = json.loads(body)
    except ValueError:
        value = {"detail": body.decode("utf-8", "replace").strip()}
    if answer.status < http.HTTPStatus.BAD_REQUEST:
        return value
    unknown = answer.status == http.HTTPStatus.NOT_FOUND
    raise StoresError(
        str(value.get("detail", answer.reason)),
        "See them: stores events show" if unknown else str(value.get("example", "")),
        exit_code=4 if unknown else 2 if answer.status == http.HTTPStatus.BAD_REQUEST else 1,
    )
