"""/etc/hosts: where no resolver on the machine can be told of one domain. It knows no wildcard, so each name stands."""

from __future__ import annotations

from collections.abc import Iterable

FILE = "/etc/hosts"


def lines(names: Iterable[str]) -> str:
    """Both addresses for each name, one line an address: a name on a line of its own can be found by eye."""
    return "".join(f"{address}\t{name}\n" for name in names for address in ("127.0.0.1", "::1"))
