"""The page: which service was asked for, does it run, what is wrong, what to type; for people and programs."""

import json
import re
import time

import pytest
from gateway_world import one_world, service
from stage import free_port

from procman.snapshot import ProcessStatus
from procman.state import State

world = pytest.fixture(scope="module")(one_world)

BROWSER = {
    "Accept": "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8",
    "Accept-Language": "en-GB,en;q=0.5",
}
JSON = {"Accept": "application/json, text/plain, */*"}


def register(state=State.STOPPED, **more):
    facts = {
        "description": "Point-of-sale register",
        "repo": "https://github.com/example/register",
        "file": "/srv/shop/Procfile.d/register",
        "remote": None,
        **more,
    }
    return service("register", state=state, **facts)


def test_a_browser_gets_html_that_answers_the_four_questions(world):
    process = ProcessStatus("web", State.FAILED, port=5104, restarts=3, since=time.time() - 125, exit="exit code 1")
    world.tell(register(State.FAILED, processes=(process,)))
    world.supervisor.logs["register"] = [f"line {number}" for number in range(80)]
    answer = world.get("register.localhost", "/sum?x=1", headers=BROWSER)
    assert answer.status == 502
    assert answer["Content-Type"] == "text/html; charset=utf-8"
    assert answer["Content-Language"] == "en"
    assert answer["Cache-Control"] == "no-store"
    for said in (
        "register has crashed",
        "Point-of-sale register",
        'href="https://github.com/example/register"',
        "/srv/shop/Procfile.d/register",
        "exit code 1",
        "5104",
        "for 2 min",
        "stores restart register",
        f"GET http://register.localhost:{world.http}/sum?x=1",
        "line 79",
        "line 30",
    ):
        assert said in answer.text, said
    assert "line 9\n" not in answer.text.replace("line 79\n", "")  # the last fifty
    assert re.findall("<script[^>]*>[^<]*", answer.text) == ['<script src="/.stores/page.js" defer>']


def test_a_japanese_browser_gets_japanese(world):
    world.tell(register())
    answer = world.get("register.localhost", headers={**BROWSER, "Accept-Language": "ja,en-US;q=0.7,en;q=0.3"})
    assert answer["Content-Language"] == "ja"
    assert '<html lang="ja">' in answer.text
    assert "register\N{NO-BREAK SPACE}は起動していません" in answer.text


def test_a_language_that_we_lack_falls_back_to_the_next_wanted(world):
    world.tell(register())
    answer = world.get("register.localhost", headers={**BROWSER, "Accept-Language": "fr, ja;q=0.9, en;q=0.8"})
    assert answer["Content-Language"] == "ja"
    assert world.get("register.localhost", headers={**BROWSER, "Accept-Language": "fr"})["Content-Language"] == "en"


def test_a_program_gets_a_problem_document(world):
    world.tell(register())
    answer = world.get("register.localhost", "/x", headers=JSON)
    assert answer.status == 503
    assert answer["Content-Type"] == "application/problem+json"
    document = answer.json
    assert document["status"] == 503
    assert document["code"] == "stopped"
    assert document["service"] == "register"
    assert document["state"] == "stopped"
    assert document["hint"] == "stores start register"
    assert document["instance"] == f"http://register.localhost:{world.http}/x"
    assert document["title"]
    assert document["detail"]


def test_curl_gets_plain_text_with_each_command_alone_on_its_line(world):
    world.tell(register())
    answer = world.get("register.localhost", headers={"Accept": "*/*"})
    assert answer["Content-Type"] == "text/plain; charset=utf-8"
    lines = answer.text.splitlines()
    assert lines[:2] == [
        "503 register is not running",
        "It is registered, and nobody has started it here.",
    ]
    assert "State: stopped" in lines
    assert lines[-3:] == ["What to type:", "  stores start register", "      start it"]


@pytest.mark.parametrize(
    ("accept", "media_type"),
    [
        ("", "text/plain"),
        ("image/avif,image/webp,*/*;q=0.8", "text/plain"),
        ("application/problem+json", "application/problem+json"),
        ("application/vnd.api+json", "application/problem+json"),
        ("application/json;q=0.9, text/html", "text/html"),
        ("text/html;q=0.1, application/json", "application/problem+json"),
        ("text/html;q=0", "text/plain"),
        ("text/html;q=rubbish", "text/plain"),
    ],
)
def test_the_form_is_what_the_client_asks_for(world, accept, media_type):
    world.tell(register())
    assert world.get("register.localhost", headers={"Accept": accept})["Content-Type"].startswith(media_type)


