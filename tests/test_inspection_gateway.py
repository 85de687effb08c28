"""Inspection through a running gateway: what is recorded, shown, filtered, exported, sent again, and when it ends."""

import http.client
import json
import subprocess
from contextlib import closing
from dataclasses import replace

import pytest
from dashboard_page import events_of
from gateway_world import World, service
from stage import PATIENCE, eventually
from websockets.asyncio.server import serve
from websockets.sync.client import connect

from procman import dashboard_token

SECRET = "s3cr3t-value"


class Inspected:
    """A gateway, a shop behind it, and the dashboard's API as a program asks it."""

    def __init__(self, world):
        self.world = world
        self.shop = world.origin()
        world.tell(service("shop", port=self.shop.port))
        self.world.get("stores.localhost", "/")  # the token is made with the dashboard
        token = dashboard_token.kept(world.folder / "gateway")
        self.fields = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}

    def raw(self, method, path, body=None):
        data = None if body is None else json.dumps(body).encode()
        url = f"/api/v1/inspection{path}"
        return self.world.get("stores.localhost", url, method=method, headers=self.fields, body=data)

    def ask(self, method, path="", body=None, status=200):
        answer = self.raw(method, path, body)
        assert answer.status == status, answer
        return answer.json

    def on(self, *names, **more):
        return self.ask("POST", "/on", {"targets": [*names], **more})

    def off(self):
        return self.ask("POST", "/off", {})

    def begin(self, *names):
        self.off()
        self.on(*(names or ["shop"]))
        self.ask("DELETE", "/requests")

    def records(self, query=""):
        return self.ask("GET", f"/requests{query}")["requests"]

    def done(self, count=1, query=""):
        """The records, the newest first, once so many have ended."""

        def all_ended():
            found = [one for one in self.records(query) if one["state"] != "open"]
            return found if len(found) >= count else None

        return eventually(all_ended)

    def whole(self, number, query=""):
        return self.ask("GET", f"/requests/{number}{query}")


@pytest.fixture(scope="module")
def seen(tmp_path_factory):
    world = World(tmp_path_factory.mktemp("gateway"))
    try:
        yield Inspected(world)
    finally:
        world.close()


def test_nothing_is_recorded_until_somebody_wants_it(seen):
    seen.off()
    seen.ask("DELETE", "/requests")
    assert seen.world.get("shop.localhost").route == "local"
    told = seen.ask("GET")
    assert (told["targets"], told["requests"]) == ([], 0)
    assert told["limits"] == {"requests": 1000, "bytes": 32 << 20, "body": 256 << 10, "messages": 500}


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_a_request_and_its_answer_are_shown_from_head_to_foot(seen, scheme):
    seen.begin()
    body = b'{"article": 7}'
    headers = {"Content-Type": "application/json"}
    answer = seen.world.get("shop.localhost", "/order?n=1", scheme=scheme, method="POST", headers=headers, body=body)
    assert (answer.status, answer.route) == (200, "local")
    (one,) = seen.done()
    assert (one["method"], one["path"], one["status"], one["route"]) == ("POST", "/order?n=1", 200, "local")
    assert (one["target"], one["service"], one["scheme"], one["request_bytes"]) == ("shop", "shop", scheme, len(body))
    assert 0 <= one["first_byte"] <= one["duration"] < PATIENCE
    whole = seen.whole(one["id"])
    assert whole["request"]["body"]["text"] == body.decode()
    assert json.loads(whole["response"]["body"]["text"]) == answer.json
    assert ["X-Stores-Route", "local"] in whole["response"]["headers"]
    assert dict(whole["sent"]["headers"])["X-Forwarded-Proto"] == scheme
    assert whole["sent"]["to"].endswith(f":{seen.shop.port}")


def test_http2_is_recorded_as_well(seen):
    seen.begin()
    world = seen.world
    url, place = f"https://shop.localhost:{world.https}/two", world.resolve("shop.localhost")
    assert world.curl("--http2", "-w", "%{http_version}", url, "--resolve", place).endswith("}2")
    assert [one["path"] for one in seen.done()] == ["/two"]


def test_a_host_is_recorded_alone(seen):
    seen.begin("admin.shop")
    for host in ("shop.localhost", "admin.shop.localhost"):
        assert seen.world.get(host, f"/of-{host}").status == 200
    assert [(one["target"], one["path"]) for one in seen.done()] == [("admin.shop", "/of-admin.shop.localhost")]


def test_the_fallback_page_is_recorded_too(seen):
    seen.world.tell(service("shop", port=seen.shop.port), service("away", remote=None))
    seen.begin("away")
    assert seen.world.get("away.localhost").status == 503
    (one,) = seen.done()
    assert (one["status"], one["route"]) == (503, "fallback")


