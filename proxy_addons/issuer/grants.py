"""What somebody agreed to, kept under a secret that is good for one use: authorization codes and refresh tokens.

In memory alone: after a restart of the gateway a client has to sign in once more, which takes one press.
"""

from __future__ import annotations

import secrets
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

#: A flood of sign-ins that nobody completes must not fill the memory: the oldest go.
_MOST: Final = 1024


@dataclass(frozen=True, slots=True)
class Grant:
    """`identity`: a name. `url`: the issuer as the client knows it. `signed_in`: epoch seconds."""

    identity: str
    client: str
    scopes: tuple[str, ...]
    url: str
    signed_in: int
    redirect_uri: str = ""
    challenge: str = ""
    nonce: str = ""
    audience: str = ""


class Grants:
    """Each is taken once, within `life` seconds."""

    def __init__(self, life: float, clock: Callable[[], float]) -> None:
        """`clock`: seconds that no change of the date moves."""
        self._life = life
        self._clock = clock
        self._kept: OrderedDict[str, tuple[float, Grant]] = OrderedDict()

    def keep(self, grant: Grant) -> str:
        """The secret (256 bits) under which it is kept."""
        secret = secrets.token_urlsafe(32)
        self._kept[secret] = (self._clock() + self._life, grant)
        if len(self._kept) > _MOST:
            self._kept.popitem(last=False)
        return secret

    def take(self, secret: str) -> Grant | None:
        """What was kept under it, which is gone now, whatever becomes of this attempt; None where there is nothing."""
        ends, grant = self._kept.pop(secret, (0.0, None))
        return grant if grant is not None and self._clock() < ends else None

    def drop(self, over: Callable[[Grant], bool]) -> None:
        """Those are good for nothing any more."""
        for secret in [secret for secret, (_, grant) in self._kept.items() if over(grant)]:
            del self._kept[secret]
