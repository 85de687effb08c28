"""`stores setup --system` and `stores clean`, whole, on a machine to throw away: real resolvers, kernel, sudo, curl."""

from __future__ import annotations

import os
import pty
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import machine
import pytest
import sample
from machine import Machine
from workbench import wait_until

# `newest`: resolvers, kernel, sudo and curl are what is tried here; the plans are tested on both interpreters
pytestmark = [*machine.NEEDED, pytest.mark.long, pytest.mark.newest]

#: The real one; its package would take over this machine's resolv.conf, so it may stand unpacked somewhere else.
RESOLVED = Path(os.environ.get("STORES_TEST_RESOLVED") or "/usr/lib/systemd/systemd-resolved")

ENV = machine.ENV
DOMAIN = "local.example.com"

#: The machine has no init: this does what one would do for the units that are named in the plan.
SYSTEMCTL = """#!/bin/sh
[ "$*" = "restart systemd-resolved.service" ] || exec /usr/bin/systemctl "$@"
pkill -x systemd-resolve
while grep -q 3500007F:0035 /proc/net/udp; do sleep 0.02; done
setsid /usr/lib/systemd/systemd-resolved >/dev/null 2>&1 </dev/null &
until grep -q 3500007F:0035 /proc/net/udp; do sleep 0.02; done
"""

#: As NetworkManager does when it is told to reload: its dnsmasq is started anew with its own command line.
NMCLI = """#!/bin/sh
pkill -x dnsmasq
while grep -q 0100007F:0035 /proc/net/udp; do sleep 0.02; done
exec dnsmasq --no-resolv --no-hosts --bind-interfaces --listen-address=127.0.0.1 --stop-dns-rebind \\
  --conf-dir=/etc/NetworkManager/dnsmasq.d --conf-file=/dev/null --pid-file=/run/nm.pid </dev/null >/dev/null 2>&1
"""

#: A cable with somebody at its other end, without which no link is up.
CABLE = """
import fcntl, os, struct, time
tap = os.open('/dev/net/tun', os.O_RDWR)
fcntl.ioctl(tap, 0x400454CA, struct.pack('16sH', b'lan0', 0x1002))
time.sleep(3600)
"""


@pytest.fixture
def laptop(tmp_path: Path) -> Iterator[Machine]:
    """dina's: with the sample workspace."""
    with machine.laptop(tmp_path) as made:
        shop = made.path("/srv/shop")
        sample.copy(shop)
        made.run("chown", "-R", "dina:", "/srv/shop")
        yield made


def nothing_but_hosts(laptop: Machine) -> None:
    """No resolver that knows single domains."""


def systemd_resolved(laptop: Machine) -> None:
    """As on Ubuntu, with a server on the cable that knows example.org alone."""
    if not RESOLVED.exists():
        pytest.skip("systemd-resolved is not installed (nor named by STORES_TEST_RESOLVED)")
    if not Path("/dev/net/tun").exists() or not shutil.which("dnsmasq"):
        pytest.skip("no /dev/net/tun, or no dnsmasq to stand at the cable's other end")
    shutil.copy(RESOLVED, laptop.path("/usr/lib/systemd/systemd-resolved"))
    laptop.run("useradd", "--system", "systemd-resolve", ok=False)
    laptop.write("/etc/systemd/resolved.conf", "[Resolve]\nDNSSEC=allow-downgrade\nFallbackDNS=\n")
    laptop.write("/etc/dnssec-trust-anchors.d/test.negative", "example.org\n")  # the cable's server signs nothing
    laptop.write("/etc/resolv.conf", "nameserver 127.0.0.53\n")
    laptop.write("/usr/local/bin/systemctl", SYSTEMCTL, 0o755)
    laptop.begin(sys.executable, "-c", CABLE)
    wait_until(lambda: laptop.run("ip", "link", "set", "lan0", "up", ok=False).returncode == 0, "the cable is in")
    laptop.run("ip", "address", "add", "10.9.0.1/24", "dev", "lan0")
    number = laptop.run("ip", "-o", "link", "show", "lan0").stdout.split(":")[0]
    link = ["ADMIN_STATE=configured", "OPER_STATE=routable", "DNS=10.9.0.1", "DNS_DEFAULT_ROUTE=yes", ""]
    laptop.write(f"/run/systemd/netif/links/{number}", "\n".join(link))  # what networkd would tell
    server = ["dnsmasq", "-d", "-C", "/dev/null", "--no-resolv", "--no-hosts", "--bind-interfaces"]
    known = ["--address=/example.org/192.0.2.7", "--address=/example.org/2001:db8::7"]
    laptop.begin(*server, "--listen-address=10.9.0.1", *known)
    laptop.run("/usr/local/bin/systemctl", "restart", "systemd-resolved.service")
    wait_until(lambda: "192.0.2.7" in addresses(laptop, "example.org"), "the network's own server answers")


