"""TLS on both sides: our own CA's leaves for clients; the public roots and the workspace's extra CA for remotes."""

# mypy: disallow-untyped-calls=False
# mitmproxy is typed in parts only.
from __future__ import annotations

import hashlib
import logging
import os
import ssl
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from mitmproxy import ctx
from mitmproxy.addons import tlsconfig
from mitmproxy.tls import TlsData
from OpenSSL import SSL

from certs import system_roots
from certs.authority import CACHE_LIMIT
from certs.leaf import Leaf
from procman.errors import StoresError
from proxy_addons.authorities import Authorities
from proxy_addons.view import View

_log = logging.getLogger(__name__)

_PROTOCOLS = (b"h2", b"http/1.1")
#: mitmproxy's TLS client reads them; 1.2 is its own lowest version too.
_LOWEST = SSL.TLS1_2_VERSION


class Tls(tlsconfig.TlsConfig):
    """Takes the client's side over from mitmproxy's addon, and keeps its verification of servers as it is.

    mitmproxy's certificate store is never made: it would write a CA of its own into the configuration folder, and put
    the upstream's host into the certificates.
    """

    name = "tlsconfig"

    #: mitmproxy 12 answers for its own CA's revocation list here, under a path of the services' hosts.
    request = None  # type: ignore[assignment]  # mitmproxy passes over a hook that is None

    def __init__(self, folder: Path, authorities: Authorities) -> None:
        """`folder`: where the bundle of trusted roots is put together."""
        self._folder = folder
        self._authorities = authorities
        self._contexts: dict[tuple[str, ...], tuple[Leaf, SSL.Context]] = {}

    def configure(self, updated: Any) -> None:
        """Instead of mitmproxy's, which makes the store."""

    def told(self, view: View) -> None:
        """Follows a new snapshot, which may name another CA to trust for the remote.

        What fails here is logged, and costs TLS to the remote only.
        """
        try:
            bundle = trusted_roots(self._folder, view.snapshot.remote.ca)
        except OSError as error:
            _log.error("No remote can be trusted, for the roots cannot be put together: %s", error)
            return
        if ctx.options.ssl_verify_upstream_trusted_ca != bundle:
            ctx.options.update(ssl_verify_upstream_trusted_ca=bundle)

    def tls_start_client(self, tls_start: TlsData) -> None:
        """Serves the leaf for the name that the client asked for. Without one, mitmproxy ends the connection."""
        authority = self._authorities.authority
        if authority is None:
            return
        try:
            leaf = authority.leaf(tls_start.context.client.sni)
        except StoresError as error:
            _log.error("%s (%s)", error.message, error.hint)
            return
        known = self._contexts.get(leaf.names)
        if known is None or known[0] is not leaf:
            if len(self._contexts) >= CACHE_LIMIT:
                self._contexts.clear()
            known = self._contexts[leaf.names] = (leaf, context_of(leaf))
        tls_start.ssl_conn = SSL.Connection(known[1])
        tls_start.ssl_conn.set_accept_state()


def context_of(leaf: Leaf) -> SSL.Context:
    """What serves `leaf`; made once per leaf, so that clients can resume their sessions."""
    context = SSL.Context(SSL.TLS_SERVER_METHOD)
    context.set_min_proto_version(_LOWEST)
    certificate, *chain = x509.load_pem_x509_certificates(leaf.chain_pem)
    context.use_certificate(certificate)
    for issuer in chain:
        context.add_extra_chain_cert(issuer)
    key: Any = load_pem_private_key(leaf.key_pem, None)
    context.use_privatekey(key)
    context.set_alpn_select_callback(_select_protocol)
    context.set_session_id(hashlib.sha256(leaf.chain_pem).digest())
    return context


def _select_protocol(_: SSL.Connection, offered: list[bytes]) -> Any:
    return next((protocol for protocol in _PROTOCOLS if protocol in offered), SSL.NO_OVERLAPPING_PROTOCOLS)


def trusted_roots(folder: Path, extra: str) -> str:
    """A file with the system's roots and those of `extra`, a file of certificates in PEM or "".

    Named by its content, because mitmproxy keeps what it read from a file of the same name.
    """
    roots = system_roots.find(os.environ)
    if extra:
        added = system_roots.read(Path(extra))
        if not added:
            _log.warning("There is no certificate in %s: for the remote, only the public CAs are trusted.", extra)
        roots |= added
    content = "".join(map(ssl.DER_cert_to_PEM_cert, roots)).encode()
    bundle = folder / f"trusted-{hashlib.sha256(content).hexdigest()[:16]}.pem"
    if not bundle.exists():
        for old in folder.glob("trusted-*.pem"):
            old.unlink(missing_ok=True)
        fresh = bundle.with_suffix(".new")
        fresh.write_bytes(content)
        fresh.replace(bundle)
    return str(bundle)
