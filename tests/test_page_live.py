"""The page while it is open: its button and who may press it, its events, what a program's output may look like."""

import json
import queue
import re

import pytest
from gateway_world import one_world, service
from stage import PATIENCE, eventually

from procman.snapshot import ProcessStatus
from procman.state import State
from proxy_addons.fallback.ansi import Span, plain, spans

world = pytest.fixture(scope="module")(one_world)

HTML = {"Accept": "text/html"}
HOST = "register.localhost"


def register(state=State.STOPPED, **more):
    return service("register", state=state, remote=None, **more)


@pytest.fixture
def started(world):
    """The services that the supervisor was asked to start, and whether it was a restart."""
    asked = queue.Queue()

    async def on_start(question):
        asked.put((question["verb"], question["targets"]))

    world.supervisor.on_start = on_start
    yield asked
    world.supervisor.on_start = None


def form_of(world, path="/", host=HOST):
    page = world.get(host, path, headers=HTML).text
    return re.search('<form class="press" method="post" action="([^"]*)">', page)[1].replace("&amp;", "&")


def press(world, action, *, host=HOST, **headers):
    origin = {"Origin": f"http://{host}:{world.http}", "Sec-Fetch-Site": "same-origin"}
    headers = {**origin, **{name.replace("_", "-"): value for name, value in headers.items()}}
    return world.get(host, action, method="POST", headers={key: value for key, value in headers.items() if value})


def test_the_button_starts_the_service_and_leads_back_to_where_it_stood(world, started):
    world.tell(register())
    answer = press(world, form_of(world, "/sum?x=1&y=2"))
    assert (answer.status, answer["Location"], answer.route) == (303, "/sum?x=1&y=2", "fallback")
    assert started.get(timeout=PATIENCE) == ("start", ["register"])


def test_the_button_of_a_crashed_service_starts_it_anew(world, started):
    world.tell(register(State.BACKOFF, processes=(ProcessStatus("web", State.BACKOFF, exit="exit code 1"),)))
    assert "Restart register" in world.get(HOST, headers=HTML).text
    assert press(world, form_of(world)).status == 303
    assert started.get(timeout=PATIENCE) == ("restart", ["register"])


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Origin": ""},
        {"Sec_Fetch_Site": "cross-site"},
        {"Sec_Fetch_Site": "same-site"},
        {"Origin": "http://netshop.localhost"},
    ],
)
def test_a_page_of_another_site_or_host_cannot_press_it(world, started, headers):
    world.tell(register())
    answer = press(world, form_of(world), **{**headers, "Accept": "application/json"})
    assert (answer.status, answer.json["code"]) == (403, "not-pressed")
    assert started.empty()


def test_another_hosts_token_does_not_count(world, started):
    world.tell(register(), service("netshop", remote=None))
    elsewhere = form_of(world, host="netshop.localhost")
    assert press(world, elsewhere).status == 403
    assert press(world, "/.stores/start").status == 403
    assert started.empty()


def test_a_press_by_a_mere_link_starts_nothing(world, started):
    world.tell(register())
    answer = world.get(HOST, form_of(world))
    assert (answer.status, answer["Allow"]) == (405, "POST")
    assert started.empty()


@pytest.mark.parametrize("to", ["https://evil.example/", "//evil.example/", "/\\evil.example", "/.stores/events", "x"])
def test_it_leads_back_to_a_path_of_the_same_host_only(world, started, to):
    world.tell(register())
    action = form_of(world).partition("&to=")[0]
    assert press(world, f"{action}&to={to}")["Location"] == "/"


def test_a_start_that_the_supervisor_refuses_is_told_on_the_page(world):
    world.tell(register())
    answer = press(world, form_of(world), Accept="application/json")
    assert (answer.status, answer.json["code"]) == (502, "not-started")


def test_a_remotes_host_is_started_too_and_the_remote_sees_nothing_of_it(world, started):
    world.tell(service("account"))
    world.get("account.localhost", "/before", headers={"X-Mark": "yes"})
    world.remote_last_named("X-Mark")
    assert world.get("account.localhost", "/.stores/unknown").status == 404
    assert world.remote.seen.empty()