def test_secrets_are_masked_until_they_are_asked_for(seen):
    seen.begin()
    headers = {"Authorization": f"Bearer {SECRET}", "Cookie": f"sid={SECRET}", "Content-Type": "application/json"}
    body = json.dumps({"user": "a", "password": SECRET}).encode()
    seen.world.get("shop.localhost", f"/login?token={SECRET}", method="POST", headers=headers, body=body)
    (one,) = seen.done()
    exports = [f"/export?format={kind}" for kind in ("curl", "httpie", "har", "raw", "mitm")]
    for path in ("?", *exports):
        hidden = seen.raw("GET", f"/requests/{one['id']}{path}").body
        assert SECRET.encode() not in hidden
        assert b"***" in hidden
        assert SECRET.encode() in seen.raw("GET", f"/requests/{one['id']}{path}&secrets=true").body
    assert SECRET not in json.dumps(seen.records())


def test_a_cookie_that_is_set_is_masked(seen):
    seen.begin()
    give = json.dumps([["Set-Cookie", f"sid={SECRET}; Path=/"]])
    seen.world.get("shop.localhost", "/headers", headers={"X-Give": give})
    (one,) = seen.done()
    assert ["Set-Cookie", "sid=***; Path=/"] in seen.whole(one["id"])["response"]["headers"]


def test_the_remote_s_credentials_are_masked_by_whatever_name(seen):
    world = seen.world
    remote = world.snapshot.remote
    headers = {"X-Gate": f"command:printf %s {SECRET}"}
    world.tell(service("shop", port=seen.shop.port), service("far"), remote=replace(remote, headers=headers))
    try:
        seen.begin("far")
        assert world.get("far.localhost", "/x").route == "remote"
        (one,) = seen.done()
        sent = dict(seen.whole(one["id"])["sent"]["headers"])
        assert sent["X-Gate"] == "***"
        assert dict(seen.whole(one["id"], "?secrets=true")["sent"]["headers"])["X-Gate"] == SECRET
    finally:
        world.tell(service("shop", port=seen.shop.port), remote=remote)


def test_server_sent_events_are_not_held_up(seen):
    seen.begin()
    seen.shop.release.clear()
    with seen.world.connection("shop.localhost") as connection:
        connection.request("GET", "/events", headers={"Host": f"shop.localhost:{seen.world.http}"})
        answer = connection.getresponse()
        assert answer.readline() == b"data: first\n"
        (one,) = seen.records()
        assert one["state"] == "open"
        assert "data: first" in eventually(lambda: seen.whole(one["id"])["response"]["body"]["text"])
        seen.shop.release.set()
        assert b"data: second" in answer.read()
    (one,) = seen.done()
    assert "data: second" in seen.whole(one["id"])["response"]["body"]["text"]


async def _echo(connection):
    async for message in connection:
        await connection.send(message)


def test_the_messages_of_a_websocket_are_shown(seen):
    world = seen.world

    async def start():
        return await serve(_echo, "127.0.0.1", 0)

    server = world.stage.do(start())
    try:
        port = next(iter(server.sockets)).getsockname()[1]
        world.tell(service("shop", port=seen.shop.port), service("chat", port=port))
        seen.begin("chat")
        with world.socket("http") as plain, connect(f"ws://chat.localhost:{world.http}/", sock=plain) as client:
            for message in ("hello", b"\x00\x01"):
                client.send(message)
                assert client.recv() == message
            (one,) = seen.records()
            assert eventually(lambda: seen.records()[0]["messages"] == 4)
        (one,) = seen.done()
        said = seen.whole(one["id"])["messages"]
        assert [(each["from"], each["text"], each["base64"]) for each in said] == [
            ("client", "hello", None),
            ("server", "hello", None),
            ("client", None, "AAE="),
            ("server", None, "AAE="),
        ]
        refused = seen.ask("POST", f"/requests/{one['id']}/replay", {}, status=409)
        assert "WebSocket" in refused["detail"]
    finally:

        async def stop():
            server.close()
            await server.wait_closed()

        world.stage.do(stop())
        world.tell(service("shop", port=seen.shop.port))


def test_a_filter_and_a_text_choose_and_a_wrong_filter_is_told_as_such(seen):
    seen.begin()
    for path in ("/cart", "/stock"):
        seen.world.get("shop.localhost", path)
    seen.world.get("shop.localhost", "/cart", method="POST", body=b"blue shoes")
    seen.done(3)
    assert [one["path"] for one in seen.records("?filter=~u%20stock")] == ["/stock"]
    assert [one["method"] for one in seen.records("?filter=~m%20POST%20%26%20~c%20200")] == ["POST"]
    assert [one["method"] for one in seen.records("?q=BLUE")] == ["POST"]
    assert seen.records("?target=nobody") == []
    wrong = seen.ask("GET", "/requests?filter=~c%20abc", status=400)
    assert "'~c abc'" in wrong["detail"]
    first = seen.ask("GET", "/requests?limit=2")
    assert [one["path"] for one in seen.records(f"?before={first['before']}")] == ["/cart"]
    assert seen.ask("GET", "/requests?before=x", status=400)