@pytest.mark.parametrize(
    ("state", "status", "code", "retry"),
    [
        (State.STOPPED, 503, "stopped", True),
        (State.QUEUED, 503, "starting", True),
        (State.STARTING, 503, "starting", True),
        (State.STOPPING, 503, "stopping", True),
        (State.EXITED, 503, "exited", True),
        (State.BACKOFF, 502, "crashed", False),
        (State.FAILED, 502, "crashed", False),
    ],
)
def test_each_state_has_its_status_and_code(world, state, status, code, retry):
    process = ProcessStatus("web", state, exit="exit code 1" if code == "crashed" else "")
    world.tell(register(state, processes=(process,)))
    answer = world.get("register.localhost", headers=JSON)
    assert (answer.status, answer.json["code"]) == (status, code)
    assert bool(answer.all("Retry-After")) is retry


def test_a_page_about_something_that_passes_asks_again_by_itself(world):
    world.tell(register(State.STARTING))
    assert '<meta http-equiv="refresh"' in world.get("register.localhost", headers=BROWSER).text
    assert (
        '<meta http-equiv="refresh"'
        not in world.get("register.localhost", method="POST", headers=BROWSER, body=b"").text
    )
    world.tell(register(State.STOPPED))
    assert '<meta http-equiv="refresh"' not in world.get("register.localhost", headers=BROWSER).text


def test_a_service_that_counts_as_running_and_refuses_is_502_with_its_last_words(world):
    world.tell(service("register", port=free_port(), remote=None))
    world.supervisor.logs["register"] = ["bound to the wrong port"]
    answer = world.get("register.localhost", headers=JSON)
    assert (answer.status, answer.json["code"], answer.json["log"]) == (502, "refused", ["bound to the wrong port"])


def test_every_value_is_escaped(world):
    evil = "<script>alert(1)</script>"
    process = ProcessStatus("web", State.FAILED, exit=evil)
    world.tell(
        register(
            State.FAILED, description=evil, repo="javascript:alert(1)", file=evil, problem=evil, processes=(process,)
        )
    )
    world.supervisor.logs["register"] = [evil]
    answer = world.get("register.localhost", f"/{evil}", headers=BROWSER)
    assert evil not in answer.text
    assert "&lt;script&gt;" in answer.text
    assert 'href="javascript:' not in answer.text
    assert "default-src 'none'" in answer["Content-Security-Policy"]


@pytest.mark.parametrize("accept", ["text/html", "application/json", "*/*"])
def test_a_path_in_another_encoding_gets_the_same_page(world, accept):
    """curl, and pages of Shift_JIS, send its bytes as they are."""
    world.tell(register())
    fields = f"Host: register.localhost\r\nAccept: {accept}\r\nConnection: close\r\n\r\n".encode()
    answer = world.raw(b"GET /\x8d\xdd\x8c\xc9?q=\xff HTTP/1.1\r\n" + fields)
    assert answer.startswith(b"HTTP/1.1 503 ")
    if accept == "text/html":
        assert b"to=%2F%258D%25DD%258C%25C9%3Fq%3D%25FF" in answer


def test_a_terminal_gets_no_control_characters(world):
    world.tell(register(problem="\x1b]0;owned\x07\x1b[31mred"))
    assert "\x1b" not in world.get("register.localhost", headers={"Accept": "*/*"}).text


def test_a_head_request_gets_the_same_head(world):
    world.tell(register())
    get, head = (world.get("register.localhost", method=method, headers=BROWSER) for method in ("GET", "HEAD"))
    assert head.body == b""
    assert head.headers == get.headers


def test_http2_gets_the_same_page(world):
    world.tell(register())
    url = f"https://register.localhost:{world.https}/"
    out = world.curl("--http2", "-i", "-H", "Accept: text/html", "--resolve", world.resolve("register.localhost"), url)
    assert out.startswith("HTTP/2 503")
    assert "x-stores-route: fallback" in out
    assert "register is not running" in out


def test_the_page_needs_no_supervisor(world):
    """Log lines are had from it; without them the page says the rest."""
    world.tell(register(State.FAILED))
    world.supervisor.vanish()
    try:
        answer = world.get("register.localhost", headers=JSON)
        assert (answer.status, answer.json["code"]) == (502, "crashed")
        assert "log" not in answer.json
    finally:
        world.supervisor.open()
        world.supervisor.ready.get(timeout=20)


def test_an_unknown_host_names_the_way_to_register_it(world):
    world.tell(register(), service("netshop"))
    answer = world.get("registre.localhost", headers=JSON)
    assert answer.json["hint"] == "stores add registre"
    assert answer.json["nearest"] == [f"http://register.localhost:{world.http}"]
    page = world.get("registre.localhost", headers=BROWSER)
    assert f'href="http://register.localhost:{world.http}"' in page.text
    assert json.dumps(answer.json)
