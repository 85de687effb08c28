"""Makes the remote answer for a service that does not run here, so that a browser session works unchanged."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mitmproxy.http import Headers

from proxy_addons.decision import decision_of
from proxy_addons.remote.translate import Fields, Translation
from proxy_addons.site import Site
from proxy_addons.view import Current

if TYPE_CHECKING:
    from mitmproxy.http import HTTPFlow

_TRANSLATION = "stores.translation"


class RemoteFallthrough:
    """The request speaks to the remote by its own name; the answer speaks of it by the name that it has here."""

    def __init__(self, current: Current) -> None:
        self._current = current

    def requestheaders(self, flow: HTTPFlow) -> None:
        """After the routing: Host, Origin and Referer become the remote's."""
        decision = decision_of(flow)
        if decision is None or decision.remote is None or not decision.upstreams:
            return
        view = self._current.view
        translation = Translation(
            names=view.names,
            # what a service says of itself is below its own host, also when it was asked through the API gateway
            local=Site.parse(view.url(decision.service, decision.site))
            if decision.api and decision.service
            else decision.site,
            remote=decision.remote,
            relative=decision.relative,
            domain=view.domain_of(decision.site.host),
            ports=view.ports,
            origin=flow.request.headers.get("origin", ""),
        )
        flow.metadata[_TRANSLATION] = translation
        _replace(flow.request.headers, translation.request(_fields(flow.request.headers)))
        flow.request.headers["Host"] = decision.remote.authority

    def responseheaders(self, flow: HTTPFlow) -> None:
        """The same request's translation, whatever was decided since."""
        translation = translation_of(flow)
        if flow.response is not None and translation is not None:
            _replace(flow.response.headers, translation.response(_fields(flow.response.headers)))


def translation_of(flow: HTTPFlow) -> Translation | None:
    """How the names of the remote that answers `flow` are translated; None where no remote does."""
    translation, decision = flow.metadata.get(_TRANSLATION), decision_of(flow)
    answered_by_remote = decision is not None and decision.problem is None
    return translation if isinstance(translation, Translation) and answered_by_remote else None


def _fields(headers: Headers) -> Fields:
    # As mitmproxy decodes them itself: bytes that are no UTF-8 come out as they went in.
    return [(_text(name), _text(value)) for name, value in headers.fields]


def _replace(headers: Headers, fields: Fields) -> None:
    headers.fields = tuple((_bytes(name), _bytes(value)) for name, value in fields)


def _text(value: bytes) -> str:
    return value.decode("utf-8", "surrogateescape")


def _bytes(value: str) -> bytes:
    return value.encode("utf-8", "surrogateescape")
