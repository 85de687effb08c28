"""Receiving by long polls: each question waits at the remote until there is something, or its time is over."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, Iterable

from proxy_addons.events.http_connection import RefusedError
from proxy_addons.events.log_page import Page
from proxy_addons.events.remote import BadStatusError, RemoteBroker
from proxy_addons.events.remote_stream import Batch

_log = logging.getLogger(__name__)

#: Seconds that a question waits there: less than the 30 after which many proxies answer 504 in the remote's place.
#: Where one does so sooner, half as long, down to the least.
_WAIT, _LEAST_WAIT = 25.0, 3.0
#: Events a page.
_LIMIT = 100
#: Seconds until the next question where one was answered at once with nothing: who answers knows no `wait`, and must
#: not be asked without end. Doubled up to the longest.
_FIRST_PAUSE, _LAST_PAUSE = 1.0, 30.0
#: Sooner than this part of its time an empty answer has not waited.
_WAITED = 0.5
_GATEWAY_TIMEOUT = 504


async def follow(
    broker: RemoteBroker, log: str, after: int, types: Iterable[str], seconds: float
) -> AsyncGenerator[Batch, None]:
    """For so many seconds; each answer is a batch, be it empty: the first one comes at once.

    Raises what `RemoteBroker` raises.
    """
    loop = asyncio.get_running_loop()
    wanted = frozenset(types)
    ends, longest, pause = loop.time() + seconds, _WAIT, _FIRST_PAUSE
    wait = 0.0
    while loop.time() < ends:
        asked = loop.time()
        page = await _page(broker, log, after, wanted, wait)
        if page is None:
            longest = wait = max(_LEAST_WAIT, longest / 2)
            continue
        progressed = bool(page.events) or page.after != after
        after = page.after
        yield Batch(page.events, after)
        if progressed or loop.time() - asked >= wait * _WAITED:
            pause = _FIRST_PAUSE
        else:
            await asyncio.sleep(pause)
            pause = min(pause * 2, _LAST_PAUSE)
        wait = longest


async def _page(broker: RemoteBroker, log: str, after: int, types: frozenset[str], wait: float) -> Page | None:
    """The next page; None where the question was cut, and a shorter one may not be."""
    try:
        return await broker.page(log, after, types, wait, _LIMIT)
    except RefusedError:
        raise
    except (ConnectionError, BadStatusError) as error:
        cut = isinstance(error, ConnectionError) or error.status == _GATEWAY_TIMEOUT
        if not cut or wait <= _LEAST_WAIT:
            raise
        return None
