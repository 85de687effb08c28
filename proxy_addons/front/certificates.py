"""The TLS that clients meet: a context per name, from our own CA."""

from __future__ import annotations

import logging
import ssl
from collections.abc import Callable

from certs.authority import Authority
from certs.tls import choose_by_name
from proxy_addons.front.client import HTTP1, HTTP2

_log = logging.getLogger(__name__)

ALPN = (HTTP2, HTTP1)


def listening_context(authority: Callable[[], Authority | None]) -> ssl.SSLContext:
    """For a listening socket: each client is answered by the name that it asks for, by the authority of that moment.

    It holds the keys of the session tickets, so that a session can be resumed while this process lives.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2

    def choose(name: str | None) -> ssl.SSLContext:
        ca = authority()
        if ca is None:
            raise LookupError("there is no CA")
        return ca.context_for(name, ALPN)

    choose_by_name(context, choose)
    return context
