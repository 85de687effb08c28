"""Address to gateway: the ports, who else holds them, and whether it is our gateway that answers there."""

from __future__ import annotations

import http.client
import socket
import ssl
from collections.abc import Iterator
from pathlib import Path

from procman.doctor.finding import Finding, broken, note, ok
from procman.doctor.scene import PATIENCE, Scene
from procman.machine import listen
from procman.machine import ports as ports_of
from procman.state import State

#: The header by which the gateway says where an answer came from.
_ROUTE = "X-Stores-Route"


def ports(scene: Scene) -> Iterator[Finding]:
    """Those that the gateway says it has; and why they are not the well-known ones, if so."""
    if scene.snapshot is None:
        yield broken("port", f"nobody listens for {scene.domain}: {scene.why}", "stores up -d")
        return
    gateway = scene.snapshot.gateway
    for scheme, port in (("http", gateway.http), ("https", gateway.https)):
        public, own = listen.DEFAULTS[scheme]
        refused = [address for address in _loopback() if not _connects(address, port)]
        if refused:
            lost = port == public and _connects("127.0.0.1", own)
            why = f" (it does on {own}: port {public} is no longer redirected there)" if lost else ""
            mend = "stores setup --system" if lost else "stores restart gateway"
            yield broken("port", f"{scheme} does not answer on {', '.join(refused)} port {port}{why}", mend)
            continue
        if port == public or getattr(scene.workspace.settings, scheme) is not None:
            yield ok("port", f"{scheme} answers on port {port}")
        elif _connects("127.0.0.1", public):
            yield note(
                "port",
                f"{scheme} answers on port {port}, for {public} is held by {ports_of.holder(public)}",
                "End that program, then: stores setup --system",
            )
        else:
            yield note("port", f"{scheme} answers on port {port}: URLs carry it", "stores setup --system")


def gateway(scene: Scene) -> Iterator[Finding]:
    """One request for our own name, which starts nothing; trusted by our CA alone, so that it is the gateway's turn."""
    if scene.snapshot is None:
        yield broken("gateway", f"there is none: {scene.why}", "stores up -d")
        return
    state = scene.snapshot.gateway
    if state.state is not State.READY:
        yield broken("gateway", f"it is {state.state} (PID {state.pid})", "stores logs gateway; stores restart gateway")
        return
    try:
        route = _route(scene.host, state.https, Path(state.ca_file))
    except (OSError, http.client.HTTPException) as error:
        yield broken("gateway", f"PID {state.pid} does not answer a request: {error}", "stores restart gateway")
        return
    if route is None:
        holder = ports_of.holder(state.https)
        yield broken(
            "gateway", f"what answers on port {state.https} is not our gateway: {holder}", "stores restart gateway"
        )
    else:
        yield ok("gateway", f"PID {state.pid} answers for {scene.host}")


def plain(scene: Scene) -> Iterator[Finding]:
    """The address that needs neither DNS nor certificates nor root."""
    if scene.snapshot is None or scene.snapshot.gateway.state is not State.READY:
        return  # which is told already
    port = scene.snapshot.gateway.http
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE)
    try:
        connection.request("GET", "/", headers={"Host": f"stores.localhost:{port}"})
        answer = connection.getresponse()
    except (OSError, http.client.HTTPException) as error:
        yield broken("gateway", f"no answer at {scene.plain_url}: {error}", "stores restart gateway")
        return
    finally:
        connection.close()
    if answer.headers.get(_ROUTE) is None:
        holder = ports_of.holder(port)
        yield broken("gateway", f"what answers on port {port} is not our gateway: {holder}", "stores restart gateway")
    else:
        yield ok("gateway", f"{scene.plain_url} answers: it needs nothing set up")


def _route(host: str, port: int, ca: Path) -> str | None:
    context = ssl.create_default_context(cafile=ca)
    with (
        socket.create_connection(("127.0.0.1", port), timeout=PATIENCE) as raw,
        context.wrap_socket(raw, server_hostname=host) as tls,
    ):
        tls.sendall(f"GET / HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n".encode())
        answer = http.client.HTTPResponse(tls)
        answer.begin()
        return answer.headers.get(_ROUTE)


def _loopback() -> list[str]:
    """127.0.0.1, and ::1 where there is IPv6."""
    with socket.socket(socket.AF_INET6) as probe:
        try:
            probe.bind(("::1", 0))
        except OSError:
            return ["127.0.0.1"]
    return ["127.0.0.1", "::1"]


def _connects(address: str, port: int) -> bool:
    try:
        socket.create_connection((address, port), timeout=PATIENCE).close()
    except OSError:
        return False
    return True
