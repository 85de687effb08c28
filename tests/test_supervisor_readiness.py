"""When a process counts as ready, also where its answers and its lines have no end."""

from __future__ import annotations

import asyncio
import socket
import threading
import time
import tracemalloc
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from procman.log import StoredLog
from procman.process import readiness
from procman.process.output import Output

MEGABYTE = 1024 * 1024


@contextmanager
def answering(*pieces: bytes, endless: bytes = b"") -> Iterator[int]:
    """The port of a service that answers so, and then goes on with `endless`, or with nothing, and never closes."""
    held: list[socket.socket] = []

    def serve() -> None:
        while True:
            try:
                client, _ = listener.accept()
                held.append(client)
                client.recv(4096)
                for piece in pieces:
                    client.sendall(piece)
                while endless:
                    client.sendall(endless)
            except OSError:
                if listener.fileno() < 0:
                    return

    listener = socket.create_server(("127.0.0.1", 0))
    serving = threading.Thread(target=serve, daemon=True)
    serving.start()
    try:
        yield listener.getsockname()[1]
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        for client in held:
            client.close()
        serving.join(20)


def until_ready(port: int) -> None:
    async def wait() -> None:
        output = Output(asyncio.get_running_loop(), Path("unused"), StoredLog(Path("unused"), "shop"))
        await asyncio.wait_for(readiness.http(port, "/healthz", "shop.test")(output), 20)

    asyncio.run(wait())


def test_an_answer_without_end_is_an_answer_and_is_not_kept() -> None:
    piece = b"x" * MEGABYTE
    with answering(b"HTTP/1.1 200 OK\r\n\r\n", endless=piece) as port:
        tracemalloc.start()
        try:
            until_ready(port)
            assert tracemalloc.get_traced_memory()[1] < 16 * MEGABYTE
        finally:
            tracemalloc.stop()


@pytest.mark.parametrize(
    "head", [b"HTTP/1.1 204 No Content\r\n\r\n", b"HTTP/1.1 302 Found\r\nContent-Length: 0\r\n\r\n"]
)
def test_a_connection_that_stays_open_after_its_answer_holds_nobody_up(head: bytes) -> None:
    with answering(head) as port:
        until_ready(port)


def test_a_pattern_that_looks_far_ahead_is_not_let_loose_on_a_line_without_end(tmp_path: Path) -> None:
    async def feed() -> tuple[bool, float]:
        output = Output(asyncio.get_running_loop(), tmp_path / "fifo", StoredLog(tmp_path, "shop"))
        waiting = asyncio.ensure_future(readiness.log(".*listening.*on.*port")(output))
        await asyncio.sleep(0)
        (hear,) = output.listeners
        before = time.process_time()
        hear(b"a" * 192 * 1024 + b"\n")
        took = time.process_time() - before
        was = waiting.done()
        hear(b"listening on port 1\n")
        await asyncio.wait_for(waiting, 20)
        return was, took

    was, took = asyncio.run(feed())
    assert not was
    assert took < 1
