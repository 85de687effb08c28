"""`stores mcp`: the official client understands it, and a client that makes mistakes is told which."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from typing import Any
from urllib.request import Request, urlopen

import pytest
from workbench import Site

TOOLS = {
    *("status", "logs", "start", "stop", "restart", "routes", "recent_failures"),
    *("inspect", "requests", "request"),
}


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    made = Site(tmp_path_factory.mktemp("site"))
    made.service("shop", "web: printf '\\033[32mgreen\\033[0m\\n'; exec python3 -m http.server $PORT\n")
    made.service("broken", "web: echo no such database; exit 7\n", restart="never")
    try:
        made.stores("up", "-d")
        yield made
    finally:
        made.stores("down")
        made.end()


class Client:
    """Speaks the protocol by hand: a line there, a line back."""

    def __init__(self, site: Site) -> None:
        self._server = subprocess.Popen(
            [sys.executable, "-P", "-m", "procman.cli", "mcp"],
            cwd=site.root,
            env=site.env,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )

    def say(self, line: bytes) -> Any:
        assert self._server.stdin is not None
        assert self._server.stdout is not None
        self._server.stdin.write(line + b"\n")
        self._server.stdin.flush()
        return json.loads(self._server.stdout.readline())

    def ask(self, method: str, **parameters: Any) -> Any:
        return self.say(json.dumps({"jsonrpc": "2.0", "id": 1, "method": method, "params": parameters}).encode())

    def call(self, tool: str, **arguments: Any) -> Any:
        return self.ask("tools/call", name=tool, arguments=arguments)["result"]

    def end(self) -> int:
        assert self._server.stdin is not None
        assert self._server.stdout is not None
        self._server.stdin.close()
        code = self._server.wait(30)
        self._server.stdout.close()
        return code


@pytest.fixture
def client(site: Site) -> Iterator[Client]:
    made = Client(site)
    try:
        yield made
    finally:
        assert made.end() == 0


@pytest.mark.skipif(sys.version_info >= (3, 14), reason="the client's first line has no release for it")
async def test_the_official_client_lists_the_tools_and_calls_them(site: Site) -> None:
    from mcp import ClientSession, StdioServerParameters  # noqa: PLC0415 (a second, only here)
    from mcp.client.stdio import stdio_client  # noqa: PLC0415 (as above)

    command = [sys.executable, "-P", "-m", "procman.cli", "-w", str(site.root), "mcp"]
    server = StdioServerParameters(command=command[0], args=command[1:], env=site.env)
    async with stdio_client(server) as (reads, writes), ClientSession(reads, writes) as session:
        begun = await session.initialize()
        assert begun.serverInfo.name == "stores"
        assert begun.instructions
        assert {tool.name for tool in (await session.list_tools()).tools} == TOOLS
        told = await session.call_tool("status", {})
        assert told.structuredContent is not None
        assert {one["name"]: one["state"] for one in told.structuredContent["services"]}["shop"] == "ready"
        again = await session.call_tool("restart", {"targets": ["shop"]})
        assert not again.isError
        logs = await session.call_tool("logs", {"targets": ["shop"], "grep": "^green$"})
        assert logs.structuredContent == {"lines": ["shop.web: green"] * 2}
        await session.send_ping()


def test_what_failed_is_told_with_its_last_lines(client: Client) -> None:
    told = client.call("recent_failures")["structuredContent"]
    (failed,) = told["processes"]
    assert (failed["service"], failed["state"]) == ("broken", "failed")
    assert "broken.web: no such database" in failed["last_lines"]
    assert told["requests_are_noted"] is False


def test_routes_say_what_answers_each_host(client: Client) -> None:
    told = client.call("routes")["structuredContent"]["routes"]
    assert {one["service"]: one["route"] for one in told}["shop"] == "local"


def test_an_agent_looks_into_the_requests_that_follow(client: Client, site: Site) -> None:
    assert client.call("requests")["structuredContent"] == {"inspected": [], "requests": []}
    (target,) = client.call("inspect", targets=["shop"])["structuredContent"]["targets"]
    assert target["name"] == "shop"
    request = Request(f"http://127.0.0.1:{site.status()['gateway']['http']}/?secret=hush")
    request.add_header("Host", "shop.localhost")
    with urlopen(request) as answer:
        answer.read()
    (one,) = client.call("requests", filter="~c 200")["structuredContent"]["requests"]
    assert (one["target"], one["method"], one["status"]) == ("shop", "GET", 200)
    told = client.call("request", id=one["id"])
    assert told["isError"] is False, told
    assert told["structuredContent"]["response"]["body"]["text"].startswith("<!DOCTYPE HTML>")
    assert "hush" not in told["content"][0]["text"]


def test_services_are_stopped_and_started(client: Client, site: Site) -> None:
    assert client.call("stop", targets=["shop"])["structuredContent"]["processes"][0]["state"] == "stopped"
    assert client.call("start", targets=["shop"])["structuredContent"]["processes"][0]["state"] == "ready"


@pytest.mark.parametrize(
    ("tool", "arguments", "said"),
    [
        ("start", {}, "targets is missing"),
        ("start", {"targets": "shop"}, "targets has to be a list of strings"),
        ("start", {"targets": ["shpo"]}, "shpo"),
        ("start", {"targets": ["broken"]}, "broken"),
        ("logs", {"lines": 0}, "lines: 0 is not from 1 to 1000"),
        ("logs", {"grep": "("}, "grep: not a regular expression"),
        ("inspect", {"targets": ["shpo"]}, "shpo"),
        ("inspect", {"targets": ["shop"], "minutes": 0}, "minutes: 0 is not from 1 to 1440"),
        ("requests", {"limit": 0}, "limit: 0 is not from 1 to 200"),
        ("requests", {"filter": "~c"}, "~c"),
        ("request", {"id": "99"}, "99"),
        ("request", {"id": "../status"}, "is not the number of a request"),
        ("logs", {"lines": True}, "lines has to be of type integer"),
        ("status", {"verbose": 1}, "verbose is not known; there is: targets"),
    ],
)
def test_a_call_that_fails_is_a_result_that_says_why(
    client: Client, tool: str, arguments: dict[str, Any], said: str
) -> None:
    result = client.call(tool, **arguments)
    assert result["isError"] is True
    assert said in result["content"][0]["text"]


@pytest.mark.parametrize(
    ("line", "code"),
    [
        (b"{", -32700),
        (b"[]", -32600),
        (b'{"jsonrpc": "2.0", "id": 1}', -32600),
        (b'{"jsonrpc": "2.0", "id": 1, "method": "resources/list"}', -32601),
        (b'{"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": "rm"}}', -32602),
        (b'{"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": [1]}', -32602),
    ],
)
def test_what_is_no_proper_message_is_refused_by_its_code(client: Client, line: bytes, code: int) -> None:
    assert client.say(line)["error"]["code"] == code
    assert client.ask("ping")["result"] == {}


def test_a_notification_is_not_answered_and_a_version_is_agreed_on(client: Client) -> None:
    notification = b'{"jsonrpc": "2.0", "method": "notifications/initialized"}\n'
    told = client.say(notification + b'{"jsonrpc": "2.0", "id": "a", "method": "ping"}')
    assert told == {"jsonrpc": "2.0", "id": "a", "result": {}}
    assert client.ask("initialize", protocolVersion="2024-11-05")["result"]["protocolVersion"] == "2024-11-05"
    assert client.ask("initialize", protocolVersion="1999-01-01")["result"]["protocolVersion"] == "2025-06-18"


def test_without_anything_that_runs_it_says_how_to_start_it(tmp_path: Any) -> None:
    other = Site(tmp_path)
    try:
        client = Client(other)
        result = client.call("status")
        assert client.end() == 0
        assert result["isError"] is True
        assert "stores up -d" in result["content"][0]["text"]
    finally:
        other.end()
