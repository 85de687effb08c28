"""The broker as the gateway has it: told of snapshots, without a gateway around it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from events_world import until

from procman.event_settings import EventSettings
from procman.routes import Route
from procman.snapshot import DnsStatus, GatewayStatus, RemoteStatus, ServiceStatus, Snapshot
from procman.state import State
from procman.subscription import Subscription
from proxy_addons.events.broker import Broker
from proxy_addons.events.hosting import Hosting
from proxy_addons.supervisor import Supervisor


def snapshot(port: int, *services: ServiceStatus, **events: Any) -> Snapshot:
    """What the supervisor would tell."""
    around = (GatewayStatus(), DnsStatus(), RemoteStatus())
    return Snapshot("w", "local.example.com", 1, *around, services, events=EventSettings(port=port, **events))


def shop(port: int) -> ServiceStatus:
    subscription = Subscription(("**",), backoff=0.02)
    return ServiceStatus(
        "shop", State.READY, Route.LOCAL, True, ("shop",), (), (), port=port, subscription=subscription
    )


@asynccontextmanager
async def hosted(folder: Path, told: Snapshot) -> AsyncIterator[tuple[Hosting, Broker]]:
    hosting = Hosting(folder, Supervisor(folder / "none.sock"), [])
    await hosting.tell(told)
    try:
        await until(lambda: hosting._broker, "it is open")
        assert hosting._broker
        yield hosting, hosting._broker
    finally:
        await hosting.close()
