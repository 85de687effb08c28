"""What the issuer's site is asked, and what it answers, without a word about who carries it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import parse_qsl

from proxy_addons.issuer.oauth_error import OAuthError
from proxy_addons.site import Site

#: Bytes of a body; a form of a token endpoint has a few hundred.
LARGEST_BODY: Final = 64 * 1024
#: No client sends so many.
_MOST_PARAMETERS: Final = 64
_FORM: Final = "application/x-www-form-urlencoded"


@dataclass(frozen=True, slots=True)
class Request:
    """One request, complete. `path` has its query; names of `headers` are in lower case, `site` is what was asked."""

    method: str
    path: str
    site: Site
    headers: Mapping[str, str]
    body: bytes = b""

    @property
    def place(self) -> str:
        """The path without its query."""
        return self.path.partition("?")[0]

    def query(self) -> dict[str, str]:
        """The query's parameters. Raises `OAuthError`."""
        return parameters(self.path.partition("?")[2])

    def form(self) -> dict[str, str]:
        """The body's parameters. Raises `OAuthError`."""
        given = self.headers.get("content-type", "").partition(";")[0].strip().lower()
        if given != _FORM:
            raise OAuthError("invalid_request", f"The body must be a form, {_FORM}, and it is {given or 'of no type'}")
        return parameters(self.body.decode("utf-8", "replace"))


@dataclass(frozen=True, slots=True)
class Answer:
    """A whole answer."""

    status: int
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def json(cls, value: Any, status: int = 200, **headers: str) -> Answer:
        """A JSON document that is never kept by a cache, as RFC 6749, section 5.1, wants it of tokens."""
        text = json.dumps(value, ensure_ascii=False, indent=2).encode() + b"\n"
        given = {name.replace("_", "-"): value for name, value in headers.items()}
        return cls(status, text, {"Content-Type": "application/json", "Cache-Control": "no-store", **given})

    @classmethod
    def of(cls, error: OAuthError) -> Answer:
        """An error as RFC 6749, section 5.2, writes it."""
        told = cls.json({"error": error.error, "error_description": error.description}, error.status)
        return cls(told.status, told.body, {**told.headers, **error.headers})


def parameters(text: str) -> dict[str, str]:
    """A query's or a form's parameters; one without a value is as good as none.

    Raises `OAuthError` where one is there twice: "request and response parameters MUST NOT be included more than once"
    (RFC 6749, section 3.1 and 3.2).
    """
    # a byte of a path that is no UTF-8 stands there as half a surrogate pair, which no answer could repeat
    text = text.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
    try:
        pairs = parse_qsl(text, max_num_fields=_MOST_PARAMETERS)
    except ValueError as error:
        raise OAuthError("invalid_request", f"At most {_MOST_PARAMETERS} parameters") from error
    found: dict[str, str] = {}
    for name, value in pairs:
        if name in found:
            raise OAuthError("invalid_request", f"{name} is there twice")
        found[name] = value
    return found
