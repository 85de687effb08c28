"""The dashboard of a site that runs, asked as a program does, or as a browser would."""

from __future__ import annotations

import http.client
import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from workbench import PATIENCE, Site


class Page:
    """Asks the dashboard of a site that runs, as a program does, or as a browser would."""

    def __init__(self, site: Site) -> None:
        status = site.status()
        self.port = int(status["gateway"]["http"])
        self.https = int(status["gateway"]["https"])
        self.host = f"stores.localhost:{self.port}"
        self.token = site.ok("open", "--token").strip()
        self.program = {"Authorization": f"Bearer {self.token}"}

    def ask(self, method: str, path: str, body: Any = None, **fields: str) -> tuple[int, Any, dict[str, str]]:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        headers = {"Host": self.host} | {name.replace("_", "-"): value for name, value in fields.items()}
        data = None
        if body is not None:
            headers.setdefault("Content-Type", "application/json")
            data = json.dumps(body)
        connection.request(method, path, data, headers)
        answer = connection.getresponse()
        read = answer.read()
        connection.close()
        kind = answer.headers.get("Content-Type", "")
        return answer.status, json.loads(read) if "json" in kind else read, dict(answer.headers)

    def get(self, path: str) -> Any:
        status, told, _ = self.ask("GET", path, **self.program)
        assert status == 200, told
        return told

    def post(self, path: str, body: Any) -> Any:
        status, told, _ = self.ask("POST", path, body, **self.program)
        assert status == 200, told
        return told

    @contextmanager
    def stream(self, query: str) -> Iterator[Iterator[tuple[str, Any]]]:
        """The events of the stream, name and data, as they come."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE)
        headers = {"Host": self.host, "Authorization": f"Bearer {self.token}"}
        connection.request("GET", f"/api/v1/stream?{query}", headers=headers)
        answer = connection.getresponse()
        assert answer.status == 200, answer.read()
        try:
            yield events_of(answer)
        finally:
            connection.close()
            answer.close()


def events_of(answer: http.client.HTTPResponse) -> Iterator[tuple[str, Any]]:
    """Name and data of each event of a stream (SSE), as they come."""
    name = ""
    while line := answer.readline().decode():
        key, _, value = line.rstrip("\n").partition(": ")
        if key == "event":
            name = value
        elif key == "data":
            yield name, json.loads(value)
