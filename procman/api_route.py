"""Where a service stands behind the API gateway: ``route`` of its file, and who may call it there."""

from __future__ import annotations

import dataclasses
import re
from dataclasses import dataclass
from typing import Any

from procman import rule
from procman.identity import is_scope
from procman.table import Table

AUTHS = ("required", "optional", "none")
#: Segments of unreserved characters (RFC 3986, section 2.3), so that no two spellings of one prefix exist; none begins
#: with a dot, as dot segments and the gateway's own paths do.
_PREFIX = re.compile(r"(?:/[A-Za-z0-9_~-][A-Za-z0-9._~-]*)+")


@dataclass(frozen=True, slots=True)
class ApiRoute:
    """`prefix`: whole segments, ``/organization``. `strip_prefix`: the service does not see it.

    `auth`: ``required`` (a caller must be known), ``optional`` (may be), ``none`` (is not asked for). `scopes`: all of
    them must be the caller's.
    """

    prefix: str
    strip_prefix: bool = False
    auth: str = "required"
    scopes: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """As JSON can hold it."""
        return dataclasses.asdict(self)

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> ApiRoute:
        """From `to_json`'s result."""
        return cls(**{**value, "scopes": tuple(value["scopes"])})


def read(table: Table, name: str) -> ApiRoute | None:
    """The route in the table of the service `name`; None where it has none. Mistakes are noted in the table."""
    prefix = table.take("route", str, "")
    if "route" in table.values and not _PREFIX.fullmatch(prefix):
        table.wrong("route", f'"{prefix}" is not a route', f'Whole segments, as: route = "/{name}"')
    route = ApiRoute(
        prefix=prefix,
        strip_prefix=table.take("strip_prefix", bool, False),
        auth=table.take("auth", str, "required", rule.one_of(*AUTHS)),
        scopes=table.texts("scopes", ()),
    )
    for scope in route.scopes:
        if not is_scope(scope):
            table.wrong("scopes", f'"{scope}" is not a scope', 'One text each: scopes = ["org:read"]')
    if route.scopes and route.auth != "required":
        problem = f'nobody needs scopes where auth = "{route.auth}"'
        table.wrong("scopes", problem, 'Take them out, or: auth = "required"')
    if not prefix:
        for key in ("strip_prefix", "auth", "scopes"):
            if key in table.values:
                table.wrong(key, f"{key} says nothing without a route", f'For example: route = "/{name}"')
    return route if prefix else None
