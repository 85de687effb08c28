"""systemd-resolved: one domain's questions come to us, all others go where they went."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

#: Since 258 a file can delegate a domain without touching the global servers (systemd.dns-delegate(5)).
DELEGATES_SINCE = 258

#: The resolver's own address, which stands in resolv.conf where it is in charge (its full stub, and the plain one).
_STUBS = ("127.0.0.53", "127.0.0.54")


def in_charge(top: Path = Path("/")) -> bool:
    """Whether programs ask it: by resolv.conf, or by nss-resolve while it runs. `top` stands for ``/``."""
    if not (top / "run/systemd/resolve").is_dir():
        return False
    if any(server in _STUBS for server in nameservers(top)):
        return True
    return bool(re.search(r"(?m)^hosts:.*\bresolve\b", _text(top / "etc/nsswitch.conf")))


def nameservers(top: Path = Path("/")) -> list[str]:
    """The servers in resolv.conf."""
    return re.findall(r"(?m)^nameserver\s+(\S+)", _text(top / "etc/resolv.conf"))


def files(domain: str, port: int, version: int, header: str) -> dict[str, str]:
    """The files, by path. `version` is systemd's; resolved takes a port since 246."""
    if version >= DELEGATES_SINCE:
        text = f"# {header}\n[Delegate]\nDNS=127.0.0.1:{port}\nDomains={domain}\nDefaultRoute=no\n"
        served = {f"/etc/systemd/dns-delegate.d/stores-{domain}.dns-delegate": text}
    else:
        text = f"# {header}\n[Resolve]\nDNS=127.0.0.1:{port}\nDomains=~{domain}\n"
        served = {f"/etc/systemd/resolved.conf.d/stores-{domain}.conf": text}
    # without it, DNSSEC=allow-downgrade asks the domain's parent for a proof, and gets one that it does not exist
    anchor = f"; {header}\n{domain}\n"
    return served | {f"/etc/dnssec-trust-anchors.d/stores-{domain}.negative": anchor}


RELOAD = ("systemctl", "restart", "systemd-resolved.service")


def version() -> int:
    """Systemd's version on this machine, 0 where it has none."""
    try:
        done = subprocess.run(["systemctl", "--version"], capture_output=True, text=True, check=False, timeout=10)
    except (OSError, subprocess.TimeoutExpired):
        return 0
    found = re.match(r"systemd (\d+)", done.stdout)
    return int(found[1]) if found else 0


def _text(file: Path) -> str:
    try:
        return file.read_text("utf-8", "replace")
    except OSError:
        return ""
