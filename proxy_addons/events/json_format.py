"""The JSON event format (CloudEvents JSON format 1.0.2), both ways.

``data`` is taken as the text that stands there: a number too large for Python's float reaches the subscriber as sent.
"""

from __future__ import annotations

import base64
import binascii
import json
import re
from collections.abc import Callable, Iterator
from json.decoder import scanstring  # type: ignore[attr-defined]  # not in typeshed; public in the module's source since 2.6
from typing import Any, NoReturn

from proxy_addons.events.event import Event, InvalidEventError, Value

Make = Callable[[dict[str, Value], bytes | None], Event]

_SPACE = re.compile(r"[ \t\n\r]*")
_JSON_TYPE = re.compile(r"[^/]+/(?:json|[^;]*\+json)\s*(?:;.*)?", re.IGNORECASE)


def is_json(media_type: str) -> bool:
    """Whether data of this type is JSON: ``…/json`` or ``…+json`` (section 3.1)."""
    return _JSON_TYPE.fullmatch(media_type) is not None


def parse(body: bytes, make: Make = Event.of) -> Event:
    """The event of a structured message. Raises `InvalidEventError`.

    `make` it by `Event` itself where it was taken before: the rules may have been others then.
    """
    text = text_of(body)
    event, end = _event(text, skip(text, 0), 0, make)
    _nothing_after(text, end)
    return event


def parse_batch(body: bytes) -> list[Event]:
    """The events of a batch, which may be empty. Raises `InvalidEventError` with the index of the wrong one."""
    text = text_of(body)
    at = skip(text, 0)
    if text[at : at + 1] != "[":
        raise InvalidEventError("body", "a batch is a JSON array of events")
    events: list[Event] = []
    at = skip(text, at + 1)
    if text[at : at + 1] != "]":
        while True:
            event, end = _event(text, at, len(events))
            events.append(event)
            at = skip(text, end)
            if text[at : at + 1] != ",":
                break
            at = skip(text, at + 1)
    if text[at : at + 1] != "]":
        raise InvalidEventError("body", f"not JSON: there is no , or ] at character {at}", len(events))
    _nothing_after(text, at + 1)
    return events


def write(event: Event) -> bytes:
    """The event as one JSON object, in UTF-8."""
    members = [
        f"{json.dumps(name)}:{json.dumps(value, ensure_ascii=False)}" for name, value in event.attributes.items()
    ]
    if event.data is not None:
        members.append(_data_member(event.data, str(event.attributes.get("datacontenttype", ""))))
    return ("{" + ",".join(members) + "}").encode()


def write_batch(events: list[Event]) -> bytes:
    """Events as a JSON array."""
    return b"[" + b",".join(map(write, events)) + b"]"


def _data_member(data: bytes, media_type: str) -> str:
    try:
        text = data.decode()
        if is_json(media_type):
            _strict.decode(text)
            return f'"data":{text}'
        if media_type.lower().startswith("text/") and "\x00" not in text:
            return f'"data":{json.dumps(text, ensure_ascii=False)}'
    except (ValueError, RecursionError):
        pass  # it says JSON or text and is none: then only its bytes are sure
    return f'"data_base64":"{base64.b64encode(data).decode()}"'


def text_of(body: bytes) -> str:
    """As UTF-8. Raises `InvalidEventError`."""
    try:
        return body.decode()
    except UnicodeDecodeError as error:
        raise InvalidEventError("body", f"not UTF-8 at byte {error.start}") from error


def skip(text: str, at: int) -> int:
    """Where the next thing stands that is no white space."""
    match = _SPACE.match(text, at)
    assert match is not None
    return match.end()


def _nothing_after(text: str, end: int) -> None:
    if skip(text, end) != len(text):
        raise InvalidEventError("body", f"something follows the JSON, at character {end}")


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


def _whole_number(digits: str) -> int:
    """Its first digits: they are beyond an attribute's range as well, and Python refuses more than 4300 of them."""
    return int(digits[:20])


#: For what comes; for what is to be read by others, which may refuse what this one takes.
_decoder = json.JSONDecoder(parse_constant=_refuse_constant, parse_int=_whole_number)
_strict = json.JSONDecoder(parse_constant=_refuse_constant)


