"""Whose the other end of a loopback connection is: on a machine that others use, too, 127.0.0.1 is no proof."""

from __future__ import annotations

import contextlib
import ipaddress
import os
import socket
import struct
import sys
from typing import Final

from proxy_addons.front.client import Client

# sock_diag(7): one question by all four of a connection's addresses, one answer; 65 µs. /proc/net/tcp is as long as the
# machine has connections.
_NETLINK_SOCK_DIAG: Final = 4
_SOCK_DIAG_BY_FAMILY: Final = 20
_REQUEST: Final = 1
_HEADER: Final = struct.Struct("=IHHII")
_QUESTION: Final = struct.Struct("=BBBBI")
#: inet_diag_msg: after family, state, timer, retransmissions and the addresses come expiry, two queues, UID and inode.
_FACTS: Final = struct.Struct("=IIIII")
_FACTS_AT: Final = _HEADER.size + 4 + 48
_NO_COOKIE: Final = struct.pack("=III", 0, 0xFFFFFFFF, 0xFFFFFFFF)
#: Where a client believes that it is connected to, when the system redirects the well-known ports to ours.
_PUBLIC: Final = (80, 443)


def is_local(client: Client) -> bool:
    """Whether it came over loopback."""
    try:
        address = ipaddress.ip_address(client.peer[0].partition("%")[0])
    except ValueError:
        return False
    mapped = getattr(address, "ipv4_mapped", None)
    return (mapped or address).is_loopback


def is_stranger(client: Client) -> bool:
    """Whether the other end is known to be another user's. Root is none: it needs no page to do as it likes."""
    owner = owner_of(client)
    return owner is not None and owner[0] not in {os.getuid(), 0}


def owner_of(client: Client) -> tuple[int, int] | None:
    """UID and inode of the client's own socket; None where the system does not tell (macOS, another namespace)."""
    if sys.platform != "linux":
        return None
    with (
        contextlib.suppress(OSError, struct.error),
        socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, _NETLINK_SOCK_DIAG) as asking,
    ):
        asking.settimeout(1.0)
        for port in (client.local[1], *_PUBLIC):
            asking.send(_question(client, port))
            said = asking.recv(4096)
            if _HEADER.unpack_from(said)[1] == _SOCK_DIAG_BY_FAMILY:
                *_, uid, inode = _FACTS.unpack_from(said, _FACTS_AT)
                return uid, inode
    return None


def _question(client: Client, port: int) -> bytes:
    family = socket.AF_INET6 if ":" in client.peer[0] else socket.AF_INET
    ends = struct.pack("!HH", client.peer[1], port)
    for address in (client.peer[0], client.local[0]):
        ends += socket.inet_pton(family, address.partition("%")[0]).ljust(16, b"\0")
    body = _QUESTION.pack(family, socket.IPPROTO_TCP, 0, 0, 0xFFFFFFFF) + ends + _NO_COOKIE
    return _HEADER.pack(_HEADER.size + len(body), _SOCK_DIAG_BY_FAMILY, _REQUEST, 1, 0) + body
