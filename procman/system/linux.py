"""The privileged step on Linux: ports by nftables or socket units, names by the resolver in charge, trusted roots."""

from __future__ import annotations

import shutil
from pathlib import Path

from certs import trust_linux
from certs.trust_java import JavaKeystore
from certs.trust_linux import SystemStore
from dns import system_dnsmasq, system_hosts, system_resolved
from procman.system.change import HEADER, Block, Part, Put, Run
from procman.system.target import Impossible, Target

_SBIN = "/usr/local/sbin:/usr/sbin:/sbin:/usr/local/bin:/usr/bin:/bin"
_UNITS = "/etc/systemd/system"
_PROXY = ("/usr/lib/systemd/systemd-socket-proxyd", "/lib/systemd/systemd-socket-proxyd")


def ports(target: Target, top: Path = Path("/")) -> Part | Impossible | None:
    """80 and 443 on loopback lead to the gateway's own ports. None where it may have them itself."""
    pairs = [(80, target.http), (443, target.https)]
    wanted = [(public, own) for public, own in pairs if own is not None]
    if not wanted or _first_free_port(top) <= wanted[0][0]:
        return None
    systemd = (top / "run/systemd/system").is_dir()
    if nft := _which("nft"):
        return _by_nft(wanted, nft, systemd=systemd)
    proxy = next((path for path in _PROXY if (top / path.lstrip("/")).exists()), None)
    if systemd and proxy:
        return _by_socket_units(wanted, proxy)
    return Impossible("ports", "neither nft nor systemd's socket units are here", "Install it: the package nftables")


def names(target: Target, top: Path = Path("/")) -> Part | Impossible | None:
    """The domain's names lead here, by whatever answers this machine's questions. No other name is touched."""
    if system_resolved.in_charge(top):
        version = system_resolved.version()
        return _names(target, system_resolved.files(target.domain, target.dns, version, HEADER), system_resolved.RELOAD)
    if system_dnsmasq.network_manager_in_charge(top):
        files = system_dnsmasq.files(target.domain, target.dns, HEADER, network_manager=True)
        return _names(target, files, system_dnsmasq.RELOAD_NETWORK_MANAGER)
    if system_dnsmasq.in_charge(top):
        files = system_dnsmasq.files(target.domain, target.dns, HEADER, network_manager=False)
        return _names(target, files, system_dnsmasq.RELOAD_DNSMASQ)
    return Part(
        name=f"names {target.domain}",
        what=f"the {len(target.names)} names of the workspace lead to this machine (no resolver here knows single "
        "domains, so deeper names and new services need this again)",
        missing=_without_names(target),
        files=(Block(system_hosts.FILE, target.domain, system_hosts.lines(target.names)),),
    )


def trust(target: Target, top: Path = Path("/")) -> Part | Impossible | None:
    """The local CA is trusted by what asks the system: curl, Python, Go, Ruby, and Java where it shares the store."""
    store = trust_linux.store(target.root, top)
    if store is None:
        return Impossible(
            f"trust {target.domain}",
            "this system's store of root certificates is not known to us",
            f"Add it as your system wants it: {target.root.file}",
        )
    return trust_part(target, store)


def trust_part(target: Target, store: SystemStore) -> Part:
    """The same for every platform: a file, and commands."""
    return Part(
        name=f"trust {target.domain}",
        what=f"programs that ask the system trust the certificates of {target.domain} (and no other site's)",
        missing=f"name the CA to your program: {target.root.file}",
        files=(Put(store.file, store.text),) if store.file else (),
        after=tuple(Run(command) for command in store.after),
        before_undo=tuple(Run(command, may_fail=True) for command in store.before_undo),
        after_undo=tuple(Run(command) for command in store.after_undo),
    )


def java_part(target: Target, keystore: JavaKeystore) -> Part:
    """A key store that only root may edit."""
    return Part(
        name=f"java {target.domain} {keystore.file}",
        what=f"the Java of {keystore.file} trusts the certificates of {target.domain}",
        missing=f"name the CA to Java: keytool -importcert -file {target.root.file}",
        after=(Run(keystore.adding(target.root)),),
        before_undo=(Run(keystore.removing(target.root.name), may_fail=True),),
    )


def _first_free_port(top: Path) -> int:
    """The first port that every user may bind (ip_unprivileged_port_start in ip(7))."""
    try:
        return int((top / "proc/sys/net/ipv4/ip_unprivileged_port_start").read_text())
    except (OSError, ValueError):
        return 1024


