"""``POST /v1/events`` on a real port: what is taken, what is refused and how."""

from __future__ import annotations

import asyncio
import gc
import json
import re
import socket
import weakref
from pathlib import Path

import pytest
from events_world import headers_of, running, structured, until

from proxy_addons.events.broker import Limits
from proxy_addons.events.http_message import Request, Response
from proxy_addons.events.http_server import HttpServer
from proxy_addons.listening import bound

JSON = "application/cloudevents+json"
BATCH = "application/cloudevents-batch+json"


async def test_an_event_is_accepted_once_it_is_stored(tmp_path: Path) -> None:
    async with running(tmp_path / "e.sqlite3") as (broker, client):
        answer = await client.publish({"order": 1}, subject="o-1")
        assert (answer.status, answer.json) == (202, {"accepted": 1, "duplicates": 0, "seq": 1})
        (stored,) = await broker.log.read(0, 10)
        assert stored.event.data == b'{"order": 1}'
        assert stored.event.attributes["subject"] == "o-1"


async def test_the_same_event_again_is_accepted_and_not_stored_again(tmp_path: Path) -> None:
    async with running(tmp_path / "e.sqlite3") as (broker, client):
        for _ in range(2):
            answer = await client.publish(1, id="same")
        assert answer.json == {"accepted": 1, "duplicates": 1, "seq": 1}
        assert (await client.publish(1, id="same", source="/another")).json["duplicates"] == 0
        assert broker.log.last == 2


async def test_a_batch_is_all_or_nothing(tmp_path: Path) -> None:
    async with running(tmp_path / "e.sqlite3") as (broker, client):
        events = [structured(id="a"), structured(id="b", type="")]
        answer = await client.call("POST", "/v1/events", events, {"Content-Type": BATCH})
        assert answer.status == 400
        assert (answer.json["attribute"], answer.json["index"]) == ("type", 1)
        assert broker.log.last == 0
        events = [structured(id="a"), structured(id="b"), structured(id="a")]
        answer = await client.call("POST", "/v1/events", events, {"Content-Type": BATCH})
        assert answer.json == {"accepted": 3, "duplicates": 1, "seq": 1}
        assert (await client.call("POST", "/v1/events", [], {"Content-Type": BATCH})).status == 202


async def test_plain_json_is_answered_with_a_line_to_copy(tmp_path: Path) -> None:
    async with running(tmp_path / "e.sqlite3") as (_, client):
        answer = await client.call("POST", "/v1/events", {"order": 1}, {"Content-Type": "application/json"})
        assert answer.status == 400
        assert answer.headers["Content-Type"] == "application/problem+json"
        assert answer.json["example"].startswith("curl ")
        assert f"http://127.0.0.1:{client.port}/v1/events" in answer.json["example"]
        by_gateway = {"Host": "events.local.example.com", "X-Forwarded-Proto": "https"}
        answer = await client.call("POST", "/v1/events", {"order": 1}, by_gateway)
        assert "https://events.local.example.com/v1/events" in answer.json["example"]


@pytest.mark.parametrize(
    ("headers", "attribute"),
    [
        (headers_of(specversion="0.3"), "specversion"),
        (headers_of(subject="%C0%A0"), "subject"),
        (headers_of(time="now"), "time"),
        ({"ce-specversion": "1.0"}, "id"),
    ],
)
async def test_an_invalid_event_is_refused_by_its_attribute(
    tmp_path: Path, headers: dict[str, str], attribute: str
) -> None:
    async with running(tmp_path / "e.sqlite3") as (_, client):
        answer = await client.call("POST", "/v1/events", b"", headers)
        assert (answer.status, answer.json["attribute"]) == (400, attribute)


async def test_another_method_is_told_which_there_are(tmp_path: Path) -> None:
    async with running(tmp_path / "e.sqlite3") as (_, client):
        answer = await client.call("DELETE", "/v1/events")
        assert answer.status == 405
        assert "POST" in answer.headers["Allow"]
        assert (await client.call("GET", "/nothing")).status == 404


async def test_64_kib_pass_and_more_than_1_mib_do_not(tmp_path: Path) -> None:
    async with running(tmp_path / "e.sqlite3") as (_, client):
        for size, status in ((64 * 1024, 202), (1024 * 1024, 202), (1024 * 1024 + 1, 413)):
            answer = await client.call("POST", "/v1/events", b"x" * size, headers_of())
            assert answer.status == status, size


async def test_a_body_that_is_too_large_is_refused_before_it_is_sent(tmp_path: Path) -> None:
    async with running(tmp_path / "e.sqlite3") as (_, client):
        reader, writer = await asyncio.open_connection("127.0.0.1", client.port)
        writer.write(
            b"POST /v1/events HTTP/1.1\r\nHost: localhost\r\nExpect: 100-continue\r\nContent-Length: 99999999\r\n\r\n"
        )
        assert b" 413 " in await reader.readline()
        writer.close()


