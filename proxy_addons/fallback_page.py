"""Answers what nobody else can: says which service was asked for, whether it runs, what is wrong and what to type."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mitmproxy.http import Headers, Response

from procman.errors import StoresError
from proxy_addons.acceptance import Form, form_of, language_of
from proxy_addons.decision import Decision, decide, decision_of
from proxy_addons.diagnosis import diagnose
from proxy_addons.page import write
from proxy_addons.problem import Code, Problem
from proxy_addons.supervisor import Supervisor
from proxy_addons.view import Current
from proxy_addons.words import LANGUAGES, words

if TYPE_CHECKING:
    from mitmproxy.http import HTTPFlow

_LOG_LINES = 20
#: Where the service's own last words say most about the cause.
_WITH_LOG = frozenset({Code.CRASHED, Code.EXITED, Code.REFUSED, Code.BROKEN_ANSWER})


class FallbackPage:
    """Hook `fallback`: no upstream answers this flow (`mitm_stream.FallbackHook`)."""

    def __init__(self, current: Current, supervisor: Supervisor) -> None:
        self._current = current
        self._supervisor = supervisor

    async def fallback(self, flow: HTTPFlow) -> None:
        """Sets the response."""
        decision = decision_of(flow)
        if decision is None:
            raise LookupError("a request without a decision")
        if decision.route is None:
            flow.response = _plain(decision)
            return
        if decision.problem is None:
            decision = decision.failed(Problem(Code.FAULT, "no upstream was chosen"))
            decide(flow, decision)
        flow.response = await self._page(flow, decision)

    async def _page(self, flow: HTTPFlow, decision: Decision) -> Response:
        problem = decision.problem or Problem(Code.FAULT)
        headers = Headers(Cache_Control="no-store", Vary="Accept, Accept-Language")
        if problem.retry_after is not None:
            headers["Retry-After"] = str(problem.retry_after)
        if flow.request.headers.get("upgrade"):
            return Response.make(problem.status, b"", headers)
        form = form_of(flow.request.headers.get("accept", ""))
        language = words(language_of(flow.request.headers.get("accept-language", ""), LANGUAGES))
        log = await self._log(decision) if form is not Form.TEXT else []
        head = flow.request.method == "HEAD"
        request = ("GET" if head else flow.request.method, flow.request.path)  # one page for both, RFC 9110, 9.3.2
        body = write(diagnose(decision, self._current.view, language, request, log), form, language)
        headers["Content-Type"] = f"{form}; charset=utf-8" if form is not Form.PROBLEM else str(form)
        headers["Content-Language"] = language.language
        headers["X-Content-Type-Options"] = "nosniff"
        if form is Form.HTML:
            headers["Content-Security-Policy"] = (
                "default-src 'none'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; frame-ancestors 'self'"
            )
        response = Response.make(problem.status, b"", headers)
        response.headers["Content-Length"] = str(len(body))
        if not head:
            response.raw_content = body
        return response

    async def _log(self, decision: Decision) -> list[str]:
        problem, service = decision.problem, decision.service
        if problem is None or service is None or problem.code not in _WITH_LOG:
            return []
        try:
            return await self._supervisor.logs(service.name, _LOG_LINES)
        except StoresError:
            return []  # the page is about the service; that its log cannot be had is said by its absence


def _plain(decision: Decision) -> Response:
    """For foreign traffic, in the voice of any proxy: it is none of our business to explain another site."""
    problem = decision.problem
    status = 504 if problem is not None and problem.status == 504 else 502  # noqa: PLR2004 - Gateway Timeout
    detail = problem.detail if problem else ""
    return Response.make(status, f"No answer from {decision.site}: {detail}\n".encode(), {"Content-Type": "text/plain"})
