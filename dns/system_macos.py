"""macOS: a file in /etc/resolver sends one domain's questions to a server of its own (resolver(5))."""

from __future__ import annotations

RELOAD = (("dscacheutil", "-flushcache"), ("killall", "-HUP", "mDNSResponder"))


def files(domain: str, port: int, header: str) -> dict[str, str]:
    """The file, by path: its name is the domain."""
    return {f"/etc/resolver/{domain}": f"# {header}\nnameserver 127.0.0.1\nport {port}\n"}
