"""Why a token is not accepted."""

from __future__ import annotations

from typing import Final, Literal

#: `malformed`: no token of ours can look so. `not_ours`: somebody else's. The others claim to be ours, and count not.
TokenCode = Literal["malformed", "not_ours", "bad_signature", "expired", "wrong_audience"]
CODES: Final[tuple[TokenCode, ...]] = ("malformed", "not_ours", "bad_signature", "expired", "wrong_audience")


class TokenError(ValueError):
    """A token that does not count. `code` is stable, for programs; `detail` is one sentence, and quotes no secret."""

    def __init__(self, code: TokenCode, detail: str) -> None:
        super().__init__(f"{code}: {detail}")
        self.code: TokenCode = code
        self.detail = detail
