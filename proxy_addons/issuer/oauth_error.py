"""An OAuth error: a word that clients know, and a sentence for the developer (RFC 6749, sections 4.1.2.1 and 5.2)."""

from __future__ import annotations

from collections.abc import Mapping


class OAuthError(ValueError):
    """`error` is one of the specification's words; `description` says what to send instead."""

    def __init__(
        self, error: str, description: str, status: int = 400, headers: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(f"{error}: {description}")
        self.error = error
        self.description = printable(description)
        self.status = status
        self.headers = dict(headers or {})


def printable(text: str) -> str:
    """`text` in the characters that the specification allows: ASCII without quotation mark and backslash."""
    plain = text.replace('"', "'").replace("\\", "/")
    return "".join(character if " " <= character <= "~" else "?" for character in plain)
