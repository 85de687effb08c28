"""One CloudEvent, and the rules that its attributes obey (CloudEvents 1.0.2, section 3)."""

from __future__ import annotations

import hashlib
import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final

SPECVERSION: Final = "1.0"
REQUIRED: Final = ("specversion", "id", "source", "type")

#: What the type system of CloudEvents knows, as far as JSON tells it apart: Binary, URI and Timestamp travel as text.
Value = str | int | bool

_NAME = re.compile(r"[a-z0-9]+")
#: Section 3.1, "String": control characters, lone surrogates and Unicode's noncharacters are none.
_FORBIDDEN = re.compile(
    "[\x00-\x1f\x7f-\x9f\ud800-\udfff\ufdd0-\ufdef"
    + "".join(chr(plane << 16 | last) for plane in range(17) for last in (0xFFFE, 0xFFFF))
    + "]"
)
#: RFC 3986, appendix A, as far as the characters go: a service's own parser may be stricter.
_URI_REFERENCE = re.compile(r"(?:[A-Za-z0-9\-._~:/?#\[\]@!$&'()*+,;=]|%[0-9A-Fa-f]{2})+")
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:")
_WORD = r"[!#$%&'*+.^_`|~0-9A-Za-z-]+"
#: Possessive: the spaces around a ; may belong to what is before it or behind it, and a search through all ways to
#: share them out would not end.
_MEDIA_TYPE = re.compile(rf'{_WORD}/{_WORD}(?:[ \t]*+;[ \t]*+(?:{_WORD}=(?:{_WORD}|"(?:[^"\\]|\\.)*"))?+)*+')
_TIMESTAMP = re.compile(
    r"(\d{4}-\d\d-\d\d)[Tt](\d\d:\d\d:)(\d\d)(\.\d+)?(?:[Zz]|([+-]\d\d:\d\d))",  # RFC 3339, section 5.6
    re.ASCII,
)
_LAST_SECOND = 59
_INT32 = 2**31


class InvalidEventError(ValueError):
    """An event that breaks a rule: `problem` says which; `index` counts the events of a batch from 0."""

    def __init__(self, attribute: str, problem: str, index: int = 0) -> None:
        super().__init__(f"{attribute}: {problem}")
        self.attribute = attribute
        self.problem = problem
        self.index = index


@dataclass(frozen=True, slots=True)
class Event:
    """One event, validated. `attributes` in the order in which they came; `data` as bytes, None where there is none."""

    attributes: Mapping[str, Value]
    data: bytes | None = None

    @classmethod
    def of(cls, attributes: Mapping[str, Value], data: bytes | None = None) -> Event:
        """An event with these attributes. Raises `InvalidEventError` for the first one that breaks a rule."""
        for name in REQUIRED:
            if name not in attributes:
                raise InvalidEventError(name, "is required and not there")
        for name, value in attributes.items():
            _check(name, value)
        return cls(attributes, data)

    @property
    def id(self) -> str:
        """Unique within its source."""
        return str(self.attributes["id"])

    @property
    def source(self) -> str:
        """Who made it, as a URI-reference."""
        return str(self.attributes["source"])

    @property
    def type(self) -> str:
        """What happened: what subscriptions name."""
        return str(self.attributes["type"])

    @property
    def order_key(self) -> str:
        """Events with the same key stay in order: ``partitionkey`` (the partitioning extension), else ``subject``."""
        return str(self.attributes.get("partitionkey") or self.attributes.get("subject") or "")

    @property
    def identity(self) -> bytes:
        """16 bytes that stand for (source, id): the same event again has the same."""
        return hashlib.blake2b(f"{self.source}\0{self.id}".encode(), digest_size=16).digest()

    @property
    def expires(self) -> float | None:
        """When it is no longer of use (the ``expirytime`` extension), in epoch seconds."""
        value = self.attributes.get("expirytime")
        return epoch(value) if isinstance(value, str) else None

    @property
    def expired(self) -> bool:
        """Whether that has passed."""
        return self.expires is not None and self.expires <= time.time()

    @property
    def size(self) -> int:
        """About what it takes to keep, in bytes."""
        return len(self.data or b"") + sum(len(name) + len(str(value)) for name, value in self.attributes.items())


def epoch(text: str) -> float:
    """Epoch seconds of an RFC 3339 timestamp. Raises ``ValueError`` for any other text."""
    match = _TIMESTAMP.fullmatch(text)
    if match is None:
        raise ValueError(f'"{text}" is not a timestamp like 2026-11-23T09:30:00Z')
    day, minutes, seconds, fraction, offset = match.groups()
    leap = int(seconds) == _LAST_SECOND + 1  # RFC 3339 allows it, Python's calendar has none
    whole = datetime.fromisoformat(f"{day}T{minutes}{_LAST_SECOND if leap else seconds}{offset or '+00:00'}")
    return whole.timestamp() + leap + float(fraction or 0)


def _check(name: str, value: Value) -> None:
    if not _NAME.fullmatch(name):
        raise InvalidEventError(name, "a name has lower-case letters and digits only (section 3)")
    if name == "data":
        raise InvalidEventError(name, "no attribute may have this name")
    if isinstance(value, bool):
        problem = "must be text" if name in _RULES else ""
    elif isinstance(value, int):
        in_range = -_INT32 <= value < _INT32
        problem = "must be text" if name in _RULES else "" if in_range else "is beyond 32 bits (section 3.1)"
    elif _FORBIDDEN.search(value):
        problem = "has a control character, a lone surrogate or a noncharacter in it (section 3.1)"
    else:
        rule = _RULES.get(name)
        problem = rule(value) if rule else ""
    if problem:
        raise InvalidEventError(name, problem)


def _specversion(value: str) -> str:
    return "" if value == SPECVERSION else f'"{value}" is not known here; send specversion "{SPECVERSION}"'


def _not_empty(value: str) -> str:
    return "" if value else "must not be empty"


def _uri_reference(value: str) -> str:
    return "" if _URI_REFERENCE.fullmatch(value) else f'"{value}" is not a URI-reference (RFC 3986)'


def _uri(value: str) -> str:
    return _uri_reference(value) or ("" if _SCHEME.match(value) else f'"{value}" is not an absolute URI')


def _media_type(value: str) -> str:
    return "" if _MEDIA_TYPE.fullmatch(value) else f'"{value}" is not a media type like application/json'


def _timestamp(value: str) -> str:
    try:
        epoch(value)
    except ValueError:
        return f'"{value}" is not a timestamp like 2026-11-23T09:30:00Z (RFC 3339)'
    return ""


_RULES: Final[dict[str, Callable[[str], str]]] = {
    "specversion": _specversion,
    "id": _not_empty,
    "source": _uri_reference,
    "type": _not_empty,
    "subject": _not_empty,
    "datacontenttype": _media_type,
    "dataschema": _uri,
    "time": _timestamp,
    "expirytime": _timestamp,
}
