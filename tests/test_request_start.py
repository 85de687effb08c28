"""Services that the first request starts, and that go to sleep again when nobody uses them."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
from whole_system import HTML, WholeSystem
from workbench import wait_until

#: Says in a file that it was started; ready when told so by another file, or at once.
SERVE = r"""
import asyncio, os, pathlib, sys
here = pathlib.Path(os.environ["STORES_SERVICE"])
with here.with_suffix(".starts").open("a") as starts:
    starts.write("started\n")

async def answer(reader, writer):
    try:
        while head := await reader.readuntil(b"\r\n\r\n"):
            path = head.split()[1]
            sizes = [line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")]
            length = int(sizes[0].split()[1]) if sizes else 0
            while path == b"/events" and not here.with_suffix(".go").exists():
                await asyncio.sleep(0.02)
            if path == b"/long":
                await reader.read()
            if path == b"/socket":
                writer.write(b"HTTP/1.1 101 X\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n")
                writer.write(b"Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n\x81\x02hi")
                await reader.read()
            if path == b"/count":
                left = length
                while left:
                    left -= len(await reader.read(min(left, 65536)))
                body, length = b"%d" % length, 0
            else:
                body = await reader.readexactly(length)
            if path == b"/stream":
                writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n")
                writer.write(b"Transfer-Encoding: chunked\r\n\r\n")
                writer.write(b"b\r\ndata: one\n\n\r\n")
                await reader.read()
            body = body or b"ok"
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body))
    except asyncio.IncompleteReadError:
        pass
    finally:
        writer.close()

async def main():
    while "wait" in sys.argv and not here.with_suffix(".go").exists():
        await asyncio.sleep(0.02)
    server = await asyncio.start_server(answer, "127.0.0.1", int(os.environ["PORT"]), backlog=512)
    await server.serve_forever()

