"""The resolver for the workspace's domain, and whether the system's own one knows that domain already."""

from __future__ import annotations

import asyncio
import socket
from typing import TYPE_CHECKING

from procman.errors import StoresError
from procman.machine import ports
from procman.settings import Settings

if TYPE_CHECKING:
    from dns.server import DnsServer

#: Its port, unless set: 53 is root's, and 5353 belongs to mDNS.
DNS_PORT = 15353

#: How long the system's resolver may take to answer, in seconds.
_PATIENCE = 0.7


def port_of(settings: Settings) -> int:
    """The port that it has, or is to have; 0: any."""
    return DNS_PORT if settings.dns is None else settings.dns


async def start(settings: Settings) -> DnsServer:
    """It lives in this process: another one would cost 10 MB more. Raises `StoresError` naming who holds its port."""
    from dns.server import DnsServer  # noqa: PLC0415 (it loads dnslib, which no command that asks for the port needs)
    from dns.zone import Zone  # noqa: PLC0415 (the same)

    port = port_of(settings)
    try:
        return await DnsServer.start(Zone(settings.domain), port=port)
    except OSError as error:
        raise StoresError(
            f"The resolver cannot have port {port}: {error.strerror}, {ports.holder(port, udp=True)}",
            ports.freeing(port, "STORES_DNS_PORT", "[dns] port", udp=True),
        ) from error


async def is_asked_for(domain: str) -> bool:
    """Whether the system's resolver finds the domain's names on this machine."""
    loop = asyncio.get_running_loop()
    try:
        async with asyncio.timeout(_PATIENCE):
            found = await loop.getaddrinfo(f"stores.{domain}", None, type=socket.SOCK_STREAM)
    except (OSError, TimeoutError):
        return False
    return all(address[0] in {"127.0.0.1", "::1"} for *_, address in found)
