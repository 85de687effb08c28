"""Keeps requests from remotes where they must not go: production, and writes where a service allows none."""

from __future__ import annotations

from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Final

from proxy_addons.decision import decide, decision_of
from proxy_addons.problem import Code, Problem
from proxy_addons.view import Current

if TYPE_CHECKING:
    from mitmproxy.http import HTTPFlow

#: RFC 9110, section 9.2.1: what asks for nothing to be changed.
_SAFE: Final = frozenset({"GET", "HEAD", "OPTIONS", "TRACE"})


class RemoteGuard:
    """Before anything is sent, and before any credential is put into it."""

    def __init__(self, current: Current) -> None:
        self._current = current

    def requestheaders(self, flow: HTTPFlow) -> None:
        """The page answers instead, with 403."""
        decision = decision_of(flow)
        if decision is None or decision.remote is None or not decision.upstreams:
            return
        rule = next(
            (rule for rule in self._current.view.snapshot.remote.forbid if fnmatchcase(decision.remote.host, rule)), ""
        )
        if rule:
            decide(flow, decision.failed(Problem(Code.REMOTE_FORBIDDEN, f'[remote] forbid = ["{rule}"]')))
        elif decision.service is not None and decision.service.writes == "deny" and flow.request.method not in _SAFE:
            decide(flow, decision.failed(Problem(Code.WRITES_DENIED)))
