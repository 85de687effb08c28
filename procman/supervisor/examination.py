"""What only a look at the machine tells of a service that does not answer. Taken when somebody asks, never kept."""

from __future__ import annotations

import asyncio
import contextlib
import sys
from collections.abc import Mapping
from typing import Any, Protocol

from procman.machine import ports
from procman.service import Service
from procman.snapshot import Findings
from procman.state import ALIVE, ANSWERING, State
from procman.supervisor.roster import Roster


async def examine(roster: Roster, name: str) -> Findings:
    """The findings on one service. Raises `StoresError` when there is none of that name."""
    service = roster.workspace.service(name)
    primary = roster.primary(name)
    mains = {process.name: process.pid for process in roster.of_service(name) if process.pid}
    return Findings(
        setup=await asyncio.to_thread(roster.setups.of, service),
        setup_command=service.setup,
        waits_for=_waits_for(roster, service),
        holder=await _holder(primary.plan.port or 0) if primary.state not in ALIVE | ANSWERING else "",
        listening=await asyncio.to_thread(listening, mains) if primary.state in ALIVE else (),
    )


def _waits_for(roster: Roster, service: Service) -> str:
    primary = roster.primary(service.name)
    if primary.state is State.STARTING:
        return primary.plan.waits_for
    if primary.state is not State.QUEUED:
        return ""
    missing = [need for need in service.needs if roster.primary(need).state not in ANSWERING]
    return f"for {', '.join(missing)} to be ready" if missing else "for its turn: others are starting"


async def _holder(port: int) -> str:
    """Who has its port. A free one costs two system calls; the search is made where one is held."""
    return "" if not port or ports.is_free(port) else await asyncio.to_thread(ports.holder, port)


def listening(mains: Mapping[str, int]) -> tuple[str, ...]:
    """Where these processes, and all that came of them, accept TCP connections. To be called in a thread."""
    if not mains:
        return ()
    import psutil  # noqa: PLC0415 (4 MB that only a service in trouble needs)

    from procman.machine.cost import members  # noqa: PLC0415 (it loads psutil)

    pids = set(members(mains))
    found: set[str] = set()
    if sys.platform == "darwin":  # it shows a user only his own processes, one by one
        for pid in pids:
            with contextlib.suppress(psutil.Error):
                found.update(_address(one) for one in psutil.Process(pid).net_connections("tcp") if _listens(one))
    else:
        found.update(_address(one) for one in psutil.net_connections("tcp") if one.pid in pids and _listens(one))
    return tuple(sorted(found))


class _Connection(Protocol):
    """As psutil tells of one; its `laddr` is empty where it has no address."""

    @property
    def status(self) -> str: ...
    @property
    def laddr(self) -> Any: ...


def _listens(connection: _Connection) -> bool:
    return connection.status == "LISTEN" and bool(connection.laddr)


def _address(connection: _Connection) -> str:
    host, port, *_ = connection.laddr
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
