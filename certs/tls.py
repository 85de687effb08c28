"""Contexts of Python's ssl for a server that presents our leaves."""

from __future__ import annotations

import logging
import ssl
from collections.abc import Callable, Sequence

from certs.leaf import Leaf

_log = logging.getLogger(__name__)

#: TLS 1.2 with forward secrecy and AEAD only: HTTP/2 forbids the rest (RFC 9113 9.2.2), and no client of the last ten
#: years lacks them. TLS 1.3 has its own list.
_TLS12_CIPHERS = "ECDHE+AESGCM:ECDHE+CHACHA20"


def server_context(leaf: Leaf, alpn: Sequence[str]) -> ssl.SSLContext:
    """A context that presents `leaf` and offers `alpn`, the first one preferred. Raises `FileNotFoundError`.

    The leaf must be in its file: ssl loads keys from nowhere else (github.com/python/cpython/issues/60691).
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers(_TLS12_CIPHERS)
    context.options |= ssl.OP_NO_RENEGOTIATION | ssl.OP_NO_COMPRESSION
    context.load_cert_chain(leaf.cert_file)
    if alpn:
        context.set_alpn_protocols(list(alpn))
    return context


def choose_by_name(listening: ssl.SSLContext, choose: Callable[[str | None], ssl.SSLContext]) -> None:
    """Lets `listening` answer each ClientHello with ``choose(server_name)``; None when the client names none.

    Session tickets stay those of `listening`, so that a resumption survives the renewal of a leaf.
    """

    def on_client_hello(tls: ssl.SSLObject, server_name: str | None, _: ssl.SSLContext) -> int | None:
        try:
            tls.context = choose(server_name)
        except Exception:  # noqa: BLE001 -- Python would print it to stderr, and name no host
            _log.exception("No certificate for %s", server_name)
            return ssl.ALERT_DESCRIPTION_INTERNAL_ERROR
        return None

    listening.sni_callback = on_client_hello
