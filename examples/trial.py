"""Tries a sample out: starts it by ``make dev`` on a free port, and asks it as browsers and programs do.

For the tests, which stand with the others in `tests/`.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import queue
import re
import signal
import subprocess
import sys
import threading
import time
import urllib.parse
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

EXAMPLES = Path(__file__).parent
NAMES = ("netshop", "reserve", "register", "account", "organization")
PATIENCE = 15  # seconds for anything; nothing takes that long unless it is broken
NOBODY = "http://127.0.0.1:1"  # a port where nobody listens


@dataclass
class Reply:
    status: int
    headers: http.client.HTTPMessage
    body: str

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    def cookie(self, name: str) -> str:
        found = [line for line in self.headers.get_all("Set-Cookie", []) if line.startswith(f"{name}=")]
        return found[-1] if found else ""


@dataclass
class Visitor:
    """A browser, as far as a service sees one: it keeps cookies, and asks for `host` through a gateway."""

    service: Service
    host: str = ""
    scheme: str = "http"
    cookies: dict[str, str] = field(default_factory=dict)
    headers: dict[str, str] = field(default_factory=dict)

    def ask(self, method: str, path: str, body: Any = None, **headers: str) -> Reply:
        sent = {name.replace("_", "-"): value for name, value in headers.items()} | self.headers
        if self.host:
            sent |= {"X-Forwarded-Host": self.host, "X-Forwarded-Proto": self.scheme}
        if self.cookies:
            sent["Cookie"] = "; ".join(f"{name}={value}" for name, value in self.cookies.items())
        connection = http.client.HTTPConnection("127.0.0.1", self.service.port, timeout=PATIENCE)
        with contextlib.closing(connection):
            connection.request(method, path, body, sent)
            answer = connection.getresponse()
            reply = Reply(answer.status, answer.headers, answer.read().decode())
        for line in reply.headers.get_all("Set-Cookie", []):
            name, _, value = line.partition(";")[0].partition("=")
            self.cookies[name] = value
        return reply

    def get(self, path: str, **headers: str) -> Reply:
        return self.ask("GET", path, **headers)

    def post(self, path: str, **form: str) -> Reply:
        return self.ask("POST", path, urllib.parse.urlencode(form), Content_Type="application/x-www-form-urlencoded")

    def post_json(self, path: str, data: Any) -> Reply:
        return self.ask("POST", path, json.dumps(data), Content_Type="application/json")


class Service:
    """``make dev`` (or another verb) in a service's folder. Its lines can be waited for."""

    def __init__(self, name: str, data_dir: Path, verb: str = "dev", **variables: str) -> None:
        kept = {key: value for key, value in os.environ.items() if not key.startswith(("MAKE", "MFLAGS"))}
        for proxy in ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"):
            kept.pop(proxy, None)
        siblings = {f"STORES_{other.upper()}_URL": NOBODY for other in NAMES}
        ours = {"PORT": "0", "DATA_DIR": str(data_dir), "STORES_PYTHON": sys.executable, "PACKING_SECONDS": "0"}
        self.process = subprocess.Popen(
            ["make", "-s", verb],
            cwd=EXAMPLES / name,
            env=kept | siblings | ours | variables,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        self._lines = queue.SimpleQueue()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        for line in self.process.stdout:
            self._lines.put(line)

    def line(self, pattern: str) -> re.Match[str]:
        """The next line that the pattern is found in."""
        end = time.monotonic() + PATIENCE
        while True:
            line = self._lines.get(timeout=max(0.001, end - time.monotonic()))
            if found := re.search(pattern, line):
                return found

    def listening(self) -> Service:
        self.port = int(self.line(r"listens on http://127\.0\.0\.1:(\d+)")[1])
        return self

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def stop(self, number: signal.Signals = signal.SIGTERM) -> float:
        """How many seconds it took."""
        started = time.monotonic()
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, number)
        self.process.wait(PATIENCE)
        return time.monotonic() - started

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self._reader.join(PATIENCE)
        self.process.stdout.close()


@contextlib.contextmanager
def event_stream(shop: Service) -> Iterator[Iterator[tuple[str, Any]]]:
    """The events as they come: (name, data)."""
    connection = http.client.HTTPConnection("127.0.0.1", shop.port, timeout=PATIENCE)
    with contextlib.closing(connection):
        connection.request("GET", "/events", headers={"Accept": "text/event-stream"})
        answer = connection.getresponse()
        assert answer.headers["Content-Type"] == "text/event-stream"
        yield _parsed(answer)


def _parsed(answer: http.client.HTTPResponse) -> Iterator[tuple[str, Any]]:
    name = ""
    while line := answer.readline().decode():
        if line.startswith("event: "):
            name = line.removeprefix("event: ").strip()
        elif line.startswith("data: "):
            yield name, json.loads(line.removeprefix("data: "))


def until(events: Iterable[tuple[str, Any]], name: str, condition: Callable[[Any], bool]) -> Any:
    """The data of the next such event."""
    return next(data for event, data in events if event == name and condition(data))


def sign_in(
    account: Service,
    host: str = "account.local.example.com:8443",
    scheme: str = "https",
    password: str = "open-sesame",
    **way_back: str,
) -> tuple[Visitor, Reply]:
    """Alice fills the form in; the answer to it."""
    visitor = Visitor(account, host, scheme)
    page = visitor.get(f"/sign-in?{urllib.parse.urlencode(way_back)}")
    hidden = dict(re.findall(r'name="(\w+)" value="([^"]*)"', page.body))
    form = {name: hidden[name] for name in ("csrf", "app", "return_to", "ticket")}
    return visitor, visitor.post("/sign-in", login="alice", password=password, **form)


def follow(visitor: Visitor, reply: Reply) -> str:
    """The next Location of the chain, as long as it stays on this service."""
    while reply.headers["Location"].startswith("/continue"):
        reply = visitor.get(reply.headers["Location"])
    return reply.headers["Location"]


def free_slots(reserve: Service) -> list[str]:
    return [slot["id"] for slot in Visitor(reserve).get("/api/slots?free=1").json["slots"]]
