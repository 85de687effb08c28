"""The page's own files: small, few, and read again when they changed."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Final

from proxy_addons.dashboard.message import Request, Response
from proxy_addons.events.refusal import RefusalError

FOLDER: Final = Path(__file__).with_name("static")
_TYPES: Final = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".json": "application/json",
    ".svg": "image/svg+xml",
    ".png": "image/png",
    ".woff2": "font/woff2",
    ".webmanifest": "application/manifest+json",
    ".txt": "text/plain; charset=utf-8",
}
#: Nothing inline, nothing from elsewhere, nobody's frame, no form that leads away.
_POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; font-src 'self'; "
    "connect-src 'self'; manifest-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
_FIELDS: Final = {
    "Content-Security-Policy": _POLICY,
    "X-Frame-Options": "DENY",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
    "Cache-Control": "no-cache",
}
_BELOW: Final = "/static/"


class StaticFiles:
    """``/static/…`` are the files; every other path without a dot is the page, which has its own paths."""

    def __init__(self, folder: Path = FOLDER) -> None:
        self._folder = folder.resolve()
        self._kept: dict[Path, tuple[int, bytes, str]] = {}

    def answer(self, request: Request) -> Response:
        """The file, or 304 for who has it. Raises `RefusalError`."""
        if request.method not in {"GET", "HEAD"}:
            raise RefusalError(405, f"{request.path} takes GET", {"Allow": "GET, HEAD"})
        file = self._file(request.path)
        try:
            data, tag = self._read(file)
        except OSError:
            raise RefusalError(404, f"There is nothing at {request.path}") from None
        fields = {"Content-Type": _TYPES[file.suffix], "ETag": tag, **_FIELDS}
        known = request.headers.get("if-none-match", "")
        if tag in {part.strip().removeprefix("W/") for part in known.split(",")}:
            return Response(304, b"", fields)
        return Response(200, data, fields)

    def _file(self, path: str) -> Path:
        if not path.startswith(_BELOW):
            if "." in path.rpartition("/")[2] or path.startswith("/api/"):
                raise RefusalError(404, f"There is nothing at {path}")
            return self._folder / "index.html"
        file = (self._folder / path.removeprefix(_BELOW).replace("\0", "?")).resolve()
        if not file.is_relative_to(self._folder) or file.suffix not in _TYPES:
            raise RefusalError(404, f"There is nothing at {path}")
        return file

    def _read(self, file: Path) -> tuple[bytes, str]:
        changed = file.stat().st_mtime_ns
        kept = self._kept.get(file)
        if kept is None or kept[0] != changed:
            data = file.read_bytes()
            kept = self._kept[file] = changed, data, f'"{hashlib.sha256(data).hexdigest()[:24]}"'
        return kept[1], kept[2]
