"""An HTTP proxy on the way to the remote, as companies have one: asked by CONNECT, and told of on the page."""

import asyncio
import queue
from contextlib import suppress
from dataclasses import replace

import pytest
from gateway_world import REMOTE_DOMAIN, one_world, service
from stage import PATIENCE, free_port

world = pytest.fixture(scope="module")(one_world)


class Proxy:
    """Takes CONNECT for any host, and leads to `port` of this machine; 407 without one."""

    def __init__(self, world, port):
        self.asked = queue.Queue()
        self._world, self._leads_to = world, port
        self._server = world.stage.do(asyncio.start_server(self._serve, "127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"

    async def _serve(self, reader, writer):
        head = await reader.readuntil(b"\r\n\r\n")
        self.asked.put(head.split(b"\r\n")[0].decode())
        if not self._leads_to:
            writer.write(b"HTTP/1.1 407 Who are you\r\nContent-Length: 0\r\n\r\n")
            writer.close()
            return
        there, back = await asyncio.open_connection("127.0.0.1", self._leads_to)
        writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
        await asyncio.gather(self._relay(reader, back), self._relay(there, writer))

    @staticmethod
    async def _relay(reader, writer):
        with suppress(OSError):
            while data := await reader.read(65536):
                writer.write(data)
            writer.close()

    def close(self):
        self._world.stage.loop.call_soon_threadsafe(self._server.close)


@pytest.fixture
def through(world):
    proxies = []

    def use(port):
        proxies.append(Proxy(world, port))
        remote = replace(world.first.remote, connect_to=(), proxy=proxies[-1].url)
        world.tell(service("account"), remote=remote)
        return proxies[-1]

    yield use
    for proxy in proxies:
        proxy.close()


def test_the_proxy_leads_to_the_remote_which_proves_who_it_is(world, through):
    proxy = through(world.remote.port)
    answer = world.get("account.localhost", "/through", headers={"X-Mark": "yes"})
    assert (answer.status, answer.route) == (200, "remote")
    assert proxy.asked.get(timeout=PATIENCE) == f"CONNECT account.{REMOTE_DOMAIN}:443 HTTP/1.1"
    assert world.remote_last_named("X-Mark")["Host"] == f"account.{REMOTE_DOMAIN}"


def test_local_services_are_reached_without_it(world, through):
    proxy = through(world.remote.port)
    here = world.origin()
    world.tell(service("netshop", port=here.port))
    assert world.get("netshop.localhost").route == "local"
    assert proxy.asked.empty()


def test_one_that_refuses_is_named_on_the_page(world, through):
    through(None)
    page = world.get("account.localhost", headers={"Accept": "text/html"})
    assert page.status == 502
    assert "<dd>Proxy: [remote] proxy does not lead there</dd>" in page.text
    assert "407" in page.text


def test_one_that_is_not_there_is_a_502(world):
    remote = replace(world.first.remote, connect_to=(), proxy=f"http://127.0.0.1:{free_port()}")
    world.tell(service("account"), remote=remote)
    assert world.get("account.localhost", headers={"Accept": "application/json"}).json["code"] == "remote-refused"
