"""The broker where it lives: in the gateway, told by the supervisor, used by services that know only HTTP."""

from __future__ import annotations

import http.client
import json
import re
import socket
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

import pytest
from engine_servers import EngineServer
from events_world import headers_of
from workbench import Site, wait_until

from procman import event_settings
from procman.table import Table

SINK = """
    import http.server, os, pathlib

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self):
            body = self.rfile.read(int(self.headers["Content-Length"]))
            with open("got.txt", "ab") as file:
                file.write(self.headers["ce-id"].encode() + b" " + self.headers["Stores-Attempt"].encode() + b"\\n")
            self.send_response(204)
            self.end_headers()

        def log_message(self, *_):
            pass

    http.server.ThreadingHTTPServer(("127.0.0.1", int(os.environ["PORT"])), Handler).serve_forever()
"""


@pytest.fixture
def workspace(site: Site) -> Site:
    site.program("sink.py", SINK)
    site.service("desk", "web: exec python3 sink.py\n", setup="", subscribe=["com.example.order.*"], deliver="/hook")
    return site


def url_of(site: Site) -> str:
    found = re.search(r"STORES_EVENTS_URL=(\S+)", site.ok("env", "desk"))
    assert found
    return found[1].strip("'\"")


def send(url: str, host: str = "", **attributes: str) -> dict[str, Any]:
    headers = headers_of(**attributes) | ({"Host": host} if host else {})
    request = urllib.request.Request(f"{url}/v1/events", b"{}", headers | {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=20) as answer:
        return json.load(answer)


def got(site: Site) -> list[str]:
    file = site.root / "got.txt"
    return file.read_text().split("\n")[:-1] if file.exists() else []


def test_an_event_waits_for_a_stopped_service_and_comes_when_it_is_ready(workspace: Site) -> None:
    workspace.ok("up", "-d", "gateway")
    wait_until(lambda: workspace.status()["events"]["status"] == "ok", "the broker is well")
    assert "events:" not in workspace.stores("status").stdout
    url = url_of(workspace)
    for number in range(3):
        send(url, id=f"o-{number}", type="com.example.order.placed", subject="k")
    send(url, id="other", type="com.example.other")
    assert got(workspace) == []
    workspace.ok("start", "desk")
    wait_until(lambda: len(got(workspace)) == 3, "they come")
    assert got(workspace) == ["o-0 1", "o-1 1", "o-2 1"]
    workspace.ok("stop", "desk")
    send(url, id="o-3", type="com.example.order.placed", subject="k")
    workspace.ok("restart", "gateway")
    workspace.ok("start", "desk")
    wait_until(lambda: len(got(workspace)) == 4, "it comes after both were restarted")
    assert got(workspace)[3] == "o-3 1"
    assert "Bad file descriptor" not in workspace.ok("logs", "gateway"), "a gateway that drains still hears what runs"


def test_the_broker_is_a_host_of_the_gateway(workspace: Site) -> None:
    workspace.ok("up", "-d", "gateway")
    port = workspace.status()["gateway"]["http"]
    for host in ("events.localhost", "events.local.example.com"):
        assert send(f"http://127.0.0.1:{port}", host=f"{host}:{port}")["accepted"] == 1
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    connection.request("GET", "/healthz", headers={"Host": "events.localhost"})
    answer = connection.getresponse()
    assert (answer.status, answer.headers["X-Stores-Route"]) == (200, "local")
    connection.close()


def test_many_questions_come_on_one_connection_whatever_they_ask(workspace: Site) -> None:
    workspace.ok("up", "-d", "gateway")
    told = workspace.status()
    wait_until(lambda: workspace.status()["events"]["status"] == "ok", "the broker is well")
    for port in (told["events"]["port"], told["gateway"]["http"]):
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
        for path in (
            "/healthz?facts=no",
            "/metrics",
            "/v1/subscriptions",
            "/v1/events?after=0",
            "/nowhere",
            "/healthz",
        ):
            connection.request("GET", path, headers={"Host": "events.localhost"})
            answer = connection.getresponse()
            assert (path, answer.status) == (path, 404 if path == "/nowhere" else 200)
            answer.read()
        connection.request("POST", "/v1/events", b"", headers_of() | {"Host": "events.localhost"})
        assert connection.getresponse().status == 202
        connection.close()


def test_an_event_starts_a_service_that_wants_to_be_started(workspace: Site) -> None:
    service = workspace.root / "Procfile.d" / "desk"
    service.write_text(service.read_text().replace("# ///\nweb", '# [events]\n# start = "on-request"\n# ///\nweb'))
    workspace.ok("up", "-d", "gateway")
    send(url_of(workspace), id="wake", type="com.example.order.placed")
    wait_until(lambda: got(workspace) == ["wake 1"], "it was started and got it")


def test_a_new_subscription_takes_effect_while_the_system_runs(workspace: Site) -> None:
    workspace.ok("up", "-d", "desk")
    url = url_of(workspace)
    service = workspace.root / "Procfile.d" / "desk"
    service.write_text(service.read_text().replace("com.example.order.*", "org.example.**"))
    wait_until(lambda: send(url, type="org.example.a.b") and got(workspace), "the new wish holds")


def test_another_port_takes_effect_while_the_system_runs(workspace: Site) -> None:
    workspace.ok("up", "-d", "desk")
    old = url_of(workspace)
    ready = workspace.process("desk.web")["pid"]
    settings = workspace.root / "stores.toml"
    with socket.create_server(("127.0.0.1", 0)) as taken:
        settings.write_text(f"[events]\nport = {taken.getsockname()[1]}\n")
        wait_until(lambda: "events stay on their port" in str(workspace.status()["mistakes"]), "it is said")
        send(old, id="0", type="com.example.order.placed")
        port = taken.getsockname()[1]
    settings.write_text(f"[events]\nport = {port}\n\n")

    def moved() -> bool:
        try:
            return bool(send(f"http://127.0.0.1:{port}", id="1", type="com.example.order.placed"))
        except OSError:
            return False

    wait_until(moved, "it is there")
    assert url_of(workspace) == f"http://127.0.0.1:{port}"
    with pytest.raises(urllib.error.URLError):
        send(old)
    wait_until(lambda: got(workspace) == ["0 1", "1 1"], "both are delivered")
    assert workspace.process("desk.web")["pid"] == ready, "nothing was restarted"
    assert "desk.web: restart due" in workspace.ok("status")
    workspace.ok("restart", "gateway")
    send(f"http://127.0.0.1:{port}", id="2", type="com.example.order.placed")
    wait_until(lambda: len(got(workspace)) == 3, "and after a restart of the gateway")


def test_a_broken_file_costs_the_events_and_nothing_else(workspace: Site) -> None:
    workspace.ok("up", "-d", "desk")
    send(url_of(workspace))
    workspace.ok("stop", "gateway")
    (file,) = workspace.folder.glob("state/**/events.sqlite3")
    file.write_bytes(b"this was an event log once, and now it is something else" * 1000)
    workspace.ok("start", "gateway")
    with pytest.raises(urllib.error.HTTPError) as caught:
        send(url_of(workspace))
    assert caught.value.code == 503
    assert f"mv {file}" in json.load(caught.value)["detail"]
    assert workspace.status()["events"]["status"] == "unavailable"
    (line,) = re.findall(r"^events: .*$", workspace.ok("status"), re.MULTILINE)
    assert line.startswith("events: unavailable — ")
    assert f"mv {file}" in line
    assert workspace.process("desk.web")["state"] == "ready"


def test_a_remote_whose_ca_is_missing_costs_the_remote_and_not_the_events(workspace: Site) -> None:
    (workspace.root / "stores.toml").write_text(
        '[remote]\ndomain = "remote.example.com"\nconnect_to = ["::127.0.0.1:9"]\nca = "nowhere/ca.pem"\n'
        '[events]\nremote = "https://events.remote.example.com"\nforward = ["com.example.order.*"]\n'
    )
    workspace.ok("up", "-d", "desk")
    send(url_of(workspace), id="local", type="com.example.order.placed")
    wait_until(lambda: got(workspace) == ["local 1"], "it is delivered here")

    def problems() -> Any:
        health = json.loads(workspace.ok("events", "show", "--json"))
        return health["status"] == "degraded" and len(health["problems"]) == 2 and health["problems"]

    for problem in wait_until(problems, "both ways say so").values():
        assert "nowhere/ca.pem" in problem
        assert "[remote] ca in stores.toml" in problem
    assert workspace.ok("logs", "gateway").count("No events from the remote") == 1
    told = workspace.status()["events"]
    assert (told["status"], set(told["problems"])) == ("degraded", {"remote:receive", "remote:forward"})
    (line,) = re.findall(r"^events: .*$", workspace.ok("status"), re.MULTILINE)  # one, though both ways say it
    assert re.search(r"degraded — events\.remote\.example\.com is not reached: .*\(stores events show\)$", line)


def test_another_engine_takes_effect_while_the_system_runs_and_is_waited_for(workspace: Site, tmp_path: Path) -> None:
    workspace.ok("up", "-d", "desk")
    url = url_of(workspace)
    send(url, id="in-the-file", type="com.example.order.placed")
    wait_until(lambda: got(workspace) == ["in-the-file 1"], "it works")
    server = EngineServer("redis", tmp_path / "redis")
    try:
        server.kill()
        (workspace.root / "stores.toml").write_text(f'[events]\nengine = "{server.url}"\nbacklog = 7\n')

        def refused() -> Any:
            try:
                return send(url) and None
            except urllib.error.HTTPError as error:
                return error.code == 503 and json.load(error)["detail"]

        assert server.url in wait_until(refused, "publishers are told that it is away")
        server.start()

        def accepted() -> bool:
            try:
                return send(url, id="on-the-server", type="com.example.order.placed")["seq"] == 1
            except urllib.error.HTTPError:
                return False

        wait_until(accepted, "it is used once it is there")
        wait_until(lambda: len(got(workspace)) == 2, "and what it has is delivered")
        assert got(workspace)[1] == "on-the-server 1"
        assert json.loads(workspace.ok("events", "show", "--json"))["engine"] == "redis"
    finally:
        server.kill()


@pytest.mark.parametrize(
    ("engine", "said"),
    [
        ("kafka://127.0.0.1", "is no engine that is known"),
        ("nats:///events", "is not a server"),
        ("redis://host:6379/a/b", "is not a server"),
        ("sqlite://events.sqlite3", "names no file"),
        ("nats://me:secret@host:x", "is not a server"),
    ],
)
def test_an_engine_that_is_none_is_refused_with_those_that_are(site: Site, engine: str, said: str) -> None:
    site.service("desk", "web: true\n")
    (site.root / "stores.toml").write_text(f'[events]\nengine = "{engine}"\n')
    done = site.stores("check")
    assert done.returncode == 2
    text = done.stderr + done.stdout
    assert said in text
    assert "stores.toml:2" in text


def test_an_engine_without_its_client_is_refused_with_the_line_that_installs_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(event_settings, "find_spec", lambda _: None)
    table = Table({"engine": "nats://me:secret@127.0.0.1:4222"}, "stores.toml", [])
    event_settings.read(table, tmp_path)
    (mistake,) = table.mistakes
    assert "uv tool install 'stores[nats]'" in mistake.mend
    assert "secret" not in f"{mistake.problem}{mistake.mend}"


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ('subscribe = ["com..x"]', '"com..x" is not an event type'),
        ('subscribe = ["com.**.x"]', "is not an event type"),
        ('subscribe = ["a"]\n# deliver = "events"', '"events" is not a path'),
        ('deliver = "/events"', "nothing is delivered without subscribe"),
        ('subscribe = ["a"]\n# [events]\n# order = "random"', '"random" is not one of key, none, all'),
        ('subscribe = ["a"]\n# [events]\n# colour = 1', 'unknown key "events.colour"'),
        ('subscribe = ["a"]\n# [events]\n# filters = [{ near = { type = "x" } }]', '"near" is not a kind of filter'),
        ('subscribe = ["a"]\n# [events]\n# filters = [{ any = [] }]', "any takes a list of filters"),
        ('subscribe = ["a"]\n# [events]\n# filters = [{ exact = { Subject = "x" } }]', '"Subject" is no attribute'),
        ('subscribe = ["a"]\n# [events]\n# concurrency = 0', "1 to 100"),
        ('subscribe = ["a"]\n# [events]\n# sign = "whsec_abc="', "is not the name of an environment variable"),
    ],
)
def test_a_mistake_in_a_wish_is_named_with_its_line(site: Site, wrong: str, said: str) -> None:
    (site.root / "Procfile.d" / "desk").write_text(f"# /// stores\n# {wrong}\n# ///\nweb: true\n")
    done = site.stores("check")
    assert done.returncode == 2
    assert said in done.stderr + done.stdout
    assert re.search(r"Procfile\.d/desk:\d+", done.stderr + done.stdout)
