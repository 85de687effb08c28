"""The resolver by itself: `python -P -m dns --domain local.example.com --port 5353`.

-P keeps the current folder out of the import path: what lies there may be called `dns` too.
"""

import argparse
import asyncio
import errno
import signal
import sys

from dns.server import DnsServer
from dns.zone import Zone


def main() -> int:
    """Serve until Ctrl-C or SIGTERM; returns 128 + the signal's number, as a shell reports it."""
    parser = argparse.ArgumentParser(
        "python -P -m dns", description="Leads a domain and all names below it to this machine."
    )
    parser.add_argument("--domain", required=True, help="such as local.example.com")
    parser.add_argument("--port", type=int, default=0, help="UDP and TCP, on 127.0.0.1 and ::1 (default: any free one)")
    parser.add_argument(
        "--ipv4", default="127.0.0.1", metavar="ADDRESS", help="what its names lead to (default: %(default)s)"
    )
    parser.add_argument("--ipv6", default="::1", metavar="ADDRESS", help="the same for IPv6 (default: %(default)s)")
    parser.add_argument(
        "--ttl", type=int, default=60, metavar="SECONDS", help="how long answers hold (default: %(default)s)"
    )
    options = parser.parse_args()
    try:
        zone = Zone(options.domain, options.ipv4, options.ipv6, options.ttl)
    except ValueError as e:
        parser.error(str(e))
    try:
        return asyncio.run(_serve(zone, options.port))
    except OverflowError:
        parser.error(f"--port {options.port}: a port is 0 to 65535")
    except OSError as e:
        parser.exit(1, f"{parser.prog}: cannot listen on port {options.port}: {e.strerror}\n{_hint(e, options.port)}\n")


async def _serve(zone: Zone, port: int) -> int:
    received: asyncio.Future[int] = asyncio.get_running_loop().create_future()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, _record, received, number)
    server = await DnsServer.start(zone, port=port)
    try:
        places = ", ".join(f"{host} port {port}" for host, port in server.addresses)
        sys.stdout.write(f"Answering for {zone.domain} on {places}\n")
        sys.stdout.flush()
        return 128 + await received
    finally:
        await server.close()


def _record(received: asyncio.Future[int], number: int) -> None:
    if not received.done():
        received.set_result(number)


def _hint(e: OSError, port: int) -> str:
    """Say what to type next."""
    if e.errno == errno.EADDRINUSE:
        return f"  See who has it:  lsof -nP -i :{port}\n  Or take a free one:  --port 0"
    if e.errno == errno.EACCES:
        return "  Ports below 1024 belong to the administrator. Take a free one:  --port 0"
    return "  Take a free one:  --port 0"


if __name__ == "__main__":
    sys.exit(main())
