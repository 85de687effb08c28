"""The TLS that clients meet: a context per name, from our own CA."""

from __future__ import annotations

import logging
import ssl
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from procman.errors import StoresError
from proxy_addons.front.client import HTTP1, HTTP2

if TYPE_CHECKING:
    from certs.authority import Authority

_log = logging.getLogger(__name__)

_ALPN = (HTTP2, HTTP1)
#: Seconds until the authority is asked again, which renews a leaf long before its end.
_REMEMBERED = 60.0
#: Names that are remembered with their contexts, 28 kB each.
_MOST_NAMES = 256


def listening_context(authority: Callable[[], Authority | None]) -> ssl.SSLContext:
    """For a listening socket: each client is answered by the name that it asks for, by the authority of that moment.

    It holds the keys of the session tickets, so that a session can be resumed while this process lives, also after the
    renewal of a leaf. Without an authority, which whoever misses it has logged, a handshake ends in an alert.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.num_tickets = 1  # each costs 20 µs and 250 bytes, and a resumption brings the next
    known: dict[str | None, tuple[Authority, ssl.SSLContext, float]] = {}

    def choose(ca: Authority, name: str | None) -> ssl.SSLContext:
        now = time.monotonic()
        found = known.get(name)
        if found is None or found[0] is not ca or found[2] < now:
            if len(known) >= _MOST_NAMES:
                known.clear()
            found = known[name] = (ca, ca.context_for(name, _ALPN), now + _REMEMBERED)
        return found[1]

    def on_client_hello(tls: ssl.SSLObject, name: str | None, _: ssl.SSLContext) -> int | None:
        ca = authority()
        if ca is None:
            return ssl.ALERT_DESCRIPTION_INTERNAL_ERROR
        tls.stores_sni = name  # type: ignore[attr-defined]  # ssl tells it here and nowhere else
        try:
            tls.context = choose(ca, name)
        except StoresError as error:
            _log.error("No certificate for %s: %s", name, error)
            return ssl.ALERT_DESCRIPTION_INTERNAL_ERROR
        except Exception:  # noqa: BLE001 - Python would print it to stderr, and name no host
            _log.exception("No certificate for %s", name)
            return ssl.ALERT_DESCRIPTION_INTERNAL_ERROR
        return None

    context.sni_callback = on_client_hello
    return context
