"""A gateway in its process, and around it what it meets in life: a supervisor's socket, services, a remote, clients.

Nothing here imports the gateway's code but the records of the protocol, so that its tests see it from the outside.
"""

import asyncio
import http.client
import json
import os
import queue
import signal
import socket
import ssl
import subprocess
import sys
import tempfile
import threading
import time
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import trustme

from certs.authority import Authority
from procman.routes import route_of
from procman.snapshot import DnsStatus, Findings, GatewayStatus, ProcessStatus, RemoteStatus, ServiceStatus, Snapshot
from procman.state import State

DOMAIN, REMOTE_DOMAIN = "local.example.com", "remote.example.com"
PATIENCE = 20


class Stage:
    """An event loop in a thread, on which servers run while the test itself is plain code."""

    def __init__(self):
        self.loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self.loop.run_forever, daemon=True)
        self._thread.start()

    def do(self, coroutine):
        return asyncio.run_coroutine_threadsafe(coroutine, self.loop).result(PATIENCE)

    def close(self):
        self.do(self._end())
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join(PATIENCE)
        self.loop.close()

    @staticmethod
    async def _end():
        others = asyncio.all_tasks() - {asyncio.current_task()}
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)


class SupervisorSide:
    """The control socket as the supervisor serves it: `watch`, `logs`, `start`."""

    def __init__(self, stage, path, snapshot):
        self.stage, self.path, self.snapshot = stage, path, snapshot
        self.ready = queue.Queue()
        self.asked = queue.Queue()
        self.logs = {}
        self.findings = {}
        self.on_start = None
        self.on_sleep = None
        self.followers = {}
        self.left = queue.Queue()
        self._watchers = set()
        self._server = None
        self.open()

    def open(self):
        self._server = self.stage.do(asyncio.start_unix_server(self._serve, str(self.path)))

    def vanish(self):
        """Ends as a killed supervisor does."""

        async def end():
            self._server.close()
            for writer in list(self._watchers):
                writer.transport.abort()
            await asyncio.sleep(0)

        self.stage.do(end())
        self.path.unlink(missing_ok=True)

    def tell(self, snapshot):
        self.snapshot = snapshot

        async def write():
            for writer in self._watchers:
                writer.write(self._line())

        self.stage.do(write())

    async def _follow(self, name, reader, writer):
        writer.write(b'{"begins": {}}\n')
        self.followers.setdefault(name, set()).add(writer)
        await reader.read()
        self.followers[name].discard(writer)
        self.left.put(name)

    def say(self, name, text):
        """The service writes a line: whoever follows its output hears it."""

        async def write():
            for writer in self.followers.get(name, ()):
                writer.write(json.dumps({"line": {"name": f"{name}.web", "text": text}}).encode() + b"\n")

        self.stage.do(write())

    def _line(self):
        return json.dumps({"snapshot": self.snapshot.to_json()}).encode() + b"\n"

    async def _serve(self, reader, writer):
        try:
            question = json.loads(await reader.readline())
            self.asked.put(question)
            if question["verb"] == "watch":
                self._watchers.add(writer)
                writer.write(self._line())
                while line := await reader.readline():
                    self.ready.put(json.loads(line))
            elif question["verb"] == "logs":
                name = question["targets"][0]
                if question.get("follow"):
                    await self._follow(name, reader, writer)
                    return
                for text in self.logs.get(name, [])[-question["n"] :]:
                    writer.write(json.dumps({"line": {"name": f"{name}.web", "text": text}}).encode() + b"\n")
                writer.write(b'{"ok": true}\n')
            elif question["verb"] == "examine":
                name = question["targets"][0]
                findings = asdict(self.findings.get(name, Findings()))
                writer.write(json.dumps({"ok": {name: findings}}).encode() + b"\n")
            elif question["verb"] == "sleep" and self.on_sleep is not None:
                stays = await self.on_sleep(question["targets"][0])
                writer.write(json.dumps({"ok": {question["targets"][0]: stays}}).encode() + b"\n")
            elif question["verb"] in {"start", "restart"} and self.on_start is not None:
                await self.on_start(question)
                writer.write(b'{"ok": true}\n')
            else:
                writer.write(b'{"error": {"message": "no", "hint": "never"}}\n')
        finally:
            self._watchers.discard(writer)
            writer.close()


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


