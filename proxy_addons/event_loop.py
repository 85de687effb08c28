"""The event loop: uvloop where it can be imported, asyncio's own elsewhere."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any


def loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    """What ``asyncio.Runner`` is to make its loop with; None for the platform's default."""
    try:
        import uvloop  # noqa: PLC0415 - optional, and costs 20 ms
    except ImportError:
        return None

    class Loop(uvloop.Loop):
        """uvloop hands a task factory no `eager_start`, and Python 3.13.0's eager factory insists on making it itself.

        mitmproxy 12 installs ``asyncio.eager_task_factory``; without this wrapper every new task fails on 3.13.0 with
        "got multiple values for keyword argument 'eager_start'" (python/cpython#128307).
        """

        def set_task_factory(self, factory: Any) -> None:
            eager = getattr(asyncio, "eager_task_factory", None)
            if eager is None or factory is not eager:
                super().set_task_factory(factory)
                return

            def make(loop: asyncio.AbstractEventLoop, coro: Any, **options: Any) -> Any:
                options.pop("eager_start", None)
                return eager(loop, coro, **options)

            super().set_task_factory(make)

    return Loop
