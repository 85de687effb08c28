"""Answers what nobody else can: says which service was asked for, whether it runs, what is wrong and what to type."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import TYPE_CHECKING

from mitmproxy.http import Headers, Response

from procman.errors import StoresError
from procman.snapshot import Findings
from proxy_addons.api_gateway.routes import HOST as API_GATEWAY
from proxy_addons.decision import ASKED_PATH, Decision, decide, decision_of
from proxy_addons.fallback import farewell
from proxy_addons.fallback.acceptance import Form, form_of, language_of
from proxy_addons.fallback.cause import EXAMINED, refine
from proxy_addons.fallback.diagnosis import Look, diagnose
from proxy_addons.fallback.page import one_line, security_policy, write
from proxy_addons.fallback.tail import LINES
from proxy_addons.fallback.words import LANGUAGES, words
from proxy_addons.mitm.stream import FAREWELL
from proxy_addons.problem import Code, Problem
from proxy_addons.supervisor import Supervisor
from proxy_addons.view import Current, View

if TYPE_CHECKING:
    from mitmproxy.http import HTTPFlow

#: Where the service's own last words say something about the cause.
_WITH_LOG = frozenset(
    {
        *(Code.CRASHED, Code.EXITED, Code.REFUSED, Code.BROKEN_ANSWER, Code.SLOW, Code.STARTING),
        *(Code.NOT_STARTED, Code.OTHER_PORT, Code.FOREIGN_ADDRESS),
    }
)


class FallbackPage:
    """Hook `fallback`: no upstream answers this flow (`mitm.stream.FallbackHook`)."""

    def __init__(self, current: Current, supervisor: Supervisor) -> None:
        self._current = current
        self._supervisor = supervisor
        self._examinations: dict[str, tuple[View, asyncio.Task[Findings]]] = {}

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
        findings = await self._findings(decision, problem)
        problem = self._refined(decision, problem, findings)
        decision = decision.failed(problem)
        headers = Headers(Cache_Control="no-store", Vary="Accept, Accept-Language")
        if problem.retry_after is not None:
            headers["Retry-After"] = str(problem.retry_after)
        for name, value in problem.headers:
            headers[name] = value
        form = form_of(flow.request.headers.get("accept", ""))
        if decision.relative == API_GATEWAY and form is Form.TEXT:
            form = Form.PROBLEM  # what calls an API reads JSON, whatever it says
        language = words(language_of(flow.request.headers.get("accept-language", ""), LANGUAGES))
        look = Look(await self._log(decision), findings or Findings())
        head = flow.request.method == "HEAD"
        path = flow.metadata.get(ASKED_PATH, flow.request.path)
        request = ("GET" if head else flow.request.method, path)  # one page for both, RFC 9110, 9.3.2
        diagnosis = diagnose(decision, self._current.view, language, request, look)
        if farewell.applies(flow.request):
            await asyncio.sleep(farewell.PAUSE)
            flow.metadata[FAREWELL] = farewell.close_frame(problem.status, one_line(diagnosis))
            return farewell.agreement(flow.request, headers)
        body = write(diagnosis, form, language)
        headers["Content-Type"] = f"{form}; charset=utf-8" if form is not Form.PROBLEM else str(form)
        headers["Content-Language"] = language.language
        headers["X-Content-Type-Options"] = "nosniff"
        if form is Form.HTML:
            headers["Content-Security-Policy"] = security_policy(diagnosis, decision.site)
            headers["Referrer-Policy"] = "same-origin"  # and never none: the button's Origin would be "null" then
        response = Response.make(problem.status, b"", headers)
        response.headers["Content-Length"] = str(len(body))
        if not head:
            response.raw_content = body
        return response

    async def _findings(self, decision: Decision, problem: Problem) -> Findings | None:
        """One look for all pages that are asked for at a time: two hundred requests may fail together."""
        service = decision.service
        if service is None or problem.code not in EXAMINED:
            return None
        view, task = self._examinations.get(service.name, (None, None))
        if task is None or view is not self._current.view or task.done():
            task = asyncio.get_running_loop().create_task(self._supervisor.examine(service.name))
            self._examinations[service.name] = (self._current.view, task)
        try:
            return await asyncio.shield(task)
        except StoresError:
            return None  # the state alone says less, and is true

    def _refined(self, decision: Decision, problem: Problem, findings: Findings | None) -> Problem:
        if decision.service is not None and findings is not None:
            return refine(problem, decision.service, findings)
        if problem.code is Code.UNKNOWN_HOST:
            file = f"Procfile.d/{decision.relative.rpartition('.')[2]}:"
            return next(
                (
                    Problem(Code.MISTAKE, mistake)
                    for mistake in self._current.view.snapshot.mistakes
                    if mistake.startswith(file)
                ),
                problem,
            )
        return problem

    async def _log(self, decision: Decision) -> Sequence[tuple[str, str]]:
        problem, service = decision.problem, decision.service
        if problem is None or service is None or problem.code not in _WITH_LOG:
            return []
        try:
            return await self._supervisor.logs(service.name, LINES)
        except StoresError:
            return []  # the page is about the service; that its log cannot be had is said by its absence


def _plain(decision: Decision) -> Response:
    """For foreign traffic, in the voice of any proxy: it is none of our business to explain another site."""
    problem = decision.problem
    status = 504 if problem is not None and problem.status == 504 else 502  # noqa: PLR2004 - Gateway Timeout
    detail = problem.detail if problem else ""
    return Response.make(status, f"No answer from {decision.site}: {detail}\n".encode(), {"Content-Type": "text/plain"})