def _by_nft(wanted: list[tuple[int, int]], nft: str, *, systemd: bool) -> Part:
    """A redirection in the kernel: no process, no copy, and only for what this machine sends to itself."""
    lines = [
        f"# {HEADER}",
        "table inet stores {}",  # so that the next line never fails: this file can be loaded twice
        "delete table inet stores",
        "table inet stores {",
        "  chain output {",
        "    type nat hook output priority -100; policy accept;",  # where destinations are changed (nft(8))
    ]
    for public, own in wanted:
        lines.append(f"    ip daddr 127.0.0.1 tcp dport {public} redirect to :{own}")
        lines.append(f"    ip6 daddr ::1 tcp dport {public} redirect to :{own}")
    file = Put("/etc/stores/ports.nft", "\n".join([*lines, "  }", "}", ""]))
    load, unload = (nft, "-f", file.path), (nft, "delete", "table", "inet", "stores")
    if not systemd:
        return _ports(wanted, (file,), (Run(load),), (Run(unload, may_fail=True),), (), " until the next reboot")
    unit = Put(
        f"{_UNITS}/stores-ports.service",
        f"""\
# {HEADER}
[Unit]
Description=Ports 80 and 443 of this machine's loopback lead to stores
# its start empties all tables, ours included: then ours is loaded again
After=nftables.service
PartOf=nftables.service

[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart={" ".join(load)}
ExecStop=-{" ".join(unload)}

[Install]
WantedBy=multi-user.target
""",
    )
    return _ports(
        wanted,
        (file, unit),
        (_systemctl("daemon-reload"), _systemctl("enable", "stores-ports"), _systemctl("restart", "stores-ports")),
        (_systemctl("disable", "--now", "stores-ports"),),
        (_systemctl("daemon-reload"),),
    )


def _by_socket_units(wanted: list[tuple[int, int]], proxy: str) -> Part:
    """Systemd listens, and starts its own small forwarder with the first connection; idle, it ends."""
    files: list[Put] = []
    sockets = []
    for public, own in wanted:
        name = f"stores-{public}"
        listen = f"ListenStream=127.0.0.1:{public}\nListenStream=[::1]:{public}\n"
        files.append(
            Put(
                f"{_UNITS}/{name}.socket",
                f"# {HEADER}\n[Unit]\nDescription=Port {public} of this machine's loopback, for stores\n\n"
                f"[Socket]\n{listen}\n[Install]\nWantedBy=sockets.target\n",
            )
        )
        files.append(
            Put(
                f"{_UNITS}/{name}.service",
                f"# {HEADER}\n[Unit]\nDescription=Port {public} leads to stores\nRequires={name}.socket\n"
                f"After={name}.socket\n\n[Service]\nExecStart={proxy} --exit-idle-time=60s 127.0.0.1:{own}\n"
                "DynamicUser=yes\nPrivateTmp=yes\n",
            )
        )
        sockets.append(f"{name}.socket")
    services = [socket.replace(".socket", ".service") for socket in sockets]
    return _ports(
        wanted,
        tuple(files),
        (_systemctl("daemon-reload"), _systemctl("enable", "--now", *sockets)),
        (_systemctl("disable", "--now", *sockets), _systemctl("stop", *services)),
        (_systemctl("daemon-reload"),),
    )


def _ports(
    wanted: list[tuple[int, int]],
    files: tuple[Put, ...],
    after: tuple[Run, ...],
    before_undo: tuple[Run, ...],
    after_undo: tuple[Run, ...],
    limit: str = "",
) -> Part:
    pairs = " and ".join(f"{public} to {own}" for public, own in wanted)
    return Part(
        name="ports",
        what=f"on this machine's loopback, {pairs}{limit}: URLs need no port",
        missing="URLs carry their port: " + ", ".join(f":{own}" for _, own in wanted),
        files=files,
        after=after,
        before_undo=before_undo,
        after_undo=after_undo,
    )


def _names(target: Target, files: dict[str, str], reload: tuple[str, ...]) -> Part:
    return Part(
        name=f"names {target.domain}",
        what=f"every name below {target.domain} leads to this machine; all others are answered as before",
        missing=_without_names(target),
        files=tuple(Put(path, text) for path, text in files.items()),
        after=(Run(reload),),
        after_undo=(Run(reload),),
    )


def _without_names(target: Target) -> str:
    return f"http://NAME.localhost:{target.http or '<port>'}/ needs no DNS"


def _systemctl(*arguments: str) -> Run:
    return Run(("systemctl", *arguments))


def _which(tool: str) -> str | None:
    return shutil.which(tool, path=_SBIN)
