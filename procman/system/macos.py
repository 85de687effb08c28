"""The privileged step on macOS: ports by pf, loaded by launchd; names by /etc/resolver; the System keychain."""

from __future__ import annotations

import plistlib

from certs import trust_macos
from dns import system_macos
from procman.system.change import HEADER, Part, Put, Run
from procman.system.linux import trust_part
from procman.system.target import Impossible, Target

_LABEL = "com.stores.ports"
_RULES = "/etc/pf.anchors/com.stores"
_DAEMON = f"/Library/LaunchDaemons/{_LABEL}.plist"
_TOKEN = "/var/run/com.stores.pf-token"  # noqa: S105 (pf's count of who wants it on, no secret)

#: The system's own pf.conf evaluates every anchor below com.apple/, so that file need not be edited.
_ANCHOR = "com.apple/250.stores"

#: -E counts who wants pf on and prints a token; giving that back turns pf off again if nobody else wants it.
_LOAD = f"/sbin/pfctl -a {_ANCHOR} -f {_RULES} -E 2>&1 | sed -n 's/^Token : //p' > {_TOKEN}"
_UNLOAD = f'/sbin/pfctl -a {_ANCHOR} -F all; [ ! -s {_TOKEN} ] || /sbin/pfctl -X "$(cat {_TOKEN})"; rm -f {_TOKEN}'


def ports(target: Target) -> Part | Impossible | None:
    """80 and 443 on loopback lead to the gateway's own ports."""
    wanted = [(public, own) for public, own in ((80, target.http), (443, target.https)) if own is not None]
    if not wanted:
        return None
    rules = [f"# {HEADER}"]
    for public, own in wanted:
        rules.append(f"rdr pass on lo0 inet proto tcp from any to 127.0.0.1 port {public} -> 127.0.0.1 port {own}")
        rules.append(f"rdr pass on lo0 inet6 proto tcp from any to ::1 port {public} -> ::1 port {own}")
    daemon = {
        "Label": _LABEL,
        "ProgramArguments": ["/bin/sh", "-c", _LOAD],
        "RunAtLoad": True,
        "Comment": HEADER,
    }
    pairs = " and ".join(f"{public} to {own}" for public, own in wanted)
    return Part(
        name="ports",
        what=f"on this machine's loopback, {pairs}: URLs need no port",
        missing="URLs carry their port: " + ", ".join(f":{own}" for _, own in wanted),
        files=(Put(_RULES, "\n".join([*rules, ""])), Put(_DAEMON, plistlib.dumps(daemon).decode())),
        after=(Run(("launchctl", "bootstrap", "system", _DAEMON)),),
        before_undo=(
            Run(("launchctl", "bootout", f"system/{_LABEL}"), may_fail=True),
            Run(("/bin/sh", "-c", _UNLOAD), may_fail=True),
        ),
    )


def names(target: Target) -> Part | Impossible | None:
    """The domain's names lead here. No other name is touched."""
    reload = tuple(Run(command, may_fail=True) for command in system_macos.RELOAD)
    return Part(
        name=f"names {target.domain}",
        what=f"every name below {target.domain} leads to this machine; all others are answered as before",
        missing=f"http://NAME.localhost:{target.http or '<port>'}/ needs no DNS",
        files=tuple(Put(path, text) for path, text in system_macos.files(target.domain, target.dns, HEADER).items()),
        after=reload,
        after_undo=reload,
    )


def trust(target: Target) -> Part | Impossible | None:
    """The local CA is trusted by what asks the system."""
    return trust_part(target, trust_macos.store(target.root))
