"""The issuer's door in the gateway: what comes for ``auth.<domain>`` is answered here, and goes nowhere else."""

# mypy: disallow-untyped-calls=False
# mitmproxy is typed in parts only.
from __future__ import annotations

from typing import TYPE_CHECKING

from mitmproxy.http import Response

from procman.authorizer_settings import ISSUER_HOST
from procman.identity import Identity
from proxy_addons.decision import decision_of
from proxy_addons.issuer.endpoints import Endpoints
from proxy_addons.issuer.issuer import Issuer
from proxy_addons.issuer.message import LARGEST_BODY, Answer, Request
from proxy_addons.issuer.pages import plain
from proxy_addons.problem import Code
from proxy_addons.site import Site
from proxy_addons.view import Current

if TYPE_CHECKING:
    from mitmproxy.http import HTTPFlow


class IssuerSite:
    """Small bodies are waited for, and nothing else: all answers are made here and now."""

    def __init__(self, current: Current, issuer: Issuer) -> None:
        self._current = current
        self._issuer = issuer
        self._endpoints = Endpoints(issuer, self._identities, self._knows)

    def requestheaders(self, flow: HTTPFlow) -> None:
        """After the routing, which names the host."""
        if not _is_for_us(flow):
            return
        length = flow.request.headers.get("content-length", "0")
        if "transfer-encoding" in flow.request.headers:
            flow.response = _response(flow, plain(411, "Say how long the body is: Content-Length."))
        elif not length.isdecimal() or int(length) > LARGEST_BODY:
            flow.response = _response(flow, plain(413, f"At most {LARGEST_BODY} bytes."))
        else:
            flow.request.stream = False  # the body is wanted whole

    async def request(self, flow: HTTPFlow) -> None:
        """The request is complete."""
        decision = decision_of(flow)
        if decision is None or not _is_for_us(flow) or flow.response is not None:
            return
        await self._issuer.ready()
        headers = {name.lower(): value for name, value in flow.request.headers.items()}
        request = Request(flow.request.method, flow.request.path, decision.site, headers, flow.request.content or b"")
        flow.response = _response(flow, self._endpoints.answer(request))

    def _identities(self) -> tuple[Identity, ...]:
        return self._current.view.snapshot.identities

    def _knows(self, host: str) -> bool:
        decision = self._current.view.decide(Site("https", host, 443))
        return decision.problem is None or decision.problem.code not in {Code.UNKNOWN_HOST, Code.NOT_OURS}


def _is_for_us(flow: HTTPFlow) -> bool:
    decision = decision_of(flow)
    return decision is not None and decision.relative == ISSUER_HOST and decision.service is None


def _response(flow: HTTPFlow, answer: Answer) -> Response:
    """HEAD gets the head alone (RFC 9110, section 9.3.2)."""
    response = Response.make(answer.status, b"", dict(answer.headers))
    if answer.status != 204:  # noqa: PLR2004 - No Content has none, and no length
        response.headers["Content-Length"] = str(len(answer.body))
    if flow.request.method != "HEAD":
        response.raw_content = answer.body
    return response
