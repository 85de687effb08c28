"""The dashboard's own host, below the domain and below ``localhost``."""

from __future__ import annotations

from typing import Final

from proxy_addons.view import LOCALHOST, View

#: No service can have it (`procman.conflicts`).
NAME: Final = "stores"


def is_ours(host: bytes, view: View) -> bool:
    """Whether a ``Host`` names it, with a port or without."""
    if not host.startswith(b"stores."):  # nearly every request's; the rest costs more
        return False
    name = host.partition(b":")[0].removesuffix(b".").decode("latin-1")
    return name in {f"{NAME}.{view.snapshot.domain}", f"{NAME}.{LOCALHOST}"}
