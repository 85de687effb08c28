"""A flow without its secrets, for mitmproxy's exporters and for whoever looks on."""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING

from mitmproxy.http import Headers

from proxy_addons.inspection import masking

if TYPE_CHECKING:
    from mitmproxy.http import HTTPFlow, Message


def masked(flow: HTTPFlow, also: Collection[str]) -> HTTPFlow:
    """A copy, with the same number. `also`: names of headers, in lower case, whose values are secret here."""
    copy = flow.copy()  # type: ignore[no-untyped-call]  # mitmproxy is typed in parts only
    copy.id = flow.id
    copy.request.path = masking.url(flow.request.path)
    for message in (copy.request, copy.response):
        if message is not None:
            _mask(message, also)
    for message in copy.websocket.messages if copy.websocket else ():
        message.content = masking.body(message.content, "")
    result: HTTPFlow = copy
    return result


def fields(headers: Headers) -> list[tuple[str, str]]:
    """Names and values, in their order; bytes that are no UTF-8 come out as they went in (surrogates)."""
    return [(_text(name), _text(value)) for name, value in headers.fields]


def _mask(message: Message, also: Collection[str]) -> None:
    message.headers = _headers(message.headers, also)
    if message.trailers:
        message.trailers = _headers(message.trailers, also)
    plain = message.get_content(strict=False)
    if plain:
        without = masking.body(plain, message.headers.get("content-type", ""))
        if without != plain:
            message.content = without


def _headers(headers: Headers, also: Collection[str]) -> Headers:
    return Headers([(_bytes(name), _bytes(masking.header(name, value, also))) for name, value in fields(headers)])


def _text(value: bytes) -> str:
    return value.decode("utf-8", "surrogateescape")


def _bytes(value: str) -> bytes:
    return value.encode("utf-8", "surrogateescape")
