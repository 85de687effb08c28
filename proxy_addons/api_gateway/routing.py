"""Leads a request for the API gateway to the service that registered its route, or to the remote API gateway."""

from __future__ import annotations

from typing import TYPE_CHECKING

from proxy_addons.api_gateway import path as paths
from proxy_addons.api_gateway.managed import PREFIX
from proxy_addons.api_gateway.origins import friendly
from proxy_addons.api_gateway.path import BadPathError
from proxy_addons.api_gateway.routes import HOST
from proxy_addons.decision import ASKED_PATH, decide, decision_of
from proxy_addons.problem import Problem
from proxy_addons.view import Current

if TYPE_CHECKING:
    from mitmproxy.http import HTTPFlow


class ApiRouting:
    """Decides anew, by the path, what `HostRouting` could only decide by the host."""

    def __init__(self, current: Current) -> None:
        self._current = current

    def requestheaders(self, flow: HTTPFlow) -> None:
        """Before anything else looks at the decision."""
        decision = decision_of(flow)
        if decision is None or decision.relative != HOST:
            return
        view, site = self._current.view, decision.site
        path = flow.metadata[ASKED_PATH] = flow.request.path
        path = path.partition("?")[0]
        try:
            # what the remote API gateway answers is not ours to judge
            normal = path if view.snapshot.authorizer.mode == "remote" else paths.normalize(path)
        except BadPathError as error:
            decide(flow, decision.failed(Problem(error.code, str(error))))
        else:
            decide(flow, view.decide_api(site, paths.segments(normal)))

    def responseheaders(self, flow: HTTPFlow) -> None:
        """A page of the workspace may read why it was refused: without these it would see no answer at all."""
        decision = decision_of(flow)
        if decision is None or decision.relative != HOST or decision.problem is None or flow.response is None:
            return
        origin = flow.request.headers.get("origin", "")
        if origin and friendly(origin, self._current.view):
            flow.response.headers["Access-Control-Allow-Origin"] = origin
            flow.response.headers["Access-Control-Allow-Credentials"] = "true"
            flow.response.headers["Access-Control-Expose-Headers"] = "WWW-Authenticate, Retry-After, X-Stores-Route"
            flow.response.headers["Vary"] = "Accept, Accept-Language, Origin"


class RoutePath:
    """The path by which it was decided is the one that is sent; without the prefix, where that is wanted."""

    def requestheaders(self, flow: HTTPFlow) -> None:
        """After the authorizer, which has removed every `PREFIX` that a client sent."""
        decision = decision_of(flow)
        if decision is None or decision.api is None:
            return
        path, question, query = flow.request.path.partition("?")
        path = paths.normalize(path)
        if decision.api.strip_prefix:
            prefix = decision.api.prefix
            path = paths.without_prefix(path, prefix.count("/"))
            flow.request.headers[PREFIX] = prefix
        flow.request.path = f"{path}{question}{query}"
