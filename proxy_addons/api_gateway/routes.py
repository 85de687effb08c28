"""Which service a path leads to: whole segments, the longest prefix wins."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from procman.snapshot import ServiceStatus

#: The API gateway's host, relative to the domain.
HOST: Final = "api-gateway"


class ApiRoutes:
    """The routes of one snapshot."""

    def __init__(self, services: Iterable[ServiceStatus]) -> None:
        self._services = {tuple(_segments(service.api.prefix)): service for service in services if service.api}
        self._longest = max(map(len, self._services), default=0)

    def find(self, segments: tuple[str, ...]) -> ServiceStatus | None:
        """The service of a path's segments. A look-up costs one step per segment of the longest prefix."""
        for length in range(min(self._longest, len(segments)), 0, -1):
            service = self._services.get(segments[:length])
            if service is not None:
                return service
        return None

    @property
    def prefixes(self) -> tuple[str, ...]:
        """All of them, in order."""
        return tuple(sorted("/" + "/".join(segments) for segments in self._services))


def _segments(prefix: str) -> list[str]:
    return prefix.strip("/").split("/")
