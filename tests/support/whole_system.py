"""A supervisor with the real gateway, on ports and a state of its own, asked as browsers and programs ask."""

from __future__ import annotations

import http.client
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from supervising import Supervising
from workbench import wait_until

HTML = {"Accept": "text/html", "Accept-Language": "en"}
PROBLEM = {"Accept": "application/json"}
#: A service's program: answers everything with ``here``, and says when it was asked.
HERE = """
import http.server, os
class Answer(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b"here")
    def log_message(self, *arguments):
        print("asked", flush=True)
http.server.HTTPServer(("127.0.0.1", int(os.environ["PORT"])), Answer).serve_forever()
"""


@dataclass(frozen=True)
class Page:
    """An answer."""

    status: int
    headers: http.client.HTTPMessage
    text: str

    @property
    def json(self) -> Any:
        return json.loads(self.text)

    @property
    def route(self) -> str:
        return self.headers["X-Stores-Route"]


class WholeSystem(Supervising):
    """Services are registered first; `begin_all` starts supervisor and gateway."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        del self.env["PYTHONPATH"]  # no idle gateway
        self.port = 0

    def begin_all(self) -> None:
        self.supervise()
        wait_until(lambda: self.status()["gateway"]["state"] == "ready", "the gateway is ready")
        self.port = self.status()["gateway"]["http"]

    def connect(self, timeout: float = 30.0) -> http.client.HTTPConnection:
        return http.client.HTTPConnection("127.0.0.1", self.port, timeout=timeout)

    def host(self, name: str) -> str:
        return f"{name}.localhost:{self.port}"

    def get(
        self, name: str, path: str = "/", headers: dict[str, str] | None = None, *, method: str = "GET", body: str = ""
    ) -> Page:
        connection = self.connect()
        try:
            sent = {"Host": self.host(name), **(headers or PROBLEM)}
            connection.request(method, path, body or None, sent)
            answer = connection.getresponse()
            return Page(answer.status, answer.headers, answer.read().decode())
        finally:
            connection.close()

    def get_until(self, name: str, code: str) -> Page:
        """The page, once it names this cause: what a service does is not there at once."""
        return wait_until(lambda: (page := self.get(name)).json["code"] == code and page, f"{name} is {code}")
