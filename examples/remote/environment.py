"""The services of the sample remote, behind one TLS port: which of them is asked is told by the host name."""

from __future__ import annotations

import ssl
import time
from collections.abc import Callable, Iterable, Mapping
from email.message import Message
from http import HTTPStatus
from pathlib import Path
from typing import Any

import account.web
import organization.web
import reserve.web
from common.app import App
from common.callers import ToldCallers
from common.message import Request, Response, problem
from common.server import Handler, Server
from common.settings import Settings
from common.siblings import Answer, Siblings
from remote import api_gateway, events
from remote.certificates import Files

DOMAIN = "remote.example.com"
BADGE = "remote environment"
SERVICES = {"account": account.web.create, "organization": organization.web.create, "reserve": reserve.web.create}
# What says where a request came from is the business of the edge: a client's own words about it are dropped.
CLIENTS_WORDS = (
    *("X-User-Id", "X-User-Scopes"),
    *("X-Forwarded-Host", "X-Forwarded-Proto", "X-Forwarded-For", "X-Forwarded-Port", "Forwarded"),
)


def create_apps(data_dir: Path) -> dict[str, App]:
    """By service. Each has a data directory of its own, and asks the others here and not in the workspace."""
    apps: dict[str, App] = {}
    for name, create in SERVICES.items():
        folder = Path(__file__).parents[1] / name
        own = data_dir / name
        own.mkdir(exist_ok=True)
        apps[name] = create(Settings(name, folder, own, 0, Neighbours(name, apps), BADGE, ToldCallers()))
    return apps


class Neighbours(Siblings):
    """Calls within the environment need no network."""

    def __init__(self, name: str, apps: Mapping[str, App]) -> None:
        super().__init__(name, {})
        self._apps = apps

    def _send(self, sibling: str, path: str, method: str, headers: dict[str, str], body: bytes | None) -> Answer:
        if sibling not in self._apps:
            raise OSError(f"there is no {sibling} in this environment")
        message = Message()
        for key, value in {**headers, "Host": f"{sibling}.{DOMAIN}"}.items():
            message[key] = value
        response = self._apps[sibling](Request(method, path, message, body or b"", secure=True))
        return self.answer(sibling, response.status, response.content_type, _whole(response), "here")


def _whole(response: Response) -> bytes:
    return response.body if isinstance(response.body, bytes) else b"".join(response.body)


class RemoteHandler(Handler):
    server: RemoteServer
    connection: ssl.SSLSocket

    def respond(self, request: Request) -> Response:
        host = request.headers.get("Host", "").partition(":")[0].lower()
        name = host.removesuffix(f".{DOMAIN}")
        asked_for = getattr(self.connection, "asked_for", None)
        if asked_for and asked_for != host:  # RFC 9110, 15.5.20; so that a gateway that mixes them up is noticed
            return problem(
                HTTPStatus.MISDIRECTED_REQUEST, f"The certificate was for {asked_for}, the request for {host}."
            )
        if not host.endswith(f".{DOMAIN}") or name not in self.server.sites:
            return problem(HTTPStatus.NOT_FOUND, f"The remote environment has no host {host or 'without a name'}.")
        for header in CLIENTS_WORDS:
            del request.headers[header]
        return self.server.sites[name](request)


class RemoteServer(Server):
    """`log`: a file for the requests, where the terminal belongs to somebody else."""

    def __init__(
        self, port: int, apps: Mapping[str, App], files: Files, log: Path | None, broker: events.Events
    ) -> None:
        self.apps = apps
        self._broker = broker
        self.sites: dict[str, Callable[[Request], Response]] = {
            **apps,
            api_gateway.HOST: api_gateway.ApiGateway(apps),
            events.HOST: broker,
        }
        self._log = log.open("a", encoding="utf-8", buffering=1) if log else None
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._context.load_cert_chain(files.leaf)
        self._context.set_alpn_protocols(["http/1.1"])
        self._context.sni_callback = _note_name
        super().__init__(port, self._no_app, RemoteHandler)

    @staticmethod
    def _no_app(_: Request) -> Response:
        raise NotImplementedError("RemoteHandler.respond finds the app")

    def finish_request(self, request: Any, client_address: Any) -> None:
        """In the connection's own thread: a slow handshake keeps nobody else waiting."""
        request.settimeout(10)
        with self._context.wrap_socket(request, server_side=True) as connection:
            super().finish_request(connection, client_address)

    def log(self, line: str) -> None:
        if self._log is None:
            super().log(f"remote {line}")
        else:
            self._log.write(f"{time.strftime('%H:%M:%S')} {line}\n")

    def close_apps(self) -> None:
        for app in self.apps.values():
            app.close()
        self._broker.close()


def _note_name(connection: ssl.SSLObject | ssl.SSLSocket, name: str | None, _: ssl.SSLContext) -> int | None:
    """Server Name Indication (RFC 6066): names outside the domain are refused; those inside may yet be a 404."""
    if name is None:
        return None
    name = name.lower()
    if name != DOMAIN and not name.endswith(f".{DOMAIN}"):
        return ssl.ALERT_DESCRIPTION_UNRECOGNIZED_NAME
    connection.asked_for = name  # type: ignore[union-attr]  # an attribute of our own, as `respond` reads it
    return None


def urls(names: Iterable[str]) -> list[str]:
    return [f"https://{name}.{DOMAIN}" for name in names]
