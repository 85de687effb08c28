"""Imports a module beside the event loop, which goes on serving meanwhile."""

from __future__ import annotations

import asyncio
import contextlib
import importlib
import sys
import threading
from types import ModuleType
from typing import Final

#: Seconds after which the importing thread lets the loop have its turn, if it wants one; Python's default is ten times
#: that, and each request takes several turns.
_TURN: Final = 0.0005


async def imported(name: str) -> ModuleType:
    """The module `name`; raises what its import raises.

    In a thread of its own, and not in the loop's executor, whose threads would stay.
    """
    loop = asyncio.get_running_loop()
    done: asyncio.Future[ModuleType] = loop.create_future()

    def tell(module: ModuleType | None, error: BaseException | None) -> None:
        if done.cancelled():
            return
        if module is not None:
            done.set_result(module)
        else:
            done.set_exception(error or ImportError(name))

    def work() -> None:
        try:
            module = importlib.import_module(name)
        except BaseException as error:  # noqa: BLE001 - told to who waits
            _call(loop, tell, None, error)
        else:
            _call(loop, tell, module, None)

    usual = sys.getswitchinterval()
    sys.setswitchinterval(_TURN)
    try:
        # no daemon: such a thread is ended wherever it is, and in the midst of C++ that ends the process (SIGABRT)
        threading.Thread(target=work, name=f"import {name}", daemon=False).start()
        return await done
    finally:
        sys.setswitchinterval(usual)


def _call(loop: asyncio.AbstractEventLoop, tell: object, *arguments: object) -> None:
    with contextlib.suppress(RuntimeError):  # the loop is closed, as the process ends: nobody waits any more
        loop.call_soon_threadsafe(tell, *arguments)  # type: ignore[arg-type]  # a callable, with its arguments