def test_the_pages_policy_lets_in_its_own_script_and_style_and_nothing_else(world):
    world.tell(register())
    answer = world.get(HOST, headers=HTML)
    origin = f"http://{HOST}:{world.http}"
    policy = answer["Content-Security-Policy"]
    assert f"script-src {origin}/.stores/page.js;" in policy
    assert f"connect-src {origin}/.stores/events;" in policy
    assert "unsafe" not in policy
    assert re.findall(r"\son\w+=|\sstyle=", answer.text) == []
    script = world.get(HOST, "/.stores/page.js")
    assert (script.status, script["Content-Type"]) == (200, "text/javascript")


class Events:
    """A browser's EventSource."""

    def __init__(self, world, host=HOST):
        self.socket = world.socket()
        self.socket.sendall(f"GET /.stores/events HTTP/1.1\r\nHost: {host}:{world.http}\r\n\r\n".encode())
        self.file = self.socket.makefile("rb")
        self.head = self._lines_until_empty()

    def _lines_until_empty(self):
        lines = []
        while line := self.file.readline().strip():
            lines.append(line.decode())
        return lines

    def next(self):
        while True:
            line = self.file.readline().decode().strip()
            if line.startswith("event: "):
                return line[7:], json.loads(self.file.readline().decode()[6:])

    def close(self):
        self.file.close()
        self.socket.close()


@pytest.fixture
def events(world):
    world.supervisor.logs["register"] = ["\x1b[31mfirst\x1b[0m line"]
    world.tell(register(State.STARTING))
    made = Events(world)
    yield made
    made.close()


def test_an_open_page_is_told_the_state_the_output_and_when_it_answers(world, events):
    assert "Content-Type: text/event-stream" in events.head
    assert events.next() == ("state", {"state": "starting", "answers": False})
    assert events.next() == ("begin", None)
    assert events.next() == ("log", [[["first", "red"], [" line", ""]]])
    world.supervisor.say("register", "\x1b[32mup\x1b[0m <b>")
    assert events.next() == ("log", [[["up", "green"], [" <b>", ""]]])
    world.tell(service("register", port=4711, remote=None))
    assert events.next() == ("state", {"state": "ready", "answers": True})


def test_the_supervisor_is_not_followed_for_a_page_that_was_closed(world, events):
    while events.next()[0] != "log":
        pass
    eventually(lambda: world.supervisor.followers.get("register"))
    while not world.supervisor.left.empty():
        world.supervisor.left.get_nowait()
    events.close()
    world.supervisor.say("register", "somebody there?")  # a client that has left is noticed by writing to it
    assert world.supervisor.left.get(timeout=PATIENCE) == "register"


def test_another_sites_page_hears_nothing(world):
    world.tell(register())
    assert world.get(HOST, "/.stores/events", headers={"Sec-Fetch-Site": "cross-site"}).status == 403


def test_what_a_post_asked_for_is_not_sent_again_by_itself(world):
    world.tell(register(State.STARTING))
    page = world.get(HOST, "/pay", method="POST", headers=HTML, body=b"amount=1").text
    assert "http-equiv" not in page
    assert 'data-method="POST"' in page
    assert 'id="answers"' in page
    world.tell(register())
    assert "will not be sent again by itself" in world.get(HOST, method="POST", headers=HTML, body=b"").text


@pytest.mark.parametrize(
    ("line", "looks"),
    [
        ("plain", [Span("plain")]),
        ("\x1b[31mred\x1b[39m, not", [Span("red", "red"), Span(", not")]),
        ("\x1b[1;4;92mok\x1b[22m\x1b[m", [Span("ok", "bold underline green")]),
        ("\x1b[38;5;196mred\x1b[48;5;21mstill", [Span("red", "red"), Span("still", "red")]),
        ("\x1b[38;2;0;120;255mblue\x1b[0m", [Span("blue", "blue")]),
        ("\x1b[38;5;244mgrey", [Span("grey")]),
        ("10%\r50%\r100%\r\n", [Span("100%")]),
        ("\x1b]8;;http://evil.example\x07link\x1b]8;;\x07", [Span("link")]),
        ("\x1b[2J\x1b[Hcleared\x07\x08\x00", [Span("cleared")]),
        ("a\tb", [Span("a\tb")]),
        ("\x1b[999999999999mfar\x1b[", [Span("far")]),
        ("\udcff", [Span("?")]),
    ],
)
def test_colours_become_names_and_everything_else_goes(line, looks):
    assert spans(line) == looks
    assert plain(line) == "".join(look.text for look in looks)
