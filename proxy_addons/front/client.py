"""What is known of a client's connection, and no header can say."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

HTTP1, HTTP2 = "http/1.1", "h2"


@dataclass(frozen=True, slots=True)
class Tls:
    """Of a connection that speaks TLS: version, cipher, the name that was asked for, the protocol that was chosen."""

    version: str
    cipher: str
    sni: str | None
    alpn: str | None


@dataclass(frozen=True, slots=True)
class Client:
    """One connection of a client. `peer` and `local` are addresses as the system tells them: host, port."""

    peer: tuple[str, int]
    local: tuple[str, int]
    tls: Tls | None = None

    @property
    def secure(self) -> bool:
        """Whether the connection is encrypted: the scheme is https then, whatever a header claims."""
        return self.tls is not None

    @classmethod
    def of(cls, transport: Any) -> Client:
        """From an asyncio transport."""
        peer = transport.get_extra_info("peername") or ("127.0.0.1", 0)
        local = transport.get_extra_info("sockname") or ("127.0.0.1", 0)
        session = transport.get_extra_info("ssl_object")
        tls = None
        if session is not None:
            cipher = session.cipher()
            # the SNI is kept where the context was chosen by it
            sni = getattr(session, "stores_sni", None)
            tls = Tls(session.version() or "", cipher[0] if cipher else "", sni, session.selected_alpn_protocol())
        return cls((peer[0], peer[1]), (local[0], local[1]), tls)