def _event(text: str, at: int, index: int, make: Make = Event.of) -> tuple[Event, int]:
    try:
        return _object(text, at, make)
    except InvalidEventError as error:
        raise InvalidEventError(error.attribute, error.problem, index) from error
    except RecursionError as error:
        raise InvalidEventError("data", "is nested too deeply", index) from error
    except ValueError as error:
        raise InvalidEventError("body", f"not JSON: {error}", index) from error


def _object(text: str, at: int, make: Make) -> tuple[Event, int]:
    attributes: dict[str, Value] = {}
    raw: dict[str, tuple[Any, str]] = {}
    end = at
    for name, value, source, end in members(text, at):  # noqa: B007 - the last end is wanted
        if name in attributes or name in raw:
            raise InvalidEventError(name, "stands twice")
        if name in {"data", "data_base64"}:
            raw[name] = value, source
        elif isinstance(value, str | bool | int):
            attributes[name] = value
        elif value is not None:  # null is the same as not there (section 2.2)
            raise InvalidEventError(name, "must be a text, a whole number, true or false (section 2.2)")
    return make(attributes, _data(attributes, raw)), end


def members(text: str, at: int) -> Iterator[tuple[str, Any, str, int]]:
    """Name, value, the value's own text and where the object would end, for each member of the object at `at`."""
    if text[at : at + 1] != "{":
        raise InvalidEventError("body", "an event is a JSON object")
    at = skip(text, at + 1)
    if text[at : at + 1] == "}":
        raise InvalidEventError("specversion", "is required and not there")
    while True:
        if text[at : at + 1] != '"':
            raise ValueError(f"there is no name at character {at}")
        name, at = scanstring(text, at + 1, True)
        at = skip(text, at)
        if text[at : at + 1] != ":":
            raise ValueError(f"there is no : at character {at}")
        begin = skip(text, at + 1)
        value, end = _value(text, begin)
        at = skip(text, end)
        more = text[at : at + 1]
        if more not in {",", "}"}:
            raise ValueError(f"there is no , or }} at character {at}")
        yield name, value, text[begin:end], at + 1
        if more == "}":
            return
        at = skip(text, at + 1)


def elements(text: str, at: int) -> Iterator[str]:
    """The text of each element of the array at `at`. Raises ``ValueError``."""
    if text[at : at + 1] != "[":
        raise ValueError(f"there is no array at character {at}")
    at = skip(text, at + 1)
    while text[at : at + 1] != "]":
        _, end = _value(text, at)
        yield text[at:end]
        at = skip(text, end)
        if text[at : at + 1] == ",":
            at = skip(text, at + 1)
        elif text[at : at + 1] != "]":
            raise ValueError(f"there is no , or ] at character {at}")


def _value(text: str, at: int) -> tuple[Any, int]:
    try:
        return _decoder.raw_decode(text, at)
    except StopIteration as error:  # what the decoder's scanner says at the end of the text
        raise ValueError(f"there is no value at character {at}") from error


def _data(attributes: dict[str, Value], raw: dict[str, tuple[Any, str]]) -> bytes | None:
    """The bytes of the data, and `datacontenttype` where the format implies it (sections 3.1 and 3.1.1)."""
    if len(raw) > 1:
        raise InvalidEventError("data_base64", "stands beside data; there can only be one of them")
    if "data_base64" in raw:
        value = raw["data_base64"][0]
        if value is None:
            return None
        try:
            return base64.b64decode(value, validate=True)
        except (binascii.Error, TypeError, ValueError) as error:
            raise InvalidEventError("data_base64", "is not base64 (RFC 4648)") from error
    if "data" not in raw:
        return None
    value, source = raw["data"]
    media_type = attributes.get("datacontenttype")
    if media_type is None:
        if value is None:
            return None
        attributes["datacontenttype"] = media_type = "application/json"
    if isinstance(value, str) and isinstance(media_type, str) and not is_json(media_type):
        return _utf8(value)
    return _utf8(source)


def _utf8(text: str) -> bytes:
    try:
        return text.encode()
    except UnicodeEncodeError as error:
        raise InvalidEventError("data", "has half of a surrogate pair in it") from error