asyncio.run(main())
"""


@pytest.fixture(scope="module")
def system(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WholeSystem]:
    made = WholeSystem(tmp_path_factory.mktemp("request"))
    made.program("serve.py", SERVE)
    facts = {"start": "on-request", "setup": "", "remote": False}
    serve = "web: exec python3 serve.py"
    made.service("crowd", serve, **facts)
    made.service("below", serve, setup="", remote=False)
    made.service("above", serve, needs=["below"], **facts)
    made.service("slow", f"{serve} wait", **facts)
    made.service("posted", f"{serve} wait", **facts)
    made.service("heavy", f"{serve} wait", **facts)
    made.service("never", f"{serve} wait", ready_timeout=1, **facts)
    made.service("broken", "web: exit 7", restart="never", **facts)
    made.service("sleepy", serve, idle="1s", **facts)
    made.service("streaming", serve, idle="1s", **facts)
    hears = {"subscribe": ["com.example.*"], "events": {"start": "on-request"}}
    made.service("hearing", serve, idle="1s", setup="", remote=False, **hears)
    lies = {"subscribe": ["org.example.*"], "start": "on-request"}
    made.service("dormant", serve, setup="", remote=False, **lies)
    made.service("deaf", serve, setup="", remote=False, **lies, events={"start": "never"})
    made.service("needed", serve, idle="1s", **facts)
    made.service("needing", serve, needs=["needed"], **facts)
    made.service("preferred", serve, start="on-request", setup="", remote="https://preferred.remote.invalid")
    try:
        made.begin_all()
        yield made
    finally:
        made.end()


def starts(system: WholeSystem, name: str) -> int:
    file = system.root / f"{name}.starts"
    return len(file.read_text().splitlines()) if file.exists() else 0


def go(system: WholeSystem, name: str) -> None:
    Path(system.root / f"{name}.go").touch()


async def ask(system: WholeSystem, name: str, number: int) -> tuple[int, bytes]:
    reader, writer = await asyncio.open_connection("127.0.0.1", system.port)
    body = b"%d" % number
    head = f"POST / HTTP/1.1\r\nHost: {system.host(name)}\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n"
    writer.write(head.encode() + body)
    answer = await asyncio.wait_for(reader.read(), 60)
    writer.close()
    return int(answer.split()[1]), answer.rpartition(b"\r\n\r\n")[2]


async def test_two_hundred_first_requests_are_all_answered_and_it_was_started_once(system: WholeSystem) -> None:
    answers = await asyncio.gather(*(ask(system, "crowd", number) for number in range(200)))
    assert answers == [(200, b"%d" % number) for number in range(200)]  # and each got the answer to its own body
    assert starts(system, "crowd") == 1


def test_what_it_needs_is_started_before_it(system: WholeSystem) -> None:
    assert system.get("above").status == 200
    assert (starts(system, "below"), starts(system, "above")) == (1, 1)


def test_a_browser_gets_the_waiting_page_after_two_seconds_and_then_the_answer(system: WholeSystem) -> None:
    began = time.monotonic()
    page = system.get("slow", headers=HTML)
    assert 1.9 < time.monotonic() - began < 10
    assert (page.status, page.headers["Retry-After"]) == (503, "2")
    assert "slow is starting" in page.text
    go(system, "slow")
    assert system.get("slow").status == 200
    assert starts(system, "slow") == 1


def test_what_a_browser_posts_is_held_longer_than_a_look(system: WholeSystem) -> None:
    connection = system.connect()
    connection.request("POST", "/", "amount=1", {"Host": system.host("posted"), **HTML})
    wait_until(lambda: starts(system, "posted"), "it is being started")
    assert system.get("posted", headers=HTML).status == 503  # the look: after two seconds
    go(system, "posted")
    answer = connection.getresponse()
    assert (answer.status, answer.read()) == (200, b"amount=1")
    connection.close()


def test_a_large_body_waits_with_its_client_and_not_in_memory(system: WholeSystem) -> None:
    size = 96 * 1024 * 1024
    gateway = psutil.Process(system.status()["gateway"]["pid"])
    before = gateway.memory_info().rss
    sent = 0
    with socket.create_connection(("127.0.0.1", system.port), 30) as client:
        client.sendall(
            f"POST /count HTTP/1.1\r\nHost: {system.host('heavy')}\r\nContent-Length: {size}\r\n\r\n".encode()
        )
        wait_until(lambda: starts(system, "heavy"), "it is being started")
        client.settimeout(0.5)
        with contextlib.suppress(TimeoutError):
            while sent < size:
                sent += client.send(bytes(min(65536, size - sent)))
        assert sent < 16 * 1024 * 1024  # the kernel's buffers, and no more
        assert gateway.memory_info().rss - before < 16 * 1024 * 1024
        go(system, "heavy")
        client.settimeout(30)
        while sent < size:
            sent += client.send(bytes(min(65536, size - sent)))
        answer = b""
        while not answer.endswith(f"\r\n\r\n{size}".encode()):
            answer += client.recv(1000) or pytest.fail(f"{answer!r}")
    assert answer.startswith(b"HTTP/1.1 200 ")
    assert gateway.memory_info().rss - before < 32 * 1024 * 1024


def test_a_program_is_told_when_to_come_back_after_the_ready_timeout(system: WholeSystem) -> None:
    began = time.monotonic()
    page = system.get("never")
    assert time.monotonic() - began > 0.9
    assert (page.status, page.json["code"], page.headers["Retry-After"]) == (503, "starting", "2")


def test_one_that_cannot_start_says_why_and_is_not_tried_for_every_request(system: WholeSystem) -> None:
    assert (system.get("broken").status, system.get("broken").json["code"]) == (502, "crashed")


def test_what_starts_on_request_is_not_asked_for_at_the_remote(system: WholeSystem) -> None:
    page = system.get("preferred")
    assert (page.status, page.route) == (200, "local")


def test_nobody_uses_it_so_it_sleeps_and_the_next_request_wakes_it(system: WholeSystem) -> None:
    assert system.get("sleepy").status == 200
    system.wait_for_states(sleepy="stopped")
    assert system.get("sleepy").status == 200
    assert starts(system, "sleepy") == 2


def test_requests_keep_it_awake(system: WholeSystem) -> None:
    system.get("sleepy")
    before = starts(system, "sleepy")
    end = time.monotonic() + 2.5
    while time.monotonic() < end:
        assert system.get("sleepy").status == 200
    assert starts(system, "sleepy") == before


#: What is asked, and what is heard of it while it is open.
WEBSOCKET = (
    b"Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
)
OPEN = {
    "event stream": (b"GET /stream HTTP/1.1\r\n", b"data: one\n"),
    "request": (b"GET /long HTTP/1.1\r\n", b""),
    "WebSocket": (
        b"GET /socket HTTP/1.1\r\n" + WEBSOCKET,
        b"\x81\x02hi",
    ),
}


@pytest.mark.parametrize("kind", OPEN)
def test_what_is_open_keeps_it_awake_however_quiet_it_is(system: WholeSystem, kind: str) -> None:
    head, heard = OPEN[kind]
    with socket.create_connection(("127.0.0.1", system.port), 30) as client:
        client.sendall(head + f"Host: {system.host('streaming')}\r\n\r\n".encode())
        seen = b""
        while heard not in seen:
            seen += client.recv(1000) or pytest.fail(f"{seen!r}")
        system.wait_for_states(streaming="ready")
        system.get("sleepy")
        system.wait_for_states(sleepy="stopped")  # which takes as long, and has nothing open
        assert system.states()["streaming"] == "ready"
    system.wait_for_states(streaming="stopped")


def test_an_event_wakes_it_and_keeps_it_awake_until_it_is_taken(system: WholeSystem) -> None:
    wanted = {"ce-specversion": "1.0", "ce-id": "1", "ce-source": "/test", "ce-type": "com.example.made"}
    headers = {"Content-Type": "application/json", **wanted}
    assert system.get("events", "/v1/events", headers, method="POST", body="{}").status in {200, 202}
    system.wait_for_states(hearing="ready")  # nobody has asked for it otherwise
    system.get("sleepy")
    system.wait_for_states(sleepy="stopped")  # which takes as long, and hears of nothing
    assert system.states()["hearing"] == "ready"
    go(system, "hearing")
    system.wait_for_states(hearing="stopped")


def test_an_event_starts_what_a_request_would_start_unless_its_file_says_never(system: WholeSystem) -> None:
    sent = {"ce-specversion": "1.0", "ce-id": "2", "ce-source": "/test", "ce-type": "org.example.made"}
    assert system.get("events", "/v1/events", sent, method="POST").status == 202

    def standing() -> dict[str, dict[str, Any]]:
        told = system.get("events", "/v1/subscriptions").json["subscriptions"]
        return {one["name"]: one for one in told}

    system.wait_for_states(dormant="ready")
    go(system, "dormant")
    wait_until(lambda: standing()["dormant"]["waiting"] == 0, "it was told")
    assert standing()["dormant"]["delivered"] == 1
    assert (standing()["deaf"]["waiting"], system.states()["deaf"]) == (1, "stopped")


def test_what_another_one_needs_stays_awake_as_long_as_that_runs(system: WholeSystem) -> None:
    assert system.get("needing").status == 200
    system.get("sleepy")
    system.wait_for_states(sleepy="stopped")
    assert system.states()["needed"] == "ready"
    system.ask("stop", "needing")
    system.wait_for_states(needed="stopped")
