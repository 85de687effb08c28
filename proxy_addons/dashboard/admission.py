"""How a browser gets its cookie, and what the API says of itself."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from proxy_addons.dashboard import schema
from proxy_addons.dashboard.message import Request, Response
from proxy_addons.dashboard.operation import Operation, Who
from proxy_addons.dashboard.session import TICKET_LIFE, Sessions
from proxy_addons.events.refusal import RefusalError

_TICKET = schema.record(ticket=schema.text("Worth a session, once.", maxLength=200))
_MADE = schema.record(ticket=schema.text("For the page's fragment: `#ticket=…`."), seconds=schema.whole("Its life."))


class Admission:
    """`document` is the API's own."""

    def __init__(self, sessions: Sessions, document: Callable[[], dict[str, Any]]) -> None:
        self._sessions = sessions
        self._document = document

    def operations(self) -> list[Operation]:
        """Its rows in the table."""
        rows = (
            Operation(
                "POST", "/tickets", "make_ticket", "A ticket for a browser.", self._ticket, _MADE, who=Who.PROGRAM
            ),
            Operation(
                "POST",
                "/session",
                "sign_in",
                "Sign a browser in: sets the cookie.",
                self._sign_in,
                takes=_TICKET,
                who=Who.ANYBODY,
                refuses={401: "The ticket is used, or too old."},
            ),
            Operation("DELETE", "/session", "sign_out", "Sign the browser out.", self._sign_out),
            Operation(
                "GET",
                "/openapi.json",
                "get_document",
                "This document.",
                self._tell,
                schema.record(openapi=schema.text()),
                who=Who.ANYBODY,
            ),
        )
        return [*rows]

    async def _ticket(self, _: Request) -> dict[str, Any]:
        return {"ticket": self._sessions.ticket(), "seconds": TICKET_LIFE}

    async def _sign_in(self, request: Request) -> Response:
        if not self._sessions.redeem(request.values["ticket"]):
            raise RefusalError(401, "This link was used already, or is too old.", hint="A new one: stores open")
        return Response(204, headers={"Set-Cookie": self._sessions.cookie(secure=request.client.secure)})

    async def _sign_out(self, request: Request) -> Response:
        return Response(204, headers={"Set-Cookie": self._sessions.no_cookie(secure=request.client.secure)})

    async def _tell(self, _: Request) -> dict[str, Any]:
        return self._document()
