"""Adds what opens the remote's gate (``[remote.headers]``): to requests for the remote, and to nothing else."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from typing import TYPE_CHECKING

from proxy_addons.decision import decide, decision_of
from proxy_addons.problem import Code, Problem
from proxy_addons.view import Current

if TYPE_CHECKING:
    from mitmproxy.http import HTTPFlow

#: Seconds that a command may take to print a secret, and that its answer is used again.
_PATIENCE, _KEPT = 20.0, 300.0
_ENV, _COMMAND = "env:", "command:"


class CredentialsError(ValueError):
    """A value that cannot be had. Its text holds no secret: neither the value nor what the command wrote."""


class RemoteCredentials:
    """Values are kept in memory, never written anywhere, and never said."""

    def __init__(self, current: Current, clock: Callable[[], float]) -> None:
        self._current = current
        self._clock = clock
        self._printed: dict[str, tuple[float, asyncio.Task[str]]] = {}

    async def requestheaders(self, flow: HTTPFlow) -> None:
        """Only for hosts below the remote domain: another remote of a service is somebody else's gate."""
        decision = decision_of(flow)
        remote = self._current.view.snapshot.remote
        if decision is None or decision.remote is None or not decision.upstreams or not remote.headers:
            return
        if not f".{decision.remote.host}".endswith(f".{remote.domain}") or not remote.domain:
            return
        try:
            values = [(name, await self._value(name, source)) for name, source in remote.headers.items()]
        except CredentialsError as error:
            decide(flow, decision.failed(Problem(Code.REMOTE_CREDENTIALS, str(error))))
            return
        for name, value in values:
            flow.request.headers[name] = value

    async def _value(self, name: str, source: str) -> str:
        if source.startswith(_ENV):
            variable = source.removeprefix(_ENV)
            value = os.environ.get(variable, "")
            if not value:
                raise CredentialsError(f"{name}: the variable {variable} is not set where stores was started")
        else:
            value = await self._print(name, source.removeprefix(_COMMAND))
        if not value.isprintable():
            raise CredentialsError(f"{name}: its value cannot stand in a header")
        return value

    async def _print(self, name: str, command: str) -> str:
        now = self._clock()
        at, task = self._printed.get(command, (0.0, None))
        failed = task is not None and task.done() and task.exception() is not None
        if task is None or failed or now - at > _KEPT:
            task = asyncio.get_running_loop().create_task(_run(name, command))
            self._printed[command] = (now, task)
        return await asyncio.shield(task)


async def _run(name: str, command: str) -> str:
    process = await asyncio.create_subprocess_exec(
        *("/bin/sh", "-c", command),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
    )
    try:
        async with asyncio.timeout(_PATIENCE):
            out, _ = await process.communicate()
    except TimeoutError:
        process.kill()
        await process.wait()
        raise CredentialsError(f"{name}: its command took longer than {_PATIENCE:g} s") from None
    value = out.decode("utf-8", "replace").strip()
    if process.returncode or not value:
        raise CredentialsError(f"{name}: its command printed nothing, or failed (exit code {process.returncode})")
    return value
