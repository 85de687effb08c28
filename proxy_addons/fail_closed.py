"""A crash in an addon must not let a request go on as if the addon had agreed: mitmproxy logs it and does just that."""

from __future__ import annotations

import functools
import inspect
import logging
import secrets
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

from mitmproxy.http import HTTPFlow, Response

from procman.routes import Route
from proxy_addons.decision import Decision, decide, decision_of
from proxy_addons.problem import Code, Problem
from proxy_addons.route_header import HEADER
from proxy_addons.site import Site

_log = logging.getLogger(__name__)
_Addon = TypeVar("_Addon")

#: The hooks that come before something is sent: there a crash can still be answered.
_HEADERS = {"Cache-Control": "no-store", HEADER: "fallback"}
_HOOKS = ("requestheaders", "request", "http_connect", "responseheaders", "fallback")


def fail_closed(addon: _Addon) -> _Addon:
    """`addon`, with its hooks wrapped: a crash is logged once, with a reference that the client's answer names."""
    for name in _HOOKS:
        hook = getattr(addon, name, None)
        if callable(hook):
            setattr(addon, name, _guarded(hook, name))
    return addon


def _guarded(hook: Callable[[HTTPFlow], Any], name: str) -> Callable[[HTTPFlow], Any]:
    if inspect.iscoroutinefunction(hook):

        @functools.wraps(hook)
        async def wait(flow: HTTPFlow) -> None:
            try:
                await hook(flow)
            except Exception:  # noqa: BLE001 - whatever it is, the request must not go on
                _refuse(flow, name)

        return wait

    @functools.wraps(hook)
    def call(flow: HTTPFlow) -> Awaitable[None] | None:
        try:
            hook(flow)
        except Exception:  # noqa: BLE001 - whatever it is, the request must not go on
            _refuse(flow, name)
        return None

    return call


def _refuse(flow: HTTPFlow, hook: str) -> None:
    reference = secrets.token_hex(4)
    _log.exception("Fault %s in %s of %s", reference, hook, flow.request.pretty_url)
    decision = decision_of(flow) or Decision(Route.FALLBACK, Site("http", flow.request.pretty_host, 80))
    decide(flow, decision.failed(Problem(Code.FAULT, reference=reference)))
    if hook == "responseheaders":
        flow.response = _without_body(reference)
    elif hook in {"http_connect", "fallback"}:
        # Nobody asks for a page any more here, so this is the answer.
        text = f"502: a fault in the gateway, {reference} in its log\nstores logs gateway\n"
        flow.response = Response.make(502, text.encode(), {"Content-Type": "text/plain; charset=utf-8", **_HEADERS})


def _without_body(reference: str) -> Response:
    """The upstream's body is still coming, and mitmproxy would send it with our head: it is dropped chunk by chunk."""
    response = Response.make(502, b"", {"X-Stores-Fault": reference, **_HEADERS})
    response.stream = lambda _: b""
    return response
