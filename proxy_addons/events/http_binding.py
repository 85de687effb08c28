"""HTTP messages as events, and events as HTTP messages (CloudEvents HTTP binding 1.0.2)."""

from __future__ import annotations

from collections.abc import Iterable

from proxy_addons.events import header_value, json_format
from proxy_addons.events.event import Event, InvalidEventError, Value

Headers = list[tuple[bytes, bytes]]

STRUCTURED = "application/cloudevents+json"
BATCH = "application/cloudevents-batch+json"
#: What a publisher may send instead of what was refused.
ACCEPTED = f"{STRUCTURED}, {BATCH}, */*"

_PREFIX = b"ce-"


class UnsupportedError(ValueError):
    """A media type, charset or coding that is not read here."""


class NotAnEventError(ValueError):
    """A message that does not even claim to be an event."""


def parse(headers: Iterable[tuple[bytes, bytes]], body: bytes) -> list[Event]:
    """The events of a message; names of `headers` are in lower case.

    Raises `InvalidEventError`, `UnsupportedError` or `NotAnEventError`.
    """
    content_type = ""
    fields = []
    for name, value in headers:
        if name.startswith(_PREFIX):
            fields.append((name, value))
        elif name == b"content-type":
            if content_type:
                raise InvalidEventError("datacontenttype", "the header Content-Type stands twice")
            content_type = value.decode("latin-1").strip()
        elif name == b"content-encoding" and value.strip().lower() != b"identity":
            raise UnsupportedError(f"Content-Encoding: {value.decode('latin-1')} is not read here")
    if content_type.lower().startswith("application/cloudevents"):
        return _formatted(content_type, body)
    if not any(name == b"ce-specversion" for name, _ in fields) and not any(name == b"ce-id" for name, _ in fields):
        raise NotAnEventError(
            f"There is no ce-specversion header, and Content-Type is {content_type or 'not there'}, not {STRUCTURED}"
        )
    return [_binary(fields, content_type, body)]


def _formatted(content_type: str, body: bytes) -> list[Event]:
    media_type, *parameters = (part.strip() for part in content_type.split(";"))
    for parameter in parameters:
        name, _, value = parameter.partition("=")
        if name.strip().lower() == "charset" and value.strip(' "').lower() not in {"utf-8", "us-ascii"}:
            raise UnsupportedError(f"{parameter}: only UTF-8 is read here")
    if media_type.lower() == STRUCTURED:
        return [json_format.parse(body)]
    if media_type.lower() == BATCH:
        return json_format.parse_batch(body)
    raise UnsupportedError(f"{media_type} is not read here")


def _binary(fields: Headers, content_type: str, body: bytes) -> Event:
    attributes: dict[str, Value] = {}
    for raw_name, raw_value in fields:
        name = raw_name[len(_PREFIX) :].decode("latin-1")
        if name in attributes:
            raise InvalidEventError(name, f"the header ce-{name} stands twice")
        if name == "datacontenttype":
            raise InvalidEventError(name, "goes into Content-Type, not into a header of its own (section 3.1.1)")
        try:
            attributes[name] = header_value.decode(raw_value)
        except ValueError as error:
            raise InvalidEventError(name, str(error)) from error
    if content_type:
        attributes["datacontenttype"] = content_type
    return Event.of(attributes, body or None)


def binary(event: Event) -> tuple[Headers, bytes]:
    """The event in binary mode: headers and body."""
    headers: Headers = []
    for name, value in event.attributes.items():
        if name == "datacontenttype":
            headers.append((b"Content-Type", str(value).encode("latin-1", "replace")))
        else:
            headers.append((_PREFIX + name.encode(), header_value.encode(canonical(value)).encode()))
    return headers, event.data or b""


def structured(event: Event) -> tuple[Headers, bytes]:
    """The event in structured mode."""
    return [(b"Content-Type", f"{STRUCTURED}; charset=utf-8".encode())], json_format.write(event)


def canonical(value: Value) -> str:
    """The canonical text of a value (CloudEvents 1.0.2, section 3.1)."""
    return str(value).lower() if isinstance(value, bool) else str(value)