def network_manager(laptop: Machine) -> None:
    """As with dns=dnsmasq."""
    if not shutil.which("dnsmasq"):
        pytest.skip("dnsmasq is not installed")
    laptop.path("/run/NetworkManager").mkdir()
    laptop.write("/etc/NetworkManager/conf.d/dns.conf", "[main]\ndns=dnsmasq\n")
    laptop.path("/etc/NetworkManager/dnsmasq.d").mkdir(exist_ok=True)
    laptop.write("/etc/resolv.conf", "nameserver 127.0.0.1\n")
    laptop.write("/usr/local/bin/nmcli", NMCLI, 0o755)
    laptop.run("/usr/local/bin/nmcli")


def addresses(laptop: Machine, name: str) -> str:
    """As programs resolve it."""
    return laptop.run("getent", "ahosts", name, ok=False).stdout


@pytest.mark.parametrize(
    ("system", "names"),
    [
        (systemd_resolved, ["netshop", "a.b.tokyo.netshop"]),
        (network_manager, ["netshop", "a.b.tokyo.netshop"]),
        (nothing_but_hosts, ["netshop"]),
    ],
)
def test_curl_without_any_option_gets_the_shop_and_after_clean_nothing_is_left(
    laptop: Machine, system: Callable[[Machine], None], names: list[str]
) -> None:
    system(laptop)
    laptop.stores("trust", "--no-sudo", user="dina", env=ENV)  # makes the CA
    before = laptop.tree()
    laptop.stores("setup", "--system", "--yes", user="dina", env=ENV)
    laptop.stores("up", "-d", "netshop", user="dina", env=ENV)
    for name in names:
        page = laptop.run("curl", "-sS", "-i", f"https://{name}.{DOMAIN}/", user="dina").stdout
        assert "x-stores-route: local" in page.lower()
        assert "<html" in page
    urllib = f"import urllib.request as u; print(u.urlopen('https://netshop.{DOMAIN}/').status)"
    assert laptop.run("/usr/bin/python3", "-c", urllib, user="dina").stdout == "200\n"
    assert f"https://netshop.{DOMAIN}/" in laptop.stores("status", user="dina", env=ENV).stdout
    again = laptop.stores("setup", "--system", user="dina", env=ENV)  # asks nothing, for there is nothing to do
    assert "as root" not in again.stdout

    laptop.stores("down", user="dina", env=ENV)
    if system is systemd_resolved:  # also with nobody at our port, all other names are answered as before
        assert "192.0.2.7" in addresses(laptop, "example.org")
    laptop.stores("clean", "--yes", "--state", user="dina")
    left = [path for path in laptop.changed(before) if not path.startswith(("/srv/shop", "/home/dina"))]
    assert left == []
    assert not laptop.path("/home/dina/.local").exists()
    assert laptop.run("nft", "list", "ruleset").stdout == ""
    assert DOMAIN not in addresses(laptop, f"netshop.{DOMAIN}")


def test_a_dry_run_shows_everything_and_changes_nothing(laptop: Machine) -> None:
    before = laptop.tree()
    shown = laptop.stores("setup", "--system", "--dry-run", user="dina", env=ENV).stdout
    for expected in ("redirect to :8443", "add lines to /etc/hosts", "update-ca-certificates", "sudo -- "):
        assert expected in shown
    assert laptop.changed(before) == []