def service(name, *, port=None, state=None, remote="default", hosts=None, wanted=None, **more):
    """A service as the supervisor tells of it: running on `port`, or in `state`."""
    state = state or (State.READY if port else State.STOPPED)
    remote = f"https://{name}.{REMOTE_DOMAIN}" if remote == "default" else remote
    wanted = state is not State.STOPPED if wanted is None else wanted
    route = more.pop("route", route_of(state, wanted=wanted, remote=remote is not None))
    processes = more.pop("processes", (ProcessStatus("web", state, pid=4711 if port else None, port=port),))
    return ServiceStatus(
        name=name,
        state=state,
        route=route,
        wanted=wanted,
        hosts=hosts or (name, f"*.{name}"),
        urls=(),
        processes=processes,
        port=port,
        remote=remote,
        **more,
    )


class World:
    """The whole scene. `services` is what the supervisor tells first; the gateway runs when this has been made."""

    def __init__(
        self, folder, services=(), *, remote_ca=True, arguments=(), connect_to=None, program=("-m", "proxy_addons")
    ):
        self.folder = folder
        self.stack = ExitStack()
        self.stage = Stage()
        self.stack.callback(self.stage.close)
        self.authority = Authority.load_or_create(folder / "ca", DOMAIN)
        self.remote_ca = trustme.CA()
        (folder / "remote-ca.pem").write_bytes(self.remote_ca.cert_pem.bytes())
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.remote_ca.issue_cert(f"*.{REMOTE_DOMAIN}", f"*.netshop.{REMOTE_DOMAIN}").configure_cert(context)
        self.remote = self.origin(context=context)
        self.sockets = {"http": listen(), "https": listen()}
        self.http, self.https = (sockets[0].getsockname()[1] for sockets in self.sockets.values())
        rules = (f"::127.0.0.1:{self.remote.port}",) if connect_to is None else connect_to
        self.snapshot = Snapshot(
            workspace="/home/somebody/shop",
            domain=DOMAIN,
            pid=os.getpid(),
            gateway=GatewayStatus(self.http, self.https, str(self.authority.ca_file)),
            dns=DnsStatus(),
            remote=RemoteStatus(REMOTE_DOMAIN, rules, str(folder / "remote-ca.pem") if remote_ca else ""),
            services=tuple(services),
        )
        # A socket's path holds 103 bytes, and pytest's folders are deep.
        self.control = Path(self.stack.enter_context(short_folder())) / "control.sock"
        self.supervisor = SupervisorSide(self.stage, self.control, self.snapshot)
        self.first = self.snapshot
        self.stack.callback(self.supervisor.vanish)
        self.process = None
        self.arguments, self.program = arguments, program
        self.errors = folder / "gateway.err"
        try:
            self.start()
        except BaseException:
            self.close()
            raise

    def start(self):
        """Starts the gateway with the sockets that the supervisor holds."""
        sockets = [(scheme, each) for scheme, group in self.sockets.items() for each in group]
        environ = {
            **os.environ,
            "STORES_CONTROL": str(self.control),
            "STORES_GATEWAY_STATE": str(self.folder / "gateway"),
            "STORES_LISTEN": ",".join(f"{scheme}={each.fileno()}" for scheme, each in sockets),
        }
        with self.errors.open("ab") as errors:
            self.process = subprocess.Popen(
                [sys.executable, "-P", *self.program, *self.arguments],
                env=environ,
                stderr=errors,
                stdin=subprocess.DEVNULL,
                pass_fds=[each.fileno() for _, each in sockets],
            )
        while True:
            assert self.process.poll() is None, self.stderr()
            with suppress(queue.Empty):
                assert self.supervisor.ready.get(timeout=0.5) == {"ready": True}
                return

    def close(self):
        if self.process is not None and self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                assert self.process.wait(PATIENCE) == 0, self.stderr()
            finally:
                self.process.kill()
        for group in self.sockets.values():
            for each in group:
                each.close()
        self.stack.close()

    def stderr(self):
        return self.errors.read_text()

    def origin(self, **options):
        origin = Origin(self.stage, **options)
        self.stack.callback(origin.close)
        return origin

    def tell(self, *services, **changes):
        """What runs now. Returns when the gateway goes by it: a marker service tells."""
        marker = service(f"marker-{time.monotonic_ns()}", state=State.STOPPED, remote=None)
        self.snapshot = replace(self.snapshot, services=(*services, marker), **changes)
        self.supervisor.tell(self.snapshot)
        eventually(lambda: self.get(f"{marker.name}.localhost").status == 503)

    def get(self, host, path="/", *, scheme="http", method="GET", headers=(), body=None, port=None):
        """One request on a connection of its own. `host` may have a port; without one the gateway's is added."""
        with self.connection(host.partition(":")[0], scheme, port) as connection:
            own_port = f":{self.https if scheme == 'https' else self.http}"
            connection.putrequest(method, path, skip_host=True, skip_accept_encoding=True)
            connection.putheader("Host", host if ":" in host else host + own_port)
            for name, value in dict(headers).items() if isinstance(headers, dict) else headers:
                connection.putheader(name, value)
            if body is not None:
                connection.putheader("Content-Length", str(len(body)))
            connection.endheaders(body)
            return Answer.of(connection.getresponse())

    @contextmanager
    def connection(self, host, scheme="http", port=None):
        """A client that connects here and calls the server `host`."""
        connection = http.client.HTTPConnection(host, timeout=PATIENCE)
        connection.sock = self.socket(scheme, host, port)
        try:
            yield connection
        finally:
            connection.close()

    def socket(self, scheme="http", host="localhost", port=None, alpn=("http/1.1",)):
        plain = socket.create_connection(
            ("127.0.0.1", port or (self.https if scheme == "https" else self.http)), PATIENCE
        )
        if scheme == "http":
            return plain
        return self.client_context(alpn).wrap_socket(plain, server_hostname=host)

    def client_context(self, alpn=("http/1.1",)):
        context = ssl.create_default_context(cafile=str(self.authority.ca_file))
        context.set_alpn_protocols(list(alpn))
        return context

    def raw(self, data, scheme="http", host="localhost"):
        """Sends bytes, and reads until the gateway closes."""
        with self.socket(scheme, host) as client:
            client.sendall(data)
            answer = b""
            while chunk := client.recv(65536):
                answer += chunk
            return answer

    def curl(self, *arguments, check=True):
        done = subprocess.run(
            ["curl", "-sS", "--max-time", str(PATIENCE), "--cacert", str(self.authority.ca_file), *arguments],
            capture_output=True,
            check=False,
            env={"PATH": os.environ["PATH"]},
        )
        assert not check or done.returncode == 0, done.stderr.decode()
        return done.stdout.decode()

    def remote_last_named(self, header):
        """The last request that the remote saw with that header; those before it are forgotten."""
        while not (request := self.remote.last()).all(header):
            pass
        return request

    def resolve(self, host):
        return f"{host}:{self.https}:127.0.0.1"


