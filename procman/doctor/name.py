"""Name to address: our resolver, the system's way to it, and what browsers and VPNs make of it."""

from __future__ import annotations

import json
import re
import secrets
import socket
import struct
from collections.abc import Iterator
from pathlib import Path

from dns import system_resolved
from procman.doctor.finding import SETUP, Finding, broken, not_set_up, note, ok
from procman.doctor.scene import PATIENCE, Scene
from procman.errors import StoresError
from procman.machine import ports
from procman.system import needs

_TYPE_A = 1

#: How interfaces of VPNs are called: OpenVPN, WireGuard, PPP, Tailscale, ZeroTier, Cisco, Palo Alto, NordLynx; macOS.
_VPN = re.compile(r"(?:tun|tap|wg|ppp|tailscale|zt|cscotun|gpd|nordlynx|ipsec|utun)\d*")

#: Top-level domains that browsers speak to over HTTPS alone (the HSTS preload list): no click gets past a warning.
_HTTPS_ALONE = ("dev", "app", "page", "new", "day", "foo", "zip", "mov", "nexus", "phd", "prof", "rsvp", "dad", "ing")


def resolver(scene: Scene) -> Iterator[Finding]:
    """Ours, asked directly."""
    if scene.snapshot is None:
        yield broken("resolver", f"nothing answers for {scene.domain}: {scene.why}", "stores up -d")
        return
    port = scene.snapshot.dns.port
    answer = _ask(scene.host, port)
    if answer == ["127.0.0.1"]:
        yield ok("resolver", f"127.0.0.1 port {port} knows {scene.host}")
    elif answer is None:
        yield broken(
            "resolver", f"nobody answers on port {port}: {ports.holder(port, udp=True)}", "stores down; stores up -d"
        )
    else:
        yield broken(
            "resolver", f"port {port} says {answer} for {scene.host}: it is not ours", "stores down; stores up -d"
        )


def names(scene: Scene) -> Iterator[Finding]:
    """The system's resolver, as every program asks it: a name of ours, and one more level."""
    for host in (scene.host, f"doctor.{scene.host}"):
        found = _addresses(host)
        if found and all(address in {"127.0.0.1", "::1"} for address in found):
            yield ok("name", f"{host} is {', '.join(found)}")
            continue
        said = f"{host} is {', '.join(found)}, which is not this machine" if found else f"{host} is not known here"
        deeper = host != scene.host and not found
        if not scene.was_told("names"):
            yield not_set_up("name", f"{said}. Meanwhile: {scene.plain_url}")
        else:
            yield (note if deeper else broken)("name", f"{said}. {_who(scene, deeper=deeper)}", SETUP)
        return


def browsers(scene: Scene) -> Iterator[Finding]:
    """DNS over HTTPS asks a server far away, which has never heard of the domain."""
    for prefs in sorted(scene.home.glob(".mozilla/firefox/*/prefs.js")):
        text = _text(prefs)
        mode = re.search(r'"network\.trr\.mode", (\d)', text)
        excluded = re.search(r'"network\.trr\.excluded-domains", "([^"]*)"', text)
        if mode and mode[1] in "23" and not (excluded and scene.domain in excluded[1]):
            yield note(
                "browser",
                f"Firefox asks DNS over HTTPS ({prefs.parent.name}), which does not know {scene.domain}",
                f"Settings, Privacy & Security, DNS over HTTPS, Manage Exceptions: {scene.domain}",
            )
    for pattern in (
        ".config/google-chrome/Local State",
        ".config/chromium/Local State",
        ".config/BraveSoftware/*/Local State",
    ):
        for file in sorted(scene.home.glob(pattern)):
            if _secure_dns(file) == "secure":
                yield note(
                    "browser",
                    f"{file.parent.name} asks DNS over HTTPS alone, which does not know {scene.domain}",
                    "Settings, Privacy and security, Security, Use secure DNS: the current provider, or off",
                )
    if (last := scene.domain.rpartition(".")[2]) in _HTTPS_ALONE:
        yield note(
            "browser",
            f"browsers speak HTTPS alone with .{last} (HSTS): no http://, and no way past a warning",
            "stores trust",
        )


def _who(scene: Scene, *, deeper: bool = False) -> str:
    """Why the system does not ask us."""
    try:
        applied = needs.record().get(f"names {scene.domain}")
    except StoresError as error:
        return error.message
    if deeper and applied and any(file.path == "/etc/hosts" for file in applied.part.files):
        return "It has it from /etc/hosts, which knows no deeper names"
    vpn = [name for _, name in socket.if_nameindex() if _VPN.fullmatch(name)]
    servers = ", ".join(system_resolved.nameservers()) or "none"
    if vpn:
        return f"The system was told; a VPN ({', '.join(vpn)}) may have taken DNS over (resolv.conf: {servers})"
    return f"The system was told, and asks others (servers in resolv.conf: {servers})"


def _addresses(host: str) -> list[str]:
    try:
        found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except OSError:
        return []
    return list(dict.fromkeys(str(address[0]) for *_, address in found))


def _ask(host: str, port: int) -> list[str] | None:
    """The A records by one question over UDP (RFC 1035 4.1); None where nobody answers. No library for one packet."""
    number = secrets.randbits(16)
    name = b"".join(bytes([len(label)]) + label.encode() for label in host.split("."))
    query = struct.pack(">6H", number, 0x0100, 1, 0, 0, 0) + name + b"\0" + struct.pack(">2H", _TYPE_A, 1)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as connection:
        connection.settimeout(PATIENCE)
        try:
            connection.connect(("127.0.0.1", port))
            connection.send(query)
            answer = connection.recv(4096)
        except OSError:
            return None
    if answer[:2] != query[:2] or len(answer) < len(query):
        return []
    count = struct.unpack(">H", answer[6:8])[0]
    # our resolver's answers: each name is a pointer of two bytes, then type, class, TTL and length
    records = [answer[len(query) + 16 * index :][:16] for index in range(count)]
    return [socket.inet_ntoa(record[12:16]) for record in records if len(record) == 16]  # noqa: PLR2004 (as above)


def _secure_dns(file: Path) -> str:
    try:
        return str(json.loads(_text(file)).get("dns_over_https", {}).get("mode", ""))
    except (ValueError, AttributeError):
        return ""


def _text(file: Path) -> str:
    try:
        return file.read_text("utf-8", "replace")
    except OSError:
        return ""
