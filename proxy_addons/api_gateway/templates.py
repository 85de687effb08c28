"""Fills in the headers that tell a service who calls: ``"X-User-Id" = "{sub}"``."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Final

from procman.authorizer_settings import AuthorizerSettings
from procman.identity import Identity
from proxy_addons.api_gateway.presets import ANONYMOUS, PRESETS

_FIELD: Final = re.compile(r"\{([A-Za-z0-9_.-]+)\}")
#: What may not stand in a header's value (RFC 9110, section 5.5): it is percent-encoded.
_UNFIT: Final = re.compile(r"[\x00-\x1f\x7f%]")


def of(settings: AuthorizerSettings) -> Mapping[str, str]:
    """The templates in force: those of the preset, with the workspace's own over them; its own alone without one."""
    if settings.headers is None:
        return PRESETS[settings.preset]
    return {**(PRESETS[settings.preset] if settings.preset else {}), **settings.headers}


def of_nobody(settings: AuthorizerSettings) -> Mapping[str, str]:
    """What is said where a caller is not known, and need not be."""
    return ANONYMOUS.get(settings.preset, {})


def fill(templates: Mapping[str, str], identity: Identity, token: str) -> list[tuple[str, str]]:
    """The headers for `identity`. One whose template names a claim that he has not is left out."""
    values = {
        "name": identity.name,
        "sub": identity.sub,
        "scopes": " ".join(identity.scopes),
        "token": token,
        # the token's own payload: base64url without padding, as the preset's gateway has it
        "userinfo": token.split(".")[1],
    }
    found = []
    for name, template in templates.items():
        try:
            found.append((name, _FIELD.sub(lambda match: _value(match[1], values, identity), template)))
        except KeyError:
            continue
    return found


def _value(name: str, values: Mapping[str, str], identity: Identity) -> str:
    if name in values:
        return values[name]
    claim = identity.claims[name]
    text = claim if isinstance(claim, str) else json.dumps(claim, ensure_ascii=False, separators=(",", ":"))
    return _UNFIT.sub(lambda match: f"%{ord(match[0]):02X}", text)
