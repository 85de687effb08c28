"""The other end of the event broker, for commands: asks over HTTP, and turns a refusal into what a person reads."""

from __future__ import annotations

import http.client
import json
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any
from urllib.parse import urlencode

from procman.clients import supervisor
from procman.errors import StoresError
from procman.paths import Paths

#: Seconds for an answer; what waits longer says so in its question.
_PATIENCE = 30.0
#: Seconds for which a question waits there for the next event; until a broker that is away is asked again.
_WAIT, _PAUSE = 50.0, 0.5


class EventClient:
    """The broker of a workspace, which runs while its gateway does."""

    def __init__(self, paths: Paths) -> None:
        """Raises `StoresError` (exit code 3) where nothing runs."""
        self._paths = paths
        self.port = _port(paths)

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

    def follow(self, after: int, query: Mapping[str, Any], away: Callable[[str], None]) -> Iterator[Any]:
        """The events behind a place as the log tells them, and new ones as they come: by long polls, for ever.

        A gateway that is restarted is waited for, and nothing is missed; `away` is told why once. Raises `StoresError`
        where the question is wrong, and (exit code 3) once nothing runs any more.
        """
        here = True
        while True:
            asked = time.monotonic()
            wanted = {**query, "after": after, "wait": _WAIT, "limit": 1000}
            try:
                page = self.ask("GET", "/v1/events", wanted, patience=_WAIT + _PATIENCE)
            except StoresError as error:
                if error.exit_code != 1:
                    raise
                if here:
                    away(error.message)
                here = False
                time.sleep(_PAUSE)
                self.port = _port(self._paths)
                continue
            here, after = True, page["after"]
            yield from page["events"]
            if after == page["last"] and not page["events"] and time.monotonic() - asked < _PAUSE:
                time.sleep(_PAUSE)  # it is about to end, and waits for nothing any more


def _port(paths: Paths) -> int:
    return int(supervisor.answer(paths, "status")["events"]["port"] or 0)


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
