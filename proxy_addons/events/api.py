"""What the broker answers over HTTP: which function for which path, and what every answer has in common."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from urllib.parse import unquote

from proxy_addons.events.guard import Guard
from proxy_addons.events.http_message import Request, Response
from proxy_addons.events.refusal import RefusalError
from proxy_addons.events.writer import StorageError

Answer = Callable[..., Awaitable[Response]]


class Api:
    """A table of routes: method, path, function. ``{name}`` in a path is an argument."""

    def __init__(self, guard: Guard) -> None:
        self.guard = guard
        self._routes: list[tuple[str, re.Pattern[str], Answer]] = []
        self._exact: dict[tuple[str, str], Answer] = {}

    def add(self, method: str, path: str, answer: Answer) -> None:
        """One more route."""
        if "{" not in path:
            self._exact[method, path] = answer
        self._routes.append((method, re.compile(re.sub(r"\{(\w+)\}", r"(?P<\1>[^/]+)", path)), answer))

    async def __call__(self, request: Request) -> Response:
        """The answer. Raises `RefusalError` where there is none but a refusal."""
        try:
            return await self._answer(request)
        except StorageError as error:
            raise RefusalError(503, f"The event log cannot be used: {error}", {"Retry-After": "30"}) from error

    async def _answer(self, request: Request) -> Response:
        self.guard.check(request)
        method = "GET" if request.method == "HEAD" else request.method
        answer = self._exact.get((method, request.path))
        if answer is not None:
            return await _answered(answer(request))
        allowed = []
        for known, pattern, route in self._routes:
            match = pattern.fullmatch(request.path)
            if match and known == method:
                named = {name: unquote(value) for name, value in match.groupdict().items()}
                return await _answered(route(request, **named))
            if match:
                allowed.append(known)
        if allowed:
            allow = ", ".join(sorted({*allowed, *(["HEAD"] if "GET" in allowed else [])}))
            raise RefusalError(405, f"{request.path} takes {allow}", {"Allow": allow})
        raise RefusalError(404, f"There is nothing at {request.path}. Events go to POST /v1/events")


async def _answered(answer: Awaitable[Response]) -> Response:
    """A log that cannot be used just now is no fault of the broker's."""
    try:
        return await answer
    except StorageError as error:
        raise RefusalError(503, f"Nothing can be read or kept: {error}", {"Retry-After": "30"}) from error
