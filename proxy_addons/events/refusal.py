"""An answer that is no success, as ``application/problem+json`` (RFC 9457)."""

from __future__ import annotations

import json
from http import HTTPStatus
from typing import Any

PROBLEM = "application/problem+json"


class RefusalError(Exception):
    """Ends a request with a status, and says why; `facts` are further members of the problem document."""

    def __init__(self, status: int, detail: str, headers: dict[str, str] | None = None, **facts: Any) -> None:
        super().__init__(detail)
        self.status = status
        self.detail = detail
        self.headers = headers or {}
        self.facts = facts

    def body(self) -> bytes:
        """The problem document."""
        title = HTTPStatus(self.status).phrase
        document = {"title": title, "status": self.status, "detail": self.detail, **self.facts}
        text = json.dumps(document, ensure_ascii=False, indent=2)
        return text.encode("utf-8", "backslashreplace") + b"\n"  # a name that is quoted may be half a surrogate pair
