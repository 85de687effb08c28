"""Translates the workspace's own URLs in a remote's bodies too, for services that ask for it (``rewrite_body``).

An answer that is rewritten is another one than the remote's: it has no length yet, no checksum, an ETag of its own, and
no parts that could be asked for.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator
from http import HTTPStatus
from typing import TYPE_CHECKING, Final

from proxy_addons.decision import Decision, decision_of
from proxy_addons.remote import body_names, content_coding
from proxy_addons.remote.fallthrough import translation_of

if TYPE_CHECKING:
    from mitmproxy.http import HTTPFlow, Message

_log = logging.getLogger(__name__)

#: At the end of an ETag that belongs to a rewritten body, as Apache's mod_deflate marks its own with ``-gzip``: it
#: stays a strong one, so that ``If-Match`` works, and the remote is asked for its own.
_MARK: Final = "-stores"
#: In `flow.metadata`: the client has a rewritten body.
_MARKED: Final = "stores.marked"
_CONDITIONS: Final = ("if-match", "if-none-match")
#: Checksums and places of the body as it was: RFC 9110, RFC 9530, RFC 1864, RFC 3230.
_OF_THE_OLD_BODY: Final = (
    *("content-length", "content-encoding", "content-md5", "digest"),
    *("content-digest", "repr-digest", "accept-ranges"),
)
#: Fetch Metadata: what a browser plays and shows by parts, and what is never rewritten.
_BY_PARTS: Final = frozenset({"audio", "video", "track", "image", "font"})
_WITHOUT_BODY: Final = frozenset({HTTPStatus.NO_CONTENT, HTTPStatus.NOT_MODIFIED})

Stream = Callable[[bytes], Iterable[bytes]]


class BodyRewriting:
    """Nothing of a body is kept but what may be the beginning of a URL."""

    def __init__(self, give_up: Callable[[HTTPFlow], None]) -> None:
        """`give_up` closes the flow's upstream connection: its client sees that the end is missing."""
        self._give_up = give_up

    def requestheaders(self, flow: HTTPFlow) -> None:
        """After the translation. The remote is asked for what can be read here: known codings, and the whole."""
        if not _wanted(flow) or translation_of(flow) is None:
            return
        headers = flow.request.headers
        accepted = ", ".join(headers.get_all("accept-encoding"))
        headers["Accept-Encoding"] = _known(accepted) or "identity"
        headers.pop("available-dictionary", None)
        for name in _CONDITIONS:
            tags = ", ".join(headers.get_all(name))
            if f'{_MARK}"' in tags:
                headers[name] = tags.replace(f'{_MARK}"', '"')
                flow.metadata[_MARKED] = True
        if headers.get("sec-fetch-dest", "") not in _BY_PARTS:
            headers.pop("range", None)
            headers.pop("if-range", None)

    def responseheaders(self, flow: HTTPFlow) -> None:
        """Sets `flow.response.stream`, and what the head says of a body that is not the remote's any more."""
        response, translation = flow.response, translation_of(flow)
        wanted = _wanted(flow)
        if response is None or translation is None or not wanted or response.status_code < HTTPStatus.OK:
            return
        if response.status_code == HTTPStatus.NOT_MODIFIED and flow.metadata.get(_MARKED):
            _mark(response)
        media_type, _, parameters = response.headers.get("content-type", "").partition(";")
        if not _matches(media_type.strip().lower(), wanted) or response.status_code == HTTPStatus.PARTIAL_CONTENT:
            return
        decode = content_coding.decoder(", ".join(response.headers.get_all("content-encoding")))
        if decode is None:
            _log.warning("%s: the body's coding is not known here, so it is not rewritten.", translation.remote)
            return
        _mark(response)
        for name in _OF_THE_OLD_BODY:
            response.headers.pop(name, None)
        if flow.request.method == "HEAD" or response.status_code in _WITHOUT_BODY:
            return
        response.http_version = "HTTP/1.1"
        response.headers["Transfer-Encoding"] = "chunked"
        rewrite = body_names.rewriting(translation, _charset(parameters))
        response.stream = self._guarded(flow, _stream(decode, rewrite))

    def response(self, flow: HTTPFlow) -> None:
        """The body has passed; a checksum may come behind it."""
        if flow.response is not None and flow.response.trailers and callable(flow.response.stream):
            for name in _OF_THE_OLD_BODY:
                flow.response.trailers.pop(name, None)

    def _guarded(self, flow: HTTPFlow, stream: Stream) -> Stream:
        """A body that cannot be read ends there, and its client can tell: the connection does, too."""
        broken = False

        def guarded(data: bytes) -> Iterator[bytes]:
            nonlocal broken
            if broken:
                return
            try:
                yield from stream(data)
            except ValueError as error:
                broken = True
                _log.warning("%s: broken off, its body cannot be rewritten: %s", flow.request.pretty_url, error)
                self._give_up(flow)
                if flow.killable:  # the remote may have ended in good manners already, and so would we
                    flow.kill()  # type: ignore[no-untyped-call]  # mitmproxy is typed in parts only

        return guarded


def _wanted(flow: HTTPFlow) -> tuple[str, ...]:
    decision = decision_of(flow)
    service = decision.service if isinstance(decision, Decision) else None
    return service.rewrite_body if service is not None else ()


def _matches(media_type: str, wanted: tuple[str, ...]) -> bool:
    return media_type in wanted or f"{media_type.partition('/')[0]}/*" in wanted


def _known(accept_encoding: str) -> str:
    """Of a list of codings, with their weights, those that can be decoded here."""
    items = [item.strip() for item in accept_encoding.split(",")]
    return ", ".join(item for item in items if item.partition(";")[0].strip().lower() in content_coding.KNOWN)


def _charset(parameters: str) -> str:
    pairs = (parameter.partition("=") for parameter in parameters.split(";"))
    return next((value for name, _, value in pairs if name.strip().lower() == "charset"), "")


def _mark(response: Message) -> None:
    tag = response.headers.get("etag", "")
    if tag.endswith('"') and not tag.endswith(f'{_MARK}"'):
        response.headers["ETag"] = f'{tag[:-1]}{_MARK}"'


def _stream(decode: Callable[[bytes], Iterator[bytes]], rewrite: Callable[[bytes, bool], bytes]) -> Stream:
    """What mitmproxy calls with each piece, and with ``b""`` at the end. An empty piece would end the chunks."""

    def stream(data: bytes) -> Iterator[bytes]:
        for piece in decode(data):
            if piece and (out := rewrite(piece, False)):
                yield out
        if not data and (out := rewrite(b"", True)):
            yield out

    return stream
