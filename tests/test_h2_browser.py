"""HTTP/2 in Chromium: a page of many modules, and a WebSocket over the same connection."""

import base64
import contextlib
import hashlib
import os
import queue
import shutil
import signal
import subprocess
import urllib.parse

import pytest
from gateway_world import World, service
from origin import Origin
from websockets.frames import Frame, Opcode

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
MODULES = 300
GUID = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"

pytestmark = [pytest.mark.browser, pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium here")]

PAGE = """<!doctype html><title>modules</title><script type="module">
import {count} from "/module/0.js";
const protocols = new Set(performance.getEntriesByType("resource").map(entry => entry.nextHopProtocol));
const socket = new WebSocket(location.href.replace("http", "ws").replace("/page", "/chat"));
socket.onopen = () => socket.send("hello");
socket.onmessage = message => fetch("/done?" + new URLSearchParams(
  {count: count(), protocols: [...protocols].join(), echo: message.data}));
</script>"""


class Site(Origin):
    """Serves the page; `told`: what the page told when all was there."""

    def __init__(self, stage):
        self.told = queue.Queue()
        super().__init__(stage)

    async def _page(self, request, query, reader, writer):
        self._send(writer, 200, [("Content-Type", "text/html")], PAGE.encode())
        return True

    async def _module(self, request, query, reader, writer):
        number = int(request.target.rpartition("/")[2].removesuffix(".js"))
        text = f"export const count = () => 1; /* {number} */"
        if number == 0:
            imports = "".join(f'import {{count as m{n}}} from "/module/{n}.js";' for n in range(1, MODULES))
            counts = " + ".join(f"m{n}()" for n in range(1, MODULES))
            text = f"{imports} export const count = () => 1 + {counts};"
        self._send(writer, 200, [("Content-Type", "text/javascript"), ("Cache-Control", "no-store")], text.encode())
        return True

    async def _chat(self, request, query, reader, writer):
        """A WebSocket that answers one short message, and tells how it was asked for."""
        digest = hashlib.sha1((request["sec-websocket-key"] + GUID).encode()).digest()
        accept = base64.b64encode(digest).decode()
        head = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: "
        writer.write(f"{head}{accept}\r\n\r\n".encode())
        size = (await reader.readexactly(2))[1] & 0x7F
        mask, masked = await reader.readexactly(4), await reader.readexactly(size)
        message = bytes(octet ^ mask[at % 4] for at, octet in enumerate(masked))
        # HTTP/2 has names in lower case, Chromium's HTTP/1 has not
        over = "h2" if "sec-websocket-version" in [name for name, _ in request.headers] else "http/1.1"
        writer.write(Frame(Opcode.TEXT, message + b" over " + over.encode()).serialize(mask=False))
        await reader.read()
        return False

    async def _done(self, request, query, reader, writer):
        self.told.put(dict(urllib.parse.parse_qsl(query)))
        self._send(writer, 200, [])
        return True


@contextlib.contextmanager
def chromium(url, profile):
    """Opens a page; every name below localhost leads to this machine, as Chromium has it built in."""
    process = subprocess.Popen(
        [
            *[CHROMIUM, "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run"],
            *["--disable-background-networking", "--ignore-certificate-errors", f"--user-data-dir={profile}"],
            *["--remote-debugging-port=0", url],
        ],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        yield
    finally:
        # Chromium is a dozen processes; they share the session that was made for them.
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def test_a_page_of_modules_and_its_websocket_come_over_http_2(tmp_path, monkeypatch):
    monkeypatch.setenv("STORES_FRONT", "1")
    world = World(tmp_path)
    try:
        site = Site(world.stage)
        world.stack.callback(site.close)
        world.tell(service("netshop", port=site.port))
        origin = f"https://netshop.localhost:{world.https}"
        with chromium(f"{origin}/page", tmp_path / "profile"):
            told = site.told.get(timeout=60)
        assert told == {"count": str(MODULES), "protocols": "h2", "echo": "hello over h2"}
    finally:
        world.close()
