"""A cancellation that a library takes for itself ends its task all the same."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def kept() -> Iterator[None]:
    """Around what awaits a library. Raises `CancelledError` where the task was cancelled and heard nothing of it.

    `asyncio.wait_for` before Python 3.12 returns what it waited for, should both come at once (python/cpython#86296).
    redis-py and nats-py ask with it; a loop that goes on then waits for ever, and so does whoever ended it.
    """
    task = asyncio.current_task()
    before = task.cancelling() if task else 0
    try:
        yield
    finally:
        if task and task.cancelling() > before:
            raise asyncio.CancelledError
