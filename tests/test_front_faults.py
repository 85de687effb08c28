"""A fault of our own in the front: whom it is about is told, and nobody else notices."""

import asyncio

from proxy_addons.front.client import Client
from proxy_addons.front.clock import Clock
from proxy_addons.front.connecting import Connecting
from proxy_addons.front.exchange import Request

PATIENCE = 20


class Asker:
    """A client that waits."""

    exchange = None
    framed = False


async def test_who_waits_for_a_connection_hears_of_any_fault():
    told = asyncio.get_running_loop().create_future()
    request, asker = Request(Client(("127.0.0.1", 1), ("127.0.0.1", 2)), b"GET", b"/", [], b"shop.test"), Asker()

    async def broken():
        raise LookupError("nothing here")

    Connecting(request, b"", asker, lambda *failure: told.set_result(failure)).start(broken(), b"", True)
    of, to, error = await asyncio.wait_for(told, PATIENCE)
    assert (of, to, asker.exchange) == (request, asker, None)
    assert isinstance(error, OSError)
    assert "nothing here" in str(error)


async def test_a_clock_goes_on_for_all_where_one_who_hears_it_fails():
    loop = asyncio.get_running_loop()
    clock, heard, later = Clock(loop, 0.001), [], loop.create_future()

    def fails():
        raise LookupError("nothing here")

    def hears():
        heard.append(clock.now)
        if len(heard) == 3:
            later.set_result(None)
        return False

    clock.ticked += [fails, hears]
    clock.wind()
    await asyncio.wait_for(later, PATIENCE)
    clock.stop()
    assert heard == [1, 2, 3]
