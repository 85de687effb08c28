"""Slow requests and plain ones take turns in one event loop."""

import asyncio

from proxy_addons.event_loop import loop_factory
from proxy_addons.front.turns import Turns

PATIENCE = 20


def on_the_gateways_loop(test):
    def run():
        with asyncio.Runner(loop_factory=loop_factory()) as runner:
            runner.run(asyncio.wait_for(test(), PATIENCE))

    run.__name__, run.__doc__ = test.__name__, test.__doc__
    return run


class Plain:
    """Plain requests that keep coming, one in each turn of the loop, until it is told to stop."""

    def __init__(self, turns):
        self._turns = turns
        self._task = asyncio.create_task(self._come())

    async def _come(self):
        while True:
            self._turns.plain += 1
            await asyncio.sleep(0)

    async def stop(self):
        self._task.cancel()
        await asyncio.wait({self._task})


@on_the_gateways_loop
async def test_where_nothing_plain_is_asked_nobody_waits():
    turns = Turns(asyncio.get_running_loop())
    assert all(turns.take() for _ in range(100))


@on_the_gateways_loop
async def test_after_a_few_plain_requests_a_moment_of_quiet_is_awaited():
    turns = Turns(asyncio.get_running_loop())
    turns.plain += 3
    assert not turns.take()
    await turns.wait()
    assert turns.take()


@on_the_gateways_loop
async def test_while_plain_requests_keep_coming_one_slow_one_begins_for_many_of_them():
    turns = Turns(asyncio.get_running_loop())
    plain = Plain(turns)
    waiting = [asyncio.create_task(turns.wait()) for _ in range(20)]
    await asyncio.wait(waiting)
    await plain.stop()
    assert turns.plain >= 20 * 80


@on_the_gateways_loop
async def test_they_begin_in_the_order_in_which_they_came():
    turns, begun = Turns(asyncio.get_running_loop()), []

    async def slow(number):
        await turns.wait()
        begun.append(number)

    plain = Plain(turns)
    await asyncio.gather(*map(slow, range(10)))
    await plain.stop()
    assert begun == list(range(10))


@on_the_gateways_loop
async def test_who_is_gone_takes_nobodys_turn():
    turns = Turns(asyncio.get_running_loop())
    turns.plain += 1
    gone, waits = (asyncio.create_task(turns.wait()) for _ in range(2))
    await asyncio.sleep(0)
    gone.cancel()
    await waits
    assert gone.cancelled()
