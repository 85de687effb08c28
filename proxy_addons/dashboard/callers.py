"""Which service's process is at the other end of a connection: the kernel says, where it says anything (Linux).

It has to be asked while the connection stands, so on the loop, and that is why only the processes of services are
looked into, which are few; they are found beside the loop.
"""

from __future__ import annotations

import asyncio
import os
import time
from pathlib import Path
from typing import Final

from proxy_addons.dashboard.peer import owner_of
from proxy_addons.front.client import Client

#: What each process of a service is told by the supervisor (`procman.environment.variables`).
_NAME: Final = b"STORES_SERVICE="
#: Connections that are remembered.
_REMEMBERED: Final = 1024
#: Seconds of each second that may be spent on it; and between two looks for processes that are new.
_MOST_SPENT: Final = 0.05
_FRESH: Final = 2.0


class Callers:
    """Asked once for each connection."""

    def __init__(self) -> None:
        self._known: dict[tuple[str, int], tuple[Client, str]] = {}
        self._services: dict[str, str] = {}
        self._refreshing: asyncio.Task[None] | None = None
        self._refreshed = self._second = self._spent = 0.0

    def clear(self) -> None:
        """Forgets the connections."""
        self._known.clear()

    async def refresh(self) -> None:
        """Looks which processes are services' now."""
        self._services = await asyncio.to_thread(_of_services)
        self._refreshed = time.monotonic()

    def service_of(self, client: Client) -> str:
        """The service's name; empty where it is none's, where nobody can tell, and where it would take too long."""
        known = self._known.get(client.peer)
        if known is None or known[0] is not client:  # the port may be another connection's by now
            if len(self._known) >= _REMEMBERED:
                self._known.clear()
            known = self._known[client.peer] = (client, self._look(client))
        return known[1]

    def _look(self, client: Client) -> str:
        began = time.monotonic()
        if began - self._second > 1.0:
            self._second, self._spent = began, 0.0
        if self._spent > _MOST_SPENT:
            return ""
        found = self._find(client)
        now = time.monotonic()
        self._spent += now - began
        if not found and now - self._refreshed > _FRESH and (self._refreshing is None or self._refreshing.done()):
            self._refreshing = asyncio.create_task(self.refresh())
        return found

    def _find(self, client: Client) -> str:
        owner = owner_of(client)
        if owner is None:
            return ""
        wanted = f"socket:[{owner[1]}]"
        return next((name for pid, name in self._services.items() if _has(pid, wanted)), "")


def _has(pid: str, wanted: str) -> bool:
    folder = f"/proc/{pid}/fd"
    try:
        numbers = os.listdir(folder)  # noqa: PTH208 - as text: twice as fast as by pathlib
        return any(os.readlink(f"{folder}/{number}") == wanted for number in numbers)  # noqa: PTH115 - as above
    except OSError:  # it has ended
        return False


def _of_services() -> dict[str, str]:
    found = {}
    folders = Path("/proc").glob("[0-9]*") if Path("/proc/self").exists() else ()
    for folder in folders:
        try:
            environ = (folder / "environ").read_bytes()
        except OSError:  # another user's, or it has ended
            continue
        tag = next((part for part in environ.split(b"\0") if part.startswith(_NAME)), b"")
        if tag:
            found[folder.name] = tag.removeprefix(_NAME).decode("utf-8", "replace")
    return found
