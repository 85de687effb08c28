"""dnsmasq: the one that NetworkManager runs, or one that the machine has by itself."""

from __future__ import annotations

import configparser
from pathlib import Path

from dns.system_resolved import nameservers

RELOAD_NETWORK_MANAGER = ("nmcli", "general", "reload")
RELOAD_DNSMASQ = ("systemctl", "restart", "dnsmasq.service")

_NETWORK_MANAGER = ("usr/lib/NetworkManager/conf.d", "run/NetworkManager/conf.d", "etc/NetworkManager/conf.d")


def network_manager_in_charge(top: Path = Path("/")) -> bool:
    """Whether NetworkManager runs and starts a dnsmasq (``dns=dnsmasq``). `top` stands for ``/``."""
    if not (top / "run/NetworkManager").is_dir():
        return False
    files = [file for folder in _NETWORK_MANAGER for file in sorted((top / folder).glob("*.conf"))]
    chosen = ""
    for file in [top / "etc/NetworkManager/NetworkManager.conf", *files]:  # a later one wins
        parser = configparser.ConfigParser(interpolation=None, strict=False, comment_prefixes=("#",))
        try:
            parser.read(file)
        except (configparser.Error, OSError, UnicodeDecodeError):
            continue
        chosen = parser.get("main", "dns", fallback=chosen)
    return chosen == "dnsmasq"


def in_charge(top: Path = Path("/")) -> bool:
    """Whether programs ask a dnsmasq on this machine that reads a folder of additions."""
    return (
        (top / "etc/dnsmasq.d").is_dir()
        and any(server.startswith("127.") for server in nameservers(top)[:1])
        and any((top / "run" / name).exists() for name in ("dnsmasq/dnsmasq.pid", "dnsmasq.pid"))
    )


def files(domain: str, port: int, header: str, *, network_manager: bool) -> dict[str, str]:
    """The file, by path."""
    folder = "/etc/NetworkManager/dnsmasq.d" if network_manager else "/etc/dnsmasq.d"
    lines = [
        f"# {header}",
        f"server=/{domain}/127.0.0.1#{port}",
        f"rebind-domain-ok=/{domain}/",  # with stop-dns-rebind, an answer of 127.0.0.1 would be thrown away
    ]
    return {f"{folder}/stores-{domain}.conf": "\n".join(lines) + "\n"}
