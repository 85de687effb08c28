"""Who calls a service that stands behind the API gateway."""

from __future__ import annotations

import json
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, Protocol

from common.jwt_rs256 import BadTokenError, Verifier
from common.message import HttpError, Request

TIMEOUT = 5.0  # seconds for the issuer's keys
DOMAIN = "local.example.com"


@dataclass(frozen=True)
class Caller:
    sub: str
    scopes: tuple[str, ...]


class Callers(Protocol):
    def of(self, request: Request) -> Caller | None:
        """None for nobody. Raises `HttpError` (401) for a token that does not count."""


class TokenCallers:
    """By the token that the API gateway puts into each request: its signature is verified, no word is believed."""

    def __init__(self, verifier: Verifier) -> None:
        self._verifier = verifier

    @classmethod
    def from_environment(cls, environ: Mapping[str, str]) -> TokenCallers:
        """`JWT_ISSUER` and `JWT_AUDIENCE` are what tokens must name; the keys are at `STORES_AUTH_URL`."""
        site = environ.get("STORES_AUTH_URL", f"https://auth.{DOMAIN}")
        issuer = environ.get("JWT_ISSUER", f"https://auth.{DOMAIN}")
        audience = environ.get("JWT_AUDIENCE", f"https://api-gateway.{DOMAIN}")
        return cls(Verifier(lambda: _fetched(f"{site}/.well-known/jwks.json"), issuer, audience))

    def of(self, request: Request) -> Caller | None:
        scheme, _, token = request.headers.get("Authorization", "").partition(" ")
        if scheme.lower() != "bearer":
            return None
        try:
            claims = self._verifier.claims(token.strip())
        except BadTokenError as error:
            raise HttpError(HTTPStatus.UNAUTHORIZED, f"The token does not count: {error}.") from error
        except (OSError, ValueError, KeyError) as error:
            raise HttpError(HTTPStatus.SERVICE_UNAVAILABLE, f"The issuer's keys cannot be had: {error}.") from error
        return Caller(str(claims["sub"]), tuple(str(claims.get("scope", "")).split()))


class ToldCallers:
    """By headers, where nobody but the gateway can reach the service: the sample remote environment is one process."""

    def of(self, request: Request) -> Caller | None:
        sub = request.headers.get("X-User-Id", "")
        return Caller(sub, tuple(request.headers.get("X-User-Scopes", "").split())) if sub else None


def _fetched(url: str) -> Any:
    with urllib.request.urlopen(url, timeout=TIMEOUT) as answer:
        return json.load(answer)
