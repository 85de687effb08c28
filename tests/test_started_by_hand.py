"""A service that somebody started in an IDE answers with the next request, although nobody told anybody."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from gateway_world import one_world, service
from whole_system import HTML, WholeSystem
from workbench import wait_until

from procman.state import State

world = pytest.fixture(scope="module")(one_world)

SERVE = """
import http.server, sys
class Answer(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b"by hand")
server = http.server.HTTPServer(("127.0.0.1", int(sys.argv[1])), Answer)
print("listening", flush=True)
server.serve_forever()
"""


@pytest.fixture
def system(tmp_path: Path) -> Iterator[WholeSystem]:
    made = WholeSystem(tmp_path)
    made.service("alone", "web: exec sleep 600", setup="", remote=False)
    made.service("shop", "web: exec sleep 600", setup="", remote="https://shop.remote.invalid")
    made.service("lazy", "web: exec sleep 600", setup="", remote=False, start="on-request")
    try:
        made.begin_all()
        yield made
    finally:
        made.end()


@pytest.mark.parametrize("name", ["alone", "shop", "lazy"])
def test_the_next_request_goes_to_it_and_after_its_end_none(system: WholeSystem, name: str) -> None:
    port = next(one["port"] for one in system.status()["services"] if one["name"] == name)
    program = system.program("serve.py", SERVE)
    with subprocess.Popen(
        [sys.executable, program, str(port)], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    ) as ide:
        try:
            assert ide.stdout is not None
            assert ide.stdout.readline() == b"listening\n"
            page = system.get(name)
            assert (page.status, page.route, page.text) == (200, "local", "by hand")
        finally:
            ide.kill()
    if name != "lazy":  # which would be started now
        wait_until(lambda: system.get(name, headers=HTML).route != "local", "its end is seen")


def test_many_requests_for_what_does_not_run_make_one_look(world) -> None:
    world.tell(service("still", state=State.STOPPED, remote=None), service("running", port=world.remote.port))
    asked = world.supervisor.asked
    while not asked.empty():
        asked.get()
    began = time.monotonic()
    for _ in range(20):
        assert world.get("still.localhost").status == 503
        world.get("running.localhost")
    questions = [asked.get() for _ in range(asked.qsize())]
    looks = [question for question in questions if question["verb"] == "probe"]
    assert {tuple(look["targets"]) for look in looks} == {("still",)}
    assert len(looks) <= 1 + time.monotonic() - began
