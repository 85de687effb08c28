"""The local CA: made once for a domain, it gives each server name its certificate.

Importing this module costs next to nothing; trustme and cryptography are loaded with the first CA.
"""

from __future__ import annotations

import os
import pwd
import shlex
import socket
import threading
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from certs.folder import CaFolder
from certs.names import canonical_domain, leaf_names
from procman.errors import StoresError

if TYPE_CHECKING:
    import ssl

    from certs.chain import Chain
    from certs.leaf import Leaf

ALPN = ("h2", "http/1.1")

#: Leaves in memory, with their contexts: 28 kB each.
CACHE_LIMIT = 256

Clock = Callable[[], datetime]


def utc_now() -> datetime:
    """The time, with its zone."""
    return datetime.now(UTC)


@dataclass(slots=True)
class _Served:
    leaf: Leaf
    contexts: dict[tuple[str, ...], ssl.SSLContext] = field(default_factory=dict)


class Authority:
    """A loaded CA. Safe to share between threads; several processes may stand on the same folder."""

    def __init__(self, folder: CaFolder, domain: str, chain: Chain, clock: Clock = utc_now) -> None:
        from certs.issuer import Issuer  # noqa: PLC0415 -- loads trustme
        from certs.leaves import LeafFiles  # noqa: PLC0415 -- the same

        self.domain = domain
        self._folder = folder
        self._chain = chain
        self._clock = clock
        self._files = LeafFiles(folder.leaves, Issuer(chain))
        self._served: OrderedDict[tuple[str, ...], _Served] = OrderedDict()
        self._lock = threading.RLock()

    @classmethod
    def load_or_create(cls, folder: Path, domain: str, *, clock: Clock = utc_now) -> Authority:
        """The CA in `folder`, made first where there is none; of several processes that make it, one does.

        Raises `StoresError` when the CA there is damaged, has ended, is for another domain or lay open to others.
        """
        place = CaFolder(folder)
        try:
            domain = canonical_domain(domain)
        except ValueError as e:
            raise StoresError(f"No certificates can be issued: {e}", "Name another domain in stores.toml") from e
        try:
            return cls(place, domain, _load_or_create(place, domain, clock()), clock)
        except FileNotFoundError as e:
            raise StoresError(f"The local CA is incomplete: {e.filename} is missing", place.removal) from e
        except OSError as e:
            raise StoresError(
                f"Cannot use the local CA's folder {folder}: {e.strerror}",
                f"See whose it is: ls -ld {shlex.quote(str(folder))}",
            ) from e
        except ValueError as e:
            raise StoresError(f"The local CA in {folder} cannot be used: {e}", place.removal) from e

    @property
    def ca_file(self) -> Path:
        """The root certificate, PEM: what clients trust."""
        return self._folder.ca_file

    @property
    def intermediate_pem(self) -> bytes:
        """The certificate that a server sends after its leaf; `Leaf.chain_pem` holds it already."""
        return self._chain.intermediate_pem

    @property
    def fingerprint(self) -> str:
        """SHA-256 of the root, as browsers and openssl write it: ``AB:CD:…``."""
        from cryptography.hazmat.primitives.hashes import SHA256  # noqa: PLC0415 -- see the module's docstring

        return self._chain.root.fingerprint(SHA256()).hex(":").upper()

    @property
    def not_after(self) -> datetime:
        """The end of the CA: nothing that it issued is valid after it."""
        return min(self._chain.root.not_valid_after_utc, self._chain.intermediate.not_valid_after_utc)

    def leaf(self, server_name: str | None) -> Leaf:
        """The certificate for a client that asks for `server_name` (SNI), new where the last one is about to end.

        A foreign name, an address or None gets the leaf for localhost. Raises `StoresError`.
        """
        with self._lock:
            return self._serve(server_name).leaf

    def context_for(self, server_name: str | None, alpn: Sequence[str] = ALPN) -> ssl.SSLContext:
        """The context for a client that asks for `server_name`: the same one until its leaf is renewed."""
        with self._lock:
            served = self._serve(server_name)
            context = served.contexts.get(tuple(alpn))
            if context is None:
                context = served.contexts[tuple(alpn)] = self.server_context(served.leaf, alpn)
            return context

    def server_context(self, leaf: Leaf, alpn: Sequence[str] = ALPN) -> ssl.SSLContext:
        """A new context that presents `leaf`. Raises `StoresError`."""
        from certs.tls import server_context  # noqa: PLC0415 -- loads ssl

        try:
            try:
                return server_context(leaf, alpn)
            except FileNotFoundError:  # the folder is a cache, which anybody may have emptied
                self._files.write(leaf)
                return server_context(leaf, alpn)
        except OSError as e:
            raise StoresError(f"Cannot present {leaf.cert_file}: {e}", self._folder.removal) from e

    def listening_context(self, alpn: Sequence[str] = ALPN) -> ssl.SSLContext:
        """A new context for a listening socket, which answers each client by the name that it asks for."""
        from certs.tls import choose_by_name  # noqa: PLC0415 -- loads ssl

        context = self.server_context(self.leaf(None), alpn)
        choose_by_name(context, lambda server_name: self.context_for(server_name, alpn))
        return context

    def _serve(self, server_name: str | None) -> _Served:
        names, now = leaf_names(server_name, self.domain), self._clock()
        served = self._served.get(names)
        if served is None or not served.leaf.is_current(now):
            served = self._served[names] = _Served(self._issue(names, now))
            if len(self._served) > CACHE_LIMIT:
                self._served.popitem(last=False)
        self._served.move_to_end(names)
        return served

    def _issue(self, names: tuple[str, ...], now: datetime) -> Leaf:
        try:
            return self._files.get(names, now)
        except OSError as e:
            leaves = shlex.quote(str(self._folder.leaves))
            raise StoresError(
                f"Cannot keep a certificate for {names[0]}: {e}",
                f"See what is the matter with its folder: ls -ld {leaves}; df {leaves}",
            ) from e
        except ValueError as e:
            raise StoresError(f"No certificate for {names[0]}: {e}", self._folder.removal) from e


def _load_or_create(folder: CaFolder, domain: str, now: datetime) -> Chain:
    from certs.chain import Chain  # noqa: PLC0415 -- loads cryptography

    folder.make()
    if not folder.exists:
        with folder.lock():
            if not folder.exists:  # else another process was quicker: its CA is ours too
                new = Chain.create(domain, _owner(), now)
                folder.publish(new.root_pem, new.intermediate_pem, new.key_pem)
    chain = Chain.parse(**folder.read())
    chain.check(domain, now)
    return chain


def _owner() -> str:
    """Who and where, for the CA's name."""
    try:
        user = pwd.getpwuid(os.getuid()).pw_name
    except KeyError:  # a container that runs under a number
        user = str(os.getuid())
    return f"{user}@{socket.gethostname()}"
