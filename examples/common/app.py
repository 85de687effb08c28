"""A service's requests: which function answers which, and what happens before and after."""

from __future__ import annotations

import hashlib
import mimetypes
import re
import sys
import traceback
from collections.abc import Callable, Iterable
from http import HTTPStatus
from pathlib import Path
from urllib.parse import urlsplit

from common.message import HttpError, Request, Response, json_response, problem
from common.pages import Pages

Handler = Callable[..., Response]
SAFE = {"GET", "HEAD", "OPTIONS"}
SHARED = Path(__file__).parent / "static"


class App:
    """The routes of one service, as a table: (method, path, function). `{name}` in a path is an argument.

    `only_programs`: errors are problem documents, never pages. `close` is called when the service ends.
    """

    def __init__(
        self,
        pages: Pages,
        routes: Iterable[tuple[str, str, Handler]],
        *,
        only_programs: bool = False,
        close: Callable[[], None] = lambda: None,
    ) -> None:
        self._only_programs = only_programs
        self.name = pages.name
        self._pages = pages
        self._static = (pages.folder / "static", SHARED)
        own = [("GET", "/healthz", lambda _: json_response({"status": "ok"})), ("GET", "/static/{file}", self.static)]
        self._routes = [(method, _compile(path), handler) for method, path, handler in (*routes, *own)]
        self.close = close

    def __call__(self, request: Request) -> Response:
        try:
            self._refuse_other_sites(request)
            return self._find(request)
        except HttpError as error:
            return self._failed(request, error)
        except Exception:  # noqa: BLE001 - one broken request must not end the service
            traceback.print_exc(file=sys.stderr)
            return self._failed(
                request, HttpError(HTTPStatus.INTERNAL_SERVER_ERROR, "Something broke. The log says what.")
            )

    @staticmethod
    def _refuse_other_sites(request: Request) -> None:
        """Another site's page must not act in a visitor's name. Programs send no Origin and are no danger here."""
        origin = request.headers.get("Origin")
        if request.method not in SAFE and origin and urlsplit(origin).netloc.lower() != request.host:
            raise HttpError(HTTPStatus.FORBIDDEN, f"A page of {origin} may not do this.")

    def _find(self, request: Request) -> Response:
        method = "GET" if request.method == "HEAD" else request.method
        allowed = []
        for route_method, pattern, handler in self._routes:
            match = pattern.fullmatch(request.path)
            if match and route_method == method:
                return handler(request, **match.groupdict())
            if match:
                allowed.append(route_method)
        if allowed:
            response = self._failed(request, HttpError(HTTPStatus.METHOD_NOT_ALLOWED, "Not in this way."))
            return response.with_header("Allow", ", ".join(allowed))
        raise HttpError(HTTPStatus.NOT_FOUND, f"There is nothing at {request.path}.")

    def _failed(self, request: Request, error: HttpError) -> Response:
        if self._only_programs or request.wants_json:
            return problem(error.status, error.message, **error.extra)
        phrase = HTTPStatus(error.status).phrase
        return self._pages.render(
            request, "error.html", status=error.status, title=phrase, code=str(error.status), message=error.message
        )

    def static(self, request: Request, file: str) -> Response:
        for folder in self._static:
            path = folder / file
            if path.is_file():  # `file` holds no slash, so it stays inside the folder
                body = path.read_bytes()
                tag = f'"{hashlib.sha256(body).hexdigest()[:16]}"'
                headers = [("ETag", tag), ("Cache-Control", "no-cache")]
                if request.headers.get("If-None-Match") == tag:
                    return Response(status=HTTPStatus.NOT_MODIFIED, headers=headers)
                kind = mimetypes.guess_type(file)[0] or "application/octet-stream"
                return Response(body, content_type=kind, headers=headers)
        raise HttpError(HTTPStatus.NOT_FOUND, f"There is no file {file}.")


def _compile(path: str) -> re.Pattern[str]:
    return re.compile(re.sub(r"\\{(\w+)\\}", r"(?P<\1>[^/]+)", re.escape(path)))