async def test_expect_is_answered_and_chunks_are_read(tmp_path: Path) -> None:
    async with running(tmp_path / "e.sqlite3") as (_, client):
        reader, writer = await asyncio.open_connection("127.0.0.1", client.port)
        body = json.dumps(structured()).encode()
        writer.write(
            b"POST /v1/events HTTP/1.1\r\nHost: localhost\r\nExpect: 100-continue\r\nTransfer-Encoding: chunked\r\n"
            b"Content-Type: application/cloudevents+json\r\n\r\n"
        )
        assert await reader.readuntil(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
        writer.write(b"%x\r\n%b\r\n0\r\n\r\n" % (len(body), body))
        assert b" 202 " in await reader.readline()
        writer.close()


async def test_an_unknown_format_is_415_and_says_what_is_known(tmp_path: Path) -> None:
    async with running(tmp_path / "e.sqlite3") as (_, client):
        answer = await client.call("POST", "/v1/events", b"<x/>", {"Content-Type": "application/cloudevents+xml"})
        assert answer.status == 415
        assert JSON in answer.headers["Accept"]


async def test_over_the_backlog_publishers_are_told_to_wait(tmp_path: Path) -> None:
    async with running(tmp_path / "e.sqlite3", Limits(most_waiting=2)) as (broker, client):
        broker.publishing.delivered = lambda: 0
        assert [(await client.publish()).status for _ in range(3)] == [202, 202, 429]
        answer = await client.publish()
        assert int(answer.headers["Retry-After"]) > 0
        assert broker.log.last == 2


async def test_a_full_disk_accepts_nothing_and_says_so(tmp_path: Path) -> None:
    async with running(tmp_path / "e.sqlite3") as (broker, client):
        await client.publish()

        def fill(connection: object) -> None:
            connection.execute("PRAGMA max_page_count = 30")

        await broker.writer.submit(fill)
        events = [structured(data="x" * 30_000) for _ in range(10)]
        answer = await client.call("POST", "/v1/events", events, {"Content-Type": BATCH})
        assert answer.status == 503
        assert "full" in answer.json["detail"]
        assert answer.headers["Retry-After"]
        assert broker.log.last == 1
        assert len(await broker.log.read(0, 100)) == 1
        assert (await client.publish()).status == 202, "what still fits is taken"


@pytest.mark.parametrize(
    ("origin", "status"),
    [
        ("https://evil.example.net", 403),
        ("null", 403),
        ("https://local.example.com.evil.net", 403),
        ("https://netshop.local.example.com", 202),
        ("http://netshop.localhost:8080", 202),
    ],
)
async def test_a_page_of_another_site_may_not_publish(tmp_path: Path, origin: str, status: int) -> None:
    async with running(tmp_path / "e.sqlite3") as (_, client):
        answer = await client.call("POST", "/v1/events", b"", headers_of() | {"Origin": origin})
        assert answer.status == status


async def test_a_name_that_was_rebound_to_this_machine_is_not_served(tmp_path: Path) -> None:
    async with running(tmp_path / "e.sqlite3") as (_, client):
        assert (await client.call("GET", "/healthz", None, {"Host": "evil.example.net"})).status == 421
        assert (await client.call("GET", "/healthz", None, {"Host": "events.local.example.com:8443"})).status == 200


@pytest.mark.parametrize(
    "raw",
    [
        b"nonsense\r\n\r\n",
        b"POST /v1/events HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: localhost\r\nX: " + b"x" * 100_000 + b"\r\n\r\n",
    ],
)
async def test_what_is_no_http_is_refused_and_harms_nobody(tmp_path: Path, raw: bytes) -> None:
    async with running(tmp_path / "e.sqlite3") as (_, client):
        with socket.create_connection(("127.0.0.1", client.port), timeout=10) as connection:
            connection.sendall(raw)
            answer = await asyncio.to_thread(connection.recv, 1000)
        assert answer.split()[1] in {b"400", b"431"}
        assert (await client.publish()).status == 202


def framed(more: bytes, body: bytes = b"", target: bytes = b"/v1/events", **attributes: str) -> bytes:
    """A request byte by byte, for what no client sends of itself."""
    lines = [f"{name}: {value}".encode() for name, value in headers_of(**attributes).items()]
    return b"\r\n".join([b"POST " + target + b" HTTP/1.1", more, *lines, b"", body])


async def answers_to(port: int, sent: bytes) -> list[bytes]:
    """The status of each answer, until the broker closes."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(sent)
    everything = await asyncio.wait_for(reader.read(), 20)
    writer.close()
    return re.findall(rb"HTTP/1.1 (\d+)", everything)


LAST = b"Host: localhost\r\nConnection: close\r\n"


async def test_trailers_are_no_headers(tmp_path: Path) -> None:
    async with running(tmp_path / "e.sqlite3") as (broker, client):
        body = b"1\r\nx\r\n0\r\nce-id: another\r\nce-extra: x\r\n\r\n"
        assert await answers_to(client.port, framed(LAST + b"Transfer-Encoding: chunked", body)) == [b"202"]
        (stored,) = await broker.log.read(0, 10)
        assert "extra" not in stored.event.attributes


async def test_a_transfer_coding_that_is_not_read_is_refused_rather_than_stored(tmp_path: Path) -> None:
    async with running(tmp_path / "e.sqlite3") as (broker, client):
        coded = framed(LAST + b"Transfer-Encoding: gzip, chunked", b"1\r\nx\r\n0\r\n\r\n")
        assert await answers_to(client.port, coded) == [b"501"]
        assert broker.log.last == 0


async def test_a_whole_url_as_target_is_understood_and_its_host_counts(tmp_path: Path) -> None:
    async with running(tmp_path / "e.sqlite3") as (_, client):
        empty = LAST + b"Content-Length: 0"
        for host, status in ((b"localhost:1", b"202"), (b"evil.example.net", b"421")):
            assert await answers_to(client.port, framed(empty, target=b"http://" + host + b"/v1/events")) == [status]


async def test_an_offer_to_speak_http2_is_passed_over(tmp_path: Path) -> None:
    async with running(tmp_path / "e.sqlite3") as (broker, client):
        offer = b"Host: localhost\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAM\r\n"
        assert await answers_to(client.port, framed(offer + b"Content-Length: 1", b"x")) == [b"202"]
        assert broker.log.last == 1


async def test_who_sends_ahead_is_told_why_the_last_request_was_refused(tmp_path: Path) -> None:
    async with running(tmp_path / "e.sqlite3") as (_, client):
        waiting = b"GET /v1/events?wait=0.1 HTTP/1.1\r\nHost: localhost\r\n\r\n"
        too_large = framed(b"Host: localhost\r\nContent-Length: 99999999")
        assert await answers_to(client.port, waiting + too_large) == [b"200", b"413"]
        ends = framed(LAST + b"Content-Length: 0")
        reader, writer = await asyncio.open_connection("127.0.0.1", client.port)
        writer.write(waiting + ends)
        assert (await reader.read()).count(b"Connection: close") == 1, "only the last answer says that it is the last"
        writer.close()


async def test_a_refusal_that_quotes_what_no_text_can_hold_is_sent(tmp_path: Path) -> None:
    async with running(tmp_path / "e.sqlite3") as (_, client):
        body = b'{"specversion":"1.0","id":"1","source":"/s","type":"t","\\ud800":"x"}'
        answer = await client.call("POST", "/v1/events", body, {"Content-Type": JSON})
        assert (answer.status, answer.json["attribute"]) == (400, "\ud800")


async def test_requests_on_one_connection_are_answered_in_order(tmp_path: Path) -> None:
    async with running(tmp_path / "e.sqlite3") as (_, client):
        reader, writer = await asyncio.open_connection("127.0.0.1", client.port)
        for number in range(20):
            body = json.dumps(structured(id=f"p-{number}")).encode()
            writer.write(
                b"POST /v1/events HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/cloudevents+json\r\n"
                b"Content-Length: %d\r\n\r\n%b" % (len(body), body)
            )
        seen = []
        for _ in range(20):
            head = await reader.readuntil(b"\r\n\r\n")
            length = int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0])
            seen.append(json.loads(await reader.readexactly(length))["seq"])
        assert seen == list(range(1, 21))
        writer.close()


async def test_many_publishers_lose_nothing(tmp_path: Path) -> None:
    async with running(tmp_path / "e.sqlite3") as (broker, client):
        answers = await asyncio.gather(*(client.publish(number) for number in range(60)))
        assert sorted(answer.json["seq"] for answer in answers) == list(range(1, 61))
        assert [stored.seq for stored in await broker.log.read(0, 100)] == list(range(1, 61))


async def test_health_is_told_with_the_engine(tmp_path: Path) -> None:
    async with running(tmp_path / "e.sqlite3") as (_, client):
        assert (await client.call("GET", "/healthz")).json["engine"] == "sqlite"


async def test_a_connection_that_has_gone_keeps_no_body_for_whoever_looks_for_circles() -> None:
    async def take(request: Request) -> Response:
        return Response(202, b"%d" % len(request.body))

    server, listeners = HttpServer(take), bound([0])
    await server.serve(listeners)
    try:
        reader, writer = await asyncio.open_connection("127.0.0.1", listeners[0].getsockname()[1])
        writer.write(b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 500000\r\n\r\n" + b"x" * 500_000)
        await reader.readuntil(b"500000")
        (connection,) = map(weakref.ref, server.connections)
        gc.disable()
        writer.close()
        await until(lambda: connection() is None, "nothing holds it")
    finally:
        gc.enable()
        await server.close()
