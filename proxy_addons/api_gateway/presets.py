"""How well-known gateways tell a service who calls: the names of their headers, and what stands in them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

#: What services are told where nothing else is said.
DEFAULT: Final[Mapping[str, str]] = {"X-User-Id": "{sub}", "X-User-Scopes": "{scopes}"}

#: Templates by preset. Sources: Google Cloud, "API Gateway: Authentication between services" (the payload of the token,
#: base64url) and "Identity-Aware Proxy: Securing your app with signed headers"; Cloudflare, "Validate JWTs"; Kong,
#: "OpenID Connect" and "JWT", upstream headers.
PRESETS: Final[Mapping[str, Mapping[str, str]]] = {
    "": DEFAULT,
    "gcp-apigateway": {"X-Apigateway-Api-Userinfo": "{userinfo}"},
    "iap": {
        "X-Goog-IAP-JWT-Assertion": "{token}",
        "X-Goog-Authenticated-User-Id": "accounts.google.com:{sub}",
        "X-Goog-Authenticated-User-Email": "accounts.google.com:{email}",
    },
    "cloudflare-access": {
        "Cf-Access-Jwt-Assertion": "{token}",
        "Cf-Access-Authenticated-User-Email": "{email}",
    },
    "kong": {
        "X-Consumer-Id": "{sub}",
        "X-Consumer-Custom-Id": "{sub}",
        "X-Consumer-Username": "{name}",
        "X-Credential-Identifier": "{sub}",
        "X-Authenticated-Scope": "{scopes}",
        "X-Userinfo": "{userinfo}",
    },
}

#: What they say of a caller whom nobody knows.
ANONYMOUS: Final[Mapping[str, Mapping[str, str]]] = {"kong": {"X-Anonymous-Consumer": "true"}}

#: All of their names: a service that knows one of them must not find a forged one, whichever preset is chosen.
HEADERS: Final = tuple(
    dict.fromkeys(
        name for table in (*PRESETS.values(), *ANONYMOUS.values()) for name in table if name.lower() != "authorization"
    )
)