@dataclass
class Answer:
    status: int
    headers: list
    body: bytes

    @classmethod
    def of(cls, response):
        return cls(response.status, response.getheaders(), response.read())

    @property
    def route(self):
        return self["x-stores-route"]

    @property
    def text(self):
        return self.body.decode()

    @property
    def json(self):
        return json.loads(self.body)

    def all(self, name):
        return [value for field, value in self.headers if field.lower() == name.lower()]

    def __getitem__(self, name):
        values = self.all(name)
        assert len(values) == 1, f"{name}: {values} in {self}"
        return values[0]


def listen():
    """127.0.0.1 and ::1, the same number on both."""
    four = socket.create_server(("127.0.0.1", 0), backlog=128)
    try:
        six = socket.create_server(("::1", four.getsockname()[1]), family=socket.AF_INET6, backlog=128)
    except OSError:
        return [four]
    return [four, six]


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        return taken.getsockname()[1]


@contextmanager
def short_folder():
    with tempfile.TemporaryDirectory(prefix="gw") as folder:
        yield folder


def eventually(condition):
    """For what only another process can make true, and tells nobody about."""
    end = time.monotonic() + PATIENCE
    while not (value := condition()):
        assert time.monotonic() < end, "it did not happen"
        time.sleep(0.01)
    return value


def one_world(tmp_path_factory):
    """For a file's tests together: `world = pytest.fixture(scope="module")(one_world)`."""
    world = World(tmp_path_factory.mktemp("gateway"))
    try:
        yield world
    finally:
        world.close()
