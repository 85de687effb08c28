"""Which names a leaf certificate carries for the name that a client asked for. Pure: text in, names out."""

from __future__ import annotations

import re

#: What is served to a client that names an address, no name at all, or a name that is not ours.
DEFAULT_NAMES = ("localhost", "127.0.0.1", "::1")

#: RFC 1035 2.3.4, as presentation text without the final dot.
_LONGEST = 253
_LABEL = re.compile(r"[a-z0-9_-]{1,63}")
_HOST_LABEL = re.compile(r"[a-z0-9](?:[a-z0-9-]*[a-z0-9])?")


def canonical(name: str) -> str:
    """The name in lower case, as A-labels, without the final dot. Underscores are kept: DNS and browsers carry them.

    Raises `ValueError` for what cannot be a DNS name.
    """
    name = name.removesuffix(".")
    if not name.isascii():
        import idna  # noqa: PLC0415 -- its tables weigh 1 MB, and hardly a workspace needs them

        name = idna.encode(name, uts46=True).decode("ascii")
    name = name.lower()
    if len(name) > _LONGEST or not all(_LABEL.fullmatch(label) for label in name.split(".")):
        raise ValueError(f"not a host name: {name!r}")
    return name


def canonical_domain(name: str) -> str:
    """Like `canonical`, for host names only (RFC 1123 2.1): TLS libraries differ in how they read other constraints.

    Raises `ValueError`, also for an address.
    """
    name = canonical(name)
    if not is_host_name(name) or name.rpartition(".")[2].isdigit():
        raise ValueError(f"not a domain name: {name!r}")
    return name


def is_host_name(name: str) -> bool:
    """Whether a canonical name keeps to letters, digits and inner hyphens."""
    return all(_HOST_LABEL.fullmatch(label) for label in name.split("."))


def covers(domain: str, name: str) -> bool:
    """Whether `name` is `domain` or lies below it, at any depth (RFC 5280 4.2.1.10, dNSName)."""
    return name == domain or name.endswith(f".{domain}")


def leaf_names(server_name: str | None, domain: str) -> tuple[str, ...]:
    """The names of the leaf for `server_name`; `DEFAULT_NAMES` when it is not under `domain` or ``localhost``.

    A wildcard covers one level (RFC 9525 6.3), so the leaf is that of the parent: all siblings share one.
    """
    try:
        name = canonical(server_name or "")
    except ValueError:
        return DEFAULT_NAMES
    if name == "localhost" or not (covers(domain, name) or covers("localhost", name)):
        return DEFAULT_NAMES
    if not is_host_name(name):
        return (name,)  # OpenSSL lets no wildcard stand for an underscore (crypto/x509/v3_utl.c, wildcard_match)
    parent = name if name == domain else name.partition(".")[2]
    if "." not in parent:
        parent = name  # OpenSSL, Chromium and Firefox refuse a wildcard on one label, such as *.localhost
    return (parent, f"*.{parent}") if "." in parent else (parent,)
