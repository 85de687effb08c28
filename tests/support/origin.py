"""A service or a remote, as the gateway meets it: an HTTP/1.1 server that does what the path says."""

import asyncio
import json
import queue
import threading
from dataclasses import dataclass

from stage import PATIENCE


@dataclass
class Received:
    """A request as an origin saw it."""

    method: str
    target: str
    version: str
    headers: list
    body: bytes = b""

    def all(self, name):
        return [value for field, value in self.headers if field.lower() == name.lower()]

    def __getitem__(self, name):
        values = self.all(name)
        assert len(values) == 1, f"{name}: {values}"
        return values[0]


class Origin:
    """An HTTP/1.1 server that does what the path says. `seen`: its requests; `connections`: how many it accepted."""

    def __init__(self, stage, host="127.0.0.1", port=0, context=None):
        self.stage = stage
        self.seen = queue.Queue()
        self.gone = queue.Queue()
        self.release = threading.Event()
        self.connections = 0
        self._server = stage.do(asyncio.start_server(self._serve, host, port, ssl=context))
        self.port = self._server.sockets[0].getsockname()[1]

    def close(self):
        async def end():
            self._server.close()

        self.stage.do(end())

    def last(self):
        return self.seen.get(timeout=PATIENCE)

    async def _serve(self, reader, writer):
        self.connections += 1
        try:
            while (request := await self._read_head(reader)) is not None:
                if not await self._answer(request, reader, writer):
                    break
        except (OSError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()
            self.gone.put(True)

    @staticmethod
    async def _read_head(reader):
        try:
            head = await reader.readuntil(b"\r\n\r\n")
        except asyncio.IncompleteReadError:
            return None
        first, *lines = head[:-4].decode("latin-1").split("\r\n")
        if first.count(" ") != 2:  # HTTP/2's preface goes on with "SM"
            return None
        method, target, version = first.split(" ")
        return Received(method, target, version, [tuple(line.split(": ", 1)) for line in lines])

    @staticmethod
    async def _read_body(request, reader):
        if request.all("content-length"):
            return await reader.readexactly(int(request["content-length"]))
        if request.all("transfer-encoding") != ["chunked"]:
            return b""
        body = b""
        while size := int(await reader.readline(), 16):
            body += (await reader.readexactly(size + 2))[:-2]
        while (line := await reader.readline()) != b"\r\n":
            request.headers.append(("trailer-field", line.decode().strip()))
        return body

    async def _answer(self, request, reader, writer):
        path, _, query = request.target.partition("?")
        special = getattr(self, "_" + path.strip("/").replace("-", "_").split("/")[0], None) if path != "/" else None
        if special is not None:
            return await special(request, query, reader, writer)
        request.body = await self._read_body(request, reader)
        self.seen.put(request)
        body = json.dumps({"target": request.target, "port": self.port, "length": len(request.body)}).encode()
        self._send(
            writer, 200, [("Content-Type", "application/json")], b"" if request.method == "HEAD" else body, len(body)
        )
        return True

    @staticmethod
    def _send(writer, status, headers, body=b"", length=None):
        lines = [f"HTTP/1.1 {status} X", *(f"{name}: {value}" for name, value in headers)]
        lines.append(f"Content-Length: {len(body) if length is None else length}")
        writer.write("\r\n".join([*lines, "", ""]).encode() + body)

    async def _headers(self, request, query, reader, writer):
        """Answers with the headers that X-Give has, a JSON list of pairs."""
        self.seen.put(request)
        self._send(writer, 200, json.loads(request["x-give"]), b"ok")
        return True

    async def _silent(self, request, query, reader, writer):
        self.seen.put(request)
        await reader.read()
        return False

    async def _hang_up(self, request, query, reader, writer):
        self.seen.put(request)
        return False

    async def _hang_up_midway(self, request, query, reader, writer):
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf")
        await writer.drain()
        return False

    async def _events(self, request, query, reader, writer):
        """Server-sent events: the second comes when the test lets it."""
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n")
        writer.write(b"f\r\ndata: first\n\n  \r\n")
        await asyncio.get_running_loop().run_in_executor(None, self.release.wait, PATIENCE)
        writer.write(b"10\r\ndata: second\n\n  \r\n0\r\n\r\n")
        return True

    async def _hints(self, request, query, reader, writer):
        writer.write(b"HTTP/1.1 103 Early Hints\r\nLink: </style.css>; rel=preload\r\n\r\n")
        self._send(writer, 200, [], b"after the hints")
        return True

    async def _trailers(self, request, query, reader, writer):
        request.body = await self._read_body(request, reader)
        self.seen.put(request)
        writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X-Sum\r\n\r\n")
        writer.write(b"4\r\nbody\r\n0\r\nX-Sum: 42\r\n\r\n")
        return True

    async def _expect(self, request, query, reader, writer):
        self.seen.put(request)
        if query == "refuse":
            self._send(writer, 417, [("Connection", "close")])
            return False
        writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        body = await self._read_body(request, reader)
        self._send(writer, 200, [], body)
        return True

    async def _large(self, request, query, reader, writer):
        size, block = int(query), b"x" * 65536
        writer.write(f"HTTP/1.1 200 OK\r\nContent-Length: {size}\r\n\r\n".encode())
        for _ in range(size // len(block)):
            writer.write(block)
            await writer.drain()
        writer.write(b"x" * (size % len(block)))
        return True

    async def _swallow(self, request, query, reader, writer):
        left, total = int(request["content-length"]), 0
        while total < left:
            total += len(await reader.read(65536))
        self._send(writer, 200, [], str(total).encode())
        return True