def test_without_a_terminal_nothing_is_asked_and_nothing_is_done(laptop: Machine) -> None:
    laptop.stores("trust", "--no-sudo", user="dina", env=ENV)
    before = laptop.tree()
    done = laptop.stores("setup", "--system", user="dina", env=ENV, ok=False)
    assert done.returncode == 2
    assert "--yes" in done.stderr
    assert laptop.changed(before) == []


@pytest.mark.parametrize(("answer", "code"), [(b"n\n", 1), (b"\n", 1), (b"y\n", 0)])
def test_it_asks_once_and_a_no_is_no_and_says_what_works_meanwhile(laptop: Machine, answer: bytes, code: int) -> None:
    laptop.stores("trust", "--no-sudo", user="dina", env=ENV)
    before = laptop.tree()
    ours, theirs = pty.openpty()
    command = laptop.command(
        "env",
        *(f"{key}={value}" for key, value in ENV.items()),
        "PYTHONDONTWRITEBYTECODE=1",
        *machine.STORES,
        "setup",
        "--system",
        user="dina",
    )
    environ = {key: value for key, value in os.environ.items() if key != "CI"}
    with subprocess.Popen(command, stdin=theirs, stdout=subprocess.PIPE, stderr=theirs, env=environ) as process:
        os.write(ours, answer)
        assert process.stdout
        said = process.stdout.read().decode()
        assert process.wait(30) == code
    os.close(theirs)
    os.close(ours)
    if code:
        assert "meanwhile: http://NAME.localhost:8080/ needs no DNS" in said
        assert laptop.changed(before) == []
    else:
        assert f"Ready: https://NAME.{DOMAIN}/" in said


def test_a_part_that_fails_is_taken_back_and_told_and_the_rest_stays(laptop: Machine) -> None:
    laptop.write("/etc/stores/ports.nft", "mine\n")
    done = laptop.stores("setup", "--system", "--yes", user="dina", env=ENV, ok=False)
    assert done.returncode == 1
    assert "/etc/stores/ports.nft is there already and was not made by stores" in done.stderr
    assert "meanwhile: URLs carry their port: :8080, :8443" in done.stdout
    assert laptop.path("/etc/stores/ports.nft").read_text() == "mine\n"
    assert f"netshop.{DOMAIN}" in laptop.path("/etc/hosts").read_text()


def test_sudo_that_refuses_changes_nothing_and_is_told(laptop: Machine) -> None:
    laptop.path("/etc/sudoers.d/dina").unlink()
    laptop.stores("trust", "--no-sudo", user="dina", env=ENV)
    before = laptop.tree()
    done = laptop.stores("setup", "--system", "--yes", user="dina", env=ENV, ok=False)
    assert done.returncode == 1
    assert "Root's part did not happen" in done.stderr
    assert "meanwhile" in done.stdout
    assert laptop.changed(before) == []


def test_under_sudo_the_state_is_the_users_own(laptop: Machine) -> None:
    env = [f"{key}={value}" for key, value in ENV.items()]
    laptop.run("sudo", "env", *env, *machine.STORES, "setup", "--system", "--yes", user="dina")
    home = laptop.path("/home/dina")
    assert {path.stat().st_uid for path in (home / ".local").rglob("*")} == {home.stat().st_uid}
    assert "done already" in laptop.stores("setup", "--system", user="dina", env=ENV).stdout
    laptop.run("sudo", "env", *env, *machine.STORES, "clean", "--yes", user="dina")
    assert not laptop.path("/var/lib/stores").exists()


def test_one_user_does_not_undo_what_was_done_for_another(laptop: Machine) -> None:
    laptop.stores("setup", "--system", "--yes", user="dina", env=ENV)
    laptop.run("useradd", "-m", "emil")
    assert "nothing to undo" in laptop.stores("clean", "--yes", user="emil").stdout
    assert laptop.path("/etc/stores/ports.nft").exists()


def test_state_is_kept_while_a_supervisor_uses_it(laptop: Machine) -> None:
    laptop.stores("up", "-d", "netshop", user="dina", env=ENV)
    done = laptop.stores("clean", "--yes", "--state", user="dina", ok=False)
    assert done.returncode == 1
    assert "stores down" in done.stderr
    laptop.stores("down", user="dina", env=ENV)