def test_it_is_sent_again_as_it_was_or_edited(seen):
    seen.begin()
    seen.world.get("shop.localhost", "/order", method="POST", headers={"X-Kind": "a"}, body=b"one")
    (one,) = seen.done()
    again = seen.ask("POST", f"/requests/{one['id']}/replay", {})
    assert (again["method"], again["path"], again["status"]) == ("POST", "/order", 200)
    assert again["replay_of"] == one["id"]
    edit = {"method": "PUT", "path": "/other", "set": {"X-Kind": "b"}, "body": "two"}
    edited = seen.ask("POST", f"/requests/{one['id']}/replay", edit)
    while (last := seen.shop.last()).target != "/other":
        pass
    assert (last.method, last["x-kind"], last.body, last.all("x-stores-replay")) == ("PUT", "b", b"two", [])
    assert edited["status"] == 200
    assert seen.ask("POST", f"/requests/{one['id']}/replay", {"path": "no path"}, status=409)
    assert seen.ask("POST", "/requests/4711/replay", {}, status=404)


def test_the_exported_curl_command_sends_the_same(seen):
    seen.begin()
    body = 'it\'s 100% "quoted"\nand has $HOME two lines'
    headers = {"Content-Type": "text/plain"}
    seen.world.get("shop.localhost", "/say?a=1&b=2", method="POST", headers=headers, body=body.encode())
    (one,) = seen.done()
    command = seen.raw("GET", f"/requests/{one['id']}/export?format=curl&secrets=true").text
    done = subprocess.run(["sh", "-c", f"{command.strip()} -sS"], capture_output=True, check=False, timeout=PATIENCE)
    assert done.returncode == 0, (command, done.stderr)
    said = [last for last in [seen.shop.last() for _ in range(seen.shop.seen.qsize())] if last.target == "/say?a=1&b=2"]
    assert [last.body for last in said] == [body.encode()] * 2


def test_a_har_has_what_har_demands(seen):
    seen.begin()
    for path in ("/a", "/b"):
        seen.world.get("shop.localhost", path)
    seen.done(2)
    har = seen.raw("GET", "/export?format=har").json["log"]
    assert har["version"] == "1.2"
    assert [entry["request"]["url"].rpartition("/")[2] for entry in har["entries"]] == ["a", "b"]
    for entry in har["entries"]:
        assert {"startedDateTime", "time", "request", "response", "cache", "timings"} <= entry.keys()
        assert {"size", "mimeType", "text"} <= entry["response"]["content"].keys()
    assert seen.raw("GET", "/export?format=mitm").body


def test_it_ends_by_itself_and_what_was_recorded_stays(seen):
    seen.begin()
    seen.world.get("shop.localhost", "/kept")
    seen.done()
    seen.on("shop", seconds=1)
    eventually(lambda: seen.ask("GET")["targets"] == [])
    seen.world.get("shop.localhost", "/not-any-more")
    assert [one["path"] for one in seen.records()] == ["/kept"]


def test_names_that_nobody_has_and_times_that_are_none_are_refused(seen):
    assert "stores status" in seen.ask("POST", "/on", {"targets": ["nobody"]}, status=404)["hint"]
    assert seen.ask("POST", "/on", {"targets": ["shop"], "seconds": 0}, status=400)
    assert seen.ask("POST", "/on", {"targets": []}, status=400)


def test_who_follows_hears_of_what_is_new_and_what_has_changed(seen):
    seen.begin()
    with closing(follow(seen, "filter=~u%20wanted")) as events:
        assert next(events)[0] == "inspection"
        seen.world.get("shop.localhost", "/unwanted-not")
        seen.world.get("shop.localhost", "/other")
        name, told = next(events)
        assert (name, [one["path"] for one in told["records"]]) == ("inspected", ["/unwanted-not"])
        seen.off()
        assert next(one for name, one in events if name == "inspection")["targets"] == []
    with closing(follow(seen, "filter=~c%20abc")) as events:
        name, told = next(events)
        assert (name, "'~c abc'" in told["detail"]) == ("inspection-problem", True)


def follow(seen, query):
    connection = http.client.HTTPConnection("127.0.0.1", seen.world.http, timeout=PATIENCE)
    headers = {"Host": f"stores.localhost:{seen.world.http}", **seen.fields}
    connection.request("GET", f"/api/v1/stream?topics=inspection&{query}", headers=headers)
    answer = connection.getresponse()
    assert answer.status == 200, answer.read()
    try:
        yield from events_of(answer)
    finally:
        connection.close()
        answer.close()


def test_thousands_of_requests_and_a_large_body_are_kept_within_bounds(seen):
    seen.begin()
    world = seen.world
    with world.connection("shop.localhost") as connection:
        for number in range(1200):
            connection.request("GET", f"/many/{number}", headers={"Host": f"shop.localhost:{world.http}"})
            connection.getresponse().read()
    assert seen.ask("GET")["requests"] == 1000
    assert seen.done(query="?limit=1")[0]["path"] == "/many/1199"
    size = 3_000_000
    assert len(world.get("shop.localhost", f"/large?{size}").body) == size
    one = seen.done(query="?limit=1")[0]
    assert one["response_bytes"] == size
    body = seen.whole(one["id"])["response"]["body"]
    assert (len(body["text"]), body["kept"]) == (256 << 10, 256 << 10)
    assert any("is cut" in note for note in seen.records("?limit=1")[0]["notes"])
    assert seen.ask("GET")["bytes"] < 32 << 20
